#!/bin/sh
# No file, header or function too long to read at one sitting; the helper set stays small.
. "$(dirname "$0")/lib.sh"

c_files proto broker agentd client tests | awk_over size.awk \
	-v source_max=700 -v header_max=150 -v function_max=70

helper_max=900
helper=$(c_files proto/base | xargs -r awk -f "$here/strip.awk" -f "$here/count.awk")
[ "${helper:-0}" -le $helper_max ] ||
	report "proto/base: $helper lines of code; the limit of the helper set is $helper_max"
finish
