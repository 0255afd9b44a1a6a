/*
 * denied.h - what the sandbox has refused to a command that failed, as the model reads it and as
 * clients are sent it.
 *
 * Pure. Operation and target are the command's own words: for the model they are quoted and stay on
 * their line, clients escape them for their terminals.
 */
#pragma once

#include <jansson.h>

#include "proto/base/attr.h"

struct broker_child_exited;
struct buf;
struct err;

#define DENIED_LINES_MAX 8     /* of one output; what is left is counted */
#define DENIED_TEXT_MAX 24576U /* bytes of the section, every byte of every target escaped */

/* {denials, denials_lost}: the call's `_meta.agentd`, the caller's to decref; NULL when nothing was
 * refused. */
int denied_take(json_t **out, const struct broker_child_exited *exited, struct err *err) MUST_CHECK;

/* Appends the section for the model, from denied_take(); nothing for NULL. What ended the command
 * comes first, the rest in the order of the first time. */
int denied_text(struct buf *out, const json_t *denied, struct err *err) MUST_CHECK;
