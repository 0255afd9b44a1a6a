/*
 * store.h - the transcripts of a user: finding one by its session's id, listing them.
 *
 * Reads folders and the first line of files; opens no transcript for writing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

#include "agentd/session/uuid.h"

struct err;

#define STORE_FILES_MAX 100000 /* transcripts looked at; the rest is not listed */
#define STORE_HEADER_MAX 65536 /* bytes of a first line */

struct store_entry {
	char id[UUID_SIZE];
	char *path;
	int64_t changed_ms;
};

struct store_list {
	struct store_entry *entries; /* the last changed first; equal times by id */
	size_t count;
	size_t capacity;
};

/* What the first line says, and how many messages there are. */
struct store_header {
	char *cwd;
	char *title; /* NULL for none */
	int64_t messages;
};

int store_scan(struct store_list *out, const char *state_dir, struct err *err) MUST_CHECK;
void store_list_deinit(struct store_list *list);

/* *out is the caller's to free; ERR_NOTFOUND. */
int store_find(char **out, const char *state_dir, const char *id, struct err *err) MUST_CHECK;

int store_read_header(struct store_header *out, const char *path, struct err *err) MUST_CHECK;
void store_header_deinit(struct store_header *header);
