/*
 * fake_model.h - starts tests/fake/model with a script and reads what it logged.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

struct fake_model {
	pid_t pid;
	int port;
	char script[4096]; /* files in fixture_dir() */
	char log[4096];
};

/* The script is JSON text (see tests/fake/model.c). Fails the test when the server does not start.
 */
void fake_model_start(struct fake_model *fake, const char *script);
void fake_model_stop(struct fake_model *fake);

/* Every line logged so far, as an array; the caller's. */
json_t *fake_model_log(const struct fake_model *fake);
