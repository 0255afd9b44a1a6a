/*
 * fuzz_cassette.c - whatever reads as a cassette can be walked, and written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/model/cassette.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

/* Written and read again it is the same answer. */
static void check_again(const struct cassette_answer *answer)
{
	struct buf line SCOPED(buf_deinit) = BUF_INIT(CASSETTE_MAX);
	const struct cassette_answer *again;
	struct cassette *cassette = NULL;

	check(cassette_line(&line, answer, NULL) == 0);
	check(cassette_parse(&cassette, line.data, line.len, NULL) == 0);
	check(cassette_count(cassette) == 1);
	again = cassette_at(cassette, 0);
	check(again->status == answer->status && again->items == answer->items);
	check(again->body_len == answer->body_len);
	check(memcmp(again->body, answer->body, answer->body_len) == 0);
	check(str_eq(again->retry_after, answer->retry_after));
	cassette_free(cassette);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cassette *cassette = NULL;
	struct err err = { 0 };
	size_t count;
	size_t sum = 0;

	if (cassette_parse(&cassette, (const char *)data, size, &err) < 0) {
		check(err.code == ERR_INVALID || err.code == ERR_LIMIT);
		check(err.text[0] != '\0' && !cassette);
		return 0;
	}
	count = cassette_count(cassette);
	check(count > 0);
	for (size_t i = 0; i < count; i++) {
		const struct cassette_answer *answer = cassette_at(cassette, i);

		check(cassette_seek(cassette, sum) <= i);
		sum += answer->items;
		check(cassette_next(cassette, i, answer->match) == i);
		check_again(answer);
	}
	check(cassette_next(cassette, count, NULL) == count);
	check(cassette_seek(cassette, sum + 1) == count);
	cassette_free(cassette);
	return 0;
}
