#include "proto/base/args.h"

#include "proto/base/err.h"
#include "proto/base/str.h"

int args_parse(const struct arg *args, size_t count, char *const *argv, struct err *err)
{
	for (size_t i = 1; argv[i]; i++) {
		const struct arg *arg = args;
		int64_t number = 0;

		while (arg < args + count && !str_eq(argv[i], arg->name))
			arg++;
		if (arg == args + count || (!arg->flag && !argv[i + 1]))
			return ERR_SET(err, ERR_INVALID, "option '%s': unknown, or without a value",
				       argv[i]);
		if (arg->flag) {
			*arg->flag = true;
			continue;
		}
		i++;
		if (arg->text)
			*arg->text = argv[i];
		if (arg->number) {
			if (str_to_int(&number, argv[i], arg->low, arg->high, err) < 0)
				return ERR_WRAP(err, "%s", arg->name);
			*arg->number = (int)number;
		}
	}
	return 0;
}
