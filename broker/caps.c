/*
 * caps.c - the steps that give up privilege, and the proof that it is gone.
 */
#include <linux/seccomp.h>

#include "proto/sys/account.h"

#include "broker/step.h"

/* In the zygote, once: every command inherits the empty bounding set. Where none can be dropped, by
 * the legacy way, none is gained either, by no_new_privs. */
int caps_bounds(struct scene *scene, struct err *err)
{
	return account_unbound(scene->features->legacy, err);
}

int caps_no_privileges(struct scene *scene UNUSED, struct err *err)
{
	return CHECK(err, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS");
}

int caps_none(struct scene *scene UNUSED, struct err *err)
{
	return account_powerless(err);
}

int caps_verify(const struct scene *scene, struct err *err)
{
	if (account_check_none(!scene->features->legacy, err) < 0)
		return err->code;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return ERR_SET(err, ERR_STATE, "no_new_privs or the system call filter is missing");
	return 0;
}
