/*
 * A shell script: what is split plainly and joined again with quotes splits into the same words,
 * and neither reading ever leaves its limits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/policy/known.h"
#include "agentd/policy/split.h"

#define JOINED_MAX (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

/* 'word', or "'" for each quote inside. */
static void quote(struct buf *out, const char *word)
{
	struct err err = { 0 };

	must(buf_putc(out, '\'', &err) == 0);
	for (; *word; word++)
		must((*word == '\'' ? buf_puts(out, "'\"'\"'", &err)
				    : buf_putc(out, *word, &err)) == 0);
	must(buf_putc(out, '\'', &err) == 0);
}

static void join(struct buf *out, const struct split *split)
{
	struct err err = { 0 };

	for (size_t i = 0; i < split->command_count; i++) {
		const struct split_command *command = &split->commands[i];

		if (i > 0)
			must(buf_puts(out, " && ", &err) == 0);
		must(buf_puts(out, split->words[command->first], &err) == 0);
		for (size_t k = 1; k < command->count; k++) {
			must(buf_putc(out, ' ', &err) == 0);
			quote(out, split->words[command->first + k]);
		}
	}
}

static void splits_alike(const struct split *once, const char *joined)
{
	static struct split twice;

	if (strlen(joined) > SPLIT_SCRIPT_MAX)
		return;
	must(split_script(&twice, joined) == SPLIT_PLAIN);
	must(twice.command_count == once->command_count && twice.word_count == once->word_count);
	for (size_t i = 0; i < once->word_count; i++)
		must(str_eq(once->words[i], twice.words[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct split split;
	struct buf joined SCOPED(buf_deinit) = BUF_INIT(JOINED_MAX);
	char *script = malloc(size + 1);

	must(script != NULL);
	memcpy(script, data, size);
	script[size] = '\0';
	split_loose(&split, script);
	must(split.word_count <= SPLIT_WORDS_MAX && split.command_count <= SPLIT_COMMANDS_MAX);
	(void)known_script(script);
	if (split_script(&split, script) == SPLIT_PLAIN) {
		join(&joined, &split);
		splits_alike(&split, buf_str(&joined));
	}
	free(script);
	return 0;
}
