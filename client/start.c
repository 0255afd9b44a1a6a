#include "client/start.h"

#include "proto/base/err.h"

#include "client/broker_link.h"
#include "client/spawn.h"

/* Connected and greeted; NULL without a failure when none runs and none is to be started. */
static int try_broker(struct broker **out, const struct paths *paths, bool start, struct err *err)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	int fd = -1;
	int rc = start ? spawn_broker(&fd, paths, err) : spawn_connect(&fd, paths, err);

	if (rc < 0)
		return rc;
	if (broker_open(&broker, fd, err) < 0 || broker_greet(broker, err) < 0)
		return (int)err->code;
	*out = TAKE(broker);
	return 0;
}

int start_broker(struct broker **out, const struct paths *paths, bool start, struct err *err)
{
	struct err why = { 0 };

	*out = NULL;
	/* One that was just ending may have taken the connection, and closed it without a word. */
	for (int i = 0; i < START_TRIES; i++) {
		if (try_broker(out, paths, start, &why) == 0)
			return 0;
		if (why.code != ERR_GONE)
			break;
	}
	if (why.code == ERR_GONE && !start)
		return 0; /* that none runs is an answer here */
	return ERR_SET(err, why.code, "%s", why.text);
}

int start_agentd(struct broker *broker, struct broker_daemon_start_result *out, struct err *err)
{
	struct broker_daemon_start params = { 0 };
	struct err first = { 0 };

	if (broker_call(broker, BROKER_METHOD_DAEMON_START, &params, NULL, out, &first) == 0)
		return 0;
	if (first.code != ERR_STATE)
		return ERR_SET(err, first.code, "agentd: %s", first.text);
	/* The old one is ending at this very moment. */
	if (broker_wait_gone(broker, BROKER_ANSWER_MS, err) < 0)
		return (int)err->code;
	if (broker_call(broker, BROKER_METHOD_DAEMON_START, &params, NULL, out, err) < 0)
		return ERR_WRAP(err, "agentd");
	return 0;
}

int start_daemon(struct broker **out, const struct paths *paths, struct err *err)
{
	struct broker *broker SCOPED(broker_release) = NULL;
	struct broker_daemon_start_result result = { 0 };

	if (start_broker(&broker, paths, true, err) < 0 || start_agentd(broker, &result, err) < 0)
		return (int)err->code;
	*out = TAKE(broker);
	return 0;
}
