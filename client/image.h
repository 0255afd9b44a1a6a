/*
 * image.h - pictures that go along with a prompt.
 *
 * A picture is recognised by its first bytes, whatever its name says, and travels inside the
 * prompt's line.
 */
#pragma once

#include <stddef.h>

#include "proto/base/attr.h"

struct err;
struct options;

#define IMAGE_FILE_MAX                                                                             \
	700000        /* bytes of all pictures of a prompt: base64 has to fit into one line */
#define IMAGES_MAX 16 /* of one prompt */

struct image {
	const char *mime; /* static */
	char *base64;     /* owned */
};

struct images {
	struct image items[IMAGES_MAX];
	size_t count;
};

/* The files of every --image. */
int images_load(struct images *out, const struct options *options, struct err *err) MUST_CHECK;
void images_deinit(struct images *images);

/* Pure: the type of a picture, or NULL. */
const char *image_type(const unsigned char *data, size_t len);
/* Pure: base64 of the bytes; NULL when out of memory. The caller's to free. */
char *image_base64(const unsigned char *data, size_t len);
