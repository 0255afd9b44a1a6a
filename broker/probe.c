#include "broker/probe.h"

#include "broker/step.h"

#define NO_LANDLOCK                                                                                \
	"landlock: this kernel has none of ABI 2 or later (CONFIG_SECURITY_LANDLOCK, and "         \
	"'landlock' in lsm= on its command line), so mounts alone bound what is written"
#define NO_PROFILE                                                                                 \
	" (a security module restricts user namespaces: install the AppArmor profile that allows " \
	"'userns' to agent-broker, or inside a container allow mounts in its profile)"
#define NO_NAMESPACES                                                                              \
	" (user namespaces are forbidden here: inside a container its seccomp profile has to "     \
	"allow them, inside another sandbox none can be made; on older Debian set the sysctl "     \
	"kernel.unprivileged_userns_clone to 1)"

/* clang-format off */
static const struct mend {
	step_fn *apply; /* NULL: the clone itself */
	int sys;        /* EACCES counts as EPERM */
	const char *text;
} mends[] = {
	{ NULL, EPERM, NO_NAMESPACES },
	{ NULL, ENOSPC, " (user namespaces are off or used up: raise the sysctl user.max_user_namespaces)" },
	{ NULL, EINVAL, " (this kernel is built without one of the namespaces)" },
	{ NULL, ENOSYS, " (clone3 needs Linux 5.3, or a container's seccomp profile that allows it)" },
	{ ns_identity, EPERM, NO_PROFILE },
	{ ns_loopback, EPERM, NO_PROFILE },
	{ mount_private, EPERM, NO_PROFILE },
	{ mount_private, ENOSYS, " (mount_setattr needs Linux 5.12)" },
	{ mount_dev, EPERM, " (the machine's /dev is mounted 'nodev': mount it without)" },
	{ mount_proc, EPERM, " (a container masks parts of /proc, so no other can be mounted)" },
	{ filter_common, EINVAL, " (this kernel is built without CONFIG_SECCOMP_FILTER)" },
};
/* clang-format on */

const char *step_mend(step_fn *apply, int sys)
{
	for (size_t i = 0; i < ARRAY_LEN(mends); i++) {
		if (mends[i].apply == apply && mends[i].sys == (sys == EACCES ? EPERM : sys))
			return mends[i].text;
	}
	return "";
}

static struct probe finding(const char *name, bool needed, bool ok, const struct err *err)
{
	struct probe probe = { .name = name, .needed = needed, .ok = ok, .sys = err->sys };

	memcpy(probe.detail, ok ? "works" : err->text, ok ? sizeof "works" : sizeof err->text);
	return probe;
}

/* Every step of the three plans, as far as it can be tried without a command. */
static _Noreturn void try_here(struct scene *scene, int out)
{
	for (enum plan_kind kind = 0; kind < PLAN_COUNT; kind++) {
		struct plan plan;

		plan_build(&plan, kind, scene->roots, scene->features);
		for (size_t i = 0; i < plan.count; i++) {
			const struct step *step = &plan.steps[i];
			bool second = step->apply == landlock_rules || step->apply == mount_proc;
			struct err err = { 0 };
			struct probe probe;

			if (step->apply == child_stdio || step->apply == child_folder ||
			    step->apply == child_exec)
				continue;
			probe = finding(step->name, !second, step_one(scene, step, &err) == 0,
					&err);
			if (fd_write_all(out, &probe, sizeof probe, &err) < 0)
				_exit(1);
		}
	}
	_exit(0);
}

/* The pipe holds all that the child finds. */
static int try_all(struct scene *scene, struct probe *out, size_t *count, struct err *err)
{
	int read_end SCOPED(fd_close) = -1;
	int pidfd SCOPED(fd_close) = -1;
	int ends[2];
	pid_t pid;

	if (filter_prepare(err) < 0 || fd_pipe(ends, err) < 0)
		return err->code;
	read_end = ends[0];
	pid = ns_fork(ns_flags(scene->features) | CLONE_NEWPID, false, &pidfd, err);
	if (pid == 0)
		try_here(scene, ends[1]);
	(void)close(ends[1]);
	if (pid < 0)
		return ERR_WRAP(err, "namespaces%s", step_mend(NULL, err->sys));
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	while (*count < PROBES_MAX - 2 && read(read_end, &out[*count], sizeof *out) == sizeof *out)
		++*count;
	return 0;
}

size_t probe_all(struct probe out[PROBES_MAX])
{
	static const struct roots none;
	struct features features = { .confined = true,
				     .fresh_proc = true,
				     .landlock = landlock_abi() };
	struct scene scene = {
		.roots = &none, .features = &features, .uid = geteuid(), .gid = getegid()
	};
	struct err err = { .text = NO_CHILDREN };
	size_t count = 1;

	out[0] = finding("list of children", true, access(CHILDREN_FILE, R_OK) == 0, &err);
	if (try_all(&scene, out, &count, &err) < 0)
		out[count++] = finding("namespaces", true, false, &err);
	if (features.landlock == 0)
		out[count++] =
			finding("landlock", false, false, &(struct err){ .text = NO_LANDLOCK });
	return count;
}

void probe_features(struct features *out, bool network)
{
	static struct probe probes[PROBES_MAX]; /* tried once in the life of the process */
	static size_t count;

	if (count == 0)
		count = probe_all(probes);
	*out = (struct features){
		.confined = true, .network = network, .fresh_proc = true, .landlock = landlock_abi()
	};
	for (size_t i = 0; i < count; i++) {
		if (str_eq(probes[i].name, "own /proc") && probes[i].sys == EPERM)
			out->fresh_proc = false;
	}
}

size_t probe_missing(const char **out, const struct features *features)
{
	size_t count = 0;

	if (features->landlock == 0)
		out[count++] = NO_LANDLOCK;
	if (features->network && features->landlock < LANDLOCK_SCOPES_ABI)
		out[count++] = "landlock scopes: they need ABI 6 (Linux 6.12), so with the network "
			       "on, abstract sockets of the host can be reached";
	if (!features->fresh_proc)
		out[count++] = "own /proc: it cannot be mounted here, as in a container that masks "
			       "parts of /proc, so commands see the numbers and command lines of "
			       "processes outside";
	return count;
}
