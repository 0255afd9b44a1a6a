#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/lockdown_filter.h"
#include "agentd/model/http_uv.h"
#include "agentd/model/stream.h"
#include "tests/support/fake_model.h"
#include "tests/support/fixture.h"
#include "tests/support/tls_server.h"

#define SEEN_MAX (1U << 20)
#define URL_MAX 256U

/* One request and what came of it. */
struct probe {
	uv_loop_t loop;
	struct http *http;
	struct buf body;
	char why[256];
	int status;
	bool ended;
	bool whole;
};

static void on_head(void *ctx, int status, const char *retry_after)
{
	struct probe *probe = ctx;

	(void)retry_after;
	probe->status = status;
}

static void on_data(void *ctx, const char *bytes, size_t size)
{
	struct probe *probe = ctx;

	if (buf_append(&probe->body, bytes, size, NULL) < 0)
		abort();
}

static void on_end(void *ctx, const char *why)
{
	struct probe *probe = ctx;

	(void)snprintf(probe->why, sizeof probe->why, "%s", why ? why : "");
	probe->whole = !why;
	probe->ended = true;
	http_close(probe->http);
}

static const struct stream_sink sink = { on_head, on_data, on_end };

static bool probe_open(struct probe *probe)
{
	*probe = (struct probe){ .body = BUF_INIT(SEEN_MAX) };
	return uv_loop_init(&probe->loop) == 0 && http_new(&probe->http, &probe->loop, NULL) == 0;
}

static bool probe_send(struct probe *probe, const char *url, const char *ca_file)
{
	static char type[] = "Content-Type: application/json";
	char *const headers[] = { type };
	const struct http_request request = {
		.url = url,
		.headers = headers,
		.header_count = 1,
		.body = "{}",
		.body_size = 2,
		.ca_file = ca_file,
	};

	return http_send(probe->http, &request, &sink, probe, NULL) &&
	       uv_run(&probe->loop, UV_RUN_DEFAULT) == 0 && probe->ended;
}

static void probe_close(struct probe *probe)
{
	assert_int_equal(uv_loop_close(&probe->loop), 0);
	buf_deinit(&probe->body);
}

static void fetch(struct probe *probe, const char *url, const char *ca_file)
{
	assert_true(probe_open(probe));
	assert_true(probe_send(probe, url, ca_file));
	probe_close(probe);
}

/* --- behind the daemon's lock ----------------------------------------------------------------- */

/* In a child: everything that follows is under the filter. 0 when it ends as expected. */
static int fetch_locked(const char *url, int status, const char *why)
{
	struct probe probe;

	if (!probe_open(&probe) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    lockdown_filter_install(NULL) < 0)
		return 2;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || fork() >= 0)
		return 3; /* it does not hold */
	if (!probe_send(&probe, url, NULL))
		return 4;
	return probe.status == status && strstr(probe.why, why) ? 0 : 5;
}

static void expect_locked(const char *url, int status, const char *why)
{
	int ended = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(fetch_locked(url, status, why));
	assert_int_equal(waitpid(child, &ended, 0), child);
	assert_true(WIFEXITED(ended));
	assert_int_equal(WEXITSTATUS(ended), 0);
}

static void a_server_is_reached_behind_the_lock(void **state)
{
	struct fake_model fake = { 0 };
	char url[URL_MAX];

	(void)state;
	fake_model_start(&fake, "[{\"message\":\"Hi\"}]");
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/responses", fake.port);
	expect_locked(url, 200, "");
	fake_model_stop(&fake);
}

/*
 * The look-up takes a thread, and wake-up sockets of curl's. Where these were refused, the sentence
 * would be another; that there is no such name is all that a test without a network can learn.
 */
static void a_name_is_looked_up_behind_the_lock(void **state)
{
	(void)state;
	expect_locked("http://service.invalid/v1/responses", 0, "Could not resolve host");
}

/* --- proxies ---------------------------------------------------------------------------------- */

static void a_proxy_of_the_environment_is_used_except_for_its_exceptions(void **state)
{
	static const struct {
		const char *no_proxy;
		const char *host;
		int status; /* 0: tried directly, and not there */
	} rows[] = {
		{ "", "service.invalid", 200 },
		{ "other.invalid", "service.invalid", 200 },
		{ "service.invalid", "service.invalid", 0 },
		{ "*", "service.invalid", 0 },
	};
	struct fake_model fake = { 0 };
	char proxy[URL_MAX];

	(void)state;
	fake_model_start(&fake, "[{\"message\":\"Hi\",\"times\":0,\"expect\":{\"path\":"
				"\"http://service.invalid/v1/responses\"}}]");
	(void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", fake.port);
	assert_int_equal(setenv("http_proxy", proxy, 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct probe probe;
		char url[URL_MAX];

		(void)snprintf(url, sizeof url, "http://%s/v1/responses", rows[i].host);
		assert_int_equal(setenv("no_proxy", rows[i].no_proxy, 1), 0);
		fetch(&probe, url, NULL);
		if (probe.status != rows[i].status)
			fail_msg("row %zu: status %d %s", i, probe.status, probe.why);
	}
	(void)unsetenv("http_proxy");
	(void)unsetenv("no_proxy");
	fake_model_stop(&fake);
}

/* --- TLS -------------------------------------------------------------------------------------- */

static void a_server_is_believed_only_with_a_certificate_that_fits(void **state)
{
	static const struct {
		const char *host;
		bool own_ca;
		bool trusted;
	} rows[] = {
		{ "127.0.0.1", true, true },
		{ "127.0.0.1", false, false }, /* nobody vouches for it */
		{ "localhost", true, false },  /* for another name */
		{ "127.0.0.1", true, true },
	};
	struct tls_server server = { 0 };
	char ca_file[4096];

	(void)state;
	(void)snprintf(ca_file, sizeof ca_file, "%s", fixture_file("ca.pem", "", 0));
	tls_server_start(&server, ca_file);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct probe probe;
		char url[URL_MAX];

		(void)snprintf(url, sizeof url, "https://%s:%d/", rows[i].host, server.port);
		fetch(&probe, url, rows[i].own_ca ? ca_file : NULL);
		if (probe.status != (rows[i].trusted ? 200 : 0))
			fail_msg("row %zu: status %d, %s", i, probe.status, probe.why);
		if (!rows[i].trusted)
			assert_true(strstr(probe.why, "SSL") != NULL);
	}
	tls_server_stop(&server);
}

/* --- schemes ---------------------------------------------------------------------------------- */

static void only_http_and_https_are_spoken(void **state)
{
	static const char *const urls[] = { "file:///etc/passwd",  "ftp://127.0.0.1/",
					    "gopher://127.0.0.1/", "unix:///run/x",
					    "no scheme at all",    "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct probe probe;

		fetch(&probe, urls[i], NULL);
		if (probe.status != 0 || probe.whole || probe.body.len > 0)
			fail_msg("'%s' was fetched", urls[i]);
	}
}

/* What the libraries open once for the process is no leak of a test. */
static void start_libraries(void)
{
	struct probe probe;

	assert_true(probe_open(&probe));
	http_close(probe.http);
	assert_int_equal(uv_run(&probe.loop, UV_RUN_DEFAULT), 0);
	probe_close(&probe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_server_is_reached_behind_the_lock),
		FIXTURE_TEST(a_name_is_looked_up_behind_the_lock),
		FIXTURE_TEST(a_proxy_of_the_environment_is_used_except_for_its_exceptions),
		FIXTURE_TEST(a_server_is_believed_only_with_a_certificate_that_fits),
		FIXTURE_TEST(only_http_and_https_are_spoken),
	};

	/* One question, one second: nobody here knows the names that are asked for. */
	if (setenv("RES_OPTIONS", "timeout:1 attempts:1", 1) < 0)
		return 1;
	start_libraries();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
