/*
 * digest.h - SHA-256, by libmd, of texts in a form that nobody can read in two ways.
 *
 * Each text goes in as its length in decimal, a colon and its bytes, so {"ab", "c"} and {"a", "bc"}
 * differ.
 */
#pragma once

#include <sha2.h>
#include <stddef.h>

#define DIGEST_SIZE 65U /* bytes of one in hex with the final NUL */

struct digest {
	SHA2_CTX state;
};

void digest_init(struct digest *digest);
void digest_text(struct digest *digest, const char *text); /* NULL counts as "" */
void digest_words(struct digest *digest, const char *const *words,
		  size_t count); /* and the count */
void digest_finish(struct digest *digest, char out[DIGEST_SIZE]);

/* Of plain bytes, without a length. */
void digest_bytes(char out[DIGEST_SIZE], const void *data, size_t size);
