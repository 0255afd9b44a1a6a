/*
 * args.h - the options of a program that no person types: --name VALUE, and --name alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;

/* One of the three places is there. */
struct arg {
	const char *name;  /* with its dashes */
	const char **text; /* borrowed from argv */
	bool *flag;        /* has no value */
	int *number;       /* in [low, high] */
	int low;
	int high;
};

/* argv with the program's name, ended by NULL. What is not given is left as it is. */
int args_parse(const struct arg *args, size_t count, char *const *argv, struct err *err) MUST_CHECK;
