/*
 * caps.c - the steps that give up privilege, and the proof that it is gone.
 */
#include <linux/capability.h>
#include <linux/seccomp.h>

#include "broker/step.h"

/* Effective, permitted and inheritable. */
static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

/* In the zygote, once: every command inherits the empty bounding set. */
int caps_bounds(struct scene *scene UNUSED, struct err *err)
{
	/* The kernel refuses numbers that it does not know, and that ends the list. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return ERR_SYS(err, errno, "drop capability %lu", cap);
	}
	return 0;
}

int caps_no_privileges(struct scene *scene UNUSED, struct err *err)
{
	return CHECK(err, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS");
}

int caps_none(struct scene *scene UNUSED, struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "prctl PR_CAP_AMBIENT_CLEAR_ALL");
	return SYSCALL(err, capset, &header, none);
}

int caps_verify(struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];
	int bounding = 0;

	if (syscall(SYS_capget, &header, have) < 0)
		return ERR_SYS(err, errno, "capget");
	for (unsigned long cap = 0; bounding == 0; cap++)
		bounding = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
	if (bounding > 0 || memcmp(have, none, sizeof have) != 0)
		return ERR_SET(err, ERR_STATE, "a capability is left");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return ERR_SET(err, ERR_STATE, "no_new_privs or the system call filter is missing");
	return 0;
}
