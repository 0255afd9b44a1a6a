#include "proto/wire/method.h"

#include "proto/base/str.h"

size_t wire_method_find(const struct wire_method *methods, size_t count, const char *name)
{
	for (size_t i = 1; i < count; i++) {
		if (str_eq(methods[i].name, name))
			return i;
	}
	return 0;
}
