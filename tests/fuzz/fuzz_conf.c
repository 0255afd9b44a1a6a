/*
 * fuzz_conf.c - a settings file of any bytes, and its text as the value of an override.
 *
 * Whatever is read must be shown the same way again: a name that was formatted parses to itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/ini.h"
#include "proto/conf/name.h"
#include "proto/conf/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const struct conf_name *name)
{
	struct conf_name again SCOPED(conf_name_deinit) = { 0 };
	char *first SCOPED(str_free) = NULL;
	char *second SCOPED(str_free) = NULL;
	struct err err = { 0 };

	if (conf_name_format(&first, name, &err) < 0 || strlen(first) > CONF_NAME_MAX)
		return;
	if (conf_name_parse(&again, first, strlen(first), &err) < 0 ||
	    conf_name_format(&second, &again, &err) < 0 || !str_eq(first, second))
		abort();
}

/* conf_ini_fn */
static int on_setting(void *ctx, const struct conf_name *name, const char *text, size_t line,
		      struct err *err)
{
	struct conf_value value SCOPED(conf_value_deinit) = { 0 };

	(void)ctx;
	(void)line;
	check_name(name);
	if (conf_value_parse(&value, text, false, err) < 0)
		*err = (struct err){ 0 }; /* the next line has its turn all the same */
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text SCOPED(str_free) = str_dup_len((const char *)data, size);
	struct conf *conf SCOPED(conf_release) = NULL;
	const char *overrides[] = { text };
	struct conf_input input = { .base = "/", .overrides = overrides, .override_count = 1 };
	struct err err = { 0 };

	if (!text || memchr(text, '\0', size))
		return 0;
	if (conf_ini_read(text, "config.ini", on_setting, NULL, &err) < 0 && err.text[0] == '\0')
		abort();
	err = (struct err){ 0 };
	if (conf_load(&conf, &input, &err) < 0 && err.text[0] == '\0')
		abort();
	return 0;
}
