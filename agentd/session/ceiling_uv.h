/*
 * ceiling_uv.h - the ceilings that a session's commands live in: taken over from clients, closed
 * when not needed.
 *
 * Only clients open ceilings. When a session gets a new one, commands of the old one may still run:
 * it is closed when a turn has ended and nothing runs any more, or with the session.
 */
#pragma once

#include "proto/base/attr.h"

struct drive;
struct err;
struct session_adopt;

/* As session_driver.adopt. */
int ceiling_adopt(void *ctx, const struct session_adopt *adopt, struct err *err) MUST_CHECK;

void ceilings_retire(struct drive *drive); /* closes old ones, unless commands run */
void ceilings_close(struct drive *drive);  /* all of them; questions about others are forgotten */
