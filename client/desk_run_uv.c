#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include "proto/base/err.h"

#include "client/command.h"
#include "client/desk_uv.h"

struct run {
	struct desk *desk;
	int exit_code;
	uv_signal_t signals[3];
	size_t signal_count;
};

static void run_stop(struct run *run)
{
	desk_close(run->desk);
	run->desk = NULL;
	for (size_t i = 0; i < run->signal_count; i++) {
		if (!uv_is_closing((uv_handle_t *)&run->signals[i]))
			uv_close((uv_handle_t *)&run->signals[i], NULL);
	}
}

static void on_ended(void *ctx, struct desk *desk, int exit_code)
{
	struct run *run = ctx;

	(void)desk;
	run->exit_code = exit_code;
	run_stop(run);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct run *run = handle->data;

	if (!run->desk)
		return;
	if (number == SIGINT)
		desk_interrupt(run->desk);
	else
		desk_leave(run->desk);
}

static int run_watch(struct run *run, uv_loop_t *loop, struct err *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uv_signal_t *handle = &run->signals[i];
		int rc = uv_signal_init(loop, handle);

		if (rc < 0)
			return ERR_SET(err, ERR_SYSTEM, "signals: %s", uv_strerror(rc));
		run->signal_count++;
		handle->data = run;
		rc = uv_signal_start(handle, on_signal, numbers[i]);
		if (rc < 0)
			return ERR_SET(err, ERR_SYSTEM, "signals: %s", uv_strerror(rc));
	}
	return 0;
}

int desk_run(const struct desk_input *input)
{
	struct run run = { .exit_code = EXIT_FAILED };
	struct desk_input own = *input;
	uv_loop_t *loop = uv_default_loop();
	struct err err = { 0 };

	own.talk.loop = loop;
	if (!loop)
		ERR_SET(&err, ERR_SYSTEM, "no event loop");
	else if (run_watch(&run, loop, &err) < 0 ||
		 desk_open(&run.desk, &own, on_ended, &run, &err) < 0)
		run_stop(&run);
	if (err.code != ERR_NONE)
		(void)fprintf(stderr, "%s: %s\n", input->program, err.text);
	if (loop) {
		(void)uv_run(loop, UV_RUN_DEFAULT);
		(void)uv_loop_close(loop);
	}
	return run.exit_code;
}
