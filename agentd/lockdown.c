#include "agentd/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "agentd/lockdown_filter.h"

#define CAP_NUMBER_MAX 63 /* the kernel's sets have 64 bits */

/*
 * Landlock as the kernel defines it; the headers of the oldest supported system know less than its
 * newest kernel, so numbers and structs are spelled here.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define LL_VERSION_QUERY 1U
#define LL_RULE_PATH_BENEATH 1

#define LL_EXECUTE (1ULL << 0)
#define LL_WRITE_FILE (1ULL << 1)
#define LL_REMOVE_DIR (1ULL << 4)
#define LL_REMOVE_FILE (1ULL << 5)
#define LL_MAKE_CHAR (1ULL << 6)
#define LL_MAKE_DIR (1ULL << 7)
#define LL_MAKE_REG (1ULL << 8)
#define LL_MAKE_SOCK (1ULL << 9)
#define LL_MAKE_FIFO (1ULL << 10)
#define LL_MAKE_BLOCK (1ULL << 11)
#define LL_MAKE_SYM (1ULL << 12)
#define LL_REFER (1ULL << 13)     /* since ABI 2 */
#define LL_TRUNCATE (1ULL << 14)  /* since ABI 3 */
#define LL_IOCTL_DEV (1ULL << 15) /* since ABI 5 */

#define LL_SCOPE_ABSTRACT_SOCKET (1ULL << 0) /* since ABI 6 */
#define LL_SCOPE_SIGNAL (1ULL << 1)

#define LL_ABI_REFER 2
#define LL_ABI_TRUNCATE 3
#define LL_ABI_IOCTL 5
#define LL_ABI_SCOPES 6

struct ll_ruleset {
	uint64_t handled_fs;
	uint64_t handled_net; /* since ABI 4; zero before */
	uint64_t scoped;      /* since ABI 6; zero before */
};

struct ll_path {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* Everything that changes something, and executing; reading is not handled. */
static uint64_t handled_rights(long abi)
{
	uint64_t rights = LL_EXECUTE | LL_WRITE_FILE | LL_REMOVE_DIR | LL_REMOVE_FILE |
			  LL_MAKE_CHAR | LL_MAKE_DIR | LL_MAKE_REG | LL_MAKE_SOCK | LL_MAKE_FIFO |
			  LL_MAKE_BLOCK | LL_MAKE_SYM;

	if (abi >= LL_ABI_REFER)
		rights |= LL_REFER;
	if (abi >= LL_ABI_TRUNCATE)
		rights |= LL_TRUNCATE;
	if (abi >= LL_ABI_IOCTL)
		rights |= LL_IOCTL_DEV;
	return rights;
}

/* Folders and plain files may come, change and go below `dir`; sockets, devices and programs may
 * not. */
static int allow_beneath(int ruleset, const char *dir, uint64_t handled, struct err *err)
{
	const uint64_t rights = LL_WRITE_FILE | LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE_DIR |
				LL_MAKE_REG | LL_REFER | LL_TRUNCATE;
	int fd SCOPED(fd_close) = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ll_path rule = { .allowed = rights & handled, .parent_fd = fd };

	if (fd < 0)
		return ERR_SYS(err, errno, "open folder '%s'", dir);
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule, 0) < 0)
		return ERR_SYS(err, errno, "landlock rule for '%s'", dir);
	return 0;
}

/* New pseudo-terminals; not the other ends, which lie among the person's own terminals. */
static int allow_terminals(int ruleset, uint64_t handled, struct err *err)
{
	int fd SCOPED(fd_close) = open("/dev/ptmx", O_PATH | O_CLOEXEC);
	struct ll_path rule = { .allowed = (LL_WRITE_FILE | LL_IOCTL_DEV) & handled,
				.parent_fd = fd };

	if (fd < 0)
		return 0; /* a machine without terminals has nothing to allow */
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule, 0) < 0)
		return ERR_SYS(err, errno, "landlock rule for '/dev/ptmx'");
	return 0;
}

static int restrict_files(const struct lockdown_config *config, struct err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION_QUERY);
	struct ll_ruleset set = { 0 };
	/* An older kernel refuses a longer struct only when what it does not know is not zero. */
	int ruleset SCOPED(fd_close) = -1;

	if (abi < 0)
		return ERR_SYS(err, errno,
			       "this kernel has no Landlock, which keeps agentd from writing "
			       "outside its own folders; boot with lsm=...,landlock");
	set.handled_fs = handled_rights(abi);
	if (abi >= LL_ABI_SCOPES)
		set.scoped = LL_SCOPE_ABSTRACT_SOCKET | LL_SCOPE_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	if (ruleset < 0)
		return ERR_SYS(err, errno, "landlock ruleset");
	if (allow_beneath(ruleset, config->state_dir, set.handled_fs, err) < 0 ||
	    allow_beneath(ruleset, config->runtime_dir, set.handled_fs, err) < 0 ||
	    allow_terminals(ruleset, set.handled_fs, err) < 0)
		return (int)err->code;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return ERR_SYS(err, errno, "landlock");
	return 0;
}

/* Bounding set first: dropping from it takes a capability. Without that one it binds nothing that
 * matters. */
static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (unsigned long cap = 0; cap <= CAP_NUMBER_MAX; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM && errno != EINVAL)
			return ERR_SYS(err, errno, "drop capability %lu", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "clear ambient capabilities");
	if (syscall(SYS_capset, &header, none) < 0)
		return ERR_SYS(err, errno, "drop capabilities");
	return 0;
}

static int hide_memory(struct err *err)
{
	const struct rlimit no_core = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "forbid tracing of agentd");
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return ERR_SYS(err, errno, "forbid core dumps");
	return 0;
}

int lockdown_apply(const struct lockdown_config *config, struct err *err)
{
	if (hide_memory(err) < 0 || drop_capabilities(err) < 0)
		return ERR_WRAP(err, "lockdown");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ERR_SYS(err, errno, "lockdown: no_new_privs");
	/* The filter comes last: it forbids the calls that the other locks are made of. */
	if (restrict_files(config, err) < 0 || lockdown_filter_install(err) < 0)
		return ERR_WRAP(err, "lockdown");
	return 0;
}
