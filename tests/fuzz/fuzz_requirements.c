/*
 * fuzz_requirements.c - an administrator's file of any bytes: what agent-requirements prints, the
 * broker must be able to take in, or no broker would start with a file that was found right.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/requirements.h"
#include "proto/wire/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text SCOPED(str_free) = str_dup_len((const char *)data, size);
	char *shown SCOPED(str_free) = NULL;
	struct limits limits SCOPED(limits_deinit) = { 0 };
	json_auto_t *json = NULL;
	struct err err = { 0 };

	if (!text || !str_is_utf8(text, size) || size > REQUIREMENTS_FILE_MAX)
		return 0;
	if (requirements_parse(&json, text, "r.ini", "/home/u", &err) < 0) {
		if (err.text[0] == '\0')
			abort();
		return 0;
	}
	shown = json_dumps(json, JSON_COMPACT);
	if (!shown || limits_decode(&limits, "r.ini", shown, strlen(shown), &err) < 0)
		abort();
	return 0;
}
