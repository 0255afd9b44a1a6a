#include "proto/wire/audit.h"

#include "broker/broker.h"

int record(struct broker *broker, const struct peer *peer, const char *event, json_t *members,
	   struct err *err)
{
	bool required = broker->limits.rules.audit_required;
	struct err why = { 0 };
	int rc = audit_write(broker->audit, event, peer_describe(peer, members),
			     audit_is_weighty(event), &why);

	if (rc < 0 && !broker->audit_failed)
		log_error("audit_failed", "required=%s why='%s'", required ? "yes" : "no",
			  why.text);
	broker->audit_failed = rc < 0;
	if (rc == 0 || !required)
		return 0;
	return ERR_SET(err, ERR_STATE, "what cannot be recorded is not done: %s", why.text);
}

int record_open(struct broker *broker, struct err *err)
{
	const struct limits *limits = &broker->limits;
	struct err why = { 0 };

	if (audit_open_default(&broker->audit, limits->rules.audit_log,
			       broker->options.folders[BROKER_STATE], &why) < 0)
		log_error("audit_open", "why='%s'", why.text);
	return record(broker, NULL, "start",
		      json_pack("{s:s, s:i, s:i, s:s*, s:O*}", "version", AGENT_VERSION, "uid",
				(int)getuid(), "pid", getpid(), "requirements", limits->path,
				"limits", limits->message),
		      err);
}
