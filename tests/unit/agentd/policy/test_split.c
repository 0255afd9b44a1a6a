#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "agentd/policy/split.h"
#include "tests/support/fixture.h"

/* Words between '<' and '>', commands by line; NULL: opaque. */
static const struct {
	const char *script;
	const char *split;
} plain[] = {
	{ "ls", "<ls>\n" },
	{ "ls -la", "<ls><-la>\n" },
	{ "  ls\t-la  ", "<ls><-la>\n" },
	{ "ls && pwd", "<ls>\n<pwd>\n" },
	{ "ls||pwd", "<ls>\n<pwd>\n" },
	{ "a; b | c", "<a>\n<b>\n<c>\n" },
	{ "a\nb\n\n c\n", "<a>\n<b>\n<c>\n" },
	{ "a &&\n b", "<a>\n<b>\n" },
	{ "rg -g\"*.py\" x", "<rg><-g*.py><x>\n" },
	{ "echo 'a  b' \"c\"d'e'", "<echo><a  b><cde>\n" },
	{ "echo 'a\nb'", "<echo><a\nb>\n" },
	{ "echo '$x `y` \\'", "<echo><$x `y` \\>\n" },
	{ "echo ''", "<echo><>\n" },
	{ "git show HEAD~1", "<git><show><HEAD~1>\n" },
	{ "git log a..b --format=%H", "<git><log><a..b><--format=%H>\n" },
	{ "echo a#b 1 if", "<echo><a#b><1><if>\n" },
	{ "cat \u00e9", "<cat><\u00e9>\n" },

	{ "", NULL },
	{ "\n", NULL },
	{ "&& ls", NULL },
	{ "ls &&", NULL },
	{ "ls;", NULL },
	{ "ls |", NULL },
	{ "ls;; pwd", NULL },
	{ "a | | b", NULL },
	{ "a && && b", NULL },
	{ "ls &", NULL },
	{ "ls & pwd", NULL },
	{ "ls |& cat", NULL },
	{ "ls > o", NULL },
	{ "ls >o", NULL },
	{ "cat < i", NULL },
	{ "cat <<EOF\nx\nEOF", NULL },
	{ "(ls)", NULL },
	{ "{ ls; }", NULL },
	{ "echo $(ls)", NULL },
	{ "echo `ls`", NULL },
	{ "echo $x", NULL },
	{ "echo \"$x\"", NULL },
	{ "echo \"`x`\"", NULL },
	{ "echo \"a\\b\"", NULL },
	{ "echo ${x}", NULL },
	{ "echo a\\ b", NULL },
	{ "ls *.c", NULL },
	{ "ls ?.c", NULL },
	{ "ls [a]", NULL },
	{ "echo {a,b}", NULL },
	{ "cat ~/x", NULL },
	{ "cat ~", NULL },
	{ "A=b ls", NULL },
	{ "A=b", NULL },
	{ "ls # comment", NULL },
	{ "# comment", NULL },
	{ "! ls", NULL },
	{ "if true; then ls; fi", NULL },
	{ "for x in a; do ls; done", NULL },
	{ "while true; do ls; done", NULL },
	{ "time ls", NULL },
	{ "f() ls", NULL },
	{ "'git status'", NULL },
	{ "'ls' -la", NULL },
	{ "l\"s\"", NULL },
	{ "echo 'a", NULL },
	{ "echo \"a", NULL },
	{ "=ls", NULL },
	{ "ls\r", NULL },
	{ "ls\x01", NULL },
};

static void print(struct buf *out, const struct split *split)
{
	struct err err = { 0 };

	for (size_t i = 0; i < split->command_count; i++) {
		const struct split_command *command = &split->commands[i];

		for (size_t k = 0; k < command->count; k++)
			assert_int_equal(
				buf_printf(out, &err, "<%s>", split->words[command->first + k]), 0);
		assert_int_equal(buf_putc(out, '\n', &err), 0);
	}
}

static void only_plain_scripts_are_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		struct split split;
		enum split_kind kind = split_script(&split, plain[i].script);

		if ((kind == SPLIT_PLAIN) != (plain[i].split != NULL))
			fail_msg("'%s'", plain[i].script);
		if (kind != SPLIT_PLAIN)
			continue;
		print(&out, &split);
		if (strcmp(buf_str(&out), plain[i].split) != 0)
			fail_msg("'%s': %s", plain[i].script, buf_str(&out));
	}
}

static const struct {
	const char *script;
	const char *split;
} loose[] = {
	{ "ls -la", "<ls><-la>\n" },
	{ "(rm -f x)", "<rm><-f><x>\n" },
	{ "a $(rm x) b", "<a>\n<rm><x>\n<b>\n" },
	{ "echo \"a $(rm x)\"", "<echo><a >\n<rm><x>\n<>\n" },
	{ "echo `rm x`", "<echo>\n<rm><x>\n" },
	{ "if true; then rm x; else pwd; fi", "<true>\n<rm><x>\n<pwd>\n<fi>\n" },
	{ "while ! rm x; do ls; done", "<rm><x>\n<ls>\n<done>\n" },
	{ "A=b C=d rm x", "<rm><x>\n" },
	{ "rm\\\n x", "<rm><x>\n" },
	{ "\\rm x", "<rm><x>\n" },
	{ "'rm' \"-f\" x", "<rm><-f><x>\n" },
	{ "ls > rm x", "<ls><x>\n" },
	{ "ls 2>&1 x", "<ls><2>\n<x>\n" },
	{ "ls & rm x", "<ls>\n<rm><x>\n" },
	{ "{ rm x; }", "<rm><x>\n" },
	{ "# rm x\nls", "<ls>\n" },
	{ "cat <<EOF\nrm x\nEOF\nls", "<cat>\n<ls>\n" },
	{ "cat <<-'A B'\n\trm x\n\tA B\nls", NULL }, /* a mark of two words is not understood */
	{ "cat <<EOF\nrm x\n", "<cat>\n<rm><x>\n" }, /* without its end it is none */
	{ "cat <<< rm x", "<cat><x>\n" },
};

static void the_loose_reading_finds_every_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(loose); i++) {
		struct buf out SCOPED(buf_deinit) = BUF_INIT(4096);
		struct split split;

		split_loose(&split, loose[i].script);
		print(&out, &split);
		if (loose[i].split && strcmp(buf_str(&out), loose[i].split) != 0)
			fail_msg("'%s': %s", loose[i].script, buf_str(&out));
	}
}

/* "a a a ..." of `words` words, or "a;a;a" of as many commands. */
static enum split_kind split_many(size_t words, char between, struct split *split)
{
	char *script = malloc(words * 2);
	enum split_kind kind;

	assert_non_null(script);
	for (size_t i = 0; i < words; i++) {
		script[i * 2] = 'a';
		script[i * 2 + 1] = between;
	}
	script[words * 2 - 1] = '\0';
	kind = split_script(split, script);
	split_loose(split, script); /* must stay within its limits too */
	free(script);
	return kind;
}

static void words_and_commands_have_limits(void **state)
{
	struct split split;

	(void)state;
	assert_int_equal(split_many(SPLIT_WORDS_MAX, ' ', &split), SPLIT_PLAIN);
	assert_int_equal(split_many(SPLIT_WORDS_MAX + 1, ' ', &split), SPLIT_OPAQUE);
	assert_int_equal(split_many(SPLIT_COMMANDS_MAX, ';', &split), SPLIT_PLAIN);
	assert_int_equal(split_many(SPLIT_COMMANDS_MAX + 1, ';', &split), SPLIT_OPAQUE);
}

static void a_script_has_a_limit(void **state)
{
	char *script = malloc(SPLIT_SCRIPT_MAX + 2);
	struct split split;

	(void)state;
	assert_non_null(script);
	memset(script, 'a', SPLIT_SCRIPT_MAX + 1);
	script[SPLIT_SCRIPT_MAX] = '\0';
	assert_int_equal(split_script(&split, script), SPLIT_PLAIN);
	script[SPLIT_SCRIPT_MAX] = 'a';
	script[SPLIT_SCRIPT_MAX + 1] = '\0';
	assert_int_equal(split_script(&split, script), SPLIT_OPAQUE);
	split_loose(&split, script);
	assert_int_equal(split.command_count, 1);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(only_plain_scripts_are_split),
		FIXTURE_TEST(the_loose_reading_finds_every_command),
		FIXTURE_TEST(words_and_commands_have_limits),
		FIXTURE_TEST(a_script_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
