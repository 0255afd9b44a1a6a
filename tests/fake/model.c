/*
 * model.c - a Responses server that follows a script, for tests and measurements.
 *
 *	model SCRIPT [LOG]
 *
 * It prints its port on the first line, then serves 127.0.0.1 until it is killed. SCRIPT is JSON: a
 * list of exchanges. Each request gets the first exchange that still may be used and whose
 * conditions hold; without one it gets status 400. Members of an exchange, all optional:
 *
 *	match          used only when the last user text holds this string
 *	after_outputs  used only when so many call outputs follow that text
 *	times          how often it may be used: 1; 0 is without end
 *	expect         {"path": text in it, "headers": {name: value}, "body": {JSON
 *	               pointer: value}, "contains": text in the body}, null meaning that
 *	               nothing is there; what does not hold answers 400 and is logged
 *	status, headers, body
 *	               of an answer that is no stream; body: text or JSON
 *	message, ...   the stream as tests/support/responses.h describes it
 *	tear           bytes per write
 *	pace_ms        time between events
 *	cut            bytes of the stream after which the connection is closed
 *	hang           true: the answer never ends
 *	close          true: the connection is closed without an answer
 *
 * LOG gets a line per request: {"n", "client": connection, "method", "path", "headers",
 * "body", "exchange", "failed"}; and {"n", "closed": true} when a client goes before its answer was
 * whole.
 */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"

#include "tests/support/responses.h"

#define REQUEST_BYTES_MAX (128U << 20)
#define ANSWER_BYTES_MAX RESPONSES_BYTES_MAX
#define READ_BYTES 65536U
#define HEAD_END "\r\n\r\n"

static uv_loop_t loop;
static uv_tcp_t listener;
static json_t *script;
static size_t *uses; /* of each exchange */
static int log_fd = -1;
static long requests;
static long clients;

struct client {
	uv_tcp_t tcp;
	uv_timer_t pace;
	uv_write_t write;
	unsigned handles; /* still open */
	struct buf in;
	struct buf out;
	size_t sent;
	json_t *marks; /* offsets in `out` where an event ends, for pace_ms */
	size_t mark;
	size_t tear;
	uint64_t pace_ms;
	long id;     /* n-th connection */
	long number; /* of the request being answered; 0: none */
	bool writing;
	bool hang;
	bool close_at_end;
	char chunk[READ_BYTES];
};

static void die(const char *what)
{
	(void)fprintf(stderr, "fake model: %s\n", what);
	exit(1);
}

/* Nothing here goes on without memory. */
static void must(int rc)
{
	if (rc < 0)
		die("out of memory, or an answer over the limit");
}

static void put(struct buf *out, const char *text)
{
	must(buf_puts(out, text, NULL));
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void log_line(json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	struct buf out = BUF_INIT(REQUEST_BYTES_MAX);

	if (!text)
		die("a line of the log");
	put(&out, text);
	put(&out, "\n");
	if (log_fd >= 0 && fd_write_all(log_fd, out.data, out.len, NULL) < 0)
		die("cannot write the log");
	buf_deinit(&out);
	free(text);
	json_decref(line);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void put_headers(struct buf *out, const json_t *exchange, const char *type)
{
	json_t *headers = json_object_get(exchange, "headers");
	const char *name;
	json_t *value;

	if (!json_object_get(headers, "content-type"))
		must(buf_printf(out, NULL, "content-type: %s\r\n", type));
	json_object_foreach(headers, name, value)
		must(buf_printf(out, NULL, "%s: %s\r\n", name, json_string_value(value)));
}

/* As one HTTP chunk, so that the connection can be kept. */
static void put_chunk(struct buf *out, const char *bytes, size_t size)
{
	must(buf_printf(out, NULL, "%zx\r\n", size));
	must(buf_append(out, bytes, size, NULL));
	put(out, "\r\n");
}

static void answer_stream(struct client *client, const json_t *exchange)
{
	struct buf stream = BUF_INIT(ANSWER_BYTES_MAX);
	json_t *cut = json_object_get(exchange, "cut");
	json_t *marks = json_array();
	size_t at = 0;

	responses_stream(&stream, marks, exchange, requests);
	if (cut)
		buf_cut(&stream, (size_t)json_integer_value(cut));
	put(&client->out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n");
	put_headers(&client->out, exchange, "text/event-stream");
	put(&client->out, "\r\n");
	if (client->pace_ms == 0 && stream.len > 0)
		put_chunk(&client->out, stream.data, stream.len);
	for (size_t i = 0; client->pace_ms > 0 && i < json_array_size(marks) && at < stream.len;
	     i++) {
		size_t end = (size_t)json_integer_value(json_array_get(marks, i));

		end = end < stream.len ? end : stream.len;
		put_chunk(&client->out, stream.data + at, end - at);
		(void)json_array_append_new(client->marks,
					    json_integer((json_int_t)client->out.len));
		at = end;
	}
	client->close_at_end = cut != NULL;
	if (!cut && !client->hang)
		put(&client->out, "0\r\n\r\n");
	json_decref(marks);
	buf_deinit(&stream);
}

static void answer_status(struct client *client, int status, const json_t *exchange)
{
	const json_t *body = json_object_get(exchange, "body");
	char *text = json_is_string(body) ? str_dup(json_string_value(body))
					  : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);

	must(buf_printf(&client->out, NULL, "HTTP/1.1 %d Scripted\r\ncontent-length: %zu\r\n",
			status, text ? strlen(text) : 0));
	put_headers(&client->out, exchange, "application/json");
	put(&client->out, "\r\n");
	put(&client->out, text ? text : "");
	free(text);
}

static void answer_refusal(struct client *client, const char *why)
{
	json_t *exchange = json_pack("{s:{s:{s:s}}}", "body", "error", "message", why);

	answer_status(client, 400, exchange);
	json_decref(exchange);
}

/* --- choosing --------------------------------------------------------------------------------- */

/* The last user text of the input, and how many outputs follow it. */
static const char *last_user_text(const json_t *body, json_int_t *outputs)
{
	const json_t *input = json_object_get(body, "input");
	const char *text = json_string_value(input);

	*outputs = 0;
	for (size_t i = 0; i < json_array_size(input); i++) {
		const json_t *item = json_array_get(input, i);
		const json_t *content = json_object_get(item, "content");
		const char *type = text_of(item, "type");

		if (type && str_ends(type, "_call_output"))
			++*outputs;
		if (!str_eq(text_of(item, "role"), "user"))
			continue;
		*outputs = 0;
		if (json_is_string(content))
			text = json_string_value(content);
		for (size_t j = 0; j < json_array_size(content); j++) {
			if (text_of(json_array_get(content, j), "text"))
				text = text_of(json_array_get(content, j), "text");
		}
	}
	return text ? text : "";
}

static bool is_usable(size_t index, const char *text, json_int_t outputs)
{
	const json_t *exchange = json_array_get(script, index);
	const json_t *times = json_object_get(exchange, "times");
	const json_t *after = json_object_get(exchange, "after_outputs");
	const char *match = text_of(exchange, "match");
	json_int_t limit = times ? json_integer_value(times) : 1;

	return (limit == 0 || uses[index] < (size_t)limit) && (!match || strstr(text, match)) &&
	       (!after || json_integer_value(after) == outputs);
}

/* -1: none */
static int choose(const json_t *body)
{
	json_int_t outputs = 0;
	const char *text = last_user_text(body, &outputs);

	for (size_t i = 0; i < json_array_size(script); i++) {
		if (is_usable(i, text, outputs)) {
			uses[i]++;
			return (int)i;
		}
	}
	return -1;
}

static size_t number_of(const char *text)
{
	int64_t number = 0;

	if (text && str_to_int(&number, text, 0, REQUEST_BYTES_MAX, NULL) < 0)
		die("a number that is none");
	return (size_t)number;
}

/* RFC 6901 without escapes: no key here needs them. */
static const json_t *at_pointer(const json_t *value, const char *pointer)
{
	while (value && *pointer == '/') {
		size_t len = strcspn(++pointer, "/");
		char key[128] = "";

		if (len >= sizeof key)
			return NULL;
		memcpy(key, pointer, len);
		value = json_is_array(value) ? json_array_get(value, number_of(key))
					     : json_object_get(value, key);
		pointer += len;
	}
	return value;
}

/* What of the expectations does not hold; "" when all do. */
static void check(char why[256], const json_t *exchange, const json_t *line, const char *raw)
{
	json_t *expect = json_object_get(exchange, "expect");
	const char *path = text_of(expect, "path");
	const char *contains = text_of(expect, "contains");
	const char *name;
	json_t *value;

	why[0] = '\0';
	if (path && !strstr(text_of(line, "path"), path))
		(void)snprintf(why, 256, "path without '%s'", path);
	if (contains && !strstr(raw, contains))
		(void)snprintf(why, 256, "body without '%s'", contains);
	json_object_foreach(json_object_get(expect, "headers"), name, value) {
		const json_t *found = json_object_get(json_object_get(line, "headers"), name);

		if (json_is_null(value) ? found != NULL : !json_equal(value, found))
			(void)snprintf(why, 256, "header '%s' is different", name);
	}
	json_object_foreach(json_object_get(expect, "body"), name, value) {
		const json_t *found = at_pointer(json_object_get(line, "body"), name);

		if (json_is_null(value) ? found != NULL : !json_equal(found, value))
			(void)snprintf(why, 256, "body at '%s' is different", name);
	}
}

/* --- connections ------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;

	if (--client->handles > 0)
		return;
	buf_deinit(&client->in);
	buf_deinit(&client->out);
	json_decref(client->marks);
	free(client);
}

static void client_close(struct client *client)
{
	if (uv_is_closing((uv_handle_t *)&client->tcp))
		return;
	if (client->number > 0)
		log_line(json_pack("{s:I, s:b}", "n", (json_int_t)client->number, "closed", 1));
	uv_close((uv_handle_t *)&client->tcp, on_closed);
	uv_close((uv_handle_t *)&client->pace, on_closed);
}

static void client_serve(struct client *client);
static void client_send(struct client *client);

static void answer_done(struct client *client)
{
	buf_clear(&client->out);
	client->sent = 0;
	if (client->hang)
		return; /* until the client goes */
	client->number = 0;
	if (client->close_at_end)
		client_close(client);
	else
		client_serve(client); /* what may already have come */
}

static void on_pace(uv_timer_t *timer)
{
	client_send(timer->data);
}

static void on_written(uv_write_t *write, int status)
{
	struct client *client = write->data;

	client->writing = false;
	if (status < 0) {
		client_close(client);
		return;
	}
	if (client->sent == client->out.len)
		answer_done(client);
	else if (client->pace_ms > 0)
		(void)uv_timer_start(&client->pace, on_pace, client->pace_ms, 0);
	else
		client_send(client);
}

/* Writes what may be written at once. */
static void client_send(struct client *client)
{
	size_t size = client->out.len - client->sent;
	uv_buf_t bytes;

	if (client->writing || uv_is_closing((uv_handle_t *)&client->tcp))
		return;
	if (client->mark < json_array_size(client->marks)) {
		json_t *end = json_array_get(client->marks, client->mark++);

		size = (size_t)json_integer_value(end) - client->sent;
	}
	if (client->tear > 0 && size > client->tear)
		size = client->tear;
	bytes = uv_buf_init(client->out.data + client->sent, (unsigned)size);
	client->sent += size;
	client->writing = true;
	client->write.data = client;
	if (uv_write(&client->write, (uv_stream_t *)&client->tcp, &bytes, 1, on_written) < 0)
		die("cannot write");
}

static void to_lower(char *text)
{
	for (; *text; text++)
		*text = (char)(*text >= 'A' && *text <= 'Z' ? *text + 32 : *text);
}

/* Method, path and headers (names in lower case) of a request as JSON. */
static json_t *parse_head(const char *head, size_t size)
{
	char *text = str_dup_len(head, size);
	json_t *headers = json_object();
	json_t *line = NULL;
	char *end;

	for (char *row = text; (end = strstr(row, "\r\n")) != NULL && end > row; row = end + 2) {
		char *split = strchr(row, line ? ':' : ' ');

		*end = '\0';
		if (!split)
			break;
		*split++ = '\0';
		if (line) {
			to_lower(row);
			(void)json_object_set_new(headers, row,
						  json_string(split + strspn(split, " ")));
		} else {
			split[strcspn(split, " ")] = '\0';
			line = json_pack("{s:s, s:s}", "method", row, "path", split);
		}
	}
	if (!line)
		die("a request that is not HTTP");
	(void)json_object_set_new(line, "headers", headers);
	free(text);
	return line;
}

static void answer(struct client *client, json_t *line, const char *raw)
{
	int index = choose(json_object_get(line, "body"));
	const json_t *exchange = json_array_get(script, index < 0 ? SIZE_MAX : (size_t)index);
	const json_t *status = json_object_get(exchange, "status");
	char failed[256] = "";

	client->number = ++requests;
	client->hang = json_is_true(json_object_get(exchange, "hang"));
	client->tear = (size_t)json_integer_value(json_object_get(exchange, "tear"));
	client->pace_ms = (uint64_t)json_integer_value(json_object_get(exchange, "pace_ms"));
	client->mark = 0;
	(void)json_array_clear(client->marks);
	if (index < 0)
		(void)snprintf(failed, sizeof failed, "no exchange is left for this request");
	else
		check(failed, exchange, line, raw);
	(void)json_object_set_new(line, "n", json_integer(requests));
	(void)json_object_set_new(line, "client", json_integer(client->id));
	(void)json_object_set_new(line, "exchange", json_integer(index));
	(void)json_object_set_new(line, "failed", json_string(failed));
	log_line(json_incref(line));
	if (json_is_true(json_object_get(exchange, "close"))) {
		client->number = 0;
		client_close(client);
		return;
	}
	if (failed[0])
		answer_refusal(client, failed);
	else if (status && json_integer_value(status) != 200)
		answer_status(client, (int)json_integer_value(status), exchange);
	else
		answer_stream(client, exchange);
	client_send(client);
}

/* Answers the next whole request, if there is one and none is being answered. */
static void client_serve(struct client *client)
{
	const char *end = client->in.len ? strstr(client->in.data, HEAD_END) : NULL;
	size_t head = end ? (size_t)(end - client->in.data) + strlen(HEAD_END) : 0;
	size_t body;
	json_t *line;
	char *raw;

	if (!end || client->number > 0)
		return;
	line = parse_head(client->in.data, head);
	body = number_of(text_of(json_object_get(line, "headers"), "content-length"));
	if (client->in.len >= head + body) {
		json_t *parsed = json_loadb(client->in.data + head, body, 0, NULL);

		raw = str_dup_len(client->in.data + head, body);
		if (!raw)
			die("out of memory");
		(void)json_object_set_new(line, "body", parsed ? parsed : json_string(raw));
		buf_consume(&client->in, head + body);
		answer(client, line, raw);
		free(raw);
	}
	json_decref(line);
}

static void on_room(uv_handle_t *handle, size_t hint, uv_buf_t *room)
{
	struct client *client = handle->data;

	(void)hint;
	*room = uv_buf_init(client->chunk, sizeof client->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *bytes)
{
	struct client *client = stream->data;

	if (size < 0) {
		client_close(client);
		return;
	}
	must(buf_append(&client->in, bytes->base, (size_t)size, NULL));
	client_serve(client);
}

static void on_client(uv_stream_t *server, int status)
{
	struct client *client = calloc(1, sizeof *client);

	if (status < 0 || !client)
		die("cannot accept");
	buf_init(&client->in, REQUEST_BYTES_MAX);
	buf_init(&client->out, ANSWER_BYTES_MAX);
	client->marks = json_array();
	(void)uv_tcp_init(&loop, &client->tcp);
	(void)uv_timer_init(&loop, &client->pace);
	client->tcp.data = client;
	client->pace.data = client;
	client->handles = 2;
	client->id = ++clients;
	if (uv_accept(server, (uv_stream_t *)&client->tcp) < 0)
		die("cannot accept");
	(void)uv_tcp_nodelay(&client->tcp, 1);
	(void)uv_read_start((uv_stream_t *)&client->tcp, on_room, on_read);
}

static void serve(void)
{
	struct sockaddr_in address;
	int size = sizeof address;

	if (uv_loop_init(&loop) < 0 || uv_tcp_init(&loop, &listener) < 0 ||
	    uv_ip4_addr("127.0.0.1", 0, &address) < 0 ||
	    uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0) < 0 ||
	    uv_listen((uv_stream_t *)&listener, 128, on_client) < 0 ||
	    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size) < 0)
		die("cannot listen");
	(void)printf("%d\n", ntohs(address.sin_port));
	(void)fflush(stdout);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
	json_error_t where;

	if (argc < 2)
		die("usage: model SCRIPT [LOG]");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves no server */
	script = json_load_file(argv[1], 0, &where);
	if (!json_is_array(script)) {
		(void)fprintf(stderr, "%s:%d: %s\n", argv[1], where.line, where.text);
		die("the script is no list");
	}
	uses = calloc(json_array_size(script) + 1, sizeof *uses);
	if (argc > 2)
		log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (!uses || (argc > 2 && log_fd < 0))
		die("cannot start");
	serve();
	return 0;
}
