#include "broker/filter.h"

#include "proto/sys/supervise.h"

#include "broker/step.h"

#define NR_SETXATTRAT 463 /* Linux 6.13; from 424 on numbers are the same everywhere */

static struct filter filters[FILTER_COUNT];

int filter_prepare(bool changes, struct err *err)
{
	struct filter_handed handed[SUPERVISE_CALLS_MAX];
	struct filter_spec spec = filter_specs[FILTER_COMMAND];
	struct filter *plain = &filters[FILTER_COMMAND];
	int rc = 0;

	spec.handed = handed;
	spec.handed_count = supervise_calls(handed, false);
	if (plain->count == 0)
		rc = filter_compile(&spec, plain, &filters[FILTER_NOTIFY], err);
	spec.handed_count = supervise_calls(handed, true);
	if (rc == 0 && changes && filters[FILTER_CHANGES].count == 0)
		rc = filter_compile(&spec, NULL, &filters[FILTER_CHANGES], err);
	for (enum filter_kind kind = FILTER_INIT; rc == 0 && kind < FILTER_COUNT; kind++) {
		if (filters[kind].count == 0)
			rc = filter_compile(&filter_specs[kind], &filters[kind], NULL, err);
	}
	return rc == 0 ? 0
		       : ERR_WRAP(err, "system call filter%s", step_mend(filter_command, err->sys));
}

int filter_install(enum filter_kind kind, struct err *err)
{
	bool hands_over = kind == FILTER_NOTIFY || kind == FILTER_CHANGES;
	/* A signal would break off and begin again a call that init has made. */
	unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

	return filter_load(&filters[kind], hands_over ? flags : 0, err);
}

int filter_legacy(struct scene *scene, struct err *err)
{
	/* Behind no mount, what the table and the library do not know yet is no call at all. */
	if ((!scene->features->network && filter_install(FILTER_OFFLINE, err) < 0) ||
	    filter_load_known(NR_SETXATTRAT, err) < 0)
		return err->code;
	return filter_install(FILTER_LEGACY, err);
}

int filter_command(struct scene *scene, struct err *err)
{
	struct child_report handed = { .event = CHILD_NOTHING };
	enum filter_kind kind = scene->features->log_denials ? FILTER_CHANGES : FILTER_NOTIFY;
	int listener SCOPED(fd_close) = -1;

	if (!scene->features->notify)
		return filter_install(FILTER_COMMAND, err);
	listener = filter_install(kind, err);
	if (listener < 0)
		return err->code;
	return packet_send(scene->report, &handed, sizeof handed, &listener, 1, err);
}
