#include "agentd/tool/patch_intercept.h"

#include <string.h>

#include "proto/base/attr.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at)
{
	while (is_blank(*at))
		at++;
	return at;
}

static const char *skip_white(const char *at)
{
	while (is_blank(*at) || *at == '\n' || *at == '\r')
		at++;
	return at;
}

/* Behind the word, when it stands here and ends here. */
static const char *skip_word(const char *at, const char *word)
{
	size_t len = strlen(word);

	return strncmp(at, word, len) == 0 && (is_blank(at[len]) || at[len] == '<') ? at + len
										    : NULL;
}

/* One word without any expansion: bare, or wholly in quotes. Returns what is behind it. */
static const char *take_folder(const char *at, struct patch_script *out)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_-./,:+@%=";
	const char *stop;

	if (*at == '\'' || *at == '"') {
		stop = strchr(at + 1, *at);
		if (!stop)
			return NULL;
		out->folder = at + 1;
		out->folder_len = (size_t)(stop - (at + 1));
		if (*at == '"' && (memchr(out->folder, '$', out->folder_len) ||
				   memchr(out->folder, '`', out->folder_len) ||
				   memchr(out->folder, '\\', out->folder_len)))
			return NULL;
		stop++;
	} else {
		out->folder = at;
		out->folder_len = strspn(at, bare);
		stop = at + out->folder_len;
	}
	/* "cd -" and "cd -P x" mean something else. */
	return out->folder_len > 0 && *out->folder != '-' && is_blank(*stop) ? stop : NULL;
}

/* "cd FOLDER &&", if there is one. NULL when there is a cd that is not understood. */
static const char *take_cd(const char *at, struct patch_script *out)
{
	const char *rest = skip_word(at, "cd");

	if (!rest)
		return at;
	rest = take_folder(skip_blanks(rest), out);
	if (!rest)
		return NULL;
	rest = skip_blanks(rest);
	return rest[0] == '&' && rest[1] == '&' ? skip_white(rest + 2) : NULL;
}

/* <<MARK, <<'MARK' or <<"MARK" up to the line end. */
static const char *take_mark(const char *at, const char **mark, size_t *len)
{
	char quote;

	if (at[0] != '<' || at[1] != '<')
		return NULL;
	at = skip_blanks(at + 2);
	quote = *at == '\'' || *at == '"' ? *at++ : '\0';
	*mark = at;
	*len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	at += *len;
	if (*len == 0 || (quote && *at++ != quote))
		return NULL;
	at = skip_blanks(at);
	at += *at == '\r';
	return *at == '\n' ? at + 1 : NULL;
}

/* The lines up to the mark; nothing but white space may follow it. */
static bool take_body(const char *at, const char *mark, size_t mark_len, struct patch_script *out)
{
	const char *line = at;

	while (*line) {
		size_t len = strcspn(line, "\n");
		size_t bare = len > 0 && line[len - 1] == '\r' ? len - 1 : len;

		if (bare == mark_len && memcmp(line, mark, mark_len) == 0) {
			out->patch = at;
			out->patch_len = (size_t)(line - at);
			return *skip_white(line + len) == '\0';
		}
		if (line[len] == '\0')
			break;
		line += len + 1;
	}
	return false;
}

bool patch_intercept(struct patch_script *out, const char *script)
{
	static const char *const names[] = { "apply_patch", "applypatch" };
	struct patch_script found = { 0 };
	const char *at = take_cd(skip_white(script), &found);
	const char *mark = NULL;
	size_t mark_len = 0;

	for (size_t i = 0; at && i < ARRAY_LEN(names); i++) {
		const char *rest = skip_word(at, names[i]);

		if (!rest)
			continue;
		rest = take_mark(skip_blanks(rest), &mark, &mark_len);
		if (!rest || !take_body(rest, mark, mark_len, &found))
			return false;
		*out = found;
		return true;
	}
	return false;
}
