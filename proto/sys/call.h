/*
 * call.h - a system call and its failure in one expression.
 */
#pragma once

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/base/err.h"

/* 0, or the failure of a system call; the second, for one by its number. */
#define CHECK(err, call, ...) ((call) < 0 ? ERR_SYS((err), errno, __VA_ARGS__) : 0)
#define SYSCALL(err, name, ...) CHECK(err, syscall(SYS_##name, __VA_ARGS__), #name)
