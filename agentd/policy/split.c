#include "agentd/policy/split.h"

#include <stdbool.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#define HERE_MARK_MAX 64U /* bytes of a here-document's end mark that is understood */

struct scan {
	struct split *out;
	const char *at;
	size_t used; /* of out->text */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool ends_word(char c)
{
	return c == '\0' || is_blank(c) || c == '\n' || c == ';' || c == '|' || c == '&';
}

/* ---- the strict reading */

/* May this character stand unquoted in a word and mean itself, in every shell that we wrap? */
static bool is_literal(char c, char before)
{
	if (c == '~') /* HEAD~1, but not ~/x */
		return is_alnum(before) || before == '^';
	if (c == '#' || c == '=') /* comments; zsh's =cmd */
		return before != '\0';
	return is_alnum(c) || (unsigned char)c >= 0x80 || strchr("_-./,:+@%^", c) != NULL;
}

/* Copies a quoted part; false when it is not closed or expands something. */
static bool take_quoted(struct scan *scan)
{
	char quote = *scan->at++;

	for (; *scan->at != quote; scan->at++) {
		if (*scan->at == '\0' || (quote == '"' && strchr("$`\\", *scan->at)))
			return false;
		scan->out->text[scan->used++] = *scan->at;
	}
	scan->at++;
	return true;
}

/* One word; *plain when nothing in it was quoted. */
static bool take_word(struct scan *scan, bool *plain)
{
	struct split *out = scan->out;
	char before = '\0';

	if (out->word_count == SPLIT_WORDS_MAX)
		return false;
	out->words[out->word_count++] = out->text + scan->used;
	*plain = true;
	while (!ends_word(*scan->at)) {
		char c = *scan->at;

		if (c == '\'' || c == '"') {
			*plain = false;
			if (!take_quoted(scan))
				return false;
			before = c;
			continue;
		}
		if (!is_literal(c, before))
			return false;
		out->text[scan->used++] = c;
		before = c;
		scan->at++;
	}
	out->text[scan->used++] = '\0';
	return true;
}

static bool is_reserved(const char *word)
{
	static const char *const reserved[] = {
		"if",     "then",   "elif",    "else", "fi",        "for",    "while",    "until",
		"do",     "done",   "case",    "esac", "in",        "select", "function", "time",
		"coproc", "repeat", "foreach", "end",  "nocorrect", "noglob"
	};

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
		if (str_eq(word, reserved[i]))
			return true;
	}
	return false;
}

/* Words up to an operator, a line end or the end. */
static bool take_command(struct scan *scan)
{
	struct split *out = scan->out;
	struct split_command *command;

	if (out->command_count == SPLIT_COMMANDS_MAX)
		return false;
	command = &out->commands[out->command_count++];
	*command = (struct split_command){ .first = out->word_count };
	for (;;) {
		bool plain = false;
		const char *word;

		while (is_blank(*scan->at))
			scan->at++;
		if (ends_word(*scan->at))
			return command->count > 0;
		if (!take_word(scan, &plain))
			return false;
		word = out->words[out->word_count - 1];
		if (command->count == 0 && (!plain || strchr(word, '=') || is_reserved(word)))
			return false;
		command->count++;
	}
}

static void skip_white(struct scan *scan)
{
	while (is_blank(*scan->at) || *scan->at == '\n')
		scan->at++;
}

/* && || | ; or line ends. False for & and |& and ;; and whatever else. */
static bool take_operator(struct scan *scan, bool *needs_command)
{
	const char *at = scan->at;

	*needs_command = *at != '\n';
	if (at[0] == '\n') {
		skip_white(scan);
		return true;
	}
	if ((at[0] == '&' && at[1] == '&') || (at[0] == '|' && at[1] == '|'))
		scan->at += 2;
	else if ((at[0] == '|' && at[1] != '&') || (at[0] == ';' && at[1] != ';'))
		scan->at += 1;
	else
		return false;
	skip_white(scan);
	return true;
}

enum split_kind split_script(struct split *out, const char *script)
{
	struct scan scan = { .out = out, .at = script };
	bool needs_command = true;

	out->word_count = 0;
	out->command_count = 0;
	if (strlen(script) > SPLIT_SCRIPT_MAX)
		return SPLIT_OPAQUE;
	skip_white(&scan);
	while (*scan.at != '\0' || needs_command) {
		if (!take_command(&scan))
			return SPLIT_OPAQUE;
		needs_command = false;
		if (*scan.at != '\0' && !take_operator(&scan, &needs_command))
			return SPLIT_OPAQUE;
	}
	return SPLIT_PLAIN;
}

/* ---- the loose reading */

struct loose {
	struct split *out;
	const char *at;
	size_t used;
	bool open;                     /* a command has begun */
	bool skip_word;                /* the next word is a redirection's target */
	bool in_quotes;                /* between double quotes */
	char here_mark[HERE_MARK_MAX]; /* a here-document follows this line */
};

static bool has_room(const struct loose *loose)
{
	return loose->used + 2 < sizeof loose->out->text &&
	       loose->out->word_count < SPLIT_WORDS_MAX;
}

static bool loose_ends_word(const struct loose *loose, const char *at)
{
	if (*at == '\0' || *at == '`' || (at[0] == '$' && at[1] == '('))
		return true;
	return !loose->in_quotes && (ends_word(*at) || strchr("(){}<>", *at) != NULL);
}

/* Words that stand before a command without being one. */
static bool is_prelude(const char *word)
{
	static const char *const words[] = { "if",    "then", "elif", "else", "while",
					     "until", "do",   "!",    "time", "coproc" };
	const char *equals = strchr(word, '=');

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq(word, words[i]))
			return true;
	}
	return equals && equals != word && strcspn(word, "/-.") > (size_t)(equals - word);
}

/* The word that was read belongs to the command at hand, begins one, or is nothing. */
static void place_word(struct loose *loose, const char *word)
{
	struct split *out = loose->out;

	if (loose->skip_word) {
		loose->skip_word = false;
		return;
	}
	if (!loose->open) {
		if (is_prelude(word) || out->command_count == SPLIT_COMMANDS_MAX)
			return;
		out->commands[out->command_count++] =
			(struct split_command){ .first = out->word_count };
		loose->open = true;
	}
	out->words[out->word_count++] = word;
	out->commands[out->command_count - 1].count++;
}

static void loose_word(struct loose *loose)
{
	struct split *out = loose->out;
	const char *word = out->text + loose->used;

	while (has_room(loose) && !loose_ends_word(loose, loose->at)) {
		char c = *loose->at++;

		if (c == '"') {
			loose->in_quotes = !loose->in_quotes;
		} else if (c == '\'' && !loose->in_quotes) {
			while (*loose->at && *loose->at != '\'' && has_room(loose))
				out->text[loose->used++] = *loose->at++;
			loose->at += *loose->at == '\'';
		} else if (c == '\\' && *loose->at) {
			c = *loose->at++;
			if (c != '\n')
				out->text[loose->used++] = c;
		} else {
			out->text[loose->used++] = c;
		}
	}
	out->text[loose->used++] = '\0';
	place_word(loose, word);
}

/* Behind <<: remembers the mark, quotes removed. */
static void take_here_mark(struct loose *loose)
{
	size_t len = 0;

	loose->at += *loose->at == '-';
	while (is_blank(*loose->at))
		loose->at++;
	for (; !ends_word(*loose->at) && !strchr("<>()", *loose->at); loose->at++) {
		if (!strchr("'\"\\", *loose->at) && len + 1 < HERE_MARK_MAX)
			loose->here_mark[len++] = *loose->at;
	}
	loose->here_mark[len] = '\0';
}

/* At the line end before a here-document: its text is input, not commands. */
static void skip_here_document(struct loose *loose)
{
	size_t len = strlen(loose->here_mark);
	const char *line = loose->at + 1;

	while (len > 0 && *line) {
		const char *text = line + strspn(line, "\t");
		const char *stop = strchr(line, '\n');

		if (strncmp(text, loose->here_mark, len) == 0 &&
		    (text[len] == '\0' || text[len] == '\n')) {
			loose->at = text + len - 1; /* on the mark's last character */
			break;
		}
		if (!stop)
			break; /* without its mark it is no here-document */
		line = stop + 1;
	}
	loose->here_mark[0] = '\0';
}

/* A character between words. */
static void loose_step(struct loose *loose)
{
	char c = *loose->at;

	if (c == '<' && loose->at[1] == '<' && loose->at[2] != '<') {
		loose->at += 2;
		take_here_mark(loose);
		return;
	}
	if (c == '<' || c == '>') {
		loose->skip_word = true;
		loose->at += strspn(loose->at, "<>") - 1; /* <<< and >> are one operator */
	} else if (!is_blank(c)) { /* an operator, a bracket, a substitution, a line end */
		loose->skip_word = c == '&' && loose->skip_word; /* >&file */
		loose->open = false;
		if (c == '$' || c == '`')
			loose->in_quotes = false;
		if (c == '\n')
			skip_here_document(loose);
	}
	loose->at++;
}

void split_loose(struct split *out, const char *script)
{
	struct loose loose = { .out = out, .at = script };

	out->word_count = 0;
	out->command_count = 0;
	while (*loose.at && has_room(&loose)) {
		if (*loose.at == '#' && (loose.at == script || strchr(" \t\n;", loose.at[-1])))
			loose.at += strcspn(loose.at, "\n");
		else if (loose_ends_word(&loose, loose.at))
			loose_step(&loose);
		else
			loose_word(&loose);
	}
}
