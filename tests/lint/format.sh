#!/bin/sh
# The form that .clang-format describes. CLANG_FORMAT: the program; versions differ in detail, so only 14 judges.
# With LINT_FIX=1 the files are rewritten instead.
. "$(dirname "$0")/lib.sh"

[ -n "${CLANG_FORMAT-}" ] || skip "clang-format is not installed"
case $("$CLANG_FORMAT" --version) in
*"version 14."*) ;;
*) skip "this is not clang-format 14" ;;
esac
if [ "${LINT_FIX-}" = 1 ]; then
	c_files proto broker agentd client tests | xargs -r "$CLANG_FORMAT" -i
	exit 0
fi
c_files proto broker agentd client tests >"$found.list"
trap 'rm -f "$found" "$found.list"' EXIT
while read -r file; do
	"$CLANG_FORMAT" "$file" | cmp -s - "$file" || report "$file: out of form; run clang-format -i on it"
done <"$found.list"
finish
