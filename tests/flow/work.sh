#!/bin/sh
# work.sh - one long turn of `agent exec --json --full-auto` against a server that misbehaves: a hundred commands in
# one answer, a patch, writes that the kernel must refuse, a stream cut twice, a 429 with Retry-After.
set -eu

. "$(dirname "$0")/rig.sh"

rig_report() {
	tail -n 50 "$top/events" "$top/errors"
}

rig_open work
mkdir "$work/.git"
echo untouched >"$work/.git/config"

# events TEXT: how many lines hold it
events() {
	grep -cF "$1" "$top/events" || :
}

call() {
	printf '{ "name": "exec_command", "call_id": "%s", "arguments": { "cmd": "%s", "login": false } }' "$1" "$2"
}

calls=
for i in $(seq 100); do
	calls="$calls$(call "n$i" "echo number $i"),"
done
usage='"usage": { "input_tokens": 10, "output_tokens": 2, "total_tokens": 12 }'
cat >"$top/script.json" <<SCRIPT
[
	{ "calls": [${calls%,}], $usage },
	{ "calls": [$(call outside "echo x > ../outside.txt"), $(call git "echo x >> .git/config"),
		$(call hook "mkdir .git/hooks"), $(call network "exec 3<>/dev/tcp/127.0.0.1/1")], $usage },
	{ "calls": [{ "name": "apply_patch", "call_id": "patch",
		"input": "*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch\n" }], $usage },
	{ "message": "cut short", "cut": 150 },
	{ "message": "cut short again", "cut": 200 },
	{ "status": 429, "headers": { "Retry-After": "1" }, "body": "{\"error\":{\"message\":\"slow down\"}}" },
	{ "message": "the work is done", $usage }
]
SCRIPT
rig_model

cd "$work"
"$agent" exec --json --full-auto "do the work" >"$top/events" 2>"$top/errors" || fail "exec ends with 0, not $?"

[ "$(events '"type":"turn.completed"')" = 1 ] || fail "the turn completes"
[ "$(events '"text":"the work is done"')" = 1 ] || fail "the answer arrives, once"
[ "$(events 'cut short')" = 0 ] || fail "what a broken stream brought is not kept"
[ "$(events 'Reconnecting... ')" = 3 ] || fail "each of three retries is told: $(events 'Reconnecting... ')"
[ "$(grep -F '"item.completed"' "$top/events" | grep -cF '"aggregated_output":"number ')" = 100 ] ||
	fail "a hundred commands have run"
[ ! -e "$top/outside.txt" ] || fail "nothing outside of the folder was written"
[ "$(cat .git/config)" = untouched ] || fail ".git/config is as it was"
[ ! -e .git/hooks ] || fail "no hook was made"
[ "$(cat made.txt)" = made ] || fail "the patch is applied"
[ "$(events 'Read-only file system')" -ge 3 ] || fail "the kernel's refusals are shown"
for i in 1 50 100; do # each output has gone back under its call
	grep -qF "number $i\\n" "$top/requests" || fail "output $i was sent to the model"
done
