#!/bin/sh
# The top of the tree holds the parts, their build file and the README. What is hidden or built does not count.
. "$(dirname "$0")/lib.sh"

for entry in *; do
	case $entry in
	agentd | broker | client | proto | tests | cmake | CMakeLists.txt | README.md | build) ;;
	*) report "$entry: has no place at the top of the tree" ;;
	esac
done
finish
