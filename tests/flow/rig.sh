# rig.sh - sourced by the scripts here: a private installation below $top, and a scripted model.
#
#	rig_open NAME          makes $top with its home and $work; removes all at the end of the script
#	rig_model CONFIG...    serves $top/script.json, logs to $top/requests, writes config.ini: the lines, the server
#	fail SENTENCE          ends the test
#
# A script may define rig_report (shows what helps when it has failed) and rig_close (ends what it started).
agent=$AGENT_TEST_BIN/agent

rig_report() {
	:
}

rig_close() {
	:
}

rig_end() {
	status=$?
	set +e
	[ $status -eq 0 ] || {
		rig_report
		tail -n 60 "$AGENTD_HOME"/state/log/*.log
	}
	rig_close
	"$agent" daemon stop >/dev/null 2>&1
	[ -z "$pids" ] || kill $pids 2>/dev/null
	rm -rf "$top"
	exit $status
}

rig_open() {
	pids=
	top=$(mktemp -d "${TMPDIR:-/tmp}/agentd-$1-XXXXXX")
	export AGENTD_HOME="$top/home" FAKE_KEY=k HOME="$top"
	unset XDG_RUNTIME_DIR TMUX
	work=$top/work
	mkdir -m 0700 "$AGENTD_HOME" "$work"
	trap rig_end EXIT
	trap 'exit 1' INT TERM
}

rig_model() {
	mkfifo "$top/port"
	"$AGENT_TEST_FAKE/model" "$top/script.json" "$top/requests" >"$top/port" &
	pids=$!
	exec 9<"$top/port" # stays open: the server must be able to write
	read -r port <&9
	cat >"$AGENTD_HOME/config.ini" <<-CONFIG
		model = test-model
		model_provider = fake
		$(printf '%s\n' "$@")

		[sandbox_workspace_write]
		exclude_slash_tmp = true
		exclude_tmpdir_env_var = true

		[model_providers.fake]
		name = fake
		base_url = "http://127.0.0.1:$port/v1"
		env_key = FAKE_KEY
	CONFIG
	chmod 0600 "$AGENTD_HOME/config.ini"
}

fail() {
	echo "not so: $1"
	exit 1
}
