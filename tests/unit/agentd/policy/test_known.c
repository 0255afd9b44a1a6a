#include "proto/base/attr.h"

#include "agentd/policy/known.h"
#include "tests/support/fixture.h"

static const struct {
	const char *script;
	enum known known;
} rows[] = {
	/* the documented vectors */
	{ "ls -la", KNOWN_SAFE },
	{ "bash -lc \"ls && pwd\"", KNOWN_SAFE },
	{ "bash -lc 'ls > o'", KNOWN_NOTHING },
	{ "bash -lc \"(ls)\"", KNOWN_NOTHING },
	{ "bash -lc \"'git status'\"", KNOWN_NOTHING },
	{ "bash -lc git status", KNOWN_NOTHING },
	{ "sed -n 1,5p f", KNOWN_SAFE },
	{ "sed -n xp f", KNOWN_NOTHING },
	{ "sed -i s/a/b/ f", KNOWN_NOTHING },
	{ "cargo check", KNOWN_NOTHING },
	{ "git -C . branch --show-current", KNOWN_NOTHING },
	{ "git branch newname", KNOWN_NOTHING },
	{ "git log --output=x", KNOWN_NOTHING },
	{ "git -ccore.pager=x status", KNOWN_NOTHING },
	{ "git checkout status", KNOWN_NOTHING },
	{ "find . -name x", KNOWN_SAFE },
	{ "find . -delete", KNOWN_NOTHING },
	{ "rg --pre x y", KNOWN_NOTHING },
	{ "base64 -ob64", KNOWN_NOTHING },
	{ "xargs ls", KNOWN_NOTHING },

	{ "cat a && cut -c1 b || head c | tail d; wc e", KNOWN_SAFE },
	{ "ls && make", KNOWN_NOTHING },
	{ "ls; git status", KNOWN_CONFINED },
	{ "git status && make", KNOWN_NOTHING },
	{ "/usr/bin/ls", KNOWN_SAFE },
	{ "/bin/cat x", KNOWN_SAFE },
	{ "./ls", KNOWN_NOTHING },
	{ "bin/ls", KNOWN_NOTHING },
	{ "/tmp/ls", KNOWN_NOTHING },
	{ "/usr/bin/../../tmp/ls", KNOWN_NOTHING },
	{ "./bash -c ls", KNOWN_NOTHING },
	{ "sh -c 'bash -c ls'", KNOWN_SAFE },
	{ "sh -c \"sh -c 'sh -c ls'\"", KNOWN_NOTHING },
	{ "sh -c 'bash -c git'", KNOWN_NOTHING },
	{ "env ls", KNOWN_NOTHING },
	{ "sh ls", KNOWN_NOTHING },
	{ "tee x", KNOWN_NOTHING },
	{ "sort x", KNOWN_NOTHING },
	{ "awk 1 x", KNOWN_NOTHING },
	{ "", KNOWN_NOTHING },
	{ "A=b ls", KNOWN_NOTHING },
	{ "ls *", KNOWN_NOTHING },

	{ "base64 -d x", KNOWN_SAFE },
	{ "base64 --output x", KNOWN_NOTHING },
	{ "base64 --output=x", KNOWN_NOTHING },
	{ "base64 -do x", KNOWN_NOTHING },
	{ "find . -exec x", KNOWN_NOTHING },
	{ "find . -execdir x", KNOWN_NOTHING },
	{ "find . -ok x", KNOWN_NOTHING },
	{ "find . -okdir x", KNOWN_NOTHING },
	{ "find . -fls x", KNOWN_NOTHING },
	{ "find . -fprint x", KNOWN_NOTHING },
	{ "find . -fprint0 x", KNOWN_NOTHING },
	{ "find . -fprintf x y", KNOWN_NOTHING },
	{ "rg x", KNOWN_SAFE },
	{ "rg --pre=x y", KNOWN_NOTHING },
	{ "rg --pre-glob x y", KNOWN_SAFE },
	{ "rg --hostname-bin x y", KNOWN_NOTHING },
	{ "rg --hostname-bin=x y", KNOWN_NOTHING },
	{ "rg --search-zip y", KNOWN_NOTHING },
	{ "rg -z y", KNOWN_NOTHING },
	{ "rg -iz y", KNOWN_NOTHING },
	{ "sed -n 5p", KNOWN_SAFE },
	{ "sed -n 5p f", KNOWN_SAFE },
	{ "sed -n 1,5p f g", KNOWN_NOTHING },
	{ "sed -n 1,5,6p f", KNOWN_NOTHING },
	{ "sed -n p f", KNOWN_NOTHING },
	{ "sed -n 5d f", KNOWN_NOTHING },
	{ "sed -n 5p -i", KNOWN_NOTHING },
	{ "sed 5p f", KNOWN_NOTHING },
	{ "uniq in", KNOWN_SAFE },
	{ "uniq -c in", KNOWN_SAFE },
	{ "uniq in out", KNOWN_NOTHING },
	{ "uniq - out", KNOWN_NOTHING },

	{ "git status", KNOWN_CONFINED },
	{ "git log -p --stat", KNOWN_CONFINED },
	{ "git diff a..b", KNOWN_CONFINED },
	{ "git show HEAD~1", KNOWN_CONFINED },
	{ "git branch", KNOWN_CONFINED },
	{ "git branch --show-current", KNOWN_CONFINED },
	{ "git branch -a -vv --format=x", KNOWN_CONFINED },
	{ "git", KNOWN_NOTHING },
	{ "git -p log", KNOWN_NOTHING },
	{ "git --git-dir x status", KNOWN_NOTHING },
	{ "git log --outp=x", KNOWN_NOTHING },
	{ "git diff --ext-diff", KNOWN_NOTHING },
	{ "git diff --textconv", KNOWN_NOTHING },
	{ "git log --exec=x", KNOWN_NOTHING },
	{ "git log --paginate", KNOWN_NOTHING },
	{ "git log -c", KNOWN_NOTHING },
	{ "git log --config-env=a=b", KNOWN_NOTHING },
	{ "git branch -D x", KNOWN_NOTHING },
	{ "git push", KNOWN_NOTHING },

	{ "rm -f x", KNOWN_DANGEROUS },
	{ "rm -rf x", KNOWN_DANGEROUS },
	{ "rm -r -f x", KNOWN_DANGEROUS },
	{ "rm x -f", KNOWN_DANGEROUS },
	{ "rm --force x", KNOWN_DANGEROUS },
	{ "rm --fo x", KNOWN_DANGEROUS },
	{ "rm -r x", KNOWN_NOTHING },
	{ "rm x", KNOWN_NOTHING },
	{ "rm -- -f", KNOWN_NOTHING },
	{ "rm --preserve-root x", KNOWN_NOTHING },
	{ "/bin/rm -f x", KNOWN_DANGEROUS },
	{ "./rm -f x", KNOWN_DANGEROUS },
	{ "sudo rm -rf x", KNOWN_DANGEROUS },
	{ "sudo -u root rm -rf x", KNOWN_DANGEROUS },
	{ "sudo ls", KNOWN_NOTHING },
	{ "echo rm -f", KNOWN_SAFE },
	{ "ls && rm -f x", KNOWN_DANGEROUS },
	{ "ls | rm -f x > y", KNOWN_DANGEROUS },
	{ "if true; then rm -f x; fi", KNOWN_DANGEROUS },
	{ "for f in a b; do rm -rf $f; done", KNOWN_DANGEROUS },
	{ "echo $(rm -f x)", KNOWN_DANGEROUS },
	{ "echo \"`rm -f x`\"", KNOWN_DANGEROUS },
	{ "bash -c 'rm -f x'", KNOWN_DANGEROUS },
	{ "bash -c 'bash -c \"rm -f x\"'", KNOWN_DANGEROUS },
	{ "A=b rm -f x", KNOWN_DANGEROUS },
	{ "\\rm -f x", KNOWN_DANGEROUS },
	{ "cat > Makefile <<'EOF'\nclean:\n\trm -f x\nEOF", KNOWN_NOTHING },
	{ "$RM -f x", KNOWN_NOTHING },
	{ "git reset --hard", KNOWN_NOTHING },
};

static void every_script_is_known_for_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum known known = known_script(rows[i].script);

		if (known != rows[i].known)
			fail_msg("'%s': %d, not %d", rows[i].script, known, rows[i].known);
	}
}

static void every_documented_reader_is_safe(void **state)
{
	static const char *const names[] = {
		"cat",    "cd",  "cut",    "echo",  "expr", "false", "grep",  "head",
		"id",     "ls",  "nl",     "paste", "pwd",  "rev",   "seq",   "stat",
		"tail",   "tr",  "true",   "uname", "uniq", "wc",    "which", "whoami",
		"numfmt", "tac", "base64", "find",  "rg",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *argv[] = { names[i], "-x" };

		if (known_argv(argv, 2) != KNOWN_SAFE)
			fail_msg("%s", names[i]);
	}
	assert_int_equal(known_argv(NULL, 0), KNOWN_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(every_script_is_known_for_what_it_is),
		FIXTURE_TEST(every_documented_reader_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
