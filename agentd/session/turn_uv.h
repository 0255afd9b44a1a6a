/*
 * turn_uv.h - the driver of turns: asks the model, lets its calls be judged and run, ends when it
 * is done.
 *
 * Fills the session_driver table of session.h. Decides nothing itself: turn.h says what follows
 * from what, policy.h what may run. One struct turn_host per daemon; each session gets a struct
 * drive from it.
 */
#pragma once

#include "proto/base/attr.h"

struct broker_link;
struct err;
struct model;
struct session_driver;
struct turn_host;
struct uv_loop_s;

struct turn_place {
	struct uv_loop_s *loop;
	struct broker_link *link;
	struct model *model;
	const char *shell;  /* the person's, absolute, or NULL */
	const char *applet; /* absolute path of agent-patch */
	char *const
		*environment; /* agentd's own, for the names that a provider's settings mention */
};

/* Everything in the place is borrowed until the host is free. Fills all of the driver but
 * `finished`. */
int turn_host_new(struct turn_host **out, struct session_driver *driver,
		  const struct turn_place *place, struct err *err) MUST_CHECK;

/* Every session must have been closed; frees itself once the loop has closed what belongs to it. */
void turn_host_close(struct turn_host *host);
