#include "client/command.h"

#include <stdio.h>

#include "client/options.h"

int command_fail(const struct options *options, int exit_code, const char *sentence)
{
	(void)fprintf(stderr, "%s: %s\n", options_command_name(options->command), sentence);
	return exit_code;
}
