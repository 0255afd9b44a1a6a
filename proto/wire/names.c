#include "proto/wire/names.h"

#include <stddef.h>

#include "proto/base/str.h"

const char *names_get(const struct names *names, int number)
{
	return number > 0 && number < names->count ? names->words[number] : NULL;
}

int names_find(const struct names *names, const char *text)
{
	for (int i = 1; text && i < names->count; i++) {
		if (str_eq(names->words[i], text))
			return i;
	}
	return 0;
}
