#include "agentd/session/turn_uv.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/paths.h"

#include "agentd/broker_uv.h"
#include "agentd/model/prompt.h"
#include "agentd/session/answer.h"
#include "agentd/session/ceiling_uv.h"
#include "agentd/session/context.h"
#include "agentd/session/drive_uv.h"
#include "agentd/session/tell.h"
#include "agentd/session/transcript.h"
#include "agentd/tool/exec_uv.h"

#define MS_PER_SECOND 1000
#define NS_PER_MS 1000000

/* A drive with its handles; freed when those have closed and nothing is being saved. */
struct watched {
	struct drive drive;
	uv_timer_t stop;   /* DRIVE_STOP_MS */
	uv_timer_t teller; /* APPROVAL_TELLER_MS */
	uv_fs_t save;
	int save_fd;
	bool saving;
	bool closing;
	unsigned handles; /* not closed yet */
};

static struct watched *watched_of(struct drive *drive)
{
	return CONTAINER_OF(drive, struct watched, drive);
}

static int64_t wall_ms(void *ctx)
{
	struct timespec now = { 0 };

	(void)ctx;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
	return (int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / NS_PER_MS;
}

/* A variable that the provider's settings name: from the client, else agentd's own. */
static const char *variable(void *ctx, const char *name)
{
	const struct drive *drive = ctx;
	const char *given = json_string_value(json_object_get(drive->session->environment, name));

	return given ? given : paths_env(drive->host->place.environment, name);
}

static int make_settings(struct drive *drive, struct err *err)
{
	const struct conf *conf = drive->session->conf;
	struct model_settings fresh = { 0 };

	if (model_settings_from_config(&fresh, conf, variable, drive, err) < 0)
		return (int)err->code;
	model_settings_deinit(&drive->settings);
	drive->settings = fresh;
	drive->tools = (struct tool_settings){
		.custom_tools = fresh.replay || str_starts(fresh.model, "gpt-") ||
				strstr(fresh.model, "codex") != NULL,
		.exec = { .login_shell = conf_bool(conf, "allow_login_shell"),
			  .poll_max_ms = conf_int(conf, "background_terminal_max_timeout"),
			  .tokens_max = conf_int(conf, "tool_output_token_limit") },
	};
	return 0;
}

static int prepare(struct drive *drive, struct err *err)
{
	struct session *session = drive->session;
	const struct context_place place = { .shell = drive->host->place.shell,
					     .now_ms = wall_ms(NULL) };
	const struct answer_turn turn = { .id = drive->turn_id,
					  .model = &drive->settings,
					  .content = drive->content,
					  .from = drive->from };

	if (make_settings(drive, err) < 0 || answer_begin(session, drive->content, err) < 0)
		return (int)err->code;
	if (session->gaps && session_repair(session, err) < 0)
		return (int)err->code;
	if (answer_open_turn(session, &turn, err) < 0 || context_refresh(session, &place, err) < 0)
		return (int)err->code;
	return answer_prompt(session, &turn, err);
}

static void on_model(void *ctx, const struct model_event *event);

static void on_record(void *ctx, const char *line)
{
	struct drive *drive = ctx;

	if (drive->session)
		tell_recorded(drive->session, line);
}

static bool somebody_records(const struct session *session)
{
	const struct list *node;

	for (node = session->fanout.clients.next; node != &session->fanout.clients;
	     node = node->next) {
		const struct fanout_client *client =
			CONTAINER_OF((uintptr_t)node, struct fanout_client, node);

		if (CONTAINER_OF((uintptr_t)client, struct attachment, fanout)->record)
			return true;
	}
	return false;
}

static int ask_model(struct drive *drive, struct err *err)
{
	struct session *session = drive->session;
	struct transcript_texts history SCOPED(transcript_texts_deinit) = { 0 };
	json_t *tools = NULL;
	struct model_request request = { .session_id = session->id,
					 .instructions = prompt_instructions(),
					 .output_schema = drive->output_schema,
					 .settings = &drive->settings,
					 .record_ctx = drive };

	if (++drive->requests > DRIVE_REQUESTS_MAX)
		return ERR_SET(err, ERR_LIMIT, "more than %d requests to the model in one turn",
			       DRIVE_REQUESTS_MAX);
	if (transcript_texts(&history, session->log, session->history.records,
			     session->history.count, err) < 0 ||
	    tool_describe(&tools, &drive->tools, err) < 0)
		return (int)err->code;
	request.items = history.items;
	request.item_count = history.count;
	request.tools = tools;
	request.record = somebody_records(session) ? on_record : NULL;
	json_array_clear(drive->items);
	drive->asking = model_start(drive->host->place.model, &request, on_model, drive, err);
	json_decref(tools);
	return drive->asking ? 0 : (int)err->code;
}

static void drop_answer(struct drive *drive)
{
	json_array_clear(drive->items);
	fanout_live_drop(&drive->session->fanout);
}

static void act(struct drive *drive, enum turn_act what);

static void answer_done(struct drive *drive, const struct usage *usage)
{
	json_auto_t *calls = json_array();
	enum turn_act next = TURN_ACT_NONE;
	struct err err = { 0 };

	drive->asking = NULL;
	if (!calls || answer_keep(drive->session, drive->items, usage, calls, &err) < 0) {
		if (!calls)
			(void)ERR_NOMEM_SET(&err);
		drive->session->gaps = true; /* calls may be kept that will never run */
		drive_fail(drive, &err);
		return;
	}
	drop_answer(drive);
	if (json_array_size(calls) == 0) {
		drive_event(drive, TURN_ON_ANSWER);
		return;
	}
	if (calls_prepare(drive, calls, &err) < 0 ||
	    turn_step_calls(&drive->session->turn, json_array_size(calls), &next, &err) < 0) {
		drive->session->gaps = true;
		drive_fail(drive, &err);
		return;
	}
	act(drive, next);
}

static void take_text(struct drive *drive, enum show_kind kind, const struct model_event *event)
{
	struct session *session = drive->session;
	struct err err = { 0 };

	if (kind == SHOW_THOUGHT && conf_bool(session->conf, "hide_agent_reasoning"))
		return;
	if (fanout_live(&session->fanout, kind, event->output_index, event->text, event->text_len,
			&err) < 0)
		drive_fail(drive, &err);
	session_touch(session);
}

static void take_item(struct drive *drive, json_t *item)
{
	struct err err = { 0 };

	if (json_array_append(drive->items, item) == 0)
		return;
	(void)ERR_NOMEM_SET(&err);
	drive_fail(drive, &err);
}

static void on_model(void *ctx, const struct model_event *event)
{
	struct drive *drive = ctx;
	struct err err = { 0 };

	switch (event->kind) {
	case MODEL_TEXT_DELTA:
		take_text(drive, SHOW_MESSAGE, event);
		break;
	case MODEL_REASONING_DELTA:
		take_text(drive, SHOW_THOUGHT, event);
		break;
	case MODEL_ITEM_DONE:
		take_item(drive, event->item);
		break;
	case MODEL_RETRYING:
		drive_event(drive, TURN_ON_RETRY);
		tell_notice(drive->session, AGENT_NOTICE_LEVEL_WARNING, "reconnecting",
			    event->message);
		break;
	case MODEL_COMPLETED:
		answer_done(drive, &event->usage);
		break;
	case MODEL_FAILED:
		drive->asking = NULL;
		drive->failure_kind = event->error;
		(void)ERR_SET(&err, ERR_SYSTEM, "%s", event->message);
		drive_fail(drive, &err);
		break;
	case MODEL_NOTHING:
	case MODEL_EVENT_COUNT:
		break;
	}
}

static void stop_model(struct drive *drive)
{
	if (drive->asking)
		model_cancel(drive->asking);
	drive->asking = NULL;
	drop_answer(drive);
}

static void release(struct watched *watched)
{
	struct drive *drive = &watched->drive;

	if (!watched->closing || watched->handles > 0 || watched->saving)
		return;
	list_remove(&drive->node);
	json_decref(drive->items);
	json_decref(drive->content);
	json_decref(drive->output_schema);
	json_decref(drive->retired);
	model_settings_deinit(&drive->settings);
	if (drive->host->closing && list_empty(&drive->host->drives))
		free(drive->host);
	free(watched);
}

static void saved(struct drive *drive, int result)
{
	struct err err = { 0 };

	if (result == 0) {
		drive_event(drive, TURN_ON_SAVED);
		return;
	}
	(void)ERR_SYS(&err, -result, "save the transcript");
	drive_fail(drive, &err);
}

static void on_saved(uv_fs_t *save)
{
	struct watched *watched = save->data;
	int result = (int)save->result;

	uv_fs_req_cleanup(save);
	fd_close(&watched->save_fd);
	watched->saving = false;
	if (watched->closing)
		release(watched);
	else
		saved(&watched->drive, result);
}

/* To the disk, beside the loop. */
static void save(struct drive *drive)
{
	struct watched *watched = watched_of(drive);
	struct session *session = drive->session;
	struct err err = { 0 };
	int fd = session->log ? transcript_fd(session->log) : -1;
	int result;

	if (answer_close_turn(session, drive->turn_id, drive->failure.text, &err) < 0) {
		log_error("transcript", "session=%s why='%s'", session->id, err.text);
		drive_fail(drive, &err);
		return;
	}
	if (fd < 0) {
		saved(drive, 0);
		return;
	}
	watched->save_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the session may close meanwhile */
	watched->save.data = watched;
	result = uv_fs_fdatasync(drive->host->place.loop, &watched->save, watched->save_fd,
				 on_saved);
	watched->saving = result == 0;
	if (result < 0) {
		fd_close(&watched->save_fd);
		saved(drive, result);
	}
}

static const char *failure_word(const struct drive *drive)
{
	static const char *const words[MODEL_ERROR_COUNT] = {
		[MODEL_ERROR_CONTEXT] = "context",   [MODEL_ERROR_QUOTA] = "usage_limit",
		[MODEL_ERROR_AUTH] = "auth",         [MODEL_ERROR_REQUEST] = "http",
		[MODEL_ERROR_OVERLOADED] = "http",   [MODEL_ERROR_INCOMPLETE] = "stream",
		[MODEL_ERROR_NETWORK] = "stream",    [MODEL_ERROR_SERVER] = "http",
		[MODEL_ERROR_INTERNAL] = "internal",
	};
	const char *word = words[drive->failure_kind];

	if (word)
		return word;
	if (drive->failure.code == ERR_DENIED)
		return "auth";
	return drive->failure.code == ERR_INVALID ? "config" : "internal";
}

static void finish(struct drive *drive)
{
	static const enum agent_turn_status statuses[TURN_OUTCOME_COUNT] = {
		[TURN_COMPLETED] = AGENT_TURN_STATUS_COMPLETED,
		[TURN_INTERRUPTED] = AGENT_TURN_STATUS_INTERRUPTED,
		[TURN_FAILED] = AGENT_TURN_STATUS_FAILED,
	};
	struct session *session = drive->session;
	const struct session_driver *driver = &session->sessions->driver;
	bool failed = session->turn.outcome == TURN_FAILED;
	const struct err failure = drive->failure;

	(void)uv_timer_stop(&watched_of(drive)->stop);
	ceilings_retire(drive);
	session->used_ms = wall_ms(NULL);
	log_info("turn_ended", "session=%s outcome=%s requests=%zu", session->id,
		 turn_outcome_name(session->turn.outcome), drive->requests);
	tell_turn_completed(session, statuses[session->turn.outcome],
			    failed ? failure_word(drive) : NULL, failed ? failure.text : NULL);
	tell_state(session);
	driver->finished(driver->finished_ctx, session, failed ? &failure : NULL);
}

static void on_stop_time(uv_timer_t *timer)
{
	struct watched *watched = timer->data;

	drive_event(&watched->drive, TURN_ON_TIME);
}

static void on_teller_time(uv_timer_t *timer)
{
	struct watched *watched = timer->data;

	calls_teller_time(&watched->drive);
}

void drive_wait_teller(struct drive *drive)
{
	(void)uv_timer_start(&watched_of(drive)->teller, on_teller_time, APPROVAL_TELLER_MS, 0);
}

static void act_or_fail(struct drive *drive, int (*step)(struct drive *, struct err *),
			enum turn_event next)
{
	struct err err = { 0 };

	if (step(drive, &err) < 0)
		drive_fail(drive, &err);
	else if (next != TURN_ON_NONE)
		drive_event(drive, next);
}

static void act(struct drive *drive, enum turn_act what)
{
	switch (what) {
	case TURN_ACT_PREPARE:
		act_or_fail(drive, prepare, TURN_ON_READY);
		break;
	case TURN_ACT_ASK_MODEL:
		act_or_fail(drive, ask_model, TURN_ON_NONE);
		break;
	case TURN_ACT_DROP_PARTIAL:
		drop_answer(drive);
		break;
	case TURN_ACT_START_CALLS:
		calls_start(drive);
		break;
	case TURN_ACT_STOP_MODEL:
		stop_model(drive);
		save(drive);
		break;
	case TURN_ACT_STOP_CALLS:
		(void)uv_timer_start(&watched_of(drive)->stop, on_stop_time, DRIVE_STOP_MS, 0);
		calls_cancel(drive);
		break;
	case TURN_ACT_ABANDON_CALLS:
		calls_abandon(drive);
		save(drive);
		break;
	case TURN_ACT_STOP_PREPARING:
	case TURN_ACT_SAVE:
		save(drive);
		break;
	case TURN_ACT_FINISH:
		finish(drive);
		break;
	case TURN_ACT_NONE:
	case TURN_ACT_COUNT:
		break;
	}
	if (drive->session)
		tell_state(drive->session);
}

void drive_event(struct drive *drive, enum turn_event event)
{
	enum turn_act next = TURN_ACT_NONE;
	struct err err = { 0 };

	if (turn_step(&drive->session->turn, event, &next, &err) < 0) {
		log_error("turn", "session=%s why='%s'", drive->session->id, err.text);
		return;
	}
	act(drive, next);
}

void drive_fail(struct drive *drive, const struct err *err)
{
	if (drive->failure.code == ERR_NONE)
		drive->failure = *err;
	drive_event(drive, TURN_ON_FAIL);
}

void drive_call_done(struct drive *drive)
{
	enum turn_act next = TURN_ACT_NONE;
	struct err err = { 0 };

	if (drive->session->turn.calls_open == 1)
		calls_end(drive);
	if (turn_step_call_done(&drive->session->turn, &next, &err) < 0) {
		log_error("turn", "session=%s why='%s'", drive->session->id, err.text);
		return;
	}
	act(drive, next);
	if (drive->session && drive->session->turn.state == TURN_WORKING)
		calls_start(drive);
}

static int driver_prompt(void *ctx, struct session *session, struct attachment *from,
			 json_t *content, json_t *output_schema, struct err *err)
{
	struct drive *drive = session->drive;

	(void)ctx;
	if (session->turn.state != TURN_IDLE)
		return ERR_SET(err, ERR_STATE, "the session is at work; wait or cancel first");
	if (uuid_v7(drive->turn_id, wall_ms(NULL), err) < 0)
		return (int)err->code;
	json_decref(drive->content);
	json_decref(drive->output_schema);
	drive->content = json_incref(content);
	drive->output_schema = json_incref(output_schema);
	drive->requests = 0;
	drive->failure = (struct err){ 0 };
	drive->failure_kind = MODEL_ERROR_NONE;
	drive->from = from;
	drive_event(drive, TURN_ON_PROMPT);
	drive->from = NULL;
	return 0;
}

static void driver_cancel(void *ctx, struct session *session)
{
	(void)ctx;
	drive_event(session->drive, TURN_ON_CANCEL);
}

static void driver_answer(void *ctx, struct approval *approval, enum approval_event event,
			  enum approval_outcome outcome, const struct approval_teller *teller)
{
	(void)ctx;
	calls_answer(approval, event, outcome, teller);
}

static void on_exec_notice(void *ctx, const char *text)
{
	struct drive *drive = ctx;

	tell_notice(drive->session, AGENT_NOTICE_LEVEL_WARNING, "commands", text);
}

struct exec_host *drive_exec(struct drive *drive, struct err *err)
{
	const struct turn_place *place = &drive->host->place;

	if (!drive->exec &&
	    exec_host_new(&drive->exec, place->loop, place->link, on_exec_notice, drive, err) < 0)
		return NULL;
	return drive->exec;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct watched *watched = handle->data;

	watched->handles--;
	release(watched);
}

static void close_drive(struct drive *drive)
{
	struct watched *watched = watched_of(drive);

	watched->closing = true;
	drive->session = NULL;
	uv_close((uv_handle_t *)&watched->stop, on_handle_closed);
	uv_close((uv_handle_t *)&watched->teller, on_handle_closed);
}

static void driver_close(void *ctx, struct session *session)
{
	struct drive *drive = session->drive;
	int fd = session->log ? transcript_fd(session->log) : -1;

	(void)ctx;
	if (drive->asking)
		model_cancel(drive->asking);
	calls_drop(drive);
	exec_host_close(drive->exec);
	ceilings_close(drive);
	if (fd >= 0 && session->turn.state != TURN_IDLE && fdatasync(fd) < 0)
		log_error("transcript", "session=%s why='not on the disk'", session->id);
	close_drive(drive);
	session->drive = NULL;
}

static struct drive *drive_new(struct turn_host *host, struct session *session, struct err *err)
{
	struct watched *watched = calloc(1, sizeof(*watched));
	struct drive *drive = watched ? &watched->drive : NULL;

	if (!drive || !(drive->items = json_array()) || !(drive->retired = json_array())) {
		if (drive)
			json_decref(drive->items);
		free(watched);
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	drive->host = host;
	drive->session = session;
	list_init(&drive->adoptions);
	list_add(&host->drives, &drive->node);
	watched->save_fd = -1;
	(void)uv_timer_init(host->place.loop, &watched->stop); /* cannot fail */
	(void)uv_timer_init(host->place.loop, &watched->teller);
	watched->stop.data = watched;
	watched->teller.data = watched;
	watched->handles = 2;
	return drive;
}

static int driver_open(void *ctx, struct session *session, struct err *err)
{
	session->drive = drive_new(ctx, session, err);
	return session->drive ? 0 : (int)err->code;
}

int turn_host_new(struct turn_host **out, struct session_driver *driver,
		  const struct turn_place *place, struct err *err)
{
	struct turn_host *host = calloc(1, sizeof(*host));

	if (!host)
		return ERR_NOMEM_SET(err);
	host->place = *place;
	list_init(&host->drives);
	driver->open = driver_open;
	driver->close = driver_close;
	driver->adopt = ceiling_adopt;
	driver->prompt = driver_prompt;
	driver->cancel = driver_cancel;
	driver->answer = driver_answer;
	driver->now_ms = wall_ms;
	driver->ctx = host;
	*out = host;
	return 0;
}

void turn_host_close(struct turn_host *host)
{
	if (!host)
		return;
	host->closing = true;
	if (list_empty(&host->drives))
		free(host);
}
