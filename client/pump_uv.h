/*
 * pump_uv.h - lines from standard input to agentd and back, through a bridge, until one side ends.
 */
#pragma once

#include "proto/base/attr.h"

struct bridge;
struct err;

/* The exit code: 0 when the editor has left; otherwise err says why. */
int pump_run(struct bridge *bridge, const char *socket_path, struct err *err) MUST_CHECK;
