#include "broker/probe.h"

#include "proto/sys/host.h"
#include "proto/sys/supervise.h"

#include "broker/monitor.h"
#include "broker/process.h"

#define NOTIFY "system call notification"
#define FRESH_PROC "own /proc"

/* What the host may refuse at a step; nothing is known of the others. */
static const struct {
	step_fn *apply; /* NULL: the clone itself */
	enum host_feature feature;
} features_of[] = {
	{ NULL, HOST_NAMESPACES },
	{ ns_identity, HOST_USER_NAMESPACE },
	{ ns_loopback, HOST_USER_NAMESPACE },
	{ mount_private, HOST_USER_NAMESPACE },
	{ mount_dev, HOST_DEVICES },
	{ mount_proc, HOST_PROC },
	{ filter_command, HOST_SECCOMP },
};

const char *step_mend(step_fn *apply, int sys)
{
	enum host_feature feature = HOST_CALL;

	for (size_t i = 0; i < ARRAY_LEN(features_of); i++) {
		if (features_of[i].apply == apply)
			feature = features_of[i].feature;
	}
	return host_mend(feature, sys);
}

static struct probe finding(const char *name, bool needed, bool ok, const struct err *err)
{
	struct probe probe = { .name = name, .needed = needed, .ok = ok, .sys = err->sys };

	memcpy(probe.detail, ok ? "works" : err->text, ok ? sizeof "works" : sizeof err->text);
	return probe;
}

static int install_notify(struct err *err)
{
	return filter_install(FILTER_NOTIFY, err);
}

static void tell(int out, struct probe found)
{
	struct err gone = { 0 };

	if (fd_write_all(out, &found, sizeof found, &gone) < 0)
		_exit(1);
}

/* Every step of the three plans, as far as it can be tried without a command. */
static _Noreturn void try_here(struct scene *scene, int out)
{
	struct err heard = { 0 };

	if (scene->features->confined)
		tell(out,
		     finding(NOTIFY, false, supervise_try(install_notify, &heard) == 0, &heard));
	for (enum plan_kind kind = 0; kind < PLAN_COUNT; kind++) {
		struct plan plan;

		plan_build(&plan, kind, scene->roots, scene->features);
		for (size_t i = 0; i < plan.count; i++) {
			const struct step *step = &plan.steps[i];
			bool second = step->apply == landlock_rules || step->apply == mount_proc;
			struct err err = { 0 };

			if (step->apply == child_stdio || step->apply == child_folder ||
			    step->apply == child_leave || step->apply == child_exec)
				continue;
			tell(out,
			     finding(step->name, !second, step_one(scene, step, &err) == 0, &err));
		}
	}
	_exit(0);
}

static int try_all(const struct features *features, struct probe *out, size_t *count,
		   struct err *err)
{
	static const struct roots none;
	struct scene scene = {
		.roots = &none, .features = features, .uid = geteuid(), .gid = getegid()
	};
	int read_end SCOPED(fd_close) = -1;
	int pidfd SCOPED(fd_close) = -1;
	int ends[2];
	pid_t pid;

	if (filter_prepare(false, err) < 0 || fd_pipe(ends, err) < 0)
		return err->code;
	read_end = ends[0];
	pid = fork_with_pidfd(ns_flags(features) | (features->confined ? CLONE_NEWPID : 0), false,
			      &pidfd, err);
	if (pid == 0)
		try_here(&scene, ends[1]);
	(void)close(ends[1]);
	if (pid < 0)
		return ERR_WRAP(err, "namespaces%s", step_mend(NULL, err->sys));
	out[(*count)++] =
		finding("pidfd", true, syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0,
			&(struct err){ .text = "pidfd_send_signal" HOST_NO_CALL });
	while (*count < PROBES_MAX - 3 && read(read_end, &out[*count], sizeof *out) == sizeof *out)
		++*count;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int need_legacy(int landlock, struct err *err)
{
	if (landlock >= LANDLOCK_LEGACY_ABI)
		return 0;
	return ERR_SET(
		err, ERR_SYSTEM,
		"legacy_landlock: needs Landlock ABI %d (Linux 6.2, and 'landlock' in lsm= on "
		"its command line); this kernel has %d",
		LANDLOCK_LEGACY_ABI, landlock);
}

/* The way without namespaces, as one finding. */
static struct probe try_legacy(int landlock)
{
	const struct features features = { .legacy = true, .landlock = landlock };
	struct probe probes[PROBES_MAX];
	struct err err = { 0 };
	size_t count = 0;
	bool ok = need_legacy(landlock, &err) == 0 && try_all(&features, probes, &count, &err) == 0;

	for (size_t i = 0; ok && i < count; i++) {
		ok = probes[i].ok;
		err.sys = probes[i].sys;
		memcpy(err.text, probes[i].detail, sizeof err.text);
	}
	return finding("legacy_landlock", false, ok, &err);
}

static struct probe known[PROBES_MAX]; /* what was found out last */
static size_t known_count;

static size_t try_everything(struct probe *out)
{
	const struct features features = { .confined = true,
					   .system = monitor_pid() != 0,
					   .fresh_proc = true,
					   .landlock = landlock_usable() };
	struct err err = { .text = NO_CHILDREN };
	size_t count = 1;

	out[0] = finding("list of children", true, access(CHILDREN_FILE, R_OK) == 0, &err);
	if (try_all(&features, out, &count, &err) < 0)
		out[count++] = finding("namespaces", true, false, &err);
	if (features.landlock == 0)
		out[count++] = finding("landlock", false, false,
				       &(struct err){ .text = HOST_NO_LANDLOCK });
	out[count++] = try_legacy(features.landlock);
	return count;
}

size_t probe_all(struct probe out[PROBES_MAX])
{
	/* The front of a monitor has no rights to try anything: it goes by what it has inherited.
	 */
	if (known_count == 0 || monitor_pid() == 0)
		known_count = try_everything(known);
	memcpy(out, known, known_count * sizeof *out);
	return known_count;
}

int probe_features(struct features *out, const struct sandbox_config *config, struct err *err)
{
	*out = (struct features){ .legacy = config->legacy_landlock,
				  .network = config->network,
				  .landlock = landlock_usable() };
	if (out->legacy)
		return need_legacy(out->landlock, err);
	if (known_count == 0)
		known_count = try_everything(known);
	out->confined = out->fresh_proc = true;
	for (size_t i = 0; i < known_count; i++) {
		if (str_eq(known[i].name, FRESH_PROC) && known[i].sys == EPERM)
			out->fresh_proc = false;
		out->notify = out->notify || (str_eq(known[i].name, NOTIFY) && known[i].ok);
	}
	/* Init finds a task in its own /proc, by the number that the notification gives it. */
	out->notify = out->notify && out->fresh_proc;
	out->log_denials = out->notify && config->log_denials;
	return 0;
}

size_t probe_missing(const char **out, const struct features *features)
{
	unsigned holds = (features->legacy ? HOST_BY_RULES : HOST_IN_SPACES) |
			 (features->network ? HOST_ONLINE : 0) |
			 (features->fresh_proc ? 0 : HOST_NO_PROC) |
			 (features->notify ? 0 : HOST_NO_NOTIFY);

	return host_missing(out, holds, features->landlock);
}
