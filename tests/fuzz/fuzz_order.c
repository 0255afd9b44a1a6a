/*
 * A command as it crosses between the halves of the broker: any header with any block. What is
 * accepted must add up to the last byte, and what is packed must be read back as it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/wire/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_words(char *const *words, const char *block, size_t size)
{
	size_t count = 0;

	for (; words[count]; count++) {
		/* Every text lies in the block with its end. */
		if (words[count] < block || words[count] + strlen(words[count]) >= block + size)
			abort();
	}
	return count;
}

static void pack_again(const struct order *order, const struct order_text *text)
{
	struct command command = { .argv = (const char *const *)text->argv,
				   .argc = order->argc,
				   .env = (const char *const *)text->env,
				   .envc = order->envc,
				   .cwd = text->cwd };
	struct order_text again = { 0 };
	struct order packed = { 0 };
	struct err err = { 0 };
	int block SCOPED(fd_close) = -1;

	if (order_pack(&packed, &block, &command, &err) < 0 ||
	    memcmp(&packed, order, sizeof packed) != 0 ||
	    order_read(&again, &packed, block, &err) < 0 || strcmp(again.cwd, text->cwd) != 0)
		abort();
	free(again.argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct order order = { 0 };
	struct order_text text = { 0 };
	struct err err = { 0 };
	char *block;

	if (size < sizeof order)
		return 0;
	memcpy(&order, data, sizeof order);
	size -= sizeof order;
	block = malloc(size + 1);
	if (!block)
		return 0;
	memcpy(block, data + sizeof order, size);
	if (order_parse(&text, &order, block, size, &err) == 0) {
		if (count_words(text.argv, block, size) != order.argc ||
		    count_words(text.env, block, size) != order.envc || text.cwd[0] != '/')
			abort();
		pack_again(&order, &text);
		free(text.argv);
	} else if (err.text[0] == '\0') {
		abort();
	}
	free(block);
	return 0;
}
