/*
 * demo_uv.h - the demonstration's two terminals: one that controls a session, one that looks on.
 */
#pragma once

#include <stdbool.h>

struct broker;
struct setup;

#define DEMO_LAG_MS 5000 /* how long the second terminal may take to show the end */

struct demo_input {
	const struct setup *setup;
	struct broker *broker;
	const char *prompt;
	bool color;
	bool terminal; /* standard input is one */
};

/* The exit code of the session. */
int demo_run(const struct demo_input *input);
