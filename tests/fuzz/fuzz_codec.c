/*
 * Any JSON text against any generated type. The first two bytes choose the type. What is read can
 * be written, and reading that again gives the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "proto/base/err.h"
#include "proto/wire/agent_gen.h"
#include "proto/wire/broker_gen.h"
#include "proto/wire/codec.h"
#include "proto/wire/common_gen.h"
#include "proto/wire/json.h"
#include "proto/wire/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct type *choose(size_t number)
{
	number %= common_type_count + broker_type_count + agent_type_count;
	if (number < common_type_count)
		return common_types[number];
	number -= common_type_count;
	return number < broker_type_count ? broker_types[number]
					  : agent_types[number - broker_type_count];
}

/* Reads the value and writes it again; NULL when it is refused. */
static json_t *pass(const struct type *type, const json_t *value, enum codec_mode mode)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct err err = { 0 };
	void *out = malloc(type->size);
	json_t *back = NULL;
	int rc = codec_decode(type, value, out, &arena, mode, &err);

	if (rc == 0)
		back = codec_encode(type, out, &err);
	if (rc == 0 ? !back : err.code != rc || err.text[0] == '\0')
		abort();
	free(out);
	return back;
}

static void try_mode(const struct type *type, const json_t *value, enum codec_mode mode)
{
	json_auto_t *first = pass(type, value, mode);
	json_auto_t *second = first ? pass(type, first, CODEC_STRICT) : NULL;

	if (first && (!second || !json_equal(first, second)))
		abort();
	/* Without anything to overlook nothing changes on the way. */
	if (first && mode == CODEC_STRICT && !json_equal(first, value))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc rpc = { 0 };
	struct err err = { 0 };
	json_auto_t *value = NULL;
	const struct type *type;

	if (size < 2)
		return 0;
	type = choose((size_t)data[0] << 8 | data[1]);
	value = wire_json_load((const char *)data + 2, size - 2, &err);
	if (err.code == ERR_NOMEM) /* an error that jansson does not name would look like this */
		abort();
	if (!value)
		return 0;
	(void)!rpc_parse(&rpc, value, NULL);
	try_mode(type, value, CODEC_STRICT);
	try_mode(type, value, CODEC_LENIENT);
	return 0;
}
