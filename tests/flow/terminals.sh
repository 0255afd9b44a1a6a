#!/bin/sh
# terminals.sh - two terminals on one session: both show the stream, either answers, the other is told; both leave,
# the turn goes on, and a third that attaches sees everything.
set -eu

command -v tmux >/dev/null || {
	echo "skipped: tmux is not installed"
	exit 77
}
agent=$AGENT_TEST_BIN/agent
top=$(mktemp -d "${TMPDIR:-/tmp}/agentd-terminals-XXXXXX")
export AGENTD_HOME="$top/home" FAKE_KEY=k HOME="$top"
unset TMUX XDG_RUNTIME_DIR
work=$top/work
mkdir -m 0700 "$AGENTD_HOME" "$work"
mkfifo "$work/gate" "$top/port"

mux() {
	tmux -S "$top/tmux" -f /dev/null "$@"
}

finish() {
	status=$?
	set +e
	if [ $status -ne 0 ]; then
		for screen in "$top"/*.screen; do
			echo "--- $screen"
			cat "$screen"
		done
		cat "$AGENTD_HOME"/state/log/*.log
	fi
	mux kill-server 2>/dev/null
	"$agent" daemon stop >/dev/null 2>&1
	kill "$model" "$keeper" 2>/dev/null
	rm -rf "$top"
	exit $status
}
trap finish EXIT INT TERM

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
	[ $seen -eq 0 ] || echo "not seen in ${1##*/}: $2"
	return $seen
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

cat >"$top/script.json" <<'SCRIPT'
[
	{ "calls": [{ "name": "exec_command", "call_id": "c1", "arguments": { "cmd": "echo outside > ../outside.txt",
		"login": false, "sandbox_permissions": "require_escalated", "justification": "Next to the folder?" } }] },
	{ "calls": [{ "name": "exec_command", "call_id": "c2", "arguments": { "cmd": "echo waiting; cat gate",
		"login": false, "yield_time_ms": 30000 } }] },
	{ "message": "everything is done" }
]
SCRIPT
"$AGENT_TEST_FAKE/model" "$top/script.json" "$top/requests" >"$top/port" &
model=$!
read -r port <"$top/port"
sleep 300 3>"$top/port" & # holds the server's standard output open
keeper=$!
cat >"$AGENTD_HOME/config.ini" <<CONFIG
model = test-model
model_provider = fake
sandbox_mode = workspace-write
approval_policy = on-request

[sandbox_workspace_write]
exclude_slash_tmp = true
exclude_tmpdir_env_var = true

[model_providers.fake]
name = fake
base_url = "http://127.0.0.1:$port/v1"
env_key = FAKE_KEY
CONFIG
chmod 0600 "$AGENTD_HOME/config.ini"

terminal first "$agent" "'do the work'"
wait_for "$top/first.screen" "  n  no"
terminal second "$agent" attach
wait_for "$top/second.screen" "do the work"
wait_for "$top/second.screen" "  n  no"
[ ! -e "$top/outside.txt" ]

keys second y Enter
wait_for "$top/first.screen" "waiting"
wait_for "$top/second.screen" "waiting"
[ "$(cat "$top/outside.txt")" = outside ]
grep -aqi "answered" "$top/first.screen" || {
	echo "the first terminal was not told who answered"
	exit 1
}

keys first C-d
keys second C-d
wait_for "$top/first.status" 0
wait_for "$top/second.status" 0
echo "through the gate" >"$work/gate"
wait_for "$top/requests" "through the gate"

terminal third "$agent" attach
for text in "do the work" "waiting" "through the gate" "everything is done"; do
	wait_for "$top/third.screen" "$text"
done
keys third C-d
wait_for "$top/third.status" 0
