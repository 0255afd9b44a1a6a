/*
 * limited.h - a real broker with a requirements.ini, a client of it, and where wanted a hostile
 * program in agentd's place.
 */
#pragma once

#include <jansson.h>

#include "tests/support/broker_client.h"
#include "tests/support/fixture.h"

#define TEXT_MAX 4096 /* bytes of a command's output that are looked at */

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"sh", "-c", script, NULL                                                           \
	}

struct limited {
	struct test_broker broker;
	struct broker_client client;
	char file[640]; /* requirements.ini */
	char why[4096]; /* the broker does not start */
};

void limited_write(const char *path, const char *text);

/*
 * Starts a broker with these limits (NULL: with what the file holds), in the folders of the last
 * one where there was one; false with `why`. `further` options are ended by NULL, or NULL.
 */
bool limited_start(struct limited *rig, const char *limits, const char *agentd,
		   const char *const *further);

/* That, which must succeed, and a client. */
void limited_open(struct limited *rig, const char *limits);
void limited_close(struct limited *rig);

/* text: TEXT_MAX bytes for its output, or NULL. */
int limited_run(struct limited *rig, const char *ceiling, const char *const *argv, char *text);

/* Parameters of ceiling/open. */
json_t *limited_ceiling(const struct limited *rig, const char *mode, bool network);

struct hostile {
	struct limited rig;
	struct broker_client hand; /* what tests/fake/hostile_daemon.c is told to do */
	char kept[33];             /* a ceiling of workspace-write */
};

void hostile_open(struct hostile *hostile, const char *limits);
void hostile_close(struct hostile *hostile);

/* Parameters of grant/request. */
json_t *hostile_request(const struct hostile *hostile, const char *mode, bool network);
