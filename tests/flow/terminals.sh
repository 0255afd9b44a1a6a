#!/bin/sh
# terminals.sh - two terminals on one session: both show the stream, either answers, the other is told; both leave,
# the turn goes on, and a third that attaches sees everything.
set -eu

command -v tmux >/dev/null || {
	echo "skipped: tmux is not installed"
	exit 77
}
. "$(dirname "$0")/rig.sh"

mux() {
	tmux -S "$top/tmux" -f /dev/null "$@"
}

rig_report() {
	tail -n 50 "$top"/*.screen
}

rig_close() {
	mux kill-server 2>/dev/null
}

# wait_for FILE TEXT: until a whole line with the text has been written; the time only ends a test that has failed.
wait_for() {
	rm -f "$top/lines"
	mkfifo "$top/lines"
	timeout 40 tail -n +1 -F "$1" >"$top/lines" 2>/dev/null &
	reader=$!
	seen=0
	grep -a -m 1 -qF "$2" "$top/lines" || seen=1
	kill "$reader" 2>/dev/null || :
	wait "$reader" 2>/dev/null || :
	[ $seen -eq 0 ] || fail "in ${1##*/} is '$2'"
}

# terminal NAME COMMAND...: a terminal of 100 columns whose whole output goes to NAME.screen; ends in NAME.status
terminal() {
	name=$1
	shift
	: >"$top/$name.screen"
	mux new-session -d -s "$name" -x 100 -y 30 -c "$work" "cat >/dev/null; exit"
	mux pipe-pane -t "$name" "cat >>'$top/$name.screen'"
	mux respawn-pane -k -t "$name" -c "$work" "$*; echo \$? >'$top/$name.status'"
}

keys() {
	mux send-keys -t "$@"
}

rig_open terminals
mkfifo "$work/gate"
cat >"$top/script.json" <<'SCRIPT'
[
	{ "calls": [{ "name": "exec_command", "call_id": "c1", "arguments": { "cmd": "echo outside > ../outside.txt",
		"login": false, "sandbox_permissions": "require_escalated", "justification": "Next to the folder?" } }] },
	{ "calls": [{ "name": "exec_command", "call_id": "c2", "arguments": { "cmd": "echo waiting; cat gate",
		"login": false, "yield_time_ms": 30000 } }] },
	{ "message": "everything is done" }
]
SCRIPT
rig_model "sandbox_mode = workspace-write" "approval_policy = on-request"

terminal first "$agent" "'do the work'"
wait_for "$top/first.screen" "  n  no"
terminal second "$agent" attach
wait_for "$top/second.screen" "do the work"
wait_for "$top/second.screen" "  n  no"
[ ! -e "$top/outside.txt" ] || fail "nothing has run before the answer"

keys second y Enter
wait_for "$top/first.screen" "  waiting"
wait_for "$top/second.screen" "  waiting"
[ "$(cat "$top/outside.txt")" = outside ] || fail "the command has run outside"
grep -aqi "answered" "$top/first.screen" || fail "the first terminal was told who answered"

keys first C-d
keys second C-d
wait_for "$top/first.status" 0
wait_for "$top/second.status" 0
echo "through the gate" >"$work/gate"
wait_for "$top/requests" "through the gate"

terminal third "$agent" attach
for text in "do the work" "  waiting" "through the gate" "everything is done"; do
	wait_for "$top/third.screen" "$text"
done
keys third C-d
wait_for "$top/third.status" 0
