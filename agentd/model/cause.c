#include "agentd/model/cause.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "proto/base/str.h"

#define SECOND_MS 1000
#define MINUTE_MS 60000
#define HOUR_MS 3600000
#define NUMBER_DIGITS_MAX 9 /* of a waiting time; more is no time to wait for */
#define CODE_SHOWN 60       /* bytes of a server's error code in a sentence */

static void cause_set(struct cause *out, enum cause_kind kind, enum model_error error,
		      const char *format, ...) PRINTF_LIKE(4, 5);

static void cause_set(struct cause *out, enum cause_kind kind, enum model_error error,
		      const char *format, ...)
{
	struct err text = { 0 };
	va_list args;

	va_start(args, format);
	(void)err_set_va(&text, ERR_INVALID, format, args); /* keeps the sentence UTF-8 */
	va_end(args);
	*out = (struct cause){ .kind = kind, .error = error, .wait_ms = -1 };
	memcpy(out->text, text.text, sizeof out->text);
}

/* Codes of the service that settle the matter, wherever they stand. */
static const struct {
	const char *code;
	enum cause_kind kind;
	enum model_error error;
} codes[] = {
	{ "context_length_exceeded", CAUSE_FATAL, MODEL_ERROR_CONTEXT },
	{ "insufficient_quota", CAUSE_FATAL, MODEL_ERROR_QUOTA },
	{ "usage_limit_reached", CAUSE_FATAL, MODEL_ERROR_QUOTA },
	{ "usage_not_included", CAUSE_FATAL, MODEL_ERROR_QUOTA },
	{ "invalid_prompt", CAUSE_FATAL, MODEL_ERROR_REQUEST },
	{ "server_is_overloaded", CAUSE_FATAL, MODEL_ERROR_OVERLOADED },
	{ "slow_down", CAUSE_FATAL, MODEL_ERROR_OVERLOADED },
	{ "rate_limit_exceeded", CAUSE_STREAM, MODEL_ERROR_SERVER },
};

/* The index in codes; -1 for none. */
static int code_find(const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (str_eq(codes[i].code, code))
			return (int)i;
	}
	return -1;
}

/* How an answer by its status is taken; the first row that holds it, and no row is fatal. */
static const struct {
	int low;
	int high;
	enum cause_kind kind;
	enum model_error error;
} statuses[] = {
	{ 401, 401, CAUSE_STREAM, MODEL_ERROR_AUTH },
	{ 402, 402, CAUSE_FATAL, MODEL_ERROR_QUOTA },
	{ 403, 403, CAUSE_FATAL, MODEL_ERROR_AUTH },
	{ 429, 429, CAUSE_STREAM, MODEL_ERROR_OVERLOADED },
	{ 400, 499, CAUSE_FATAL, MODEL_ERROR_REQUEST },
	{ 500, 599, CAUSE_REQUEST, MODEL_ERROR_SERVER },
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The sentence in an error body: error.message, a flat message or detail, or the plain text. */
static void body_text(char out[ERR_TEXT_MAX], const struct cause_answer *answer, const json_t *body)
{
	const json_t *error = json_object_get(body, "error");
	const char *text =
		json_is_string(error) ? json_string_value(error) : text_of(error, "message");
	size_t shown = answer->body_len < CAUSE_BODY_SHOWN ? answer->body_len : CAUSE_BODY_SHOWN;
	int length;

	if (!text)
		text = text_of(body, "message");
	if (!text)
		text = text_of(body, "detail");
	if (text)
		length = snprintf(out, ERR_TEXT_MAX, "%s", text);
	else
		length = snprintf(out, ERR_TEXT_MAX, "%.*s", (int)shown,
				  answer->body ? answer->body : "");
	for (char *p = out; length > 0 && *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
}

/* "usage limit reached, until 2026-05-01 10:00 UTC" */
static void set_usage_limit(struct cause *out, const json_t *error, const char *text, int64_t now_s)
{
	const json_t *at = json_object_get(error, "resets_at");
	const json_t *in = json_object_get(error, "resets_in_seconds");
	time_t when = 0;
	struct tm parts = { 0 };
	char date[32] = "";

	if (json_is_integer(at))
		when = (time_t)json_integer_value(at);
	else if (json_is_integer(in) && json_integer_value(in) >= 0 &&
		 json_integer_value(in) < INT32_MAX)
		when = (time_t)(now_s + json_integer_value(in));
	if (when > 0 && gmtime_r(&when, &parts))
		(void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
	cause_set(out, CAUSE_FATAL, MODEL_ERROR_QUOTA, "%s%s%s",
		  text[0] ? text : "the usage limit is reached", date[0] ? "; it resets at " : "",
		  date);
}

static void name_key(struct cause *out, const struct cause_answer *answer)
{
	struct err text = { 0 };

	if (!answer->env_key)
		return;
	(void)err_set(&text, ERR_DENIED,
		      "%s (the key is the value of %s, see model_providers.%s.env_key)", out->text,
		      answer->env_key, answer->provider ? answer->provider : "<id>");
	memcpy(out->text, text.text, sizeof out->text);
}

static void limit_wait(struct cause *out)
{
	struct err text = { 0 };

	if (out->kind == CAUSE_FATAL || out->wait_ms <= CAUSE_WAIT_MAX_MS)
		return;
	(void)err_set(&text, ERR_LIMIT,
		      "the server asks to wait %" PRId64 " s, which is too long: %s",
		      out->wait_ms / SECOND_MS, out->text);
	*out = (struct cause){ .kind = CAUSE_FATAL, .error = out->error, .wait_ms = -1 };
	memcpy(out->text, text.text, sizeof out->text);
}

void cause_from_answer(struct cause *out, const struct cause_answer *answer)
{
	json_t *body = json_loadb(answer->body ? answer->body : "", answer->body_len, 0, NULL);
	const json_t *error = json_object_get(body, "error");
	const char *code = text_of(error, "code");
	char text[ERR_TEXT_MAX] = "";
	int known;

	if (!code || code_find(code) < 0)
		code = text_of(error, "type"); /* where usage_limit_reached stands */
	known = code ? code_find(code) : -1;
	body_text(text, answer, body);
	cause_set(out, CAUSE_FATAL, MODEL_ERROR_REQUEST, "HTTP %d%s%s", answer->status,
		  text[0] ? ": " : "", text);
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (answer->status < statuses[i].low || answer->status > statuses[i].high)
			continue;
		out->kind = statuses[i].kind;
		out->error = statuses[i].error;
		break;
	}
	if (known >= 0 && codes[known].kind == CAUSE_FATAL) {
		out->kind = CAUSE_FATAL;
		out->error = codes[known].error;
	}
	if (known >= 0 && str_starts(code, "usage_"))
		set_usage_limit(out, error, text, answer->now_s);
	if (out->kind != CAUSE_FATAL && answer->retry_after)
		out->wait_ms = cause_retry_after_ms(answer->retry_after, answer->now_s);
	else if (answer->status == 429)
		out->wait_ms = cause_try_again_ms(text);
	if (answer->status == 401)
		name_key(out, answer);
	limit_wait(out);
	json_decref(body);
}

void cause_from_transport(struct cause *out, const char *why)
{
	cause_set(out, CAUSE_REQUEST, MODEL_ERROR_NETWORK, "%s", why);
}

void cause_from_cut(struct cause *out, const char *why)
{
	cause_set(out, CAUSE_STREAM, MODEL_ERROR_NETWORK,
		  "stream closed before response.completed%s%s", why ? ": " : "", why ? why : "");
}

void cause_from_idle(struct cause *out, int64_t idle_ms)
{
	cause_set(out, CAUSE_STREAM, MODEL_ERROR_NETWORK, "nothing came for %" PRId64 " ms",
		  idle_ms);
}

void cause_from_failed(struct cause *out, const char *code, const char *message)
{
	int known = code_find(code);

	cause_set(out, CAUSE_STREAM, MODEL_ERROR_SERVER, "%.*s%s%s", CODE_SHOWN,
		  code[0] ? code : "the server reports a failure", message[0] ? ": " : "", message);
	if (known >= 0) {
		out->kind = codes[known].kind;
		out->error = codes[known].error;
	}
	if (str_eq(code, "rate_limit_exceeded"))
		out->wait_ms = cause_try_again_ms(message);
	limit_wait(out);
}

void cause_from_incomplete(struct cause *out, const char *reason)
{
	cause_set(out, CAUSE_FATAL, MODEL_ERROR_INCOMPLETE, "the answer is incomplete: %.*s",
		  CODE_SHOWN, reason);
}

void cause_from_err(struct cause *out, const struct err *err)
{
	cause_set(out, CAUSE_FATAL, MODEL_ERROR_INTERNAL, "%s", err->text);
}

/*
 * A decimal number in thousandths, "1.5" as 1500, and where it ends; -1 for none, or one too large
 * to wait for.
 */
static int64_t thousandths(const char *text, const char **end)
{
	size_t whole = strspn(text, "0123456789");
	int64_t value = 0;
	int64_t weight = 100;

	if (whole == 0 || whole > NUMBER_DIGITS_MAX)
		return -1;
	for (size_t i = 0; i < whole; i++)
		value = value * 10 + (text[i] - '0');
	value *= 1000;
	text += whole;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10)
			value += weight * (*text - '0');
	}
	*end = text;
	return value;
}

int64_t cause_retry_after_ms(const char *text, int64_t now_s)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* the form that servers must send */
		"%A, %d-%b-%y %H:%M:%S GMT", /* and the two that clients must understand */
		"%a %b %d %H:%M:%S %Y",
	};
	const char *end = NULL;
	int64_t value;

	text += strspn(text, " \t");
	value = thousandths(text, &end);
	if (value >= 0)
		return end[strspn(end, " \t")] == '\0' ? value : -1;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm parts = { 0 };
		const char *rest = strptime(text, forms[i], &parts);

		if (rest && rest[strspn(rest, " \t")] == '\0') {
			int64_t left_s = (int64_t)timegm(&parts) - now_s;

			return left_s > 0 ? left_s * SECOND_MS : 0;
		}
	}
	return -1;
}

int64_t cause_try_again_ms(const char *message)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {
		{ "ms", 1 },          { "milliseconds", 1 },   { "s", SECOND_MS },
		{ "sec", SECOND_MS }, { "second", SECOND_MS }, { "seconds", SECOND_MS },
		{ "m", MINUTE_MS },   { "minute", MINUTE_MS }, { "minutes", MINUTE_MS },
		{ "h", HOUR_MS },     { "hour", HOUR_MS },     { "hours", HOUR_MS },
	};
	static const char phrase[] = "try again in ";
	const char *at = strcasestr(message, phrase);
	int64_t total = -1;

	/* "6m0s" and "1.5s" alike: amounts with their units until something else comes. */
	for (at = at ? at + strlen(phrase) : ""; *at >= '0' && *at <= '9';) {
		int64_t value = thousandths(at, &at);
		size_t letters;
		int64_t unit = 0;

		if (value < 0)
			break;
		at += strspn(at, " ");
		letters = strspn(at, "abcdefghijklmnopqrstuvwxyz");
		for (size_t i = 0; i < ARRAY_LEN(units); i++) {
			if (strlen(units[i].name) == letters &&
			    strncmp(units[i].name, at, letters) == 0)
				unit = units[i].ms;
		}
		if (unit == 0)
			break;
		total = (total < 0 ? 0 : total) + value * unit / 1000;
		at += letters;
	}
	return total;
}
