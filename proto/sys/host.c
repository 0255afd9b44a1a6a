#include "proto/sys/host.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/sys/landlock.h"

#define NO_PROFILE                                                                                 \
	" (a security module restricts user namespaces: load the AppArmor profile 'agent-broker' " \
	"that comes with this program; in a container, allow mounts in its profile)"
#define NO_NAMESPACES                                                                              \
	" (user namespaces are forbidden here. In a container: its seccomp profile, as Docker's "  \
	"own one, has to allow clone, unshare and mount. On older Debian: set the sysctl "         \
	"kernel.unprivileged_userns_clone to 1. " OTHER_WAYS ")"
#define OTHER_WAYS "Without them: the broker as a system service, or the setting legacy_landlock"
#define NESTED                                                                                     \
	" (this is already inside a sandbox of agent-broker, which forbids further namespaces; "   \
	"the setting legacy_landlock works here)"
#define NO_SECCOMP " (this kernel is built without CONFIG_SECCOMP_FILTER)"

/* clang-format off */
static const struct mend {
	enum host_feature feature;
	int sys;        /* EACCES counts as EPERM */
	const char *text;
} mends[] = {
	{ HOST_NAMESPACES, EPERM, NO_NAMESPACES },
	{ HOST_NAMESPACES, ENOSPC, " (user namespaces are off or used up: raise the sysctl user.max_user_namespaces. "
			OTHER_WAYS ")" },
	{ HOST_NAMESPACES, EINVAL, " (this kernel is built without one of the namespaces. " OTHER_WAYS ")" },
	{ HOST_NAMESPACES, ENOSYS, " (neither clone3 nor clone can be called: allow one in the container's seccomp profile)" },
	{ HOST_USER_NAMESPACE, EPERM, NO_PROFILE },
	{ HOST_DEVICES, EPERM, " (the machine's /dev is mounted 'nodev', or a container's profile forbids mounts)" },
	{ HOST_PROC, EPERM, " (a container masks parts of /proc, so no other can be mounted)" },
	{ HOST_SECCOMP, EINVAL, NO_SECCOMP },
	{ HOST_SECCOMP, ENOSYS, NO_SECCOMP },
};
/* clang-format on */

/* Nobody else refuses pairs of datagram sockets. */
static bool inside_ours(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return errno == EPERM;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return false;
}

const char *host_mend(enum host_feature feature, int sys)
{
	sys = sys == EACCES ? EPERM : sys;
	if (feature == HOST_NAMESPACES && sys == EPERM && inside_ours())
		return NESTED;
	for (size_t i = 0; i < ARRAY_LEN(mends); i++) {
		if (mends[i].feature == feature && mends[i].sys == sys)
			return mends[i].text;
	}
	return sys == ENOSYS ? HOST_NO_CALL : "";
}

/* When a lack is told: all of these hold, and Landlock is older than the ABI. */
#define ANY_ABI INT_MAX

/* clang-format off */
static const struct lack {
	unsigned when;
	int below;
	const char *text;
} lacks[] = {
	{ HOST_IN_SPACES, 1, HOST_NO_LANDLOCK },
	{ HOST_IN_SPACES | HOST_ONLINE, LANDLOCK_ABI_SCOPES, "landlock scopes: they need ABI 6 (Linux 6.12), so with the network on, "
		"abstract sockets of the host can be reached" },
	{ HOST_IN_SPACES | HOST_NO_PROC, ANY_ABI, "own /proc: it cannot be mounted here, as in a container that masks parts of "
		"/proc, so commands see the numbers and command lines of processes outside" },
	{ HOST_IN_SPACES | HOST_NO_NOTIFY, ANY_ABI, "system call notification: without it sockets of host programs can be reached by "
		"their path, a missing protected name is removed only when it has been made, and refusals are not reported" },
	{ HOST_BY_RULES, ANY_ABI, "namespaces: the setting legacy_landlock is on; Landlock and system call filters alone hold commands" },
	{ HOST_BY_RULES, ANY_ABI, "new names: at the top of a root, and in folders above a protected path, nothing can be made, renamed "
		"or removed, by git commit neither; but in the top of /tmp and $TMPDIR everything, also protected names" },
	{ HOST_BY_RULES, ANY_ABI, "modes and times of the user's files outside can be changed, though not to setuid, setgid or "
		"writable for everybody" },
	{ HOST_BY_RULES, ANY_ABI, "lists: the folders above the hidden ones, such as / and the home folder, cannot be listed" },
	{ HOST_BY_RULES, ANY_ABI, "own processes: commands see the numbers and command lines of all processes, and share one limit of "
		"processes with all the user's programs" },
	{ HOST_BY_RULES, ANY_ABI, "own network and devices: sockets with an address in the file system or, with the network off, in the "
		"internet cannot be made, nor terminals and shared memory with a name" },
	{ HOST_BY_RULES, LANDLOCK_ABI_SCOPES, "signals: commands can end every process of the user, the broker too; to prevent it needs "
		"Landlock ABI 6 (Linux 6.12)" },
};
/* clang-format on */

size_t host_missing(const char **out, unsigned holds, int landlock_abi)
{
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(lacks); i++) {
		if ((holds & lacks[i].when) == lacks[i].when && landlock_abi < lacks[i].below)
			out[count++] = lacks[i].text;
	}
	return count;
}
