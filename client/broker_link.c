#include "client/broker_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/arena.h"
#include "proto/wire/codec.h"
#include "proto/wire/json.h"
#include "proto/wire/method.h"
#include "proto/wire/packet.h"
#include "proto/wire/rpc.h"
#include "proto/wire/seal.h"

#define PROGRAM "agent"
#define ANSWERS_MAX 8 /* answers that came before somebody asked for them */

/* One answer: its message and what came with it. */
struct answer {
	json_t *message; /* NULL: free place */
	int64_t id;
	int fd; /* the first descriptor, or -1 */
};

struct broker {
	int fd;
	int64_t last_id;
	struct packet packet;
	struct answer early[ANSWERS_MAX];
	struct answer current; /* what results borrow from */
	struct arena arena;    /* of the current result */
	struct broker_exit exit;
	json_t *exit_message; /* what it borrows from, with the arena behind */
	struct arena exit_arena;
	bool gone; /* agentd has ended since broker_wait_gone() */
	struct broker_self self;
};

static void answer_drop(struct answer *answer)
{
	json_decref(answer->message);
	fd_close(&answer->fd);
	*answer = (struct answer){ .fd = -1 };
}

int broker_open(struct broker **out, int fd, struct err *err)
{
	int owned SCOPED(fd_close) = fd;
	struct broker *broker = calloc(1, sizeof *broker);

	if (!broker)
		return ERR_NOMEM_SET(err);
	broker->fd = fd_take(&owned);
	broker->current.fd = -1;
	for (size_t i = 0; i < ANSWERS_MAX; i++)
		broker->early[i].fd = -1;
	*out = broker;
	return 0;
}

void broker_close(struct broker *broker)
{
	if (!broker)
		return;
	for (size_t i = 0; i < ANSWERS_MAX; i++)
		answer_drop(&broker->early[i]);
	answer_drop(&broker->current);
	arena_deinit(&broker->arena);
	json_decref(broker->exit_message);
	arena_deinit(&broker->exit_arena);
	packet_deinit(&broker->packet);
	fd_close(&broker->fd);
	free(broker);
}

void broker_release(struct broker **broker)
{
	broker_close(*broker);
	*broker = NULL;
}

int broker_fd(const struct broker *broker)
{
	return broker->fd;
}

const struct broker_exit *broker_last_exit(const struct broker *broker)
{
	return &broker->exit;
}

int broker_send(struct broker *broker, enum broker_method method, const void *params,
		const struct broker_fds *fds, int64_t *id, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(BROKER_PACKET_MAX);
	json_t *encoded = codec_encode(broker_methods[method].params, params, err);
	json_auto_t *message = NULL;

	if (!encoded)
		return err->code;
	message = rpc_request(++broker->last_id, broker_methods[method].name, encoded);
	if (!message)
		return ERR_NOMEM_SET(err);
	if (wire_json_dump(&text, message, err) < 0 ||
	    packet_send(broker->fd, text.data, text.len, fds ? fds->items : NULL,
			fds ? fds->count : 0, err) < 0)
		return ERR_WRAP(err, "broker");
	*id = broker->last_id;
	return 0;
}

static int keep_answer(struct broker *broker, json_t *message, const struct rpc *rpc,
		       struct err *err)
{
	for (size_t i = 0; i < ANSWERS_MAX; i++) {
		struct answer *place = &broker->early[i];

		if (place->message)
			continue;
		place->id = json_integer_value(rpc->id);
		place->message = json_incref(message);
		place->fd = packet_take(&broker->packet, 0);
		return 0;
	}
	return ERR_SET(err, ERR_LIMIT, "the broker answers what nobody asked");
}

static int take_notification(struct broker *broker, json_t *message, const struct rpc *rpc,
			     struct err *err)
{
	if (str_eq(rpc->method, broker_methods[BROKER_METHOD_DAEMON_GONE].name))
		broker->gone = true;
	if (!str_eq(rpc->method, broker_methods[BROKER_METHOD_CHILD_EXITED].name))
		return 0;
	broker->exit = (struct broker_exit){ 0 };
	arena_deinit(&broker->exit_arena);
	json_decref(broker->exit_message);
	broker->exit_message = json_incref(message);
	if (codec_decode(&broker_child_exited_type, rpc->params, &broker->exit.how,
			 &broker->exit_arena, CODEC_LENIENT, err) < 0)
		return ERR_WRAP(err, "broker");
	broker->exit.seen = true;
	return 0;
}

int broker_receive(struct broker *broker, struct err *err)
{
	json_auto_t *message = NULL;
	struct rpc rpc = { 0 };
	int got = packet_recv(broker->fd, &broker->packet, err);

	if (got < 0)
		return err->code == ERR_GONE
			       ? ERR_SET(err, ERR_GONE, "the broker has closed the connection")
			       : ERR_WRAP(err, "broker");
	if (got == PACKET_AGAIN)
		return 0;
	message = wire_json_load(buf_str(&broker->packet.data), broker->packet.data.len, err);
	if (!message || rpc_parse(&rpc, message, err) < 0)
		return ERR_WRAP(err, "broker");
	if (rpc.kind == RPC_NOTIFICATION)
		return take_notification(broker, message, &rpc, err);
	if (rpc.kind == RPC_RESULT || rpc.kind == RPC_ERROR)
		return keep_answer(broker, message, &rpc, err);
	return ERR_SET(err, ERR_INVALID, "the broker asks this client something");
}

static bool find_answer(struct broker *broker, int64_t id)
{
	for (size_t i = 0; i < ANSWERS_MAX; i++) {
		if (!broker->early[i].message || broker->early[i].id != id)
			continue;
		answer_drop(&broker->current);
		broker->current = broker->early[i];
		broker->early[i] = (struct answer){ .fd = -1 };
		return true;
	}
	return false;
}

static int wait_readable(const struct broker *broker, int wait_ms, struct err *err)
{
	struct pollfd item = { .fd = broker->fd, .events = POLLIN };

	for (;;) {
		int rc = poll(&item, 1, wait_ms);

		if (rc > 0)
			return 0;
		if (rc == 0)
			return ERR_SET(err, ERR_GONE, "the broker has not answered for %d ms",
				       wait_ms);
		if (errno != EINTR)
			return ERR_SYS(err, errno, "wait for the broker");
	}
}

int broker_wait(struct broker *broker, enum broker_method method, int64_t id, void *result,
		struct err *err)
{
	struct rpc rpc = { 0 };

	arena_deinit(&broker->arena);
	while (!find_answer(broker, id)) {
		if (wait_readable(broker, BROKER_ANSWER_MS, err) < 0 ||
		    broker_receive(broker, err) < 0)
			return err->code;
	}
	if (rpc_parse(&rpc, broker->current.message, err) < 0)
		return ERR_WRAP(err, "broker");
	if (rpc.kind == RPC_ERROR)
		return rpc_to_err(&rpc, err);
	return codec_decode(broker_methods[method].result, rpc.result, result, &broker->arena,
			    CODEC_LENIENT, err);
}

int broker_wait_end(struct broker *broker, struct err *err)
{
	struct err end = { 0 };

	do {
		if (wait_readable(broker, BROKER_ANSWER_MS, err) < 0)
			return (int)err->code;
	} while (broker_receive(broker, &end) == 0);
	return end.code == ERR_GONE ? 0 : ERR_SET(err, end.code, "%s", end.text);
}

int broker_wait_gone(struct broker *broker, int wait_ms, struct err *err)
{
	while (!broker->gone) {
		if (wait_readable(broker, wait_ms, err) < 0 || broker_receive(broker, err) < 0)
			return (int)err->code;
	}
	broker->gone = false;
	return 0;
}

int broker_call(struct broker *broker, enum broker_method method, const void *params,
		const struct broker_fds *fds, void *result, struct err *err)
{
	int64_t id = 0;

	if (broker_send(broker, method, params, fds, &id, err) < 0)
		return err->code;
	return broker_wait(broker, method, id, result, err);
}

int broker_greet(struct broker *broker, struct err *err)
{
	struct broker_hello params = { .version = BROKER_VERSION, .name = PROGRAM };
	struct broker_hello_result result = { 0 };

	if (broker_call(broker, BROKER_METHOD_HELLO, &params, NULL, &result, err) < 0)
		return (int)err->code;
	broker->self.pid = result.pid;
	return str_copy(broker->self.build, sizeof broker->self.build, result.build, err);
}

const struct broker_self *broker_self(const struct broker *broker)
{
	return &broker->self;
}

/* The record in the sealed file that came with the answer. */
static int read_record(struct broker *broker, struct broker_grant_record *out, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(WIRE_JSON_MAX);

	if (broker->current.fd < 0)
		return ERR_SET(err, ERR_INVALID, "the broker shows no record");
	if (buf_read_fd(&text, broker->current.fd, err) < 0)
		return ERR_WRAP(err, "the broker's record");
	json_decref(broker->current.message);
	broker->current.message = wire_json_load(buf_str(&text), text.len, err);
	if (!broker->current.message)
		return err->code;
	return codec_decode(&broker_grant_record_type, broker->current.message, out, &broker->arena,
			    CODEC_LENIENT, err);
}

int broker_grant_record(struct broker *broker, const char *grant, struct broker_grant_record *out,
			struct err *err)
{
	struct broker_grant_show params = { .grant = grant };
	struct broker_grant_show_result result = { 0 };
	struct broker_grant_record record = { 0 };
	char seal[DIGEST_SIZE];

	if (broker_call(broker, BROKER_METHOD_GRANT_SHOW, &params, NULL, &result, err) < 0)
		return err->code;
	if (result.record)
		record = *result.record;
	else if (read_record(broker, &record, err) < 0)
		return err->code;
	/* What will be answered is what will be shown, and no other. */
	seal_record(seal, &record);
	if (record.nonce && !str_eq(record.seal, seal))
		return ERR_SET(err, ERR_INVALID, "the seal is not that of the record");
	*out = record;
	return 0;
}
