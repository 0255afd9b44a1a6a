#!/bin/sh
# Each header compiles alone, is guarded, and opens with what it is for. CC and CC_FLAGS: how the build compiles.
. "$(dirname "$0")/lib.sh"

c_files proto broker agentd client tests | grep '\.h$' >"$found.list" || true
trap 'rm -f "$found" "$found.list" "$found.out"' EXIT
while read -r header; do
	name=$(basename "$header")
	# shellcheck disable=SC2086 # a list of flags
	printf '#include "%s"\n' "$header" |
		${CC:-cc} -std=gnu11 -D_GNU_SOURCE -I. ${CC_FLAGS-} -Wall -Wextra -Werror -fsyntax-only -x c - >"$found.out" 2>&1 ||
		{ report "$header: does not compile alone"; cat "$found.out" >>"$found"; }
	grep -qx '#pragma once' "$header" || report "$header: no #pragma once"
	[ "$(sed -n 1p "$header")" = "/*" ] && sed -n 2p "$header" | grep -q "^ \* $name - " ||
		report "$header: does not begin with '/*' and ' * $name - what it is for'"
done <"$found.list"
finish
