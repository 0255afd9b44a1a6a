/*
 * corpus_others.c - the environment, what processes share without a name in a folder, and what
 * other tests are about.
 */
#include "proto/base/err.h"

#include "tests/flow/corpus.h"

#define NEVER                                                                                      \
	{                                                                                          \
		"D"                                                                                \
	}
#define ALONE                                                                                      \
	{                                                                                          \
		"D", "D", "D", "*"                                                                 \
	} /* without namespaces they are the host's */

static const struct corpus_case cases[] = {
	{ "EN-01",
	  "a secret of the broker's environment",
	  "variable AGENT_TEST_SECRET",
	  { "ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT" } },
	{ "EN-01",
	  "a secret in any environment of /proc",
	  "search agent-victim-secret",
	  { "ENOENT", "ENOENT", "ENOENT", "*" } },
	{ "EN-01",
	  "the broker's arguments in /proc",
	  "search --runtime",
	  { "ENOENT", "ENOENT", "ENOENT", "*" } },
	{ "EN-01", "the environment of a process of the host", "proc $PID environ r", NEVER },
	{ "RL-11",
	  "signals that are blocked or ignored",
	  "signals",
	  { "ESRCH", "ESRCH", "ESRCH", "ESRCH", "ESRCH" } },
	{ "RL-03",
	  "a private /dev/shm is bounded",
	  "!dd if=/dev/zero of=/dev/shm/fill bs=1M count=64 2>/dev/null; rm -f /dev/shm/fill;"
	  " echo '= OK'",
	  { "*" } },

	{ "OWN-30", "System V memory by its number", "shm_attach $SHM", ALONE, VICTIM_SHARED },
	{ "OWN-30", "System V memory removed", "shm_remove $SHM", { "D", "D", "D", "-" } },
	{ "OWN-30", "a System V semaphore removed", "sem_remove $SEM", { "D", "D", "D", "-" } },
	{ "OWN-30", "a message into a System V queue", "msg_send $MSG", ALONE, VICTIM_SHARED },
	{ "OWN-31", "POSIX shared memory", "shared $NAME", ALONE, VICTIM_SHARED },
	{ "OWN-31", "POSIX shared memory removed", "shared_remove $NAME", { "D", "D", "D", "-" } },
	{ "OWN-31", "a POSIX queue", "mqueue $NAME", ALONE, VICTIM_SHARED },
	{ "OWN-31", "a POSIX queue removed", "mqueue_remove $NAME", { "D", "D", "D", "-" } },
	{ "OWN-31", "POSIX semaphores in /dev/shm", "list /dev/shm", ALONE },
	{ "OWN-32", "a file of memory, for oneself", "memory_file x", { "OK", "OK", "OK", "OK" } },
	{ "OWN-33", "the host's terminals", "list /dev/pts", { "*" } },
	{ "OWN-33",
	  "a terminal of the host by its number",
	  "!for n in 0 1 2 3 4 5 6 7; do printf '\\007' 2>/dev/null >/dev/pts/$n; done; echo '= "
	  "OK'",
	  { "*", "*", "*", "-" } },
	{ "OWN-34",
	  "a folder sent out through a socket",
	  "send_descriptor $O",
	  { "*" },
	  0,
	  INPUT_SOCKET },
	{ "OWN-34", "another one's name, through a socket", "false_name $PID", NEVER, 0,
	  INPUT_SOCKET },
	{ "OWN-35", "a mount by its number", "list /proc/self/mountinfo/", NEVER },
	{ "OWN-35", "a hidden folder beneath its mask", "list $RUN/.", NEVER },
	{ "OWN-35", "a hidden folder by ..", "list $STATE/log/..", NEVER },
	{ "OWN-36", "one's own uid map, written",
	  "!(echo 0 0 1 >/proc/self/uid_map) 2>/dev/null && echo '= OK' || echo '= EPERM'", NEVER },
	{ "OWN-36",
	  "setgroups allowed again",
	  "!(echo allow >/proc/self/setgroups) 2>/dev/null && echo '= OK' || echo '= EPERM'",
	  { "D", NULL, NULL, "D" } },
	{ "OWN-37", "timer slack of init",
	  "!(echo 50000 >/proc/1/timerslack_ns) 2>/dev/null && echo '= OK' || echo '= EPERM'",
	  NEVER },
	{ "OWN-37", "the name spaces of timers", "proc self timens_offsets w", { "*" } },
	{ "OWN-38", "/sys: a block device's queue",
	  "!f=$(ls -d /sys/block/*/queue/scheduler 2>/dev/null | head -1);"
	  " $P open_write ${f:-/sys/nothing}",
	  NEVER },
	{ "OWN-38", "/sys: a processor switched off",
	  "open_write /sys/devices/system/cpu/cpu1/online", NEVER },
	{ "OWN-38", "/sys: memory merging", "open_write /sys/kernel/mm/ksm/run", NEVER },
	{ "OWN-38", "/sys: huge pages", "open_write /sys/kernel/mm/transparent_hugepage/enabled",
	  NEVER },
	{ "OWN-38", "/sys: power", "open_write /sys/power/state", NEVER },
	{ "OWN-38", "/sys: a module's setting",
	  "!f=$(find /sys/module -name parameters -maxdepth 2 2>/dev/null | head -1);"
	  " f=$(ls -d ${f:-/sys/nothing}/* 2>/dev/null | head -1);"
	  " $P open_write ${f:-/sys/nothing}",
	  NEVER },
	{ "OWN-38", "/sys: the firmware's variables", "list /sys/firmware/efi/efivars", { "*" } },
	{ "OWN-38", "/sys: tracing", "open_write /sys/kernel/tracing/trace_marker", NEVER },
	{ "OWN-38", "/sys: debugging", "list /sys/kernel/debug", NEVER },
	{ "OWN-39", "a name with a line break",
	  "!printf x >\"$O/a\nb\" 2>/dev/null && echo '= OK' "
	  "|| echo '= EROFS'",
	  NEVER },
	{ "OWN-40", "a program started on the host by its name",
	  "!systemd-run --user true >/dev/null 2>&1 && echo '= OK' || echo '= EPERM'", NEVER },
	{ "OWN-40", "a job for later",
	  "!(echo true | at now || crontab -l) >/dev/null 2>&1 && echo '= OK' || echo '= EPERM'",
	  NEVER },
	{ "OWN-41",
	  "a set-user-id program of the host",
	  "!command -v su >/dev/null || { echo '= EPERM'; exit; };"
	  " su -c true </dev/null >/dev/null 2>&1 && echo '= OK' || echo '= EPERM'",
	  { "*" } },
	{ "OWN-42", "an overlay",
	  "!mkdir -p $W/u $W/w $W/m 2>/dev/null; "
	  "mount -t overlay o -o lowerdir=/etc,upperdir=$W/u,workdir=$W/w $W/m "
	  "2>/dev/null && echo '= OK' || echo '= EPERM'",
	  NEVER },
	{ "OWN-43", "a debugger's breakpoint in init", "proc 1 task/1/mem w", NEVER },
	{ "OWN-43", "a child's descriptors of init", "list /proc/1/task/1/fd", { "U" } },
	{ "OWN-44",
	  "more threads than processes may be",
	  "!ulimit -u unlimited 2>/dev/null && echo '= OK' || echo '= EPERM'",
	  { "*" } },
};

const struct corpus_table corpus_others = { cases, ARRAY_LEN(cases) };

const struct corpus_elsewhere corpus_elsewhere[] = {
	{ "FS-06", "unit/agentd/tool/test_apply_patch_main.c", "main" },
	{ "PR-15", "unit/client/test_term.c", "main" },
	{ "IP-09", "flow/test_hostile_child.c", "a_command_that_reaches_a_socket_is_refused" },
	{ "PR-17", "flow/test_hostile_child.c", "a_command_inherits_three_descriptors" },
	{ "RL-09", "flow/test_daemon_trouble.c",
	  "when_the_broker_dies_the_daemon_says_so_and_ends" },
	{ "EN-02", "flow/test_hostile_daemon.c", "it_cannot_set_what_makes_programs_load_code" },
	{ "BR-01", "flow/test_broker_limits.c", "a_violation_ends_the_peer_and_nobody_else" },
	{ "BR-01", "flow/test_broker_limits.c", "too_large_a_packet_ends_the_peer" },
	{ "BR-03", "flow/test_broker.c",
	  "what_cannot_be_executed_is_told_apart_from_what_is_not_there" },
	{ "BR-03", "flow/test_broker.c", "a_large_argv_travels_in_a_sealed_file" },
	{ "BR-04", "flow/test_hostile_child.c", "killing_the_supervisor_makes_no_client" },
	{ "BR-06", "flow/test_hostile_daemon.c", "its_commands_stay_inside_the_ceiling" },
	{ "BR-07", "unit/broker/test_monitor.c",
	  "a_hostile_front_gets_nothing_and_does_not_end_the_monitor" },
	{ "BR-06", "unit/proto/conf/test_requirements.c",
	  "whatever_is_wrong_is_said_with_its_line" },
	{ "RL-01", "flow/test_floods.c", "a_fork_bomb_is_one_kill" },
	{ "RL-02", "flow/test_floods.c", "a_memory_hog_slows_nobody" },
	{ "RL-03", "flow/test_floods.c", "the_private_memory_file_system_is_bounded" },
	{ "RL-04", "flow/test_floods.c", "a_gigabyte_of_output_does_not_pass_the_broker" },
	{ "RL-05", "flow/test_floods.c", "daemonised_grandchildren_go_with_their_command" },
	{ "RL-08", "flow/test_floods.c", "a_command_that_ignores_sigterm_is_killed" },
	{ "BR-01", "flow/test_floods.c", "a_nasty_peer_harms_itself_alone" },
	{ "BR-03", "flow/test_floods.c", "an_odd_descriptor_is_passed_on_or_refused" },
	{ "IP-08", "unit/proto/sys/test_supervise_race.c", "main" },
	{ "AP-01", "flow/test_hostile_daemon.c", "it_cannot_do_what_clients_do" },
	{ "AP-02", "unit/proto/wire/test_grant.c", "an_answer_needs_the_seal_of_the_record" },
	{ "AP-02", "unit/proto/wire/test_grant.c", "an_answered_grant_is_used_in_time_or_expires" },
	{ "AP-03", "flow/test_hostile_daemon.c", "what_was_shown_is_what_runs_once" },
	{ "AP-04", "unit/client/test_term.c", "main" },
	{ "AP-06", "flow/test_hostile_daemon.c", "its_lock_holds" },
	{ "AP-06", "flow/test_hostile_daemon.c", "it_cannot_write_the_workspace_or_the_settings" },
	{ "AP-08", "flow/test_hostile_daemon.c", "it_cannot_use_a_ceiling_that_is_not_its_own" },
	{ "AP-09", "unit/proto/wire/test_grant.c", "nothing_runs_before_a_person_has_answered" },
};

const size_t corpus_elsewhere_count = ARRAY_LEN(corpus_elsewhere);
