#include "proto/wire/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/fd.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int add_texts(struct buf *block, const char *const *texts, size_t count, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = buf_append(block, texts[i], strlen(texts[i]) + 1, err);
	return rc;
}

int order_pack(struct order *out, int *out_block, const struct command *command, struct err *err)
{
	struct buf block SCOPED(buf_deinit) = BUF_INIT(ORDER_BLOCK_MAX);

	if (command->argc < 1 || command->argc > ORDER_ARGV_MAX || command->envc > ORDER_ENV_MAX)
		return ERR_SET(err, ERR_LIMIT, "not 1 to %u arguments and up to %u variables",
			       ORDER_ARGV_MAX, ORDER_ENV_MAX);
	if (add_texts(&block, command->argv, command->argc, err) < 0 ||
	    add_texts(&block, command->env, command->envc, err) < 0 ||
	    add_texts(&block, &command->cwd, 1, err) < 0 ||
	    fd_sealed(out_block, "order", block.data, block.len, err) < 0)
		return ERR_WRAP(err, "command");
	*out = (struct order){ .magic = ORDER_MAGIC,
			       .argc = (uint32_t)command->argc,
			       .envc = (uint32_t)command->envc,
			       .block_bytes = (uint32_t)block.len };
	return 0;
}

int order_parse(struct order_text *out, const struct order *order, char *block, size_t size,
		struct err *err)
{
	size_t count = (size_t)order->argc + order->envc + 1;
	char *at = block;
	char **list;

	if (order->magic != ORDER_MAGIC || order->argc < 1 || order->argc > ORDER_ARGV_MAX ||
	    order->envc > ORDER_ENV_MAX || size != order->block_bytes || size < count ||
	    size > ORDER_BLOCK_MAX || block[size - 1] != '\0')
		return ERR_SET(err, ERR_INVALID, "order: header and block do not add up");
	list = calloc(count + 2, sizeof *list);
	if (!list)
		return ERR_NOMEM_SET(err);
	/* A NULL behind the arguments, and one behind the environment. */
	for (size_t i = 0; i < count && at < block + size; i++) {
		list[i + (i >= order->argc) + (i == count - 1)] = at;
		at += strlen(at) + 1;
	}
	if (at != block + size || !list[count + 1] || list[count + 1][0] != '/' || !list[0][0]) {
		free(list);
		return ERR_SET(err, ERR_INVALID, "order: the block holds other texts");
	}
	*out = (struct order_text){ .argv = list,
				    .env = list + order->argc + 1,
				    .cwd = list[count + 1] };
	return 0;
}

int order_read(struct order_text *out, const struct order *order, int block, struct err *err)
{
	struct stat st;
	char *map;

	if (fcntl(block, F_GET_SEALS) != SEALS || fstat(block, &st) < 0 ||
	    st.st_size != (off_t)order->block_bytes)
		return ERR_SET(err, ERR_INVALID, "order: the block is not sealed, or not this one");
	map = mmap(NULL, order->block_bytes, PROT_READ, MAP_PRIVATE, block, 0);
	if (map == MAP_FAILED)
		return ERR_SYS(err, errno, "order: mmap");
	return order_parse(out, order, map, order->block_bytes, err);
}
