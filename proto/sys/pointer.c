#include "proto/sys/pointer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/fd.h"

bool pointer_read(char out[POINTER_FILE_MAX + 1], const char *path)
{
	int fd SCOPED(fd_close) = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, out, POINTER_FILE_MAX);

	out[got > 0 ? got : 0] = '\0';
	return got > 0;
}

char *pointer_target(char *text)
{
	char *colon = strchr(text, ':');
	char *target = colon ? colon + 1 + strspn(colon + 1, " \t\r\n") : NULL;
	size_t length = target ? strlen(target) : 0;

	while (length > 0 && strchr(" \t\r\n", target[length - 1]))
		target[--length] = '\0';
	return length > 0 ? target : NULL;
}
