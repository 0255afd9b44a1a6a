#include "broker/spec.h"

/*
 * Names by which a program can be made to run code that its command line does not show; a final '*'
 * stands for the rest of a family. agentd may not set them: a person who reads a grant must not
 * have to know what PERL5OPT does.
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

/* What a command without the network is told, in our spelling and in the one that tools look for.
 */
static const char *const offline[] = { "AGENTD_SANDBOX_NETWORK_DISABLED=1",
				       "CODEX_SANDBOX_NETWORK_DISABLED=1" };

void kept_deinit(struct kept *kept)
{
	json_decref(kept->message);
	kept->message = NULL;
	arena_deinit(&kept->arena);
}

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

static int check_env(const struct wire_strings *env, bool trusted, struct err *err)
{
	static const char plain[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	for (size_t i = 0; i < env->count; i++) {
		const char *entry = env->items[i];
		size_t length = strcspn(entry, "=");
		bool is_plain = strspn(entry, plain) == length && strspn(entry, "0123456789") == 0;

		if (length == 0 || entry[length] != '=')
			return ERR_SET(err, ERR_INVALID, "env[%zu]: not NAME=value", i);
		if (!trusted && (!is_plain || loads_code(entry, length)))
			return ERR_SET(err, ERR_DENIED,
				       "env[%zu]: '%.*s' can make a program load code", i,
				       (int)(length < 64 ? length : 64), entry);
	}
	return 0;
}

size_t spec_bytes(const struct wire_strings *words)
{
	size_t bytes = 0;

	for (size_t i = 0; i < words->count; i++)
		bytes += strlen(words->items[i]) + 1;
	return bytes;
}

int spec_check(const struct broker_grant_record *spec, enum broker_role role, struct err *err)
{
	if (spec->argv.count == 0 || spec->argv.items[0][0] == '\0')
		return ERR_SET(err, ERR_INVALID, "argv: names no program");
	if (!spec->cwd || spec->cwd[0] != '/')
		return ERR_SET(err, ERR_INVALID, "cwd: not an absolute path");
	if (spec->mode <= SANDBOX_MODE_NONE || spec->mode >= SANDBOX_MODE_COUNT)
		return ERR_SET(err, ERR_INVALID, "mode: none");
	if (spec_bytes(&spec->argv) + spec_bytes(&spec->env) > BROKER_SPEC_MAX)
		return ERR_SET(err, ERR_LIMIT, "argv and env: more than %d bytes", BROKER_SPEC_MAX);
	return check_env(&spec->env, role == BROKER_ROLE_CLIENT, err);
}

int spec_check_base(const struct wire_strings *base, struct err *err)
{
	if (spec_bytes(base) > BROKER_SPEC_MAX)
		return ERR_SET(err, ERR_LIMIT, "env: more than %d bytes", BROKER_SPEC_MAX);
	return check_env(base, true, err);
}

/* One candidate of the environment; among those of one name the last one holds. */
struct entry {
	const char *text;
	size_t rank;
	bool change; /* removes the name when its value is empty */
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

int spec_environment(struct wire_strings *out, const struct wire_strings *base,
		     const struct broker_grant_record *spec, struct arena *arena, struct err *err)
{
	const struct wire_strings parts[] = { *base,
					      spec->env,
					      { offline, spec->network ? 0 : ARRAY_LEN(offline) } };
	size_t max = base->count + spec->env.count + ARRAY_LEN(offline) + 1;
	struct entry *entries = arena_alloc(arena, max * sizeof *entries, err);
	const char **texts = entries ? arena_alloc(arena, max * sizeof *texts, err) : NULL;
	size_t all = 0;
	size_t used = 0;

	if (!texts)
		return err->code;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		for (size_t k = 0; k < parts[i].count; k++, all++)
			entries[all] = (struct entry){ parts[i].items[k], all, i == 1 };
	}
	qsort(entries, all, sizeof *entries, compare);
	for (size_t i = 0; i < all; i++) {
		const struct entry *entry = &entries[i];

		if (i + 1 < all && compare_names(entry->text, entries[i + 1].text) == 0)
			continue;
		if (!entry->change || entry->text[strcspn(entry->text, "=") + 1] != '\0')
			texts[used++] = entry->text;
	}
	*out = (struct wire_strings){ .items = texts, .count = used };
	return 0;
}

const char *spec_env_value(const struct wire_strings *env, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = env->count; i > 0; i--) {
		const char *entry = env->items[i - 1];

		if (strncmp(entry, name, length) == 0 && entry[length] == '=')
			return entry + length + 1;
	}
	return NULL;
}

/* Whether the first so many words are the same; with 0 all of them, and no more. */
static bool same_words(const struct wire_strings *a, const struct wire_strings *b, size_t count)
{
	bool same = count ? count <= a->count && count <= b->count : a->count == b->count;

	for (size_t i = 0; same && i < (count ? count : a->count); i++)
		same = str_eq(a->items[i], b->items[i]);
	return same;
}

bool spec_covers(const struct broker_grant_record *then, size_t prefix,
		 const struct broker_grant_record *now)
{
	return same_words(&then->argv, &now->argv, prefix) &&
	       same_words(&then->env, &now->env, 0) && str_eq(then->cwd, now->cwd) &&
	       then->mode == now->mode && then->network == now->network &&
	       str_eq(then->input, now->input);
}
