#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/conf.h"
#include "proto/conf/key.h"

#include "tests/support/fixture.h"

/* Loads config.ini with this text, and these overrides. */
static int load(struct conf **out, const char *text, const char *const *overrides, size_t count,
		struct err *err)
{
	struct conf_input input = { .config_dir = fixture_dir(),
				    .base = "/base",
				    .overrides = overrides,
				    .override_count = count };

	(void)fixture_file("config.ini", text, strlen(text));
	return conf_load(out, &input, err);
}

static void what_a_file_says_is_what_getters_yield(void **state)
{
	static const char text[] = "# Always ask\n"
				   "approval_policy = \"untrusted\"  # trailing\n"
				   "sandbox_mode = read-only\n"
				   "allow_login_shell = false\n"
				   "model = 5\n"
				   "project_doc_max_bytes = 1_024\n"
				   "\n"
				   "[sandbox_workspace_write]\n"
				   "  network_access = true\n"
				   "writable_roots = [\n"
				   "  \"/a\", # with a ]\n"
				   "\n"
				   "  'rel/b',\n"
				   "]\n"
				   "; another comment\n"
				   "[projects.\"/home/me/a path/of more than fifty bytes/so that "
				   "inih would cut it.d\"]\n"
				   "trust_level = \"trusted\"\n"
				   "[model_providers.local]\n"
				   "base_url = http://127.0.0.1:8080/v1\n"
				   "request_max_retries = 1\n"
				   "[model_providers.local.http_headers] # a comment\n"
				   "\"X-Foo\" = \"a;b # c\"\n";
	struct conf *conf SCOPED(conf_release) = NULL;
	struct err err = { 0 };
	char want[512];

	(void)state;
	if (load(&conf, text, NULL, 0, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(conf_str(conf, "approval_policy"), "untrusted");
	assert_string_equal(conf_str(conf, "sandbox_mode"), "read-only");
	assert_string_equal(conf_str(conf, "model"), "5");
	assert_false(conf_bool(conf, "allow_login_shell"));
	assert_true(conf_bool(conf, "sandbox_workspace_write.network_access"));
	assert_int_equal(conf_int(conf, "project_doc_max_bytes"), 1024);
	assert_int_equal(json_array_size(conf_list(conf, "sandbox_workspace_write.writable_roots")),
			 2);
	(void)snprintf(want, sizeof want, "%s/rel/b", fixture_dir());
	assert_string_equal(json_string_value(json_array_get(
				    conf_list(conf, "sandbox_workspace_write.writable_roots"), 1)),
			    want);
	assert_string_equal(
		conf_str_of(conf, "projects",
			    "/home/me/a path/of more than fifty bytes/so that inih would cut it.d",
			    "trust_level"),
		"trusted");
	assert_string_equal(conf_str_of(conf, "model_providers", "local", "base_url"),
			    "http://127.0.0.1:8080/v1");
	assert_int_equal(conf_int_of(conf, "model_providers", "local", "request_max_retries"), 1);
	assert_int_equal(conf_int_of(conf, "model_providers", "local", "stream_max_retries"), 5);
	assert_string_equal(
		json_string_value(json_object_get(
			conf_get_of(conf, "model_providers", "local", "http_headers"), "X-Foo")),
		"a;b # c");
	(void)snprintf(want, sizeof want, "%s/config.ini:3", fixture_dir());
	assert_string_equal(conf_origin(conf, "sandbox_mode"), want);
}

static void every_default_of_the_table_is_what_an_empty_file_yields(void **state)
{
	struct conf *conf SCOPED(conf_release) = NULL;

	(void)state;
	assert_int_equal(load(&conf, "", NULL, 0, NULL), 0);
	assert_string_equal(conf_str(conf, "model_provider"), "openai");
	assert_string_equal(conf_str(conf, "approval_policy"), "on-request");
	assert_null(conf_str(conf, "sandbox_mode"));
	assert_false(conf_is_set(conf, "approval_policy"));
	assert_true(conf_bool(conf, "allow_login_shell"));
	assert_int_equal(conf_int(conf, "project_doc_max_bytes"), 32768);
	assert_string_equal(
		json_string_value(json_array_get(conf_list(conf, "project_root_markers"), 0)),
		".git");
	assert_null(conf_list(conf, "sandbox_workspace_write.writable_roots"));
	assert_null(conf_sections(conf, "model_providers"));
	assert_int_equal(conf_int_of(conf, "model_providers", "none", "request_max_retries"), 4);
}

static void a_getter_for_what_is_not_in_the_table_yields_nothing(void **state)
{
	struct conf *conf SCOPED(conf_release) = NULL;

	(void)state;
	assert_int_equal(load(&conf, "model = x\n", NULL, 0, NULL), 0);
	assert_null(conf_str(conf, "modell"));
	assert_null(conf_str(conf, "allow_login_shell"));
	assert_int_equal(conf_int(conf, "model"), 0);
	assert_false(conf_bool(conf, "model"));
	assert_null(conf_list(conf, "model"));
	assert_null(conf_origin(conf, "modell"));
}

static void a_higher_layer_replaces_values_and_merges_tables(void **state)
{
	static const char *const overrides[] = {
		"model=second",
		"model=third",
		"sandbox_workspace_write={network_access=true, writable_roots=[\"x\"]}",
		"shell_environment_policy.set.B=\"2\"",
		"openai_base_url=http://h/ with # all",
	};
	struct conf *conf SCOPED(conf_release) = NULL;
	struct err err = { 0 };

	(void)state;
	if (load(&conf,
		 "model = first\n[shell_environment_policy.set]\nA = 1\n[sandbox_workspace_write]\n"
		 "exclude_slash_tmp = true\nwritable_roots = [\"/a\", \"/b\"]\n",
		 overrides, ARRAY_LEN(overrides), &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(conf_str(conf, "model"), "third");
	assert_true(conf_bool(conf, "sandbox_workspace_write.exclude_slash_tmp"));
	assert_true(conf_bool(conf, "sandbox_workspace_write.network_access"));
	assert_int_equal(json_array_size(conf_list(conf, "sandbox_workspace_write.writable_roots")),
			 1);
	assert_string_equal(json_string_value(json_array_get(
				    conf_list(conf, "sandbox_workspace_write.writable_roots"), 0)),
			    "/base/x");
	assert_int_equal(json_object_size(conf_map(conf, "shell_environment_policy.set")), 2);
	assert_string_equal(conf_str(conf, "openai_base_url"), "http://h/ with # all");
	assert_string_equal(conf_origin(conf, "model"), "-c model=third");
}

static void a_profile_lies_between_the_files_and_the_overrides(void **state)
{
	static const char text[] = "model = file\nsandbox_mode = read-only\nprofile = quiet\n"
				   "[profiles.quiet]\nmodel = quiet\napproval_policy = never\n"
				   "[profiles.loud]\nmodel = loud\n";
	static const char *const loud[] = { "profile=loud" };
	static const char *const model[] = { "model=top" };
	static const char *const missing[] = { "profile=lood" };
	static const struct {
		const char *const *override;
		const char *model;
		const char *policy;
	} rows[] = { { NULL, "quiet", "never" },
		     { loud, "loud", "on-request" },
		     { model, "top", "never" },
		     { missing, NULL, NULL } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *conf SCOPED(conf_release) = NULL;
		struct err err = { 0 };
		int rc = load(&conf, text, rows[i].override, rows[i].override ? 1 : 0, &err);

		if (!rows[i].model) {
			assert_int_equal(rc, ERR_NOTFOUND);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(conf_str(conf, "model"), rows[i].model);
		assert_string_equal(conf_str(conf, "approval_policy"), rows[i].policy);
	}
}

static void a_mistake_names_its_line_and_the_nearest_right_word(void **state)
{
	static const struct {
		const char *text;
		const char *line; /* of config.ini */
		const char *says;
	} rows[] = {
		{ "\nsandbox_mod = read-only", ":2:", "did you mean 'sandbox_mode'" },
		{ "sandbox_mode = read-onyl", ":1:", "did you mean 'read-only'" },
		{ "[sandbox_workspce_write]\nnetwork_access = true",
		  ":2:", "did you mean 'sandbox_workspace_write'" },
		{ "[model_providers.x]\nbase_ur = a", ":2:", "did you mean 'base_url'" },
		{ "[model_provider.x]\nname = a", ":2:", "did you mean 'model_providers'" },
		{ "[profiles.x]\nmodl = a", ":2:", "did you mean 'model'" },
		{ "writable_roots = []",
		  ":1:", "did you mean 'sandbox_workspace_write.writable_roots'" },
		{ "zzzzzzzz = 1", ":1:", "unknown key 'zzzzzzzz'" },
		{ "model_providers = x", ":1:", "unknown key" },
		{ "allow_login_shell = maybe", ":1:", "true or false" },
		{ "allow_login_shell = \"true\"", ":1:", "true or false" },
		{ "tool_output_token_limit = 0", ":1:", "from 1 to" },
		{ "tool_output_token_limit = 1.5", ":1:", "whole number" },
		{ "model = [\"a\"]", ":1:", "must be a text" },
		{ "project_root_markers = a", ":1:", "must be a list" },
		{ "project_root_markers = [1]", ":1:", "entry 1" },
		{ "[sandbox_workspace_write]\nwritable_roots = [\"~/x\"]", ":2:", "in full" },
		{ "sandbox_workspace_write = { network_access = true }",
		  ":1:", "write it as a section" },
		{ "[a\nb = 1", ":1:", "']'" },
		{ "[[a]]", ":1:", "lists of sections" },
		{ "[model_providers.x] y", ":1:", "behind a section" },
		{ "\n\nmodel x", ":3:", "neither" },
		{ "model = a\nmodel = b", ":2:", "twice" },
		{ "sandbox_mode = read only", ":1:", "quotes" },
		{ "model =", ":1:", "missing" },
		{ "project_root_markers = [\n\"a\",\n", ":1:", "never closed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *conf = NULL;
		struct err err = { 0 };
		char place[64];

		(void)snprintf(place, sizeof place, "config.ini%s", rows[i].line);
		if (load(&conf, rows[i].text, NULL, 0, &err) == 0)
			fail_msg("accepted: %s", rows[i].text);
		if (!strstr(err.text, place) || !strstr(err.text, rows[i].says))
			fail_msg("%s\n-> %s", rows[i].text, err.text);
	}
}

static void a_malformed_override_is_refused_with_its_text(void **state)
{
	static const struct {
		const char *override;
		const char *says;
	} rows[] = {
		{ "model", "key=value" },     { "x y=1", "name" },
		{ "model=\"a", "quote" },     { "sandbox_mod=x", "sandbox_mode" },
		{ "=1", "missing" },          { "sandbox_workspace_write={a=1}", "unknown" },
		{ "model={a=1}", "unknown" }, { "sandbox_mode=", "missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *conf = NULL;
		struct err err = { 0 };

		if (load(&conf, "", &rows[i].override, 1, &err) == 0)
			fail_msg("accepted: %s", rows[i].override);
		if (!strstr(err.text, "-c") || !strstr(err.text, rows[i].says))
			fail_msg("%s\n-> %s", rows[i].override, err.text);
	}
}

static void a_file_that_others_can_write_is_refused_with_the_mend(void **state)
{
	struct conf *conf SCOPED(conf_release) = NULL;
	struct conf_input input = { .config_dir = fixture_dir() };
	struct err err = { 0 };
	const char *path = fixture_file("config.ini", "model = x\n", 10);

	(void)state;
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(conf_load(&conf, &input, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "chmod go-w"));
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(conf_load(&conf, &input, &err), 0);
}

static void a_missing_file_is_an_empty_one(void **state)
{
	struct conf *conf SCOPED(conf_release) = NULL;
	struct conf_input input = { .config_dir = "/nonexistent", .system_dir = fixture_dir() };

	(void)state;
	assert_int_equal(conf_load(&conf, &input, NULL), 0);
	assert_int_equal(json_object_size(conf_tree(conf)), 0);
}

static void a_key_without_effect_is_accepted_and_named(void **state)
{
	struct conf *conf SCOPED(conf_release) = NULL;
	const char *text;

	(void)state;
	assert_int_equal(load(&conf, "model = a\n[features]\nunified_exec = true\n", NULL, 0, NULL),
			 0);
	assert_int_equal(json_array_size(conf_inert(conf)), 1);
	text = json_string_value(json_array_get(conf_inert(conf), 0));
	assert_true(str_starts(text, "features.unified_exec ("));
}

static void the_number_of_overrides_has_a_limit(void **state)
{
	static const char *overrides[CONF_OVERRIDES_MAX + 1];
	struct conf *conf SCOPED(conf_release) = NULL;
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(overrides); i++)
		overrides[i] = "model=x";
	assert_int_equal(load(&conf, "", overrides, CONF_OVERRIDES_MAX + 1, &err), ERR_LIMIT);
	assert_int_equal(load(&conf, "", overrides, CONF_OVERRIDES_MAX, &err), 0);
}

/* The table is data that nobody looks at twice. */
static void every_row_of_the_table_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		bool bounded = key->type == CONF_BOOL || key->type == CONF_ENUM || key->max > 0;

		if (!key->name || !key->doc || key->type == CONF_NONE || !bounded)
			fail_msg("row %zu (%s)", i, key->name ? key->name : "without a name");
		if (key->type == CONF_ENUM && key->word_count == 0)
			fail_msg("%s has no words", key->name);
		if (key->type == CONF_INT && key->min > key->max)
			fail_msg("%s has no values", key->name);
		for (size_t j = 0; j < i; j++) {
			if (str_eq(key->name, conf_keys[j].name))
				fail_msg("%s is there twice", key->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_a_file_says_is_what_getters_yield),
		FIXTURE_TEST(every_default_of_the_table_is_what_an_empty_file_yields),
		FIXTURE_TEST(a_getter_for_what_is_not_in_the_table_yields_nothing),
		FIXTURE_TEST(a_higher_layer_replaces_values_and_merges_tables),
		FIXTURE_TEST(a_profile_lies_between_the_files_and_the_overrides),
		FIXTURE_TEST(a_mistake_names_its_line_and_the_nearest_right_word),
		FIXTURE_TEST(a_malformed_override_is_refused_with_its_text),
		FIXTURE_TEST(a_file_that_others_can_write_is_refused_with_the_mend),
		FIXTURE_TEST(a_missing_file_is_an_empty_one),
		FIXTURE_TEST(a_key_without_effect_is_accepted_and_named),
		FIXTURE_TEST(the_number_of_overrides_has_a_limit),
		FIXTURE_TEST(every_row_of_the_table_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
