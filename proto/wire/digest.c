#include "proto/wire/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void digest_init(struct digest *digest)
{
	SHA256Init(&digest->state);
}

static void add(struct digest *digest, const void *data, size_t size)
{
	SHA256Update(&digest->state, data, size);
}

void digest_text(struct digest *digest, const char *text)
{
	size_t length = text ? strlen(text) : 0;
	char prefix[24];
	int used = snprintf(prefix, sizeof prefix, "%zu:", length);

	add(digest, prefix, (size_t)used);
	if (length > 0)
		add(digest, text, length);
}

void digest_words(struct digest *digest, const char *const *words, size_t count)
{
	char number[24];

	(void)snprintf(number, sizeof number, "%zu", count);
	digest_text(digest, number);
	for (size_t i = 0; i < count; i++)
		digest_text(digest, words[i]);
}

void digest_finish(struct digest *digest, char out[DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[SHA256_DIGEST_LENGTH];

	SHA256Final(raw, &digest->state);
	for (size_t i = 0; i < 2 * sizeof raw; i++)
		out[i] = digits[i % 2 ? raw[i / 2] & 15 : raw[i / 2] >> 4];
	out[2 * sizeof raw] = '\0';
}

void digest_bytes(char out[DIGEST_SIZE], const void *data, size_t size)
{
	struct digest digest;

	digest_init(&digest);
	add(&digest, data, size);
	digest_finish(&digest, out);
}
