#include "tests/support/fake_broker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/broker_uv.h"
#include "tests/support/fixture.h"

#define ARGS_MAX 8

struct child {
	uv_process_t process;
	uv_timer_t soon;
	broker_started_fn *started;
	broker_exited_fn *exited;
	void *ctx;
	char name[32];
	struct err err;
	int handles;
	struct child *next;
};

static struct {
	uv_loop_t loop;
	struct child *children;
	bool refuses; /* broker_child_start() fails at once */
	size_t spawned;
	const struct broker_denial *denials;
	size_t denial_count;
	struct fake_broker_asked asked;
} broker;

static void on_child_closed(uv_handle_t *handle)
{
	struct child *child = handle->data;

	if (--child->handles > 0)
		return;
	uv_stop(&broker.loop); /* some wait for it */
	for (struct child **at = &broker.children; *at; at = &(*at)->next) {
		if (*at == child) {
			*at = child->next;
			break;
		}
	}
	free(child);
}

static void close_child(struct child *child)
{
	if (!uv_is_closing((uv_handle_t *)&child->soon))
		uv_close((uv_handle_t *)&child->soon, on_child_closed);
	if (!uv_is_closing((uv_handle_t *)&child->process))
		uv_close((uv_handle_t *)&child->process, on_child_closed);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct child *child = process->data;

	const struct broker_child_exited exited = {
		.child = child->name,
		.code = signal ? 128 + signal : status,
		.signal = signal,
		.denials = broker.denials,
		.denials_count = broker.denial_count,
	};

	if (child->exited && child->ctx)
		child->exited(child->ctx, &exited);
	close_child(child);
}

static void on_soon(uv_timer_t *timer)
{
	struct child *child = timer->data;
	bool failed = child->err.code != 0;

	if (child->ctx)
		child->started(child->ctx, failed ? NULL : child->name,
			       failed ? &child->err : NULL);
	if (failed)
		close_child(child);
}

/* As the real one: the master of a terminal stands for its other end. */
static int stdio_of(int fd)
{
	int peer = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	return peer >= 0 ? peer : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int spawn(struct child *child, const struct broker_child_spec *spec)
{
	uv_stdio_container_t stdio[3];
	uv_process_options_t options = {
		.exit_cb = on_process_exit, .cwd = spec->cwd, .stdio = stdio, .stdio_count = 3
	};
	const char *args[ARGS_MAX] = { 0 };
	char *argv[ARGS_MAX] = { 0 };
	size_t count = 0;
	int rc;

	if (isatty(spec->stdio[0])) { /* it becomes the controlling terminal */
		args[count++] = "setsid";
		args[count++] = "-c";
	}
	for (size_t i = 0; i < spec->argc; i++)
		args[count++] = spec->argv[i];
	for (size_t i = 0; i < count; i++)
		assert_non_null(argv[i] = str_dup(args[i]));
	options.file = argv[0];
	options.args = argv;
	for (int i = 0; i < 3; i++) {
		stdio[i].flags = UV_INHERIT_FD;
		stdio[i].data.fd = stdio_of(spec->stdio[i]);
	}
	rc = uv_spawn(&broker.loop, &child->process, &options);
	for (int i = 0; i < 3; i++)
		assert_int_equal(close(stdio[i].data.fd), 0);
	for (size_t i = 0; i < count; i++)
		free(argv[i]);
	return rc;
}

int broker_child_start(struct broker_link *link, const struct broker_child_spec *spec,
		       broker_started_fn *started, broker_exited_fn *exited, void *ctx,
		       struct err *err)
{
	struct child *child = calloc(1, sizeof *child);
	int rc;

	(void)link;
	assert_non_null(child);
	broker.asked = (struct fake_broker_asked){ .argc = spec->argc,
						   .envc = spec->envc,
						   .has_cwd = spec->cwd != NULL };
	if (spec->grant)
		assert_int_equal(
			str_copy(broker.asked.grant, sizeof broker.asked.grant, spec->grant, err),
			0);
	if (broker.refuses) {
		free(child);
		for (int i = 0; i < 3; i++)
			assert_int_equal(close(spec->stdio[i]), 0);
		return ERR_SET(err, ERR_GONE, "the broker has closed");
	}
	child->started = started;
	child->exited = exited;
	child->ctx = ctx;
	child->handles = 2;
	(void)snprintf(child->name, sizeof child->name, "child%zu", ++broker.spawned);
	rc = spawn(child, spec);
	if (rc < 0)
		(void)ERR_SET(&child->err, ERR_SYSTEM, "%s", uv_strerror(rc));
	for (int i = 0; i < 3; i++)
		assert_int_equal(close(spec->stdio[i]), 0);
	child->process.data = child;
	assert_int_equal(uv_timer_init(&broker.loop, &child->soon), 0);
	child->soon.data = child;
	assert_int_equal(uv_timer_start(&child->soon, on_soon, 0, 0), 0);
	child->next = broker.children;
	broker.children = child;
	return 0;
}

void broker_child_forget(struct broker_link *link, void *ctx)
{
	(void)link;
	for (struct child *child = broker.children; child; child = child->next) {
		if (child->ctx == ctx)
			child->ctx = NULL;
	}
}

int broker_child_kill(struct broker_link *link, const char *child, int signal, struct err *err)
{
	(void)link;
	for (struct child *at = broker.children; at; at = at->next) {
		if (str_eq(at->name, child))
			return uv_process_kill(&at->process, signal) == 0
				       ? 0
				       : ERR_SET(err, ERR_NOTFOUND, "gone");
	}
	return ERR_SET(err, ERR_NOTFOUND, "no child '%s'", child);
}

void fake_broker_wait(void)
{
	while (broker.children)
		(void)uv_run(&broker.loop, UV_RUN_DEFAULT);
}

int fake_broker_open(void)
{
	broker.refuses = false;
	fake_broker_deny(NULL, 0);
	return uv_loop_init(&broker.loop);
}

/* Whatever a test left running goes; the loop must then have nothing left. */
int fake_broker_close(void)
{
	for (struct child *child = broker.children; child; child = child->next)
		(void)uv_process_kill(&child->process, SIGKILL);
	while (uv_run(&broker.loop, UV_RUN_DEFAULT) != 0) {
	}
	return uv_loop_close(&broker.loop) != 0 || broker.children ? -1 : 0;
}

/* libuv keeps one pipe for signals as long as the program lives; it shall be there before any test.
 */
void fake_broker_prepare(void)
{
	uv_loop_t loop;
	uv_signal_t handle;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_signal_init(&loop, &handle), 0);
	uv_close((uv_handle_t *)&handle, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

struct uv_loop_s *fake_broker_loop(void)
{
	return &broker.loop;
}

const struct fake_broker_asked *fake_broker_asked(void)
{
	return &broker.asked;
}

void fake_broker_deny(const struct broker_denial *denials, size_t count)
{
	broker.denials = denials;
	broker.denial_count = count;
}

void fake_broker_refuse(bool refuses)
{
	broker.refuses = refuses;
}
