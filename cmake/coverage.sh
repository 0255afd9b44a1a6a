#!/bin/sh
# coverage.sh SOURCE BUILD: per source file of the product the share of its lines that ran, and of the whole.
set -eu
cd "$1" # where the names in the notes begin

# The product only; a file in two programs counts a line as reached when either reached it. gcov's text form has
# one line per source line: "count:line:text", with "-" for no code and "#####" for not reached.
find "$2" -name '*.gcda' ! -path '*/tests/*' -print | while read -r data; do
	"${GCOV:-gcov}" --stdout --object-directory "$(dirname "$data")" "$data" 2>/dev/null || true
done | awk -F: '
	$3 == "Source" { file = $4; next }
	file !~ /^(proto|broker|agentd|client)\// { next }
	{
		count = $1
		gsub(/[ \t*]/, "", count)
		line = $2 + 0
		if (line == 0 || count == "-")
			next
		key = file SUBSEP line
		if (!(key in seen)) {
			seen[key] = 1
			lines[file]++
			all++
		}
		if (count !~ /^[#=]/ && !(key in ran)) {
			ran[key] = 1
			reached[file]++
			all_reached++
		}
	}
	END {
		for (file in lines)
			printf "%6.1f %%  %5d of %5d  %s\n", 100 * reached[file] / lines[file], reached[file], lines[file], file | "sort -k6"
		close("sort -k6")
		if (all)
			printf "%6.1f %%  %5d of %5d  the whole\n", 100 * all_reached / all, all_reached, all
	}'
