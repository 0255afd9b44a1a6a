#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

#include "agentd/tool/patch_intercept.h"
#include "tests/support/fixture.h"

#define BODY "*** Begin Patch\n*** End Patch\n"

static const struct {
	const char *script;
	const char *folder; /* with `taken` only */
	bool taken;
} rows[] = {
	{ "apply_patch <<'EOF'\n" BODY "EOF", NULL, true },
	{ "apply_patch <<'EOF'\n" BODY "EOF\n", NULL, true },
	{ "applypatch <<EOF\n" BODY "EOF", NULL, true },
	{ "apply_patch <<\"PATCH\"\n" BODY "PATCH", NULL, true },
	{ "apply_patch<<EOF\n" BODY "EOF", NULL, true },
	{ "\n  apply_patch  << 'EOF' \n" BODY "EOF\n\n", NULL, true },
	{ "apply_patch <<'EOF'\r\n" BODY "EOF\r\n", NULL, true },
	{ "cd sub && apply_patch <<'EOF'\n" BODY "EOF", "sub", true },
	{ "cd /a/b-c_d.e &&\napply_patch <<'EOF'\n" BODY "EOF", "/a/b-c_d.e", true },
	{ "cd 'a b' && apply_patch <<'EOF'\n" BODY "EOF", "a b", true },
	{ "cd \"a b\" && apply_patch <<'EOF'\n" BODY "EOF", "a b", true },

	{ "", NULL, false },
	{ "apply_patch", NULL, false },
	{ "apply_patch < file", NULL, false },
	{ "apply_patch 'x'", NULL, false },
	{ "apply_patch --help <<EOF\n" BODY "EOF", NULL, false },
	{ "apply_patch <<EOF | cat\n" BODY "EOF", NULL, false },
	{ "apply_patch <<EOF && ls\n" BODY "EOF", NULL, false },
	{ "apply_patch <<EOF\n" BODY "EOF\nls", NULL, false },
	{ "apply_patch <<EOF\n" BODY "EO", NULL, false },
	{ "apply_patch <<EOF\n" BODY "EOF; ls", NULL, false },
	{ "apply_patch <<-EOF\n" BODY "EOF", NULL, false },
	{ "apply_patch <<<EOF", NULL, false },
	{ "apply_patch <<'EOF\n" BODY "EOF", NULL, false },
	{ "apply_patch <<''\n" BODY "\n", NULL, false },
	{ "apply_patch2 <<EOF\n" BODY "EOF", NULL, false },
	{ "sudo apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "ls; apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd a; apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd a || apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd a b && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd - && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd ~/x && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd $x && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd \"$x\" && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd 'a'b && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd '' && apply_patch <<EOF\n" BODY "EOF", NULL, false },
	{ "cd a && cd b && apply_patch <<EOF\n" BODY "EOF", NULL, false },
};

static void only_a_lone_apply_patch_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct patch_script script = { 0 };
		bool taken = patch_intercept(&script, rows[i].script);

		if (taken != rows[i].taken)
			fail_msg("'%s'", rows[i].script);
		assert_int_equal(script.patch != NULL, taken);
		if (!script.patch)
			continue;
		assert_int_equal(script.patch_len, strlen(BODY));
		assert_memory_equal(script.patch, BODY, strlen(BODY));
		assert_int_equal(script.folder != NULL, rows[i].folder != NULL);
		if (script.folder && rows[i].folder) {
			assert_int_equal(script.folder_len, strlen(rows[i].folder));
			assert_memory_equal(script.folder, rows[i].folder, script.folder_len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { FIXTURE_TEST(only_a_lone_apply_patch_is_taken) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
