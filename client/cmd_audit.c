/*
 * cmd_audit.c - agent audit verify: is the broker's record of what it did unbroken?
 *
 * Starts nothing and asks nobody: it reads the files.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/wire/audit.h"

#include "client/command.h"
#include "client/options.h"
#include "client/setup.h"

/* The files of a folder, the oldest first. */
static int verify_all(const char *folder, struct audit_chain *chain, struct err *err)
{
	char path[PATHS_BYTES_MAX + 1];

	for (int age = AUDIT_FILES_MAX - 1; age >= 0; age--) {
		if (snprintf(path, sizeof path, age ? "%s/" AUDIT_FILE ".%d" : "%s/" AUDIT_FILE,
			     folder, age) >= (int)sizeof path)
			return ERR_SET(err, ERR_LIMIT, "'%s': path too long", folder);
		if (age > 0 && access(path, F_OK) < 0 && errno == ENOENT)
			continue;
		if (audit_verify(path, chain, err) < 0)
			return (int)err->code;
	}
	return 0;
}

static int verify(const char *file, struct err *err)
{
	struct setup setup SCOPED(setup_deinit) = { 0 };
	struct audit_chain chain = { 0 };
	int rc = 0;

	if (file)
		rc = audit_verify(file, &chain, err);
	else if (setup_paths(&setup, err) < 0 || verify_all(setup.paths.log_dir, &chain, err) < 0)
		rc = (int)err->code;
	if (rc < 0)
		return rc;
	(void)printf("records %lld to %lld: the chain is unbroken%s\n", (long long)chain.first,
		     (long long)chain.seq,
		     chain.first > 1 ? "; what came before them is not here" : "");
	return 0;
}

int cmd_audit(const struct options *options)
{
	struct err err = { 0 };

	if (options->word_count < 1 || options->word_count > 2 ||
	    !str_eq(options->words[0], "verify"))
		return command_fail(options, EXIT_USAGE,
				    "'verify' is needed, and perhaps a file behind it");
	if (verify(options->words[1], &err) < 0)
		return command_fail(options, EXIT_FAILED, err.text);
	return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
