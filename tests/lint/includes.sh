#!/bin/sh
# Who may include whom. The table is in includes.awk.
. "$(dirname "$0")/lib.sh"

c_files proto broker agentd client tests >"$found.list"
trap 'rm -f "$found" "$found.list"' EXIT
awk_over includes.awk <"$found.list"

# Quoted names are spelled from the top and exist; what a build generates is spelled ..._gen.h.
xargs grep -nE '^[[:space:]]*#[[:space:]]*include "' <"$found.list" /dev/null | while IFS=: read -r file line text; do
	name=$(printf '%s' "$text" | sed 's/^[^"]*"//; s/".*//')
	case $name in
	*_gen.h) ;;
	*) [ -f "$name" ] || report "$file:$line: \"$name\" is not a path from the top" ;;
	esac
done

# A source file includes its own header first, which proves that the header needs nothing before it.
while read -r file; do
	own=${file%.c}.h
	[ "$own" != "$file" ] && [ -f "$own" ] || continue
	first=$(grep -m1 -E '^[[:space:]]*#[[:space:]]*include' "$file" || true)
	[ "$first" = "#include \"$own\"" ] || report "$file: does not include its own header first"
done <"$found.list"
finish
