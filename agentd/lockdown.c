#include "agentd/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/sys/account.h"
#include "proto/sys/harden.h"
#include "proto/sys/landlock.h"

#include "agentd/lockdown_filter.h"

/* Everything that changes something, and executing; reading is not handled. */
#define HANDLED (~(uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR))

/* Folders and plain files may come, change and go below `dir`; sockets, devices and programs may
 * not. */
static int allow_beneath(int ruleset, const char *dir, int abi, struct err *err)
{
	const uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
				LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
				LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER |
				LANDLOCK_ACCESS_FS_TRUNCATE;

	return landlock_allow(ruleset, AT_FDCWD, dir, rights & landlock_all(abi), err);
}

/* New pseudo-terminals; not the other ends, which lie among the person's own terminals. */
static int allow_terminals(int ruleset, int abi, struct err *err)
{
	if (access("/dev/ptmx", F_OK) < 0)
		return 0; /* a machine without terminals has nothing to allow */
	return landlock_allow(ruleset, AT_FDCWD, "/dev/ptmx",
			      LANDLOCK_ACCESS_FS_WRITE_FILE | landlock_newer(abi), err);
}

static int restrict_files(const struct lockdown_config *config, struct err *err)
{
	int abi = landlock_abi();
	const struct landlock_wants wants = { .files = HANDLED, .signals = true, .abstract = true };
	int ruleset SCOPED(fd_close) = -1;

	if (abi == 0)
		return ERR_SET(err, ERR_SYSTEM,
			       "this kernel has no Landlock, which keeps agentd from writing "
			       "outside its own folders; boot with lsm=...,landlock");
	if (landlock_create(&ruleset, abi, &wants, err) < 0 ||
	    allow_beneath(ruleset, config->state_dir, abi, err) < 0 ||
	    allow_beneath(ruleset, config->runtime_dir, abi, err) < 0 ||
	    allow_terminals(ruleset, abi, err) < 0)
		return (int)err->code;
	return landlock_enforce(ruleset, err);
}

/* Bounding set first: dropping from it takes a capability. Without that one it binds nothing that
 * matters. */
static int drop_capabilities(struct err *err)
{
	return account_unbound(true, err) < 0 ? (int)err->code : account_powerless(err);
}

int lockdown_apply(const struct lockdown_config *config, struct err *err)
{
	if (harden_memory(err) < 0 || drop_capabilities(err) < 0)
		return ERR_WRAP(err, "lockdown");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "lockdown: no_new_privs");
	/* The filter comes last: it forbids the calls that the other locks are made of. */
	if (restrict_files(config, err) < 0 || lockdown_filter_install(err) < 0)
		return ERR_WRAP(err, "lockdown");
	return 0;
}
