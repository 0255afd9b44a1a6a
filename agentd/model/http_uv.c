#include "agentd/model/http_uv.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/list.h"

#include "agentd/model/stream.h"

#define RECEIVE_BYTES 65536L
#define VERSION_PROTOCOLS_STR 0x075500 /* the curl that wants protocols as a string */
#define VERSION_QUICK_EXIT 0x075700    /* the curl that can leave a name look-up behind */

struct http {
	CURLM *multi;
	CURLSH *share;    /* TLS sessions: a new connection resumes */
	uv_timer_t timer; /* curl's */
	uv_timer_t drain_timer;
	struct list calls;
	struct list ready; /* calls that have something to tell */
	size_t handles;    /* that must close before the struct goes */
	size_t draining;   /* calls */
	bool telling;      /* inside of sinks; calls that end there are freed behind it */
	bool closing;
};

/* One descriptor that curl wants watched. */
struct poll {
	uv_poll_t handle;
	struct http *http;
	curl_socket_t fd;
};

struct http_call {
	struct list node;
	struct list ready;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	const struct stream_sink *sink;
	void *ctx;
	struct buf pending; /* bytes not yet told */
	size_t drained;
	CURLcode result;
	bool has_retry_after;
	bool head_told;
	bool paused;
	bool draining;
	bool ended; /* result holds */
	bool dead;  /* nobody hears of it any more */
	char retry_after[HTTP_HEADER_KEPT];
	char why[CURL_ERROR_SIZE];
};

static void tell_ready(struct http *http);

static struct http_call *call_of(struct list *node)
{
	return LIST_ENTRY(node, struct http_call, node);
}

/* --- curl asks for descriptors and time ------------------------------------------------------- */

static void on_closed(struct http *http)
{
	if (--http->handles > 0 || !http->closing)
		return;
	(void)curl_multi_cleanup(http->multi);
	(void)curl_share_cleanup(http->share);
	free(http);
	curl_global_cleanup();
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_closed(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct poll *poll = handle->data;
	struct http *http = poll->http;

	free(poll);
	on_closed(http);
}

/* Takes what curl has finished, then tells everybody what there is to tell. */
static void settle(struct http *http)
{
	CURLMsg *message;
	int left = 0;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		char *data = NULL;
		struct http_call *call;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
		call = (struct http_call *)(void *)data;
		call->ended = true;
		call->result = message->data.result;
		list_remove(&call->ready);
		list_add(&http->ready, &call->ready);
	}
	tell_ready(http);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct poll *poll = handle->data;
	struct http *http = poll->http;
	int flags = 0;
	int running = 0;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	(void)curl_multi_socket_action(http->multi, poll->fd, flags, &running);
	settle(http);
}

static void on_timer(uv_timer_t *timer)
{
	struct http *http = timer->data;
	int running = 0;

	(void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	settle(http);
}

static struct poll *poll_new(struct http *http, curl_socket_t fd)
{
	struct poll *poll = calloc(1, sizeof *poll);

	if (!poll)
		return NULL;
	poll->http = http;
	poll->fd = fd;
	if (uv_poll_init_socket(http->timer.loop, &poll->handle, fd) < 0) {
		free(poll);
		return NULL;
	}
	poll->handle.data = poll;
	http->handles++;
	return poll;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *data)
{
	struct http *http = ctx;
	struct poll *poll = data;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (poll)
			uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
		return 0;
	}
	if (!poll) {
		poll = http->closing ? NULL : poll_new(http, fd);
		if (!poll)
			return -1;
		(void)curl_multi_assign(http->multi, fd, poll);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&poll->handle, events, on_poll) < 0 ? -1 : 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http *http = ctx;

	(void)multi;
	if (http->closing)
		return 0;
	if (timeout_ms < 0)
		return uv_timer_stop(&http->timer);
	return uv_timer_start(&http->timer, on_timer, (uint64_t)timeout_ms, 0);
}

/* curl's own way would leave the descriptor open across an exec. */
static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)ctx;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* --- curl brings bytes ------------------------------------------------------------------------ */

static void mark_ready(struct http_call *call)
{
	list_remove(&call->ready);
	list_add(&call->http->ready, &call->ready);
}

static size_t on_bytes(char *bytes, size_t one, size_t size, void *ctx)
{
	struct http_call *call = ctx;

	(void)one; /* always 1 */
	if (call->draining) {
		call->drained += size;
		return call->drained <= HTTP_DRAIN_BYTES_MAX ? size : 0;
	}
	if (size > call->pending.max - call->pending.len) {
		call->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (buf_append(&call->pending, bytes, size, NULL) < 0)
		return 0; /* curl fails the call */
	mark_ready(call);
	return size;
}

static bool header_is(const char *line, size_t size, const char *name)
{
	size_t len = strlen(name);

	return size > len && strncasecmp(line, name, len) == 0 && line[len] == ':';
}

static size_t on_header(char *line, size_t one, size_t size, void *ctx)
{
	static const char name[] = "retry-after";
	struct http_call *call = ctx;
	const char *value = line + sizeof name;
	const char *end = line + size;

	(void)one;
	if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
		call->has_retry_after = false; /* an answer before this one was not the answer */
	if (!header_is(line, size, name))
		return size;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	if ((size_t)(end - value) >= sizeof call->retry_after)
		return size; /* no time is that long */
	memcpy(call->retry_after, value, (size_t)(end - value));
	call->retry_after[end - value] = '\0';
	call->has_retry_after = true;
	return size;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* Outside of curl only. */
static void call_free(struct http_call *call)
{
	if (call->draining && --call->http->draining == 0)
		(void)uv_timer_stop(&call->http->drain_timer);
	(void)curl_multi_remove_handle(call->http->multi, call->easy);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	list_remove(&call->node);
	list_remove(&call->ready);
	buf_deinit(&call->pending);
	free(call);
}

static void tell_head(struct http_call *call)
{
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (call->dead || call->head_told || call->draining || status == 0)
		return;
	call->head_told = true;
	call->sink->head(call->ctx, (int)status, call->has_retry_after ? call->retry_after : NULL);
}

static void tell_data(struct http_call *call)
{
	if (call->dead || call->draining || call->pending.len == 0)
		return;
	call->sink->data(call->ctx, call->pending.data, call->pending.len);
	buf_clear(&call->pending);
}

static void tell_end(struct http_call *call)
{
	if (call->dead || !call->ended || call->paused || call->pending.len > 0)
		return;
	call->dead = true;
	if (call->result == CURLE_OK)
		call->sink->end(call->ctx, NULL);
	else
		call->sink->end(call->ctx,
				call->why[0] ? call->why : curl_easy_strerror(call->result));
}

static void tell(struct http_call *call)
{
	tell_head(call);
	tell_data(call);
	if (call->draining)
		buf_clear(&call->pending);
	if (call->paused && !call->dead) {
		call->paused = false;
		(void)curl_easy_pause(call->easy, CURLPAUSE_CONT); /* may bring more at once */
	}
	tell_end(call);
}

static void bury(struct http *http)
{
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &http->calls) {
		if (call_of(node)->dead)
			call_free(call_of(node));
	}
}

static void tell_ready(struct http *http)
{
	http->telling = true;
	while (!list_empty(&http->ready)) {
		struct http_call *call = LIST_ENTRY(http->ready.next, struct http_call, ready);

		list_remove(&call->ready);
		tell(call);
	}
	http->telling = false;
	bury(http);
}

void http_abort(struct http_call *call)
{
	call->dead = true;
	list_remove(&call->ready);
	if (!call->http->telling)
		call_free(call);
}

/* Ends what is still draining, even what began to just now: it only costs a connection. */
static void on_drain_timer(uv_timer_t *timer)
{
	struct http *http = timer->data;
	struct list *node;
	struct list *safe;

	LIST_EACH(node, safe, &http->calls) {
		struct http_call *call = call_of(node);

		if (!call->draining)
			continue;
		call->ended = true;
		call->result = CURLE_OPERATION_TIMEDOUT;
		mark_ready(call);
	}
	tell_ready(http);
}

void http_drain(struct http_call *call)
{
	struct http *http = call->http;

	call->draining = true;
	if (http->draining++ == 0)
		(void)uv_timer_start(&http->drain_timer, on_drain_timer, HTTP_DRAIN_MS, 0);
}

/* --- requests --------------------------------------------------------------------------------- */

static int set_headers(struct http_call *call, const struct http_request *request)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no waiting for a 100 */

	for (size_t i = 0; list && i < request->header_count; i++) {
		call->headers = list;
		list = curl_slist_append(list, request->headers[i]);
	}
	if (!list)
		return -1;
	call->headers = list;
	return curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, list) == CURLE_OK ? 0 : -1;
}

static CURLcode limit_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= VERSION_PROTOCOLS_STR
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* A cancel must not wait until a name server answers; older curls have no way around it. */
static CURLcode leave_lookups(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= VERSION_QUICK_EXIT
	return curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#else
	(void)easy;
	return CURLE_OK;
#endif
}

/* What every request has; 0 or not. */
static int set_fixed(struct http_call *call)
{
	CURL *easy = call->easy;
	int bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_SHARE, call->http->share) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK;
	/* One answer per connection: nothing that HTTP/2 adds helps a single stream. */
	bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) !=
	       CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call) != CURLE_OK;
	bad |= limit_protocols(easy) != CURLE_OK;
	bad |= leave_lookups(easy) != CURLE_OK;
	return bad;
}

static int set_request(struct http_call *call, const struct http_request *request, struct err *err)
{
	CURL *easy = call->easy;
	int bad = set_fixed(call);

	bad |= curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				(curl_off_t)request->body_size) != CURLE_OK;
	bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body) != CURLE_OK;
	if (request->ca_file)
		bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file) != CURLE_OK;
	if (bad || set_headers(call, request) < 0)
		return ERR_SET(err, ERR_SYSTEM, "libcurl refuses the request");
	return 0;
}

struct http_call *http_send(struct http *http, const struct http_request *request,
			    const struct stream_sink *sink, void *ctx, struct err *err)
{
	struct http_call *call = calloc(1, sizeof *call);

	if (!call || !(call->easy = curl_easy_init())) {
		(void)ERR_NOMEM_SET(err);
		free(call);
		return NULL;
	}
	call->http = http;
	call->sink = sink;
	call->ctx = ctx;
	buf_init(&call->pending, HTTP_PENDING_MAX);
	list_init(&call->ready);
	list_add(&http->calls, &call->node);
	if (set_request(call, request, err) < 0) {
		call_free(call);
		return NULL;
	}
	if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
		(void)ERR_SET(err, ERR_SYSTEM, "libcurl does not take the request");
		call_free(call);
		return NULL;
	}
	return call;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int multi_init(struct http *http, struct err *err)
{
	int bad = 0;

	http->multi = curl_multi_init(); /* makes its wake-up sockets */
	http->share = curl_share_init();
	if (!http->multi || !http->share)
		return ERR_NOMEM_SET(err);
	bad |= curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK;
	bad |= curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) != CURLM_OK;
	bad |= curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timeout) != CURLM_OK;
	bad |= curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) != CURLM_OK;
	bad |= curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CONNECTIONS_KEPT) !=
	       CURLM_OK;
	bad |= curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
	       CURLSHE_OK;
	return bad ? ERR_SET(err, ERR_SYSTEM, "libcurl lacks what is needed") : 0;
}

int http_new(struct http **out, struct uv_loop_s *loop, struct err *err)
{
	struct http *http = calloc(1, sizeof *http);
	int rc;

	if (!http)
		return ERR_NOMEM_SET(err);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(http);
		return ERR_SET(err, ERR_SYSTEM, "libcurl does not start");
	}
	list_init(&http->calls);
	list_init(&http->ready);
	(void)uv_timer_init(loop, &http->timer); /* cannot fail */
	(void)uv_timer_init(loop, &http->drain_timer);
	http->timer.data = http;
	http->drain_timer.data = http;
	http->handles = 2;
	rc = multi_init(http, err);
	if (rc < 0) {
		http_close(http);
		return rc;
	}
	*out = http;
	return 0;
}

void http_close(struct http *http)
{
	struct list *node;
	struct list *safe;

	if (!http || http->closing)
		return;
	http->closing = true;
	LIST_EACH(node, safe, &http->calls)
		http_abort(call_of(node));
	uv_close((uv_handle_t *)&http->timer, on_timer_closed);
	uv_close((uv_handle_t *)&http->drain_timer, on_timer_closed);
}
