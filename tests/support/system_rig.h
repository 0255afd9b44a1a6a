/*
 * system_rig.h - a broker that root has started for a user, and a client of it. For tests that root
 * runs.
 *
 * The test acts as the user while a rig is open, and as root otherwise: see test_act_as().
 */
#pragma once

#include "tests/support/broker_client.h"

/* Two users who are nobody's: those that every machine has for itself. */
#define SYSTEM_USER "daemon"
#define SYSTEM_OTHER "bin"

struct system_rig {
	struct test_broker broker;
	struct broker_client client;
	char why[4096]; /* it has not started */
};

/* Makes its folders unless broker->home is set; user: NULL for root's own broker. */
bool system_rig_start(struct system_rig *rig, const char *user, const char *const *options);

void system_rig_open(struct system_rig *rig, const char *user);
void system_rig_close(struct system_rig *rig);

/* Runs a script of the shell in a new ceiling; what it has written. */
void system_rig_run(struct system_rig *rig, const char *mode, const char *script, char *text,
		    size_t size);

/* Its monitor: the front's child. */
pid_t system_rig_monitor(const struct system_rig *rig);

/* The value of a line of /proc/PID/status. */
void system_status(pid_t pid, const char *name, char *out, size_t size);

void system_write(const char *path, const char *text);
