#include "proto/base/err.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/str.h"

/*
 * The sentence travels in JSON, so it stays UTF-8: a foreign path may hold any byte, and "%.40s" or
 * the end of the buffer may have cut a character in two. Such bytes become question marks.
 */
static void settle(char *text, int length)
{
	char *p = text;

	if (length < 0)
		text[0] = '\0';
	else if (length >= ERR_TEXT_MAX)
		memcpy(text + ERR_TEXT_MAX - 4, "...", 4);
	while (*p) {
		size_t step = str_utf8_step(p, strlen(p));

		if (step == 0)
			*p = '?';
		p += step ? step : 1;
	}
}

int err_set_va(struct err *err, enum err_code code, const char *format, va_list args)
{
	char text[ERR_TEXT_MAX]; /* not err->text: the arguments may point there */

	if (!err)
		return code;
	settle(text, vsnprintf(text, sizeof text, format, args));
	err->code = code;
	err->sys = 0;
	memcpy(err->text, text, sizeof text);
	return code;
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)err_set_va(err, code, format, args);
	va_end(args);
	return code;
}

/* Puts ": text" behind the sentence. */
static void append(struct err *err, const char *text)
{
	size_t used = strlen(err->text);
	int added = snprintf(err->text + used, sizeof err->text - used, ": %s", text);

	settle(err->text, added < 0 ? added : (int)used + added);
}

int err_sys(struct err *err, int sys, const char *format, ...)
{
	va_list args;
	const char *reason = strerrordesc_np(sys);

	if (!err)
		return ERR_SYSTEM;
	va_start(args, format);
	(void)err_set_va(err, ERR_SYSTEM, format, args);
	va_end(args);
	append(err, reason ? reason : "unknown error");
	err->sys = sys;
	return ERR_SYSTEM;
}

int err_prefix(struct err *err, const char *format, ...)
{
	struct err old;
	va_list args;

	if (!err)
		return ERR_SYSTEM;
	old = *err;
	if (old.code == ERR_NONE) /* whoever failed forgot to say so; it stays a failure */
		(void)err_set(&old, ERR_SYSTEM, "failed without a reason");
	va_start(args, format);
	(void)err_set_va(err, old.code, format, args);
	va_end(args);
	append(err, old.text);
	err->sys = old.sys;
	return old.code;
}

const char *err_code_name(enum err_code code)
{
	static const char *const names[] = { "none",  "nomem",  "system",   "invalid", "limit",
					     "state", "denied", "notfound", "gone" };

	return code <= 0 && code >= ERR_GONE ? names[-code] : "unknown";
}
