#!/bin/sh
# Every rule is broken once in a scratch tree, and its lint has to say so; the tree without the slip has to pass.
. "$(dirname "$0")/lib.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$found" "$scratch"' EXIT

# A small tree that keeps every rule.
fresh_tree() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/cmake"
	cd "$scratch/tree"
	mkdir -p proto/base proto/wire proto/sys proto/conf proto/reference proto/schema broker client tests \
		agentd/policy agentd/session agentd/model agentd/tool
	touch CMakeLists.txt README.md
	cat >proto/base/err.h <<'C'
/*
 * err.h - a sentence.
 */
#pragma once

int err_code(void);
C
	cat >proto/base/err.c <<'C'
#include "proto/base/err.h"

/* strcpy() in a comment, "goto x" in a string and a field named exit() are no calls */
int err_code(void)
{
	return sizeof "goto x; strcpy(a, b); // no" != 0;
}
C
	printf '#!/bin/sh\ncp proto/schema/* "$4"\n' >protogen
	chmod +x protogen
	mv protogen "$scratch/protogen"
	echo same >proto/schema/page
	echo same >proto/reference/page
}

lines() {
	awk -v n="$1" -v text="$2" 'BEGIN { for (i = 0; i < n; i++) print text }'
}

# must_fail LINT PATTERN: the lint fails on the scratch tree and prints the pattern.
must_fail() {
	if said=$(sh "$here/$1.sh" "$scratch/tree" 2>&1); then
		report "$1 does not notice: $2"
	elif ! printf '%s\n' "$said" | grep -q -e "$2"; then
		report "$1 fails, but not for '$2': $said"
	fi
	fresh_tree
}

export PROTOGEN="$scratch/protogen" LINT_FIX=
fresh_tree
cp "$here/../../.clang-format" "$scratch" 2>/dev/null || true
for lint in includes banned size budget reference headers layout marks; do
	said=$(sh "$here/$lint.sh" "$scratch/tree" 2>&1) || report "$lint refuses the clean tree: $said"
done

# includes FILE LINE PATTERN: a file that includes what it may not
includes() {
	mkdir -p "$(dirname "$1")"
	printf '%s\n' "$2" >"$1"
	must_fail includes "$1:1: $3"
}
includes proto/base/x.c '#include "proto/wire/codec.h"' '"proto/wire/codec.h" may not'
includes proto/base/x.c '#include <jansson.h>' '<jansson.h> has no place'
includes proto/wire/x.c '#include "proto/conf/conf.h"' '"proto/conf/conf.h" may not'
includes proto/conf/x.c '#include "proto/wire/codec.h"' '"proto/wire/codec.h" may not'
includes broker/x.c '#include "agentd/api.h"' '"agentd/api.h" may not'
includes broker/x.c '#include "proto/conf/conf.h"' '"proto/conf/conf.h" may not'
includes broker/x.c '#include <uv.h>' '<uv.h> has no place'
includes client/x.c '#include "broker/spec.h"' '"broker/spec.h" may not'
includes client/x.c '#include <curl/curl.h>' '<curl/curl.h> has no place'
includes agentd/x.c '#include "client/view.h"' '"client/view.h" may not'
includes agentd/policy/x.c '#include "agentd/session/turn.h"' '"agentd/session/turn.h" may not'
includes agentd/policy/x.c '#include "proto/wire/codec.h"' '"proto/wire/codec.h" may not'
includes agentd/session/x.c '#include "agentd/conn_uv.h"' '"agentd/conn_uv.h": a pure file'
includes agentd/session/x.c '#include <uv.h>' '<uv.h> has no place'
includes agentd/conn_uv.h '#include <uv.h>' '<uv.h> is for'
includes agentd/conn_uv.c '#include <curl/curl.h>' '<curl/curl.h> is for'
includes agentd/tool/patch.c '#include "agentd/tool/tool.h"' '"agentd/tool/tool.h" may not'
includes agentd/session/x.c '#include <seccomp.h>' '<seccomp.h> is for'
includes agentd/session/x.c '#include <ini.h>' '<ini.h> is for'
includes client/x.c '#include <cmocka.h>' '<cmocka.h> is for'
includes client/x.c '#include "client/nowhere.h"' '"client/nowhere.h" is not a path'
printf '#include <stddef.h>\n#include "proto/base/err.h"\n' >proto/base/err.c
must_fail includes 'proto/base/err.c: does not include its own header first'

# banned FILE LINE PATTERN
banned() {
	mkdir -p "$(dirname "$1")"
	printf '%s\n' "$2" >"$1"
	must_fail banned "$1:1: $3"
}
for word in strcpy strcat strncpy sprintf gets strtok atoi strtol alloca system popen signal rand setjmp \
	json_unpack exit getenv fork execve uv_spawn; do
	banned agentd/session/x.c "	$word(x);" "$word() is banned"
done
banned broker/spec.c '	if (a && fork () < 0)' 'fork() is banned'
banned agentd/policy/x.c '	log_info("x", "y");' 'log_info() is banned'
banned broker/x.c '	return 0; // why' 'comments are'
banned broker/x.h 'typedef struct plan plan_t;' 'struct noun, never'
banned broker/x.c '	goto out;' 'goto'
printf '\texecve(x);\n' >broker/child.c
printf '\treturn exit(1), getenv(x);\n' >tests/x.c
sh "$here/banned.sh" "$scratch/tree" >/dev/null || report "banned refuses an exception"
fresh_tree

lines 701 'int x;' >client/x.c
must_fail size 'client/x.c: 701 lines'
lines 151 'int x;' >client/x.h
must_fail size 'client/x.h: 151 lines'
{ printf 'int long_one(void)\n{\n'; lines 71 '	x();'; printf '}\n'; } >client/x.c
must_fail size 'client/x.c:2: long_one() has 71 lines'
{ printf 'int long_one(void)\n{\n'; lines 70 '	x();'; printf '}\n'; lines 627 ''; } >client/x.c
sh "$here/size.sh" "$scratch/tree" >/dev/null || report "size refuses what is just at the limit"
for i in 1 2; do { lines 100 '/* why */'; lines 450 'int x;'; } >proto/base/x$i.c; done
must_fail size 'proto/base: 9.. lines of code'

for i in 1 2 3 4 5 6 7 8; do lines 440 'int x;' >broker/x$i.c; done
must_fail budget 'broker/: 3520 lines of code'
for i in 1 2 3 4 5 6; do lines 440 'int x;' >broker/x$i.c; done
must_fail budget 'runs with privilege: 2640 lines'
for i in 1 2 3 4 5 6 7 8 9 10; do lines 400 'int x;' >proto/wire/x$i.c; done
must_fail budget 'proto/base and proto/wire.*: 40.. lines'
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do lines 400 'int x;' >proto/sys/x$i.c; done
must_fail budget 'broker/ and proto/sys.*: 48.. lines'
for i in broker ceiling daemon_start record serve_calls; do { lines 520 'int x;'; lines 200 '/* why */'; lines 200 ''; } >broker/$i.c; done
sh "$here/budget.sh" "$scratch/tree" >/dev/null || report "budget counts comments, blank lines or the front as privileged"
fresh_tree

echo other >proto/schema/page
must_fail reference 'proto/reference is stale'

printf '/*\n * x.h - x.\n */\n#pragma once\n\nsize_t x(void);\n' >broker/x.h
must_fail headers 'broker/x.h: does not compile alone'
printf '/*\n * x.h - x.\n */\n\nint x(void);\n' >broker/x.h
must_fail headers 'broker/x.h: no #pragma once'
printf '#pragma once\n\nint x(void);\n' >broker/x.h
must_fail headers 'broker/x.h: does not begin with'

touch LICENSE
must_fail layout 'LICENSE: has no place'

echo "/* T""ODO: later */" >broker/x.c
must_fail marks 'broker/x.c:1:.*unfinished'
echo "/* see /ro""ot/x */" >broker/x.c
must_fail marks 'broker/x.c:1:.*one machine'

if [ -n "${CLANG_FORMAT-}" ]; then
	printf 'int x( void ){return 0;}\n' >broker/x.c
	if sh "$here/format.sh" "$scratch/tree" >/dev/null 2>&1; then
		report "format does not notice a file out of form"
	fi
fi
finish
