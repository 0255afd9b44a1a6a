/*
 * corpus_deputy.c - whoever performs calls in a command's place is the way to what the command may
 * not do: it is deceived, hurried, and given what it does not expect.
 */
#include "proto/base/err.h"

#include "tests/flow/corpus.h"

#define NEVER                                                                                      \
	{                                                                                          \
		"D"                                                                                \
	}

static const struct corpus_case cases[] = {
	{ "OWN-60", "the path is changed while a folder is made", "make_race text $B $W/dir",
	  NEVER },
	{ "OWN-60", "the path is changed while one is renamed", "make_race rename $B $W/dir",
	  NEVER },
	{ "OWN-60", "the descriptor is changed while a folder is made", "make_race fd $B $W/dir",
	  NEVER },
	{ "OWN-60", "a link is changed while a folder is made", "make_race link $B $W/dir", NEVER },
	{ "OWN-60", "the working folder is changed while one is made", "make_race cwd $B $W/dir",
	  NEVER },
	{ "OWN-61", "from a thread that stands elsewhere", "thread_folder $B", NEVER },
	{ "OWN-61", "a path that the memory cuts", "cut_path $B", NEVER },
	{ "OWN-61", "a path as long as they get", "long_path $B", NEVER },
	{ "OWN-61", "threads that die in the middle of a call", "storm $B", NEVER },
	{ "OWN-61",
	  "from /proc/self, which is somebody else's then",
	  "mkdir /proc/self/cwd/.git",
	  { "D" },
	  0,
	  INPUT_NULL,
	  "@/bare" },
	{ "OWN-61", "from /proc/1, which is whoever acts", "mkdir /proc/1/cwd$B/.git", NEVER },
	{ "OWN-61", "through /dev/fd", "!exec 5<$B; $P mkdir /dev/fd/5/.git", NEVER },
	{ "OWN-61", "a name with a slash behind it", "mkdir $B/.git/", NEVER },
	{ "OWN-61", "a name with a dot behind it",
	  "!mkdir $B/.git/. 2>/dev/null && echo '= OK' || "
	  "echo '= ENOENT'",
	  NEVER },
	{ "OWN-61", "a link to the folder", "!ln -s $B $W/to; $P mkdir $W/to/.git", NEVER },
	{ "OWN-61",
	  "a link to the name itself, dangling",
	  "!ln -s $B/.git $W/to; $P mkdir $W/to; $P create $W/to",
	  { "D", "*" } },
	{ "OWN-61", "a folder made with the same name and moved up",
	  "!mkdir -p $B/a/.git/hooks; $P rename $B/a/.git $B/.git; rm -rf $B/a", NEVER },
	{ "OWN-61", "a root moved out of its name",
	  "!mkdir -p $W/dir/.git; $P exchange $W/dir $B; rm -rf $W/dir/.git", NEVER },
	{ "OWN-62", "rules of one's own hold", "inner_rules $W/inner", { "D", "D|OK" } },
	{ "OWN-62", "without a descriptor left", "no_descriptors $W/none", { "D", "*" } },
	{ "OWN-62", "the mask of the process counts", "mask $W/mask", { "D", "OK" } },
	{ "OWN-63", "32-bit rename of a folder to .git",
	  "!mkdir $B/g; $P i386_paths 38 $B/g $B/.git; rmdir $B/g", NEVER },
	{ "OWN-63", "32-bit symlink called .git", "i386_paths 83 $W/dir $B/.git", NEVER },
	{ "OWN-63", "32-bit hard link called .git", "i386_paths 9 $W/victim $B/.git", NEVER },
	{ "OWN-63", "32-bit mkdir outside", "i386_path 39 $O/new", NEVER },
	{ "OWN-63", "32-bit rename over a file outside", "i386_paths 38 $W/victim $O/file", NEVER },
};

const struct corpus_table corpus_deputy = { cases, ARRAY_LEN(cases) };
