#include "proto/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "proto/base/err.h"

void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* EINTR closes too on Linux */
	*fd = -1;
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int fd_set_nonblock(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return ERR_SYS(err, errno, "fcntl O_NONBLOCK");
	return 0;
}

int fd_write_all(int fd, const void *data, size_t size, struct err *err)
{
	const char *from = data;

	while (size > 0) {
		ssize_t put = write(fd, from, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && (errno == EPIPE || errno == ECONNRESET))
			return ERR_SET(err, ERR_GONE, "write: the reader has closed");
		if (put < 0)
			return ERR_SYS(err, errno, "write");
		from += put;
		size -= (size_t)put;
	}
	return 0;
}

int fd_pipe(int out[2], struct err *err)
{
	if (pipe2(out, O_CLOEXEC) < 0)
		return ERR_SYS(err, errno, "pipe2");
	return 0;
}

int fd_signals(int *out, const int *signals, size_t count, struct err *err)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		(void)sigaddset(&set, signals[i]);
	fd = pthread_sigmask(SIG_BLOCK, &set, NULL) == 0
		     ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
		     : -1;
	if (fd < 0)
		return ERR_SYS(err, errno, "signalfd");
	*out = fd;
	return 0;
}

int fd_next_signal(int fd)
{
	struct signalfd_siginfo info = { 0 };

	return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

int fd_sealed(int *out, const char *name, const void *data, size_t size, struct err *err)
{
	int fd SCOPED(fd_close) = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return ERR_SYS(err, errno, "memfd_create");
	if (fd_write_all(fd, data, size, err) < 0)
		return ERR_WRAP(err, "sealed file");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ERR_SYS(err, errno, "lseek");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return ERR_SYS(err, errno, "seal");
	*out = fd_take(&fd);
	return 0;
}
