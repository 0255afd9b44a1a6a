/*
 * api.h - what clients may ask for: lines of the agent socket in, answers and notifications out.
 *
 * Pure: the transport is a table of functions, and so is whatever has to wait (session_driver). A
 * line becomes a message, is checked against the method table (does it exist, is it time, may this
 * client), decoded, and handed to the one handler of its method. Foreign members are ignored;
 * whatever else is wrong is answered with a JSON-RPC error and changes nothing.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/list.h"
#include "proto/wire/agent_gen.h"

#include "agentd/session/session.h"

struct err;

#define API_WAITING_MAX 32 /* requests of one client that are not answered yet */

/* How lines leave for one client. */
struct api_transport {
	bool (*ready)(const void *conn); /* its queue has room */
	void (*send)(void *conn, const char *line, size_t len);
	void (*close)(void *conn,
		      const char *why); /* api_client_closed() comes later, from the loop */
};

struct api {
	struct sessions sessions;
	const struct api_transport *transport;
	struct list clients;
	size_t client_count;
	int64_t client_next;
	struct list waiting; /* requests that are answered later */
	int64_t started_ms;
	int64_t pid;
};

struct api_client {
	struct list node; /* of api->clients */
	struct api *api;
	void *conn;
	int64_t id;
	enum wire_stage stage;
	char name[APPROVAL_NAME_MAX + 1];
	struct list attachments;
	size_t waiting;
};

/* The driver in api->sessions is filled in afterwards, but for `finished`. */
int api_init(struct api *api, const char *state_dir, const char *config_dir,
	     const struct api_transport *transport, struct err *err) MUST_CHECK;
void api_stop(struct api *api);   /* detaches everybody and ends every session */
void api_deinit(struct api *api); /* after api_stop(), when the clients are gone */

struct api_client *api_client_opened(struct api *api, void *conn); /* NULL: no memory */
void api_client_line(struct api_client *client, const char *line, size_t len);
void api_client_drained(struct api_client *client);
void api_client_closed(struct api_client *client); /* frees it */

/* What waits for the loop to come round: ends of sessions, news for clients. */
void api_settle(struct api *api);

/* To every client, about the daemon itself. */
void api_notice(struct api *api, enum agent_notice_level level, const char *kind,
		const char *message);
