#include "proto/wire/rpc.h"

#include "proto/base/str.h"
#include "proto/wire/codec.h"
#include "proto/wire/common_gen.h"

/* By negated enum err_code. Where codes are shared the last one is what a stranger's means. */
static const int64_t codes[] = { RPC_INTERNAL_ERROR, RPC_INTERNAL_ERROR, RPC_INTERNAL_ERROR,
				 RPC_INVALID_PARAMS, RPC_LIMIT,          RPC_STATE,
				 RPC_DENIED,         RPC_NOT_FOUND,      RPC_GONE };

static bool is_id(const json_t *id)
{
	return json_is_integer(id) || json_is_null(id) ||
	       (json_is_string(id) && json_string_length(id) <= RPC_ID_MAX);
}

static enum rpc_kind kind_of(const struct rpc_message *message)
{
	bool object = !message->params || json_is_object(message->params);

	if (!str_eq(message->jsonrpc, "2.0") || (message->id && !is_id(message->id)))
		return RPC_NONE;
	if (message->method && !message->result && !message->error && object)
		return message->id ? RPC_REQUEST : RPC_NOTIFICATION;
	if (message->method || message->params || !message->id ||
	    !message->result == !message->error)
		return RPC_NONE;
	return message->error ? RPC_ERROR : RPC_RESULT;
}

int rpc_parse(struct rpc *out, const json_t *message, struct err *err)
{
	struct arena arena SCOPED(arena_deinit) = { 0 };
	struct rpc_message in = { 0 };
	enum rpc_kind kind;
	int rc = codec_decode(&rpc_message_type, message, &in, &arena, CODEC_STRICT, err);

	if (rc < 0)
		return rc;
	if (json_is_null(in.params))
		in.params = NULL;
	kind = kind_of(&in);
	if (kind == RPC_NONE)
		return ERR_SET(err, ERR_INVALID, "not an envelope of JSON-RPC 2.0");
	*out = (struct rpc){ kind, in.id, in.method, in.params, in.result, 0, NULL, NULL };
	if (in.error) {
		out->error_code = in.error->code;
		out->error_message = in.error->message;
		out->error_data = in.error->data;
	}
	return 0;
}

json_t *rpc_request(int64_t id, const char *method, json_t *params)
{
	return json_pack("{s:s, s:I, s:s, s:o*}", "jsonrpc", "2.0", "id", (json_int_t)id, "method",
			 method, "params", params);
}

json_t *rpc_notification(const char *method, json_t *params)
{
	return json_pack("{s:s, s:s, s:o*}", "jsonrpc", "2.0", "method", method, "params", params);
}

json_t *rpc_result(json_t *id, json_t *result)
{
	return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, "result", result);
}

json_t *rpc_error(json_t *id, int64_t code, const char *message, json_t *data)
{
	return json_pack("{s:s, s:O?, s:{s:I, s:s, s:o*}}", "jsonrpc", "2.0", "id", id, "error",
			 "code", (json_int_t)code, "message", message, "data", data);
}

json_t *rpc_failure(json_t *id, const struct err *err)
{
	return rpc_error(id, rpc_code_of(err->code), err->text,
			 json_pack("{s:s}", "code", err_code_name(err->code)));
}

int64_t rpc_code_of(enum err_code code)
{
	return code <= 0 && code >= ERR_GONE ? codes[-code] : RPC_INTERNAL_ERROR;
}

int rpc_to_err(const struct rpc *rpc, struct err *out)
{
	const char *word = json_string_value(json_object_get(rpc->error_data, "code"));
	enum err_code code = ERR_SYSTEM;

	for (enum err_code i = ERR_NOMEM; i >= ERR_GONE; i--) {
		if (word ? str_eq(word, err_code_name(i)) : rpc_code_of(i) == rpc->error_code)
			code = i;
	}
	return ERR_SET(out, code, "%s", rpc->error_message);
}
