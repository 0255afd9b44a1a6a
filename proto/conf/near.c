#include "proto/conf/near.h"

#include <string.h>

#define NEAREST_WORD_MAX 64U /* longer words are not compared */

static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NEAREST_WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];
			size_t change = (above < row[j - 1] ? above : row[j - 1]) + 1;
			size_t swap = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);

			row[j] = swap < change ? swap : change;
			diagonal = above;
		}
	}
	return row[b_len];
}

const char *near_word(const char *text, const char *const *words, size_t count)
{
	const char *best = NULL;
	size_t length = strlen(text);
	size_t limit = length / 3 + 2; /* with more than a third and one wrong it is another word */

	if (length > NEAREST_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t word_len = strlen(words[i]);
		size_t distance;

		if (word_len > NEAREST_WORD_MAX)
			continue;
		distance = edit_distance(text, length, words[i], word_len);
		if (distance < limit) {
			limit = distance;
			best = words[i];
		}
	}
	return best;
}
