# lib.sh - shared by the lint scripts. Sourced with the top of the tree as $1.
#
# A script calls report() per finding and ends with `finish`; it passes when there was none.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# All C files below the given folders, headers included, in a stable order.
c_files() {
	for folder in "$@"; do
		[ -d "$folder" ] && find "$folder" -name '*.[ch]' -type f
	done | LC_ALL=C sort
}

# Runs an awk program of this folder over the C files named on standard input; its output is findings.
awk_over() {
	program=$1
	shift
	xargs awk -f "$here/strip.awk" -f "$here/$program" "$@" >>"$found"
}

report() {
	printf '%s\n' "$*" >>"$found"
}

finish() {
	[ -s "$found" ] || exit 0
	cat "$found"
	exit 1
}

skip() {
	echo "skipped: $*"
	exit 77
}
