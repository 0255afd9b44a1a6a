#include "proto/wire/environ.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

#define NAME_SHOWN 64 /* bytes of a name in a sentence */

/*
 * Names by which a program can be made to run code that its command line does not show; a final '*'
 * stands for the rest of a family. Whoever reads a command to judge it must not have to know what
 * PERL5OPT does.
 */
/* clang-format off */
static const char *const loaders[] = {
	"LD_*", "GLIBC_TUNABLES", "GCONV_PATH", "GETCONF_DIR", "LOCPATH", "NLSPATH", "MALLOC_*",
	"PATH", "HOME", "XDG_CONFIG_*", "XDG_DATA_*", "CDPATH", "ENV", "IFS", "PS4",
	"PROMPT_COMMAND", "SHELLOPTS", "BASH*", "ZDOTDIR", "FPATH", "SHELL", "NODE_*",
	"npm_config_*", "NPM_CONFIG_*", "PYTHON*", "PERL*", "RUBY*", "GEM_*", "BUNDLE_*", "LUA_*",
	"PHP*", "JAVA_*", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "MAVEN_*", "GRADLE_*",
	"CARGO_*", "RUSTC*", "RUSTFLAGS", "GOFLAGS", "CGO_*", "CC", "CXX", "CFLAGS", "MAKE*",
	"GNUMAKEFLAGS", "DOTNET_*", "CORECLR_*", "OPENSSL_*", "SSH_ASKPASS*", "SUDO_ASKPASS",
	"EDITOR", "VISUAL", "BROWSER", "LESS*", "PAGER", "MANPAGER", "GH_PAGER", "GIT_*",
	"SYSTEMD_*", "TAR_OPTIONS", "RSYNC_RSH",
};
/* clang-format on */

/* Of these families what agentd sets for every command, and nothing else. */
static const char *const harmless[] = { "PAGER=cat", "GH_PAGER=cat", "GIT_PAGER=cat" };

static bool loads_code(const char *entry, size_t length)
{
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
		if (str_eq(entry, harmless[i]))
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(loaders); i++) {
		size_t stem = strcspn(loaders[i], "*");

		if ((loaders[i][stem] ? length >= stem : length == stem) &&
		    memcmp(entry, loaders[i], stem) == 0)
			return true;
	}
	return false;
}

int environ_check(const struct wire_strings *env, struct err *err)
{
	for (size_t i = 0; i < env->count; i++) {
		const char *entry = env->items[i];
		size_t length = strcspn(entry, "=");

		if (length == 0 || entry[length] != '=')
			return ERR_SET(err, ERR_INVALID, "env[%zu]: not NAME=value", i);
	}
	return 0;
}

int environ_check_harmless(const struct wire_strings *env, struct err *err)
{
	static const char plain[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	for (size_t i = 0; i < env->count; i++) {
		const char *entry = env->items[i];
		size_t length = strcspn(entry, "=");
		bool is_plain = strspn(entry, plain) == length && strspn(entry, "0123456789") == 0;

		if (!is_plain || loads_code(entry, length))
			return ERR_SET(err, ERR_DENIED,
				       "env[%zu]: '%.*s' can make a program load code", i,
				       (int)(length < NAME_SHOWN ? length : NAME_SHOWN), entry);
	}
	return 0;
}

/* One candidate; among those of one name the last one holds. */
struct entry {
	const char *text;
	size_t rank;
	bool removes; /* when its value is empty */
};

/* As memcmp() on the names. */
static int compare_names(const char *a, const char *b)
{
	while (*a == *b && *a != '=') {
		a++;
		b++;
	}
	return (*a == '=' ? 0 : (unsigned char)*a) - (*b == '=' ? 0 : (unsigned char)*b);
}

static int compare(const void *left, const void *right)
{
	const struct entry *a = left;
	const struct entry *b = right;
	int order = compare_names(a->text, b->text);

	return order != 0 ? order : (a->rank > b->rank) - (a->rank < b->rank);
}

int environ_merge(struct wire_strings *out, const struct environ_part *parts, size_t count,
		  struct arena *arena, struct err *err)
{
	size_t max = 1;
	size_t all = 0;
	size_t used = 0;
	struct entry *entries;
	const char **texts;

	for (size_t i = 0; i < count; i++)
		max += parts[i].entries.count;
	entries = arena_alloc(arena, max * sizeof *entries, err);
	texts = entries ? arena_alloc(arena, max * sizeof *texts, err) : NULL;
	if (!texts)
		return err->code;
	for (size_t i = 0; i < count; i++) {
		const struct wire_strings *part = &parts[i].entries;

		for (size_t k = 0; k < part->count; k++, all++)
			entries[all] = (struct entry){ part->items[k], all, parts[i].removes };
	}
	qsort(entries, all, sizeof *entries, compare);
	for (size_t i = 0; i < all; i++) {
		const struct entry *entry = &entries[i];

		if (i + 1 < all && compare_names(entry->text, entries[i + 1].text) == 0)
			continue;
		if (!entry->removes || entry->text[strcspn(entry->text, "=") + 1] != '\0')
			texts[used++] = entry->text;
	}
	*out = (struct wire_strings){ .items = texts, .count = used };
	return 0;
}

const char *environ_value(const struct wire_strings *env, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = env->count; i > 0; i--) {
		const char *entry = env->items[i - 1];

		if (strncmp(entry, name, length) == 0 && entry[length] == '=')
			return entry + length + 1;
	}
	return NULL;
}
