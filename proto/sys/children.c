#include "proto/sys/children.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "proto/base/fd.h"

#define CHILDREN_TEXT_MAX 65536 /* bytes of the list that one round looks at */

int children_kill(void)
{
	static char text[CHILDREN_TEXT_MAX];
	int fd SCOPED(fd_close) = open(CHILDREN_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
	int killed = 0;
	pid_t pid = 0;

	for (ssize_t i = 0; i < got; i++) { /* each number has a space behind it */
		if (text[i] != ' ') {
			pid = 10 * pid + (text[i] - '0');
			continue;
		}
		killed += kill(pid, SIGKILL) == 0;
		pid = 0;
	}
	return killed;
}
