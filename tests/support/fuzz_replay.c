/* Replays the corpus through a fuzz target: every file of the folders (or files) that are named. */

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#define INPUT_MAX (16U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int replay(const char *path, const struct stat *info, int type, struct FTW *where)
{
	struct buf input SCOPED(buf_deinit) = BUF_INIT(INPUT_MAX);
	struct err err = { 0 };
	uint8_t *exact;

	(void)info;
	(void)where;
	if (type != FTW_F)
		return 0;
	if (buf_read_file(&input, path, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	/* A copy of exactly this size, so that a sanitizer sees the first byte read beyond. */
	exact = malloc(input.len ? input.len : 1);
	if (!exact)
		return 1;
	for (size_t i = 0; i < input.len; i++)
		exact[i] = (uint8_t)input.data[i];
	(void)LLVMFuzzerTestOneInput(exact, input.len);
	free(exact);
	replayed++;
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) {
			(void)fprintf(stderr, "cannot replay '%s'\n", argv[i]);
			return EXIT_FAILURE;
		}
	}
	printf("%zu inputs\n", replayed);
	return replayed > 0 ? EXIT_SUCCESS
			    : EXIT_FAILURE; /* a target without a corpus proves nothing */
}
