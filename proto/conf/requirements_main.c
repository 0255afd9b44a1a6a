/*
 * requirements_main.c - agent-requirements: requirements.ini on standard input becomes JSON on
 * standard output, or a sentence there and exit status 1.
 *
 * The broker runs it, so that it need not read such a file itself: with these three descriptors,
 * without an environment, as nobody where the broker is root.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/conf/requirements.h"

static int read_requirements(json_t **out, const char *path, uid_t uid, struct err *err)
{
	struct buf text SCOPED(buf_deinit) = BUF_INIT(REQUIREMENTS_FILE_MAX);
	const struct passwd *entry;

	if (buf_read_fd(&text, STDIN_FILENO, err) < 0)
		return ERR_WRAP(err, "%s", path);
	if (!str_is_utf8(buf_str(&text), text.len))
		return ERR_SET(err, ERR_INVALID, "%s: not UTF-8 text", path);
	/* The only thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	entry = getpwuid(uid);
	return requirements_parse(out, buf_str(&text), path, entry ? entry->pw_dir : NULL, err);
}

int main(int argc, char **argv)
{
	json_auto_t *requirements = NULL;
	struct err err = { 0 };
	int64_t uid = 0;

	if (argc != 3 || str_to_int(&uid, argv[1], 0, UINT32_MAX - 1, &err) < 0) {
		puts("usage: agent-requirements UID NAME <requirements.ini");
		return 2;
	}
	if (read_requirements(&requirements, argv[2], (uid_t)uid, &err) < 0) {
		puts(err.text);
		return EXIT_FAILURE;
	}
	return json_dumpf(requirements, stdout, JSON_COMPACT) < 0 || fflush(stdout) != 0
		       ? EXIT_FAILURE
		       : EXIT_SUCCESS;
}
