#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/agent_gen.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/codec.h"
#include "proto/wire/common_gen.h"
#include "proto/wire/json.h"

#include "tests/support/fixture.h"

_Static_assert(BROKER_PATH_MAX == WIRE_PATH_MAX, "the type path has this limit");

/* How a value of each field is made up. */
enum size { SMALLEST, LARGEST, SIZE_COUNT };

#define LONGEST_TEXT 5000 /* longer maxima are not tried here */

static json_t *make_struct(const struct type *type, enum size size);

static json_t *make_text(const struct field *field, enum size size)
{
	size_t len = (size_t)(size == SMALLEST ? field->min : field->max);
	char *text;
	json_t *value;

	if (len > LONGEST_TEXT)
		len = LONGEST_TEXT;
	text = malloc(len + 1);
	memset(text, field->kind == WIRE_PATH ? '/' : 'x', len);
	value = json_stringn(text, len);
	free(text);
	return value;
}

static json_t *make_value(const struct field *field, enum size size)
{
	switch (field->kind) {
	case WIRE_STRING:
	case WIRE_PATH:
	case WIRE_ID:
		return make_text(field, size);
	case WIRE_INT:
		return json_integer(size == SMALLEST ? field->min : field->max);
	case WIRE_BOOL:
		return json_boolean(size == LARGEST);
	case WIRE_ENUM:
		return json_string(
			names_get(field->names, size == SMALLEST ? 1 : field->names->count - 1));
	case WIRE_STRUCT:
		return make_struct(field->type, size);
	case WIRE_JSON:
		return json_pack("{s:[i, n]}", "any", 1);
	case WIRE_NONE:
	case WIRE_KIND_COUNT:
		break;
	}
	fail_msg("field '%s' of no kind", field->name);
	return NULL;
}

static json_t *make_field(const struct field *field, enum size size)
{
	json_t *list;

	if (!(field->flags & WIRE_LIST))
		return make_value(field, size);
	list = json_array();
	for (int i = 0; size == LARGEST && i < 2; i++)
		(void)json_array_append_new(list, make_value(field, (enum size)i));
	return list;
}

/* The smallest has what must be there, the largest everything. */
static json_t *make_struct(const struct type *type, enum size size)
{
	json_t *object = json_object();

	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];

		if (size == SMALLEST && (field->flags & WIRE_OPTIONAL))
			continue;
		(void)json_object_set_new(object, field->name, make_field(field, size));
	}
	return object;
}

static void expect_round_trip(const struct type *type, json_t *value)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	void *out = malloc(type->size);
	struct err err = { 0 };
	json_t *back;

	if (codec_decode(type, value, out, &arena, CODEC_STRICT, &err) < 0)
		fail_msg("%s: %s", type->name, err.text);
	back = codec_encode(type, out, &err);
	if (!back)
		fail_msg("%s: %s", type->name, err.text);
	if (!json_equal(value, back))
		fail_msg("%s: %s became %s", type->name, json_dumps(value, 0), json_dumps(back, 0));
	json_decref(back);
	free(out);
}

static void each_type(void (*run)(const struct type *type))
{
	for (size_t i = 0; i < common_type_count; i++)
		run(common_types[i]);
	for (size_t i = 0; i < broker_type_count; i++)
		run(broker_types[i]);
	for (size_t i = 0; i < agent_type_count; i++)
		run(agent_types[i]);
}

static void round_trips(const struct type *type)
{
	for (int size = 0; size < SIZE_COUNT; size++) {
		json_auto_t *value = make_struct(type, (enum size)size);

		expect_round_trip(type, value);
	}
}

static void every_type_reads_what_it_writes(void **state)
{
	(void)state;
	each_type(round_trips);
}

/* Only a field that may be absent may be left out, and its place is named. */
static void misses(const struct type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];
		struct arena arena SCOPED(arena_deinit) = { 0 };
		json_auto_t *value = make_struct(type, LARGEST);
		void *out = malloc(type->size);
		struct err err = { 0 };
		char sentence[256];
		int rc;

		(void)json_object_del(value, field->name);
		(void)snprintf(sentence, sizeof sentence, "%s.%s: missing", type->root,
			       field->name);
		rc = codec_decode(type, value, out, &arena, CODEC_STRICT, &err);
		if ((rc == 0) != ((field->flags & WIRE_OPTIONAL) != 0) ||
		    (rc < 0 && !str_eq(err.text, sentence)))
			fail_msg("%s without '%s': %s", type->name, field->name, err.text);
		free(out);
	}
}

static void every_field_that_must_be_there_is_missed(void **state)
{
	(void)state;
	each_type(misses);
}

/* Tables that the interpreter could not follow would be found here and not by an attacker. */
static void is_sound(const struct type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *field = &type->fields[i];
		bool list = (field->flags & WIRE_LIST) != 0;
		bool text = field->kind == WIRE_STRING || field->kind == WIRE_PATH ||
			    field->kind == WIRE_ID;

		if (field->offset >= type->size || field->mark >= type->size ||
		    field->min > field->max || (text && field->min < 0) ||
		    (text && field->max == 0) || list != (field->max_count > 0) ||
		    (field->kind == WIRE_ENUM) != (field->names != NULL) ||
		    (field->kind == WIRE_STRUCT) != (field->type != NULL) ||
		    (list && !text && field->kind != WIRE_STRUCT))
			fail_msg("%s.%s", type->name, field->name);
	}
}

static void every_table_is_sound(void **state)
{
	(void)state;
	each_type(is_sound);
}

static void an_update_tells_its_two_contents_apart(void **state)
{
	static const char *const rows[] = {
		"{\"sessionUpdate\":\"agent_message_chunk\","
		"\"content\":{\"type\":\"text\",\"text\":\"hi\"}}",
		"{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"content\":"
		"[{\"type\":\"content\",\"content\":{\"type\":\"text\",\"text\":\"hi\"}}]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena SCOPED(arena_deinit) = { 0 };
		json_auto_t *value = wire_json_load(rows[i], strlen(rows[i]), NULL);
		struct agent_update update;

		assert_int_equal(codec_decode(&agent_update_type, value, &update, &arena,
					      CODEC_LENIENT, NULL),
				 0);
		assert_int_equal(update.content != NULL, i == 0);
		assert_int_equal(update.tool_content != NULL, i == 1);
		expect_round_trip(&agent_update_type, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_type_reads_what_it_writes),
		FIXTURE_TEST(every_field_that_must_be_there_is_missed),
		FIXTURE_TEST(every_table_is_sound),
		FIXTURE_TEST(an_update_tells_its_two_contents_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
