#include "broker/reap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "proto/base/err.h"
#include "proto/base/log.h"

#include "broker/broker.h"
#include "broker/peer.h"

struct child *child_new(struct err *err)
{
	struct child *child = calloc(1, sizeof *child);

	if (!child) {
		(void)ERR_NOMEM_SET(err);
		return NULL;
	}
	child->started = (struct started)STARTED_NONE;
	if (id_draw(child->id, sizeof child->id, err) < 0)
		child_free(&child);
	return child;
}

void child_free(struct child **child)
{
	if (*child) {
		started_deinit(&(*child)->started);
		ticket_drop(&(*child)->ticket);
	}
	free(*child);
	*child = NULL;
}

void reap_adopt(struct broker *broker, struct peer *peer, struct child *child)
{
	child->peer = peer;
	child->role = peer->role;
	broker->children[broker->child_count++] = child;
}

/* A kill that fails leaves a process behind, which somebody must hear of. */
static void kill_tree(const struct child *child)
{
	struct err err = { 0 };

	if (!child->gone && sandbox_kill(&child->started, &err) < 0 && err.code != ERR_GONE)
		log_error("child_kill", "child=%.8s why='%s'", child->id, err.text);
}

void reap_report(struct child *child)
{
	struct broker_child_start_result result = { .child = child->id };
	struct child_report report = { 0 };
	struct err err = { 0 };

	while (!child->silent) {
		if (sandbox_report(&child->started, &report, &err) < 0) {
			log_error("child_report", "child=%.8s why='%s'", child->id, err.text);
			kill_tree(child);
			report.event = CHILD_GONE;
		}
		switch ((enum child_event)report.event) {
		case CHILD_NOTHING:
			return;
		case CHILD_EXECUTED:
			child->executed = true;
			(void)ticket_answer(&child->ticket, &result, NULL, &err);
			break;
		case CHILD_FAILED:
			ticket_fail(&child->ticket, &report.err);
			break;
		case CHILD_EXITED:
			child->exited = true;
			child->wait_status = report.wait_status;
			break;
		case CHILD_GONE:
		default:
			child->silent = true;
		}
	}
	(void)ERR_SET(&err, ERR_SYSTEM, "the command ended before it ran");
	ticket_fail(&child->ticket, &err);
}

/* As a shell counts: 128 + the signal. Without a report what supervised it was killed. */
static void tell_exit(const struct child *child)
{
	int status = child->exited ? child->wait_status : SIGKILL;
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	int code = signal ? 128 + signal : WEXITSTATUS(status);
	struct broker_child_exited params = { .child = child->id, .code = code, .signal = signal };

	log_info("child_exited", "child=%.8s code=%d", child->id, code);
	if (child->peer)
		serve_notify(child->peer, BROKER_METHOD_CHILD_EXITED, &params);
}

void reap_gone(struct child *child)
{
	reap_report(child); /* what was said before the end */
	child->silent = true;
	reap_report(child); /* nobody is left to say more: whoever waits is told that */
	child->gone = true;
	if (child->executed)
		tell_exit(child);
}

struct child *reap_find(const struct broker *broker, const struct peer *peer, const char *id)
{
	for (size_t i = 0; i < broker->child_count; i++) {
		struct child *child = broker->children[i];

		if (!child->gone && child->peer == peer && id_equal(child->id, id))
			return child;
	}
	return NULL;
}

void reap_kill(struct broker *broker, const struct peer *peer, const struct ceiling *ceiling)
{
	for (size_t i = 0; i < broker->child_count; i++) {
		struct child *child = broker->children[i];

		if (peer && child->peer == peer) {
			ticket_drop(&child->ticket);
			child->peer = NULL;
		} else if (ceiling && child->ceiling == ceiling) {
			child->ceiling = NULL;
		} else {
			continue;
		}
		kill_tree(child);
	}
}

bool reap_has_daemons(const struct broker *broker)
{
	for (size_t i = 0; i < broker->child_count; i++) {
		if (broker->children[i]->role == BROKER_ROLE_DAEMON)
			return true;
	}
	return false;
}

void reap_zombies(struct broker *broker)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == broker->daemon.pid)
			daemon_ended(broker, status);
	}
}

void reap_sweep(struct broker *broker)
{
	for (size_t i = broker->child_count; i-- > 0;) {
		if (!broker->children[i]->gone)
			continue;
		child_free(&broker->children[i]);
		broker->children[i] = broker->children[--broker->child_count];
	}
}
