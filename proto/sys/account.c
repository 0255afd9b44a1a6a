#include "proto/sys/account.h"

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include "proto/sys/call.h"

int account_find(struct account *out, const char *name, struct err *err)
{
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const struct passwd *user = getpwnam(name);

	if (!user || user->pw_uid == 0)
		return ERR_SET(err, ERR_INVALID, "user '%s': root, or no user", name);
	*out = (struct account){ .uid = user->pw_uid,
				 .gid = user->pw_gid,
				 .home = user->pw_dir,
				 .group_count = ACCOUNT_GROUPS_MAX };
	if (getgrouplist(name, out->gid, out->groups, &out->group_count) < 0)
		return ERR_SET(err, ERR_LIMIT, "user '%s': in more than %d groups", name,
			       ACCOUNT_GROUPS_MAX);
	return 0;
}

int account_capabilities(uint32_t keep, struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { keep, keep, 0 } };

	return SYSCALL(err, capset, &header, data);
}

int account_unbound(bool if_allowed, struct err *err)
{
	/* The kernel refuses numbers that it does not know, and that ends the list. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return if_allowed && errno == EPERM
				       ? 0
				       : ERR_SYS(err, errno, "drop capability %lu", cap);
	}
	return 0;
}

int account_powerless(struct err *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "clear ambient capabilities");
	return account_capabilities(0, err);
}

int account_become(const struct account *account, uint32_t capabilities, struct err *err)
{
	if (capabilities == 0 && account_unbound(false, err) < 0)
		return err->code;
	if (setgroups((size_t)account->group_count, account->groups) < 0 ||
	    setresgid(account->gid, account->gid, account->gid) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    setresuid(account->uid, account->uid, account->uid) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "become user %u", account->uid);
	return account_capabilities(capabilities, err);
}

/* Whether what is needed is there, and (`alone`) nothing else, as the kernel says. */
static int check(const char *const *reasons, bool alone, struct err *err)
{
	static const capng_type_t sets[] = { CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_BOUNDING_SET };

	if (capng_get_caps_process() < 0)
		return ERR_SYS(err, errno, "capabilities");
	for (unsigned i = 0; i < ACCOUNT_CAPABILITIES * ARRAY_LEN(sets); i++) {
		unsigned number = i / ARRAY_LEN(sets);
		bool have = capng_have_capability(sets[i % ARRAY_LEN(sets)], number);

		if (have ? alone && !reasons[number] : reasons[number] != NULL)
			return ERR_SET(err, ERR_DENIED, "capability %s: %s%s",
				       capng_capability_to_name(number),
				       have ? "cannot be given up" : "needed ",
				       have ? "" : reasons[number]);
	}
	return 0;
}

int account_reduce(const char *const reasons[ACCOUNT_CAPABILITIES], struct err *err)
{
	const capng_type_t all = CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET;

	if (check(reasons, false, err) < 0)
		return err->code;
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned i = 0; i < ACCOUNT_CAPABILITIES; i++) {
		if (reasons[i])
			(void)capng_update(CAPNG_ADD, all, i);
	}
	(void)capng_apply(CAPNG_SELECT_ALL); /* whether that worked is asked next */
	return check(reasons, true, err);
}

int account_check_none(bool bounding, struct err *err)
{
	/* Effective, permitted and inheritable. */
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];
	int bound = 0;

	if (syscall(SYS_capget, &header, have) < 0)
		return ERR_SYS(err, errno, "capget");
	for (unsigned long cap = 0; bounding && bound == 0; cap++)
		bound = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
	if (bound > 0 || memcmp(have, none, sizeof have) != 0)
		return ERR_SET(err, ERR_STATE, "a capability is left");
	return 0;
}
