/*
 * paths.h - where a user's files and sockets are, and whether those folders are safe to use.
 *
 * The environment comes in as an argument; nothing here reads it. A folder that another user could
 * change or read is refused, never repaired: the sentence says what to type. Programs are found
 * relative to the running one.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/attr.h"

struct err;

#define PATHS_BYTES_MAX 4095 /* bytes of one path */
#define PATHS_SOCKET_MAX                                                                           \
	107 /* bytes of a socket's path: what struct sockaddr_un holds, less the NUL */
#define PATHS_SYSTEM "/etc/agentd"  /* the administrator's files */
#define PATHS_SERVICE "/run/agentd" /* a folder for each user whom a broker of root's serves */

struct paths {
	char *runtime; /* sockets and the start lock; hidden from every sandbox */
	char *state;   /* transcripts and logs */
	char *config;  /* config.ini, rules */
	char *agent_socket;
	char *broker_socket;
	char *start_lock;
	char *log_dir; /* below state */
	bool service;  /* runtime is that of a broker which root has started */
};

enum paths_program {
	PATHS_AGENT,     /* bin/agent */
	PATHS_AGENTD,    /* bin/agentd */
	PATHS_BROKER,    /* libexec/agentd/agent-broker */
	PATHS_PATCH,     /* libexec/agentd/agent-patch */
	PATHS_PATCH_DIR, /* libexec/agentd/bin: holds the names apply_patch and applypatch, for PATH
			  */
	PATHS_PROGRAM_COUNT
};

/* How strict a check is: zero is the strictest. */
enum paths_privacy {
	PATHS_PRIVATE,  /* nobody else may read or write: runtime and state */
	PATHS_READABLE, /* nobody else may write: configuration */
	PATHS_PRIVACY_COUNT
};

/* The value of NAME in an environment (NULL-terminated array of NAME=value); NULL when absent or
 * empty. */
const char *paths_env(char *const *environment, const char *name);

/* Pure: AGENTD_HOME, else the XDG folders, else their defaults below HOME and /tmp/agentd-<uid>. */
int paths_from_env(struct paths *out, char *const *environment, uid_t uid, struct err *err)
	MUST_CHECK;
int paths_from_dirs(struct paths *out, const char *runtime, const char *state, const char *config,
		    struct err *err) MUST_CHECK;
void paths_deinit(struct paths *paths);

/* Pure: the same with the sockets of the service of this user. */
int paths_of_service(struct paths *out, const struct paths *own, const char *user, struct err *err)
	MUST_CHECK;

/* Makes the folders that are missing (0700) and checks all of them; idempotent. */
int paths_prepare(const struct paths *paths, uid_t uid, struct err *err) MUST_CHECK;

/* A real folder of this user that is as private as asked; ERR_NOTFOUND, ERR_DENIED or ERR_SYSTEM
 * with the mend. */
int paths_check(const char *path, uid_t uid, enum paths_privacy privacy, struct err *err)
	MUST_CHECK;

/* A program of this installation, beside the running one; *out is the caller's to free. */
int paths_program(char **out, enum paths_program program, struct err *err) MUST_CHECK;
/* Pure: the same for a running program at `self`. */
int paths_program_beside(char **out, const char *self, enum paths_program program, struct err *err)
	MUST_CHECK;
