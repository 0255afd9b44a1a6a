/*
 * rpc.h - the JSON-RPC 2.0 envelope: what kind of message is this, and how is one made?
 *
 * Strict: a member that does not belong, a missing "jsonrpc", positional parameters and ids that
 * are neither text nor whole numbers are refused. Batches do not exist.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"

#define RPC_ID_MAX 128 /* bytes of an id that is text */

#define RPC_PARSE_ERROR (-32700)
#define RPC_INVALID_REQUEST (-32600)
#define RPC_METHOD_NOT_FOUND (-32601)
#define RPC_INVALID_PARAMS (-32602)
#define RPC_INTERNAL_ERROR (-32603)
#define RPC_CANCELLED (-32800)
#define RPC_AUTH_REQUIRED (-32000)
#define RPC_NOT_FOUND (-32002) /* of ACP: no such session or file */
#define RPC_LIMIT (-32010)     /* from here on our own */
#define RPC_DENIED (-32011)
#define RPC_STATE (-32012)
#define RPC_GONE (-32013)

enum rpc_kind { RPC_NONE, RPC_REQUEST, RPC_NOTIFICATION, RPC_RESULT, RPC_ERROR, RPC_KIND_COUNT };

/* Everything borrows from the message. */
struct rpc {
	enum rpc_kind kind;
	json_t *id;         /* of all but notifications; may be JSON null */
	const char *method; /* of requests and notifications */
	json_t *params;     /* an object, or NULL when absent */
	json_t *result;
	int64_t error_code;
	const char *error_message;
	json_t *error_data; /* NULL when absent */
};

int rpc_parse(struct rpc *out, const json_t *message, struct err *err) MUST_CHECK;

/*
 * New messages; NULL when out of memory. params (NULL for none), result (NULL yields NULL) and data
 * (NULL for none) are always consumed; id is shared, NULL stands for JSON null.
 */
json_t *rpc_request(int64_t id, const char *method, json_t *params) MUST_CHECK;
json_t *rpc_notification(const char *method, json_t *params) MUST_CHECK;
json_t *rpc_result(json_t *id, json_t *result) MUST_CHECK;
json_t *rpc_error(json_t *id, int64_t code, const char *message, json_t *data) MUST_CHECK;

/* An answer that carries err, so that the other side's rpc_to_err() regains code and sentence. */
json_t *rpc_failure(json_t *id, const struct err *err) MUST_CHECK;
int64_t rpc_code_of(enum err_code code);
/* Fills out from a message of kind RPC_ERROR; returns the code, never 0. */
int rpc_to_err(const struct rpc *rpc, struct err *out);
