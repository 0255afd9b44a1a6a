#include "client/demo_uv.h"

#include <signal.h>
#include <stdio.h>
#include <uv.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"

#include "client/command.h"
#include "client/desk_uv.h"

struct demo {
	struct demo_input input;
	uv_loop_t *loop;
	struct desk *first;
	struct desk *second;
	uv_signal_t signals[3];
	size_t signal_count;
	uv_timer_t lag;
	int exit_code;
};

static void stop_all(struct demo *demo)
{
	desk_close(demo->first);
	desk_close(demo->second);
	demo->first = NULL;
	demo->second = NULL;
	for (size_t i = 0; i < demo->signal_count; i++)
		uv_close((uv_handle_t *)&demo->signals[i], NULL);
	demo->signal_count = 0;
	if (!uv_is_closing((uv_handle_t *)&demo->lag))
		uv_close((uv_handle_t *)&demo->lag, NULL);
}

static void on_lag(uv_timer_t *timer)
{
	stop_all(timer->data);
}

static void on_first_ended(void *ctx, struct desk *desk, int exit_code)
{
	struct demo *demo = ctx;

	demo->exit_code = exit_code;
	demo->first = NULL;
	desk_close(desk);
	if (!demo->second)
		stop_all(demo);
	else
		(void)uv_timer_start(&demo->lag, on_lag, DEMO_LAG_MS,
				     0); /* fails for closed handles only */
}

static void on_second_ended(void *ctx, struct desk *desk, int exit_code)
{
	struct demo *demo = ctx;

	(void)exit_code;
	demo->second = NULL;
	desk_close(desk);
	if (!demo->first)
		stop_all(demo);
}

/* The session exists: somebody else comes to look. */
static void on_joined(void *ctx, const char *session_id)
{
	struct demo *demo = ctx;
	struct err err = { 0 };
	struct desk_input input = {
		.talk = { .loop = demo->loop,
			  .setup = demo->input.setup,
			  .broker = demo->input.broker,
			  .how = TALK_OBSERVE,
			  .session_id = session_id,
			  .name = "second terminal" },
		.program = "agent demo",
		.prefix = "second terminal | ",
		.whole_lines = true,
		.until_idle = true,
	};

	if (desk_open(&demo->second, &input, on_second_ended, demo, &err) < 0)
		(void)fprintf(stderr, "agent demo: the second terminal: %s\n", err.text);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct demo *demo = handle->data;

	if (number == SIGINT && demo->first)
		desk_interrupt(demo->first);
	else
		stop_all(demo);
}

static int watch(struct demo *demo, struct err *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int rc = uv_signal_init(demo->loop, &demo->signals[i]);

		if (rc == 0) {
			demo->signal_count++;
			demo->signals[i].data = demo;
			rc = uv_signal_start(&demo->signals[i], on_signal, numbers[i]);
		}
		if (rc < 0)
			return ERR_SET(err, ERR_SYSTEM, "signals: %s", uv_strerror(rc));
	}
	return 0;
}

int demo_run(const struct demo_input *input)
{
	struct demo demo = { .input = *input, .loop = uv_default_loop(), .exit_code = EXIT_FAILED };
	struct err err = { 0 };
	struct desk_input first = {
		.talk = { .loop = demo.loop,
			  .setup = input->setup,
			  .broker = input->broker,
			  .how = TALK_NEW,
			  .name = "first terminal" },
		.program = "agent demo",
		.prompt = input->prompt,
		.color = input->color,
		.whole_lines = true,
		.terminal = input->terminal,
		.until_idle = true,
		.joined = on_joined,
		.stand_in = APPROVAL_ONCE,
	};

	if (!demo.loop) {
		(void)fprintf(stderr, "agent demo: no event loop\n");
		return EXIT_FAILED;
	}
	(void)uv_timer_init(demo.loop, &demo.lag); /* cannot fail */
	demo.lag.data = &demo;
	if (watch(&demo, &err) < 0 ||
	    desk_open(&demo.first, &first, on_first_ended, &demo, &err) < 0) {
		(void)fprintf(stderr, "agent demo: %s\n", err.text);
		stop_all(&demo);
	}
	(void)uv_run(demo.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(demo.loop);
	return demo.exit_code;
}
