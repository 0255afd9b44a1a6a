/*
 * log.h - one line per event on standard error: time, level, stable event word, then key=value
 * pairs.
 *
 * Foreign text goes through '%s' inside quotes and is escaped here: control characters and whatever
 * is not well-formed UTF-8 leave as \xNN, so a line stays a line. Never log prompts, tool
 * arguments, output or secrets. Pure files and proto/ do not log; they return.
 */
#pragma once

#include "proto/base/attr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 1024 /* bytes of one line, the newline included; the rest is cut */

/* Lines at once, and a second in the long run. What is beyond is cut, and the next line says how
 * many lines were; errors are never cut. */
#define LOG_BURST 2000
#define LOG_PER_SECOND 100

/* program: a literal, borrowed for ever. Before the first call lines say "agentd" and stop at info.
 */
void log_open(const char *program, enum log_level level);
void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_error(event, ...) log_event(LOG_ERROR, (event), __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_WARN, (event), __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, (event), __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, (event), __VA_ARGS__)
