#include "agentd/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/str.h"
#include "proto/conf/paths.h"

#include "agentd/api.h"
#include "agentd/broker_uv.h"
#include "agentd/conn_uv.h"
#include "agentd/lockdown.h"
#include "agentd/model/model.h"
#include "agentd/session/turn_uv.h"

#define POOL_THREADS "1" /* all that is done beside the loop is saving transcripts */
#define SIGNALS 2

struct daemon {
	const struct daemon_options *options;
	uv_loop_t loop;
	uv_prepare_t prepare; /* what is due leaves before the loop waits ... */
	uv_check_t check;     /* ... and as soon as it has waited */
	uv_signal_t signals[SIGNALS];
	struct paths paths;
	char *applet;
	struct broker_link *link;
	int link_held; /* the same socket: the broker ends whoever closes it, so it stays open to
			  the last */
	struct model *model;
	struct conn_host *conns;
	struct turn_host *turns;
	struct api api;
	bool api_made;
	bool stopping;
	struct err why; /* it ends, unless it was asked to */
};

static bool conn_is_ready(const void *conn)
{
	return conn_ready(conn);
}

static void send_line(void *conn, const char *line, size_t len)
{
	conn_send(conn, line, len);
}

static void close_conn(void *conn, const char *why)
{
	conn_close(conn, why);
}

static const struct api_transport transport = { .ready = conn_is_ready,
						.send = send_line,
						.close = close_conn };

static void *on_opened(void *ctx, struct conn *conn)
{
	struct daemon *daemon = ctx;

	return api_client_opened(&daemon->api, conn);
}

static void on_line(void *client, const char *line, size_t len)
{
	api_client_line(client, line, len);
}

static void on_drained(void *client)
{
	api_client_drained(client);
}

static void on_client_closed(void *client)
{
	api_client_closed(client);
}

static void flush(struct daemon *daemon)
{
	api_settle(&daemon->api);
	conn_host_flush(daemon->conns);
}

static void on_prepare(uv_prepare_t *prepare)
{
	flush(prepare->data);
}

static void on_check(uv_check_t *check)
{
	flush(check->data);
}

static void close_handle(uv_handle_t *handle)
{
	if (handle->data && !uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* In the opposite order of the start: nobody is served by something that is gone. */
static void stop(struct daemon *daemon)
{
	if (daemon->stopping)
		return;
	daemon->stopping = true;
	if (daemon->api_made)
		api_stop(&daemon->api);
	conn_host_close(daemon->conns);
	turn_host_close(daemon->turns);
	model_close(daemon->model);
	broker_link_close(daemon->link);
	close_handle((uv_handle_t *)&daemon->prepare);
	close_handle((uv_handle_t *)&daemon->check);
	for (size_t i = 0; i < SIGNALS; i++)
		close_handle((uv_handle_t *)&daemon->signals[i]);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	log_info("stopping", "signal=%d", number);
	api_notice(&daemon->api, AGENT_NOTICE_LEVEL_WARNING, "daemon_stops",
		   "the daemon is being stopped; sessions can be resumed");
	stop(daemon);
}

static void on_broker_gone(void *ctx, const struct err *err)
{
	struct daemon *daemon = ctx;

	log_error("broker_gone", "why='%s' what='ends'", err->text);
	daemon->why = *err;
	(void)ERR_WRAP(&daemon->why, "the broker has gone");
	api_notice(
		&daemon->api, AGENT_NOTICE_LEVEL_ERROR, "broker_gone",
		"the broker has ended, and every command with it; the daemon ends too. Start again "
		"and resume the session: nothing that was finished is lost");
	stop(daemon);
}

static int prepare_folders(struct daemon *daemon, struct err *err)
{
	const struct daemon_options *options = daemon->options;

	if (paths_from_dirs(&daemon->paths, options->runtime_dir, options->state_dir,
			    options->config_dir, err) < 0)
		return (int)err->code;
	if (paths_check(options->runtime_dir, geteuid(), PATHS_PRIVATE, err) < 0 ||
	    paths_check(options->state_dir, geteuid(), PATHS_PRIVATE, err) < 0)
		return (int)err->code;
	return paths_program(&daemon->applet, PATHS_PATCH, err);
}

static int start_handles(struct daemon *daemon, struct err *err)
{
	static const int numbers[SIGNALS] = { SIGTERM, SIGINT };
	int result = uv_prepare_init(&daemon->loop, &daemon->prepare);

	daemon->prepare.data = daemon;
	if (result == 0)
		result = uv_check_init(&daemon->loop, &daemon->check);
	daemon->check.data = daemon;
	for (size_t i = 0; i < SIGNALS && result == 0; i++) {
		result = uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		if (result == 0)
			result = uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
	}
	return result < 0 ? ERR_SYS(err, -result, "event loop") : 0;
}

/* Everything that makes a socket or needs a right that the lockdown takes away. */
static int open_all(struct daemon *daemon, struct err *err)
{
	static struct conn_hooks hooks = { .opened = on_opened,
					   .line = on_line,
					   .drained = on_drained,
					   .closed = on_client_closed };

	hooks.ctx = daemon;
	if (start_handles(daemon, err) < 0 || model_new(&daemon->model, &daemon->loop, err) < 0)
		return (int)err->code;
	return conn_host_new(&daemon->conns, &daemon->loop, daemon->paths.agent_socket, getppid(),
			     &hooks, err);
}

static int make_api(struct daemon *daemon, struct err *err)
{
	const struct turn_place place = { .loop = &daemon->loop,
					  .link = daemon->link,
					  .model = daemon->model,
					  .shell = paths_env(daemon->options->environment, "SHELL"),
					  .applet = daemon->applet,
					  .environment = daemon->options->environment };
	struct session_driver *driver = &daemon->api.sessions.driver;

	if (api_init(&daemon->api, daemon->options->state_dir, daemon->options->config_dir,
		     &transport, err) < 0)
		return (int)err->code;
	daemon->api_made = true;
	if (turn_host_new(&daemon->turns, driver, &place, err) < 0)
		return (int)err->code;
	daemon->api.started_ms = driver->now_ms(driver->ctx);
	return 0;
}

static int lock(const struct daemon *daemon, struct err *err)
{
	const struct lockdown_config config = { .state_dir = daemon->options->state_dir,
						.runtime_dir = daemon->options->runtime_dir };

	if (daemon->options->no_lockdown) {
		log_warn("no_lockdown", "what='agentd runs WITHOUT its lockdown: whoever takes it "
					"over can do all that this user can'");
		return 0;
	}
	if (lockdown_apply(&config, err) < 0)
		return (int)err->code;
	return lockdown_self_test(&config, err);
}

static int start(struct daemon *daemon, struct err *err)
{
	int fd = daemon->options->broker_fd;

	daemon->link_held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (prepare_folders(daemon, err) < 0) {
		fd_close(&fd);
		return (int)err->code;
	}
	if (daemon->link_held < 0)
		return ERR_SYS(err, errno, "the link to the broker");
	if (broker_link_new(&daemon->link, &daemon->loop, fd, on_broker_gone, daemon, err) < 0 ||
	    open_all(daemon, err) < 0 || make_api(daemon, err) < 0 || lock(daemon, err) < 0 ||
	    broker_link_greet(daemon->link, err) < 0 || broker_link_ready(daemon->link, err) < 0)
		return (int)err->code;
	(void)uv_prepare_start(&daemon->prepare, on_prepare); /* cannot fail */
	(void)uv_check_start(&daemon->check, on_check);
	return 0;
}

static int run(struct daemon *daemon, struct err *err)
{
	if (start(daemon, err) < 0) {
		daemon->why = *err;
		stop(daemon);
	} else {
		log_info("ready", "pid=%ld", (long)getpid());
	}
	(void)uv_run(&daemon->loop, UV_RUN_DEFAULT); /* until every handle is closed */
	if (daemon->api_made)
		api_deinit(&daemon->api);
	paths_deinit(&daemon->paths);
	free(daemon->applet);
	if (uv_loop_close(&daemon->loop) < 0)
		log_error("loop", "what='something was not closed'");
	if (daemon->why.code == ERR_NONE)
		return 0;
	*err = daemon->why;
	return (int)err->code;
}

int daemon_run(const struct daemon_options *options, struct err *err)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int result;

	if (!daemon)
		return ERR_NOMEM_SET(err);
	daemon->options = options;
	daemon->link_held = -1;
	/* The only thread so far. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	result = setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 1) < 0 ? -errno
								   : uv_loop_init(&daemon->loop);
	if (result < 0) {
		free(daemon);
		return ERR_SYS(err, -result, "event loop");
	}
	result = run(daemon, err);
	free(daemon);
	return result;
}
