/*
 * Protected paths as a person meets them: real git in 'agent sandbox', and afterwards a look at the
 * host. Each row is a folder that somebody may have, and what a command tries there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/attr.h"
#include "proto/base/buf.h"

#include "tests/support/command.h"

#define NARROW                                                                                     \
	"[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n"
#define COMMITS NARROW "allow_git_commit = true\n"

#define IDENTITY "git config --global user.name a; git config --global user.email a@b; "
/* A repository with one commit in 'desk'. */
#define REPOSITORY                                                                                 \
	IDENTITY "git init -q desk; cd desk; echo 1 > file; git add file; git commit -qm 1; cd "   \
		 "..; "

/* In the folder above 'desk'; `before` and `after` on the host, `script` in the sandbox. */
static const struct row {
	const char *what;
	const char *settings;
	const char *before;
	const char *folder; /* to run in, below the one above */
	const char *script;
	const char *says; /* in its output */
	const char *after;
} rows[] = {
	{ "a commit and all that comes with it, where commits are allowed", COMMITS, REPOSITORY,
	  "desk",
	  "echo 2 >> file && git commit -qam 2 && git tag t && git branch b && "
	  "git checkout -q b && echo 3 > new && git add new && git commit -qm 3 && "
	  "git checkout -q - && git merge -q b && git stash list && git gc -q && "
	  "git branch -d b && git reset -q --hard t && echo whole",
	  "whole", "cd desk; git fsck --strict; test \"$(git log --format=%s)\" = '2\n1'" },
	{ "a commit, where they are not", NARROW, REPOSITORY, "desk",
	  "echo 2 >> file && git commit -qam 2 || echo refused", "refused",
	  "cd desk; git diff --quiet && exit 1; test \"$(git log --format=%s)\" = 1" },
	{ "configuration", COMMITS, REPOSITORY, "desk",
	  "git config core.fsmonitor ./x && echo made; echo x >> .git/config && echo made; "
	  "rm -f .git/config && echo made; mv .git/config .git/c && echo made; "
	  "ln .git/config .git/c && echo made; echo x > c; mv c .git/config && echo made; echo "
	  "done",
	  "done", "cd desk; git config --list --local | grep -c . && ! grep -q x$ .git/config" },
	{ "configuration of a working tree", COMMITS, REPOSITORY, "desk",
	  "mkdir .git/config.worktree && echo made; ln -s ../file .git/config.worktree && echo "
	  "made; "
	  "echo done",
	  "done", "test ! -e desk/.git/config.worktree" },
	{ "a hook", COMMITS, REPOSITORY, "desk",
	  "echo x > .git/hooks/pre-commit && echo made; mv .git/hooks .git/h && echo made; "
	  "chmod 777 .git/hooks/pre-commit.sample && echo made; rm -rf .git/hooks; echo done",
	  "done", "cd desk/.git/hooks; test ! -e pre-commit; ls pre-commit.sample" },
	{ "a hook where there is no folder for it", COMMITS, REPOSITORY "rm -r desk/.git/hooks; ",
	  "desk",
	  "mkdir .git/hooks && echo made; ln -s ../h .git/hooks && echo made; mkdir h; "
	  "mv -T h .git/hooks && echo made; echo done",
	  "done", "test ! -e desk/.git/hooks" },
	{ "attributes", COMMITS, REPOSITORY, "desk",
	  "echo '* filter=x' > .git/info/attributes && echo made; echo done", "done",
	  "test ! -e desk/.git/info/attributes" },
	{ "a linked working tree", COMMITS, REPOSITORY, "desk",
	  "git worktree add -q tree && echo made; mkdir -p .git/worktrees/x && echo made; echo "
	  "done",
	  "done", "test ! -e desk/.git/worktrees" },
	{ "a rebase, whose list can name programs", COMMITS, REPOSITORY, "desk",
	  "mkdir .git/rebase-merge && echo made; mkdir .git/sequencer && echo made; echo done",
	  "done", "cd desk/.git; test ! -e rebase-merge; test ! -e sequencer" },
	{ "another common folder", COMMITS, REPOSITORY, "desk",
	  "echo /tmp > .git/commondir; sleep 100; echo made", "", "test ! -e desk/.git/commondir" },
	{ "the repository moved away", COMMITS, REPOSITORY, "desk",
	  "mv .git g && echo made; rm -rf .git 2>&-; mkdir .git && echo made; echo done", "done",
	  "test -e desk/.git/config" },
	{ "commits in a linked working tree are not allowed", COMMITS,
	  REPOSITORY "git -C desk worktree add -q ../tree; ", "tree",
	  "git commit --allow-empty -qm 2 && echo made; echo x > ../desk/.git/config && echo made; "
	  "echo x > .git && echo made; git status -s && echo done",
	  "done", "grep -q ^gitdir tree/.git; git -C tree rev-parse HEAD" },
	{ "both trees are writable: no repository is, by neither way",
	  "[sandbox_workspace_write]\n"
	  "exclude_slash_tmp = true\nexclude_tmpdir_env_var = true\nallow_git_commit = true\n"
	  "writable_roots = [\"../desk\"]\n",
	  REPOSITORY "git -C desk worktree add -q ../tree; ", "tree",
	  "git commit --allow-empty -qm 2 && echo made; git config a.b c && echo made; "
	  "git -C ../desk config a.b c && echo made; echo x > ../desk/.git/hooks/x && echo made; "
	  "echo x > ../desk/.git/worktrees/tree/HEAD && echo made; echo done",
	  "done", "git -C desk fsck" },
	{ "a submodule", NARROW,
	  IDENTITY "git init -q lib; git -C lib commit -q --allow-empty -m 1; git init -q desk; "
		   "cd desk; git -c protocol.file.allow=always submodule --quiet add ../lib lib; ",
	  "desk",
	  "git -C lib config a.b c && echo made; echo x > .git/modules/lib/config && echo made; "
	  "echo 'gitdir: x' > lib/.git && echo made; mv lib l && echo made; git -C lib log -1 && "
	  "echo done",
	  "done", "git -C desk/lib rev-parse HEAD; grep -q modules desk/lib/.git" },
	{ "no repository: none can be made at the top", NARROW, "true", "desk",
	  "git init -q && echo made; git rev-parse --git-dir; git init -q --bare x && "
	  "git init -q sub && git -C sub rev-parse --git-dir && echo done",
	  "done", "test ! -e desk/.git; git -C desk/sub rev-parse --git-dir" },
	{ "a folder in a repository: git finds what is above", NARROW,
	  REPOSITORY "mkdir desk/sub; ", "desk/sub",
	  "git rev-parse --show-prefix && git log --format=%s && mkdir .git && echo made; ls -A; "
	  "echo done",
	  "sub/", "test ! -e desk/sub/.git" },
	{ "a nested repository that is there", NARROW, IDENTITY "git init -q desk/a/b/nest; ",
	  "desk",
	  "git -C a/b/nest config x.y z && echo made; echo x > a/b/nest/.git/hooks/x && echo made; "
	  "mv a c && echo made; mv a/b a/c && echo made; echo 1 > a/b/nest/file && echo done",
	  "done", "test -e desk/a/b/nest/file; test ! -e desk/a/b/nest/.git/hooks/x" },
	{ "one that a command makes is its own", NARROW, IDENTITY, "desk",
	  "git init -q new && cd new && git config x.y z && echo 1 > file && git add file && "
	  "git commit -qm 1 && cd .. && mv new other && rm -rf other && echo done",
	  "done", "test ! -e desk/other" },
	{ "a pointer file, with all that git allows in it", NARROW,
	  REPOSITORY "mv desk/.git real; printf 'gitdir: ../real\\n\\n' > desk/.git; ", "desk",
	  "git log --format=%s && git config a.b c && echo made; echo 'gitdir: x' > .git && echo "
	  "made; "
	  "rm -f .git && echo made; mv .git g && echo made; echo done",
	  "done", "git -C desk log -1; ! grep -q x$ desk/.git" },
	{ "a pointer file that leads outside gives nothing", NARROW,
	  "mkdir other; echo old > other/file; echo 'gitdir: ../other' > desk/.git; ", "desk",
	  "echo x > ../other/file && echo made; echo x > ../other/config && echo made; "
	  "echo 1 > mine && echo done",
	  "done", "grep old other/file; test -e desk/mine" },
	{ "a pointer file that leads to its own folder takes nothing", NARROW,
	  "echo 'gitdir: .' > desk/.git; mkdir -p desk/sub; echo 'gitdir: ..' > desk/sub/.git; ",
	  "desk", "echo 1 > mine && echo 1 > sub/mine && echo done", "done",
	  "test -e desk/sub/mine" },
	{ "links in place of protected names", NARROW,
	  "mkdir -p desk/real elsewhere; ln -s real desk/.git; ln -s ../elsewhere desk/.agents; "
	  "ln -s /nowhere desk/.codex; ",
	  "desk",
	  "echo x > .git/config && echo made; echo x > real/config && echo made; rm .git && echo "
	  "made; "
	  "ln -sfn x .agents && echo made; echo x > .agents/x && echo made; mv real r && echo "
	  "made; "
	  "mkdir /nowhere && echo made; echo x > .codex && echo made; echo done",
	  "done", "cd desk; test \"$(readlink .git)\" = real; ls real | grep . && exit 1; true" },
	{ "a root by a link: both names are held", NARROW, "ln -s desk link; ", "link",
	  "mkdir .git && echo made; mkdir ../desk/.git && echo made; mkdir ../link/.git && echo "
	  "made; "
	  "echo 1 > mine && echo done",
	  "done", "test ! -e desk/.git; test -e desk/mine" },
	{ "a root in a root",
	  "[sandbox_workspace_write]\nexclude_slash_tmp = true\n"
	  "exclude_tmpdir_env_var = true\nwritable_roots = [\"../desk/sub\"]\n",
	  "mkdir -p desk/sub/.agents; ", "desk",
	  "mkdir sub/.git && echo made; mkdir .git && echo made; echo x > sub/.agents/x && echo "
	  "made; "
	  "mv sub s && echo made; echo 1 > sub/mine && echo done",
	  "done", "test ! -e desk/sub/.git; test ! -e desk/sub/.agents/x" },
	{ "hard links", NARROW, REPOSITORY, "desk",
	  "ln .git/config c && echo made; ln .git/HEAD file2 && echo made; ln file .git/x && echo "
	  "made; "
	  "ln file link && echo done",
	  "done", "test ! -e desk/c; test -e desk/link" },
	{ "a folder that the user cannot write", NARROW, "chmod 555 desk; ", "desk",
	  "mkdir .git && echo made; echo x > mine && echo made; echo done", "done",
	  "test -z \"$(ls -A desk)\"; chmod 755 desk" },
	{ "a protected folder that nobody can read", NARROW, "mkdir desk/.git; chmod 0 desk/.git; ",
	  "desk",
	  "mv .git g && echo made; chmod 755 .git && echo made; rmdir .git && echo made; "
	  "echo done",
	  "done", "test -d desk/.git" },
};

/* On the host, in the folder above 'desk'; its exit code. */
static int host(const struct command_home *home, const char *script)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(home->top) == 0 && setenv("HOME", home->top, 1) == 0)
			(void)execlp("sh", "sh", "-ec", script, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void run_row(const struct row *row, const struct command_home *home)
{
	struct command got SCOPED(command_deinit);
	char folder[1300];
	char script[2048];

	(void)fixture_file("t/home/config.ini", row->settings, strlen(row->settings));
	if (host(home,
		 "find . -mindepth 1 -maxdepth 1 ! -name home ! -name place -exec rm -rf {} +; "
		 "mkdir desk") != 0 ||
	    host(home, row->before) != 0)
		fail_msg("%s: before", row->what);
	(void)snprintf(folder, sizeof folder, "%s/%s", home->top, row->folder);
	(void)snprintf(script, sizeof script, "HOME=%s; export HOME; exec 2>&1; %s", home->top,
		       row->script);
	command_run(&got, home,
		    COMMAND_WORDS("sandbox", "--full-auto", "-C", folder, "--", "sh", "-c", script),
		    NULL);
	if (strstr(buf_str(&got.text), "made") || !strstr(buf_str(&got.text), row->says) ||
	    (got.status != 0) != !row->says[0])
		fail_msg("%s: %d %s%s", row->what, got.status, buf_str(&got.text),
			 buf_str(&got.notes));
	if (host(home, row->after) != 0)
		fail_msg("%s: after: %s", row->what, buf_str(&got.text));
}

static void what_runs_programs_on_the_host_is_not_changed(void **state)
{
	struct command_home home;

	(void)state;
	command_home_make(&home, NULL, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(&rows[i], &home);
	command_home_stop(&home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMAND_TEST(what_runs_programs_on_the_host_is_not_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
