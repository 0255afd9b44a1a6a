/*
 * lockdown_filter.h - the system calls that agentd keeps, as a list; every other one fails.
 */
#pragma once

#include "proto/base/attr.h"

struct err;

/* Installs the filter in every thread. Needs no_new_privs. */
int lockdown_filter_install(struct err *err) MUST_CHECK;
