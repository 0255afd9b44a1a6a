/*
 * ns.c - processes in namespaces of their own; their identity and their network there.
 */
#include <linux/sched.h>
#include <net/if.h>

#include "broker/step.h"

#define OOM_SCORE "500" /* under memory pressure commands go before the user's programs */

uint64_t ns_flags(const struct features *features)
{
	if (!features->confined)
		return 0;
	return (features->system ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
	       (features->network ? 0 : CLONE_NEWNET);
}

static int write_self(const char *path, const char *text, struct err *err)
{
	int fd SCOPED(fd_close) = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return ERR_SYS(err, errno, "%s", path);
	return 0;
}

void ns_oom_score(void)
{
	struct err denied = { 0 };

	/* A broker that has been given a higher score already may not lower it; that is as good. */
	(void)write_self("/proc/self/oom_score_adj", OOM_SCORE, &denied);
}

int ns_identity(struct scene *scene, struct err *err)
{
	char uid[64];
	char gid[64];

	if (scene->features->system) /* the monitor has made it the user, see account_become() */
		return 0;
	(void)snprintf(uid, sizeof uid, "%u %u 1", scene->uid, scene->uid);
	(void)snprintf(gid, sizeof gid, "%u %u 1", scene->gid, scene->gid);
	if (prctl(PR_SET_DUMPABLE, 1) < 0) /* otherwise these files belong to root */
		return ERR_SYS(err, errno, "prctl PR_SET_DUMPABLE");
	if (write_self("/proc/self/setgroups", "deny", err) < 0 ||
	    write_self("/proc/self/uid_map", uid, err) < 0 ||
	    write_self("/proc/self/gid_map", gid, err) < 0)
		return err->code;
	ns_oom_score();
	return CHECK(err, prctl(PR_SET_DUMPABLE, 0), "prctl PR_SET_DUMPABLE");
}

int ns_loopback(struct scene *scene UNUSED, struct err *err)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd SCOPED(fd_close) = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return ERR_SYS(err, errno, "bring lo up");
	return 0;
}
