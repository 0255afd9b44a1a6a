#include "agentd/tool/exec.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#define DEFAULT_SHELL "/bin/sh"
#define WORKDIR_MAX 4095U /* bytes of an absolute working directory */

/* What agentd adds to the ceiling's environment: the thread's id, also under the other product's
 * name. */
static const char *const thread_names[] = { "AGENTD_THREAD_ID", "CODEX_THREAD_ID" };

_Static_assert(ARRAY_LEN(thread_names) == EXEC_ENV_COUNT, "room for the environment");

static int take_string(const char **out, const json_t *arguments, const char *name, size_t max,
		       struct err *err)
{
	const json_t *value = json_object_get(arguments, name);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return ERR_SET(err, ERR_INVALID, "field `%s`: expected a string", name);
	if (strlen(json_string_value(value)) != json_string_length(value))
		return ERR_SET(err, ERR_INVALID, "field `%s`: contains a NUL character", name);
	if (json_string_length(value) > max)
		return ERR_SET(err, ERR_INVALID, "field `%s`: longer than %zu bytes", name, max);
	*out = json_string_value(value);
	return 0;
}

static int take_bool(bool *out, const json_t *arguments, const char *name, struct err *err)
{
	const json_t *value = json_object_get(arguments, name);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return ERR_SET(err, ERR_INVALID, "field `%s`: expected true or false", name);
	*out = json_boolean_value(value);
	return 0;
}

/* A number of milliseconds, tokens or the like. Models write 1000.0 as well as 1000. */
static int take_number(int64_t *out, const json_t *arguments, const char *name, struct err *err)
{
	const json_t *value = json_object_get(arguments, name);
	double number;

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_number(value))
		return ERR_SET(err, ERR_INVALID, "field `%s`: expected a number", name);
	number = json_number_value(value);
	if (!(number >= 0))
		return ERR_SET(err, ERR_INVALID, "field `%s`: expected a number from 0 up", name);
	*out = number < (double)INT32_MAX ? (int64_t)number : INT32_MAX;
	return 0;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	if (value < low)
		return low;
	return value < high ? value : high;
}

static int64_t tokens_limit(const struct exec_settings *settings)
{
	return settings->tokens_max > 0 ? settings->tokens_max : EXEC_TOKENS_MAX;
}

static int take_permissions(struct exec_args *args, const json_t *arguments, struct err *err)
{
	const char *permissions = "use_default";
	int rc = take_string(&permissions, arguments, "sandbox_permissions", SIZE_MAX, err);

	if (rc < 0)
		return rc;
	if (str_eq(permissions, "with_additional_permissions"))
		return ERR_SET(err, ERR_DENIED,
			       "additional permissions are not available; ask for "
			       "`require_escalated` or keep to the sandbox");
	if (!str_eq(permissions, "use_default") && !str_eq(permissions, "require_escalated"))
		return ERR_SET(err, ERR_INVALID,
			       "field `sandbox_permissions`: unknown variant `%.40s`, expected "
			       "`use_default` or `require_escalated`",
			       permissions);
	args->escalated = str_eq(permissions, "require_escalated");
	return 0;
}

static int take_prefix(struct exec_args *args, const json_t *arguments, struct err *err)
{
	const json_t *list = json_object_get(arguments, "prefix_rule");

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) > EXEC_PREFIX_MAX)
		return ERR_SET(err, ERR_INVALID,
			       "field `prefix_rule`: expected a list of at most %d strings",
			       EXEC_PREFIX_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!json_is_string(json_array_get(list, i)))
			return ERR_SET(err, ERR_INVALID,
				       "field `prefix_rule[%zu]`: expected a string", i);
	}
	args->prefix_rule = args->escalated && json_array_size(list) > 0 ? list : NULL;
	return 0;
}

/* "true" where login shells are switched off is refused, so that the model learns of it. */
static int take_login(struct exec_args *args, const json_t *arguments,
		      const struct exec_settings *settings, struct err *err)
{
	bool login = settings->login_shell;
	int rc = take_bool(&login, arguments, "login", err);

	if (rc < 0)
		return rc;
	if (login && !settings->login_shell)
		return ERR_SET(err, ERR_DENIED,
			       "login shell is disabled by config; omit `login` or set it to "
			       "false.");
	args->login = login;
	return 0;
}

int exec_args_decode(struct exec_args *out, const json_t *arguments,
		     const struct exec_settings *settings, struct err *err)
{
	struct exec_args args = { .yield_ms = EXEC_YIELD_DEFAULT_MS,
				  .tokens_max = tokens_limit(settings) };
	int rc;

	if (!json_is_object(arguments))
		return ERR_SET(err, ERR_INVALID, "expected an object");
	if ((rc = take_string(&args.cmd, arguments, "cmd", EXEC_CMD_MAX, err)) < 0 ||
	    (rc = take_string(&args.workdir, arguments, "workdir", WORKDIR_MAX, err)) < 0 ||
	    (rc = take_string(&args.shell, arguments, "shell", WORKDIR_MAX, err)) < 0 ||
	    (rc = take_bool(&args.tty, arguments, "tty", err)) < 0 ||
	    (rc = take_number(&args.yield_ms, arguments, "yield_time_ms", err)) < 0 ||
	    (rc = take_number(&args.tokens_max, arguments, "max_output_tokens", err)) < 0 ||
	    (rc = take_string(&args.justification, arguments, "justification",
			      EXEC_JUSTIFICATION_MAX, err)) < 0 ||
	    (rc = take_permissions(&args, arguments, err)) < 0 ||
	    (rc = take_prefix(&args, arguments, err)) < 0 ||
	    (rc = take_login(&args, arguments, settings, err)) < 0)
		return rc;
	if (!args.cmd)
		return ERR_SET(err, ERR_INVALID, "missing field `cmd`");
	args.yield_ms = clamp(args.yield_ms, EXEC_YIELD_MIN_MS, EXEC_YIELD_MAX_MS);
	args.tokens_max = clamp(args.tokens_max, 0, tokens_limit(settings));
	*out = args;
	return 0;
}

/* A poll may wait long, a write answers soon. */
static int64_t stdin_yield(const struct stdin_args *args, const struct exec_settings *settings)
{
	int64_t poll_max = settings->poll_max_ms > 0 ? settings->poll_max_ms : EXEC_POLL_MAX_MS;

	if (args->chars_len > 0)
		return clamp(args->yield_ms, EXEC_YIELD_MIN_MS, EXEC_YIELD_MAX_MS);
	if (poll_max < EXEC_POLL_MIN_MS)
		poll_max = EXEC_POLL_MIN_MS;
	return clamp(args->yield_ms, EXEC_POLL_MIN_MS, poll_max);
}

int stdin_args_decode(struct stdin_args *out, const json_t *arguments,
		      const struct exec_settings *settings, struct err *err)
{
	struct stdin_args args = { .session_id = -1,
				   .chars = "",
				   .yield_ms = EXEC_WRITE_YIELD_DEFAULT_MS,
				   .tokens_max = tokens_limit(settings) };
	const json_t *chars = json_object_get(arguments, "chars");
	int rc;

	if (!json_is_object(arguments))
		return ERR_SET(err, ERR_INVALID, "expected an object");
	if ((rc = take_number(&args.session_id, arguments, "session_id", err)) < 0 ||
	    (rc = take_number(&args.yield_ms, arguments, "yield_time_ms", err)) < 0 ||
	    (rc = take_number(&args.tokens_max, arguments, "max_output_tokens", err)) < 0)
		return rc;
	if (args.session_id < 0)
		return ERR_SET(err, ERR_INVALID, "missing field `session_id`");
	if (chars && !json_is_null(chars)) { /* a NUL is what Ctrl-@ types */
		if (!json_is_string(chars))
			return ERR_SET(err, ERR_INVALID, "field `chars`: expected a string");
		if (json_string_length(chars) > EXEC_CHARS_MAX)
			return ERR_SET(err, ERR_INVALID, "field `chars`: longer than %d bytes",
				       EXEC_CHARS_MAX);
		args.chars = json_string_value(chars);
		args.chars_len = json_string_length(chars);
	}
	args.yield_ms = stdin_yield(&args, settings);
	args.tokens_max = clamp(args.tokens_max, 0, tokens_limit(settings));
	*out = args;
	return 0;
}

/* Shells that know -l and -c as bash does; whatever else the model asks for gets the default. */
static const char *pick_shell(const char *wanted, const char *fallback)
{
	static const char *const known[] = { "bash", "zsh", "sh" };
	const char *slash = wanted ? strrchr(wanted, '/') : NULL;
	const char *base = slash ? slash + 1 : wanted;

	if (!fallback)
		fallback = DEFAULT_SHELL;
	if (!wanted || (slash && wanted[0] != '/'))
		return fallback;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (str_eq(base, known[i]))
			return wanted;
	}
	return fallback;
}

static char *join_folder(const char *cwd, const char *workdir, struct err *err)
{
	struct buf path SCOPED(buf_deinit) = BUF_INIT(WORKDIR_MAX);
	char *text;

	if (!workdir || workdir[0] == '\0')
		workdir = cwd;
	if (workdir[0] == '/' ? buf_puts(&path, workdir, err) < 0
			      : buf_printf(&path, err, "%s/%s", cwd, workdir) < 0)
		return NULL;
	text = buf_take(&path);
	if (!text)
		(void)ERR_NOMEM_SET(err);
	return text;
}

static void hand_over(struct exec_command *out, struct exec_command *made)
{
	*out = *made;
	*made = (struct exec_command){ 0 };
}

int exec_command_init(struct exec_command *out, const struct exec_args *args, const char *cwd,
		      const char *shell, const char *thread_id, struct err *err)
{
	struct exec_command command SCOPED(exec_command_deinit) = { 0 };

	command.argv[command.argc++] = pick_shell(args->shell, shell);
	command.argv[command.argc++] = args->login ? "-lc" : "-c";
	command.argv[command.argc++] = args->cmd;
	command.cwd = join_folder(cwd, args->workdir, err);
	if (!command.cwd)
		return ERR_WRAP(err, "workdir");
	for (size_t i = 0; i < ARRAY_LEN(thread_names); i++) {
		struct buf entry SCOPED(buf_deinit) = BUF_INIT(EXEC_ENV_ENTRY_MAX);
		int rc = buf_printf(&entry, err, "%s=%s", thread_names[i], thread_id);

		if (rc < 0)
			return ERR_WRAP(err, "thread id");
		command.owned_env[i] = buf_take(&entry);
		command.env[command.envc++] = command.owned_env[i];
	}
	hand_over(out, &command);
	return 0;
}

void exec_command_deinit(struct exec_command *command)
{
	free(command->cwd);
	for (size_t i = 0; i < ARRAY_LEN(command->owned_env); i++)
		free(command->owned_env[i]);
	*command = (struct exec_command){ 0 };
}
