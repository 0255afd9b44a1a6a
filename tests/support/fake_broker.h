/*
 * fake_broker.h - plays the broker's side of agentd/broker_uv.h for one test: starts real
 * processes, without any sandbox, on a loop of its own.
 *
 * A program that uses it is declared with LIBS test_support agentd_uv, in this order, so that these
 * functions take the place of those in broker_uv.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct broker_denial;
struct uv_loop_s;

/* What broker_child_start() was asked for last. */
struct fake_broker_asked {
	char grant[32]; /* "" when there was none */
	size_t argc;
	size_t envc;
	bool has_cwd;
};

/* Once per program, before the tests: libuv keeps one pipe for signals open for ever. */
void fake_broker_prepare(void);

int fake_broker_open(void);
int fake_broker_close(void); /* kills what still runs; -1 when the loop is not empty then */

struct uv_loop_s *fake_broker_loop(void);
const struct fake_broker_asked *fake_broker_asked(void);
/* Of every command that ends from now on; borrowed. */
void fake_broker_deny(const struct broker_denial *denials, size_t count);
void fake_broker_refuse(bool refuses); /* broker_child_start() fails at once */
void fake_broker_wait(void);           /* until no process is left */
