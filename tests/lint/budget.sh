#!/bin/sh
# What has to be trusted stays small enough to be read: lines of code, neither blank nor comment.
. "$(dirname "$0")/lib.sh"

count() {
	if [ -s "$1" ]; then
		xargs awk -f "$here/strip.awk" -f "$here/count.awk" <"$1"
	else
		echo 0
	fi
}

# check WHAT LIMIT: the files named on standard input
check() {
	cat >"$found.list"
	lines=$(count "$found.list")
	echo "$1: $lines of $2 lines"
	[ "$lines" -le "$2" ] || report "$1: $lines lines of code; the budget is $2"
}
trap 'rm -f "$found" "$found.list"' EXIT

c_files broker | check "broker/" 3500

# The half that makes sandboxes needs the privilege. The front, which reads JSON and believes nobody, needs none and
# reaches it through sandbox.h alone; in system mode it is a process of its own.
front='^broker/(broker|ceiling|daemon_start|record|serve_calls)\.[ch]$'
c_files broker | grep -vE "$front" | check "broker/, what runs with privilege" 2500

# What these parts are made of and what others may use too, lies in proto/sys; it runs where they run.
c_files broker proto/sys | grep -vE "$front" | check "broker/ and proto/sys, what runs with privilege" 4700

# The broker speaks in packets, and only writes its log: it links neither of these two.
c_files proto/base proto/wire | grep -vE "^proto/wire/(frame\.[ch]|audit_verify\.c)$" | check "proto/base and proto/wire, which the broker links" 3900
finish
