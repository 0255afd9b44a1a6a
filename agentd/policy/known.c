#include "agentd/policy/known.h"

#include <stdbool.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#include "agentd/policy/split.h"

#define NESTING_MAX 2 /* shells inside shells that are looked into */

struct words {
	const char *const *at;
	size_t count;
};

static enum known judge_script(const char *script, int depth);

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* The person's PATH, or the system's own folders: nothing that lies in a workspace. */
static bool is_system_name(const char *name)
{
	static const char *const folders[] = { "/bin/", "/usr/bin/" };

	if (!strchr(name, '/'))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (str_starts(name, folders[i]) && base_of(name) == name + strlen(folders[i]))
			return true;
	}
	return false;
}

/* ---- what is safe */

static bool any_arguments(struct words args)
{
	(void)args;
	return true;
}

/* Is arg one of the options, also in the form --option=value? */
static bool is_option(const char *arg, const char *const *options, size_t count)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < count; i++) {
		if (str_eq(arg, options[i]) ||
		    (str_starts(options[i], "--") && strlen(options[i]) == len &&
		     memcmp(arg, options[i], len) == 0))
			return true;
	}
	return false;
}

static bool has_option(struct words args, const char *const *options, size_t count)
{
	for (size_t i = 0; i < args.count; i++) {
		if (is_option(args.at[i], options, count))
			return true;
	}
	return false;
}

/* -x, alone or among other letters: -ax. */
static bool has_letter(struct words args, char letter)
{
	for (size_t i = 0; i < args.count; i++) {
		const char *arg = args.at[i];

		if (arg[0] == '-' && arg[1] != '-' && strchr(arg, letter))
			return true;
	}
	return false;
}

static bool base64_reads(struct words args)
{
	static const char *const writes[] = { "--output" };

	return !has_letter(args, 'o') && !has_option(args, writes, ARRAY_LEN(writes));
}

static bool find_reads(struct words args)
{
	static const char *const acts[] = { "-exec", "-execdir", "-ok",      "-okdir",  "-delete",
					    "-fls",  "-fprint",  "-fprint0", "-fprintf" };

	return !has_option(args, acts, ARRAY_LEN(acts));
}

static bool rg_reads(struct words args)
{
	static const char *const runs[] = { "--pre", "--hostname-bin", "--search-zip" };

	return !has_letter(args, 'z') && !has_option(args, runs, ARRAY_LEN(runs));
}

/* sed -n 3p or 3,5p, with at most one file. */
static bool sed_reads(struct words args)
{
	const char *range;

	if (args.count < 2 || args.count > 3 || !str_eq(args.at[0], "-n"))
		return false;
	range = args.at[1];
	for (int part = 0; part < 2; part++) {
		size_t digits = strspn(range, "0123456789");

		if (digits == 0)
			return false;
		range += digits;
		if (str_eq(range, "p"))
			return args.count == 2 || args.at[2][0] != '-';
		if (*range++ != ',')
			return false;
	}
	return false;
}

/* A second name would be written to. */
static bool uniq_reads(struct words args)
{
	size_t names = 0;

	for (size_t i = 0; i < args.count; i++)
		names += args.at[i][0] != '-' || args.at[i][1] == '\0';
	return names <= 1;
}

/* git takes any beginning of a long option for the option. */
static bool is_beginning(const char *arg, const char *option)
{
	size_t len = strcspn(arg, "=");

	return len > 2 && strncmp(arg, option, len) == 0;
}

static bool git_args_read(struct words args)
{
	static const char *const acts[] = { "--output", "--ext-diff", "--textconv",
					    "--exec",   "--paginate", "--config-env" };

	for (size_t i = 0; i < args.count; i++) {
		if (str_starts(args.at[i], "-c"))
			return false;
		for (size_t k = 0; k < ARRAY_LEN(acts); k++) {
			if (is_beginning(args.at[i], acts[k]))
				return false;
		}
	}
	return true;
}

static bool git_branch_reads(struct words args)
{
	static const char *const lists[] = { "--list", "-l",       "--show-current", "-a",
					     "--all",  "-r",       "--remotes",      "-v",
					     "-vv",    "--verbose" };

	for (size_t i = 0; i < args.count; i++) {
		bool known = str_starts(args.at[i], "--format=");

		for (size_t k = 0; !known && k < ARRAY_LEN(lists); k++)
			known = str_eq(args.at[i], lists[k]);
		if (!known)
			return false;
	}
	return true;
}

/* The subcommand comes first: global options may redirect repository, configuration and pager. */
static bool git_reads(struct words args)
{
	static const char *const reads[] = { "status", "log", "diff", "show", "branch" };
	struct words rest;

	if (args.count == 0)
		return false;
	rest = (struct words){ .at = args.at + 1, .count = args.count - 1 };
	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		if (!str_eq(args.at[0], reads[i]))
			continue;
		return git_args_read(rest) &&
		       (!str_eq(reads[i], "branch") || git_branch_reads(rest));
	}
	return false;
}

/* clang-format off */
static const struct {
	const char *name;
	bool (*reads)(struct words args); /* the words behind the name */
	enum known known;
} readers[] = {
	{ "base64", base64_reads, KNOWN_SAFE },   { "cat", any_arguments, KNOWN_SAFE },
	{ "cd", any_arguments, KNOWN_SAFE },      { "cut", any_arguments, KNOWN_SAFE },
	{ "echo", any_arguments, KNOWN_SAFE },    { "expr", any_arguments, KNOWN_SAFE },
	{ "false", any_arguments, KNOWN_SAFE },   { "find", find_reads, KNOWN_SAFE },
	{ "git", git_reads, KNOWN_CONFINED },     { "grep", any_arguments, KNOWN_SAFE },
	{ "head", any_arguments, KNOWN_SAFE },    { "id", any_arguments, KNOWN_SAFE },
	{ "ls", any_arguments, KNOWN_SAFE },      { "nl", any_arguments, KNOWN_SAFE },
	{ "numfmt", any_arguments, KNOWN_SAFE },  { "paste", any_arguments, KNOWN_SAFE },
	{ "pwd", any_arguments, KNOWN_SAFE },     { "rev", any_arguments, KNOWN_SAFE },
	{ "rg", rg_reads, KNOWN_SAFE },           { "sed", sed_reads, KNOWN_SAFE },
	{ "seq", any_arguments, KNOWN_SAFE },     { "stat", any_arguments, KNOWN_SAFE },
	{ "tac", any_arguments, KNOWN_SAFE },     { "tail", any_arguments, KNOWN_SAFE },
	{ "tr", any_arguments, KNOWN_SAFE },      { "true", any_arguments, KNOWN_SAFE },
	{ "uname", any_arguments, KNOWN_SAFE },   { "uniq", uniq_reads, KNOWN_SAFE },
	{ "wc", any_arguments, KNOWN_SAFE },      { "which", any_arguments, KNOWN_SAFE },
	{ "whoami", any_arguments, KNOWN_SAFE },
};
/* clang-format on */

static enum known judge_reader(const char *const *argv, size_t argc)
{
	const struct words args = { .at = argv + 1, .count = argc - 1 };

	if (!is_system_name(argv[0]))
		return KNOWN_NOTHING;
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		if (str_eq(base_of(argv[0]), readers[i].name))
			return readers[i].reads(args) ? readers[i].known : KNOWN_NOTHING;
	}
	return KNOWN_NOTHING;
}

/* ---- what is dangerous */

static bool rm_forces(const char *const *argv, size_t argc)
{
	for (size_t i = 1; i < argc && !str_eq(argv[i], "--"); i++) {
		if (argv[i][0] != '-')
			continue;
		if (argv[i][1] == '-' ? is_beginning(argv[i], "--force")
				      : strchr(argv[i], 'f') != NULL)
			return true;
	}
	return false;
}

static bool is_dangerous(const char *const *argv, size_t argc)
{
	/* sudo's own options may have values, so every word behind it may be the command. */
	for (size_t i = 0; i < argc; i++) {
		if (str_eq(base_of(argv[i]), "rm") && rm_forces(argv + i, argc - i))
			return true;
		if (!str_eq(base_of(argv[0]), "sudo"))
			return false;
	}
	return false;
}

/* Exactly three words: a shell, -c or -lc, and a script. */
static const char *wrapped_script(const char *const *argv, size_t argc)
{
	static const char *const shells[] = { "bash", "zsh", "sh" };

	if (argc != 3 || (!str_eq(argv[1], "-c") && !str_eq(argv[1], "-lc")))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (str_eq(base_of(argv[0]), shells[i]))
			return argv[2];
	}
	return NULL;
}

static enum known judge_argv(const char *const *argv, size_t argc, int depth)
{
	const char *script;
	enum known inner;

	if (argc == 0)
		return KNOWN_NOTHING;
	if (is_dangerous(argv, argc))
		return KNOWN_DANGEROUS;
	script = wrapped_script(argv, argc);
	if (!script)
		return judge_reader(argv, argc);
	inner = depth < NESTING_MAX ? judge_script(script, depth + 1) : KNOWN_NOTHING;
	/* A shell from the workspace may do anything with a harmless script. */
	return inner < KNOWN_NOTHING && !is_system_name(argv[0]) ? KNOWN_NOTHING : inner;
}

/* The worst of its commands. */
static enum known judge_split(const struct split *split, enum known worst, int depth)
{
	for (size_t i = 0; i < split->command_count; i++) {
		const struct split_command *command = &split->commands[i];
		enum known one = judge_argv(split->words + command->first, command->count, depth);

		worst = one > worst ? one : worst;
	}
	return worst;
}

static enum known judge_script(const char *script, int depth)
{
	struct split split;

	if (split_script(&split, script) == SPLIT_PLAIN)
		return judge_split(&split, KNOWN_SAFE, depth);
	split_loose(&split, script);
	return judge_split(&split, KNOWN_NOTHING, depth);
}

enum known known_argv(const char *const *argv, size_t argc)
{
	return judge_argv(argv, argc, 0);
}

enum known known_script(const char *script)
{
	return judge_script(script, 0);
}
