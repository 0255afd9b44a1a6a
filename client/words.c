#include "client/words.h"

#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/options.h"

int words_join(char **out, const struct options *options, size_t first, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(WORDS_MAX);

	*out = NULL;
	if (options->word_count <= first)
		return 0;
	for (size_t i = first; i < options->word_count; i++) {
		if (buf_printf(&text, err, "%s%s", i > first ? " " : "", options->words[i]) < 0)
			return ERR_WRAP(err, "the prompt");
	}
	if (!str_is_utf8(buf_str(&text), text.len))
		return ERR_SET(err, ERR_INVALID, "the prompt is not well-formed UTF-8");
	*out = buf_take(&text);
	return *out ? 0 : ERR_NOMEM_SET(err);
}

int words_read(char **out, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(WORDS_MAX);

	if (buf_read_fd(&text, STDIN_FILENO, err) < 0)
		return ERR_WRAP(err, "the prompt on standard input");
	if (!str_is_utf8(buf_str(&text), text.len))
		return ERR_SET(err, ERR_INVALID,
			       "the prompt on standard input is not well-formed UTF-8");
	*out = buf_take(&text);
	return *out ? 0 : ERR_NOMEM_SET(err);
}
