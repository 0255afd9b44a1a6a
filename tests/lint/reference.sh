#!/bin/sh
# The committed reference says what the schema says: generated again, nothing differs. PROTOGEN: the built generator.
. "$(dirname "$0")/lib.sh"

[ -x "${PROTOGEN-}" ] || skip "protogen is not built"
fresh=$(mktemp -d)
trap 'rm -rf "$found" "$fresh"' EXIT
"$PROTOGEN" --schema proto/schema --docs "$fresh" || report "protogen refuses proto/schema"
diff -r proto/reference "$fresh" >>"$found" || report "proto/reference is stale: build the target 'reference' and commit"
finish
