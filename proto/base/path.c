#include "proto/base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/str.h"

bool path_beneath(const char *path, const char *folder)
{
	size_t length = folder[1] ? strlen(folder) : 0; /* "/" ends in its slash */

	return strncmp(path, folder, length) == 0 && path[length] == '/' && path[length + 1];
}

void path_folder(char folder[PATH_MAX], const char *path)
{
	*(char *)mempcpy(folder, path, (size_t)(strrchr(path, '/') - path)) = '\0';
}

bool path_within(const char *path, const char *folder)
{
	return strcmp(path, folder) == 0 || path_beneath(path, folder);
}

bool path_join(char joined[PATH_MAX], const char *folder, const char *name)
{
	if (snprintf(joined, PATH_MAX, "%s/%s", folder[1] ? folder : "", name) >= PATH_MAX)
		joined[0] = '\0';
	return joined[0] != '\0';
}

int path_follow(char out[PATH_MAX], const char *base, const char *text, path_link_fn *told,
		void *context, struct err *err)
{
	char rest[PATH_MAX];
	char path[PATH_MAX];
	char target[PATH_MAX];
	char *next = rest;
	const char *name;
	bool found = str_copy(rest, sizeof rest, text, NULL) == 0 &&
		     str_copy(out, PATH_MAX, text[0] == '/' ? "/" : base, NULL) == 0;

	for (int links = 0; found && (name = strsep(&next, "/"));) {
		ssize_t end = path_join(path, out, name) ? readlink(path, target, PATH_MAX - 1) : 0;

		if (end <= 0) {
			found = realpath(path, out);
			continue;
		}
		if (told(context, path, err) < 0)
			return err->code;
		if (target[0] == '/')
			out[1] = '\0';
		/* What is left comes behind the link's own text. */
		target[end] = next ? '/' : '\0';
		found = ++links <= PATH_LINKS_MAX &&
			(!next ||
			 str_copy(target + end + 1, (size_t)(PATH_MAX - end - 1), next, NULL) == 0);
		next = memcpy(rest, target, sizeof rest);
	}
	if (!found)
		out[0] = '\0';
	return 0;
}

bool path_meets(const char *dirs, const char *name)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];

	for (dirs = dirs ? dirs : ""; *dirs; dirs += dirs[0] == ':' ? 1 : 0) {
		size_t len = strcspn(dirs, ":");

		if (len < sizeof folder) {
			/* An empty one is the working directory. */
			*(char *)mempcpy(folder, len ? dirs : ".", len ? len : 1) = '\0';
			if (path_join(path, folder, name) && access(path, F_OK) == 0)
				return true;
		}
		dirs += len;
	}
	return false;
}
