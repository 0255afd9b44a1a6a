/*
 * broker_rig.h - what most tests of the broker begin with: one broker without agentd, one client,
 * and a ceiling of the mode.
 */
#pragma once

#include "tests/support/broker_client.h"

struct broker_rig {
	struct test_broker broker;
	struct broker_client client;
	char ceiling[33];
};

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"sh", "-c", script, NULL                                                           \
	}

void broker_rig_open(struct broker_rig *rig, const char *mode);
void broker_rig_close(struct broker_rig *rig); /* fails the test when the broker did */

/* Runs argv (ended by NULL) below the ceiling; its exit code, and all that it has written. */
int broker_rig_run(struct broker_rig *rig, const char *const *argv, char *text, size_t size);

void broker_rig_kill(struct broker_rig *rig, const struct broker_command *command, int signal);
