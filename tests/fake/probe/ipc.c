/*
 * ipc.c - attempts on what processes share without a socket: System V objects, message queues,
 * shared memory, terminals, descriptors that came along.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pty.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/fake/probe/probe.h"

static int try_shm_key(char **words)
{
	return outcome(shmget((key_t)number(words[0]), 0, 0) < 0 ? -1 : 0);
}

static int try_shm_attach(char **words)
{
	void *memory = shmat((int)number(words[0]), NULL, 0);

	if ((intptr_t)memory == -1)
		return errno;
	memcpy(memory, "escaped", 7);
	return 0;
}

static int try_shm_remove(char **words)
{
	return outcome(shmctl((int)number(words[0]), IPC_RMID, NULL));
}

static int try_sem_remove(char **words)
{
	return outcome(semctl((int)number(words[0]), 0, IPC_RMID));
}

static int try_msg_send(char **words)
{
	struct {
		long type;
		char text[8];
	} message = { .type = 1, .text = "escaped" };

	return outcome(msgsnd((int)number(words[0]), &message, sizeof message.text, IPC_NOWAIT));
}

static int try_queue(char **words)
{
	mqd_t queue = mq_open(words[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (queue < 0)
		return errno;
	return outcome(mq_send(queue, "escaped", 7, 0));
}

static int try_queue_remove(char **words)
{
	return outcome(mq_unlink(words[0]));
}

static int try_shared(char **words)
{
	int fd = shm_open(words[0], O_RDWR | O_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return outcome(write(fd, "escaped", 7) < 0 ? -1 : 0);
}

static int try_shared_remove(char **words)
{
	return outcome(shm_unlink(words[0]));
}

/* PATH: writes what a terminal would take for a command of its own. */
static int try_terminal(char **words)
{
	static const char title[] = "\033]0;escaped\007";
	int fd = open(words[0], O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno;
	return outcome(write(fd, title, sizeof title - 1) < 0 ? -1 : 0);
}

/* A terminal of one's own, as script(1) and tmux want it. */
static int try_own_terminal(char **words)
{
	int master = -1;
	int slave = -1;

	(void)words;
	if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
		return errno;
	return outcome(write(slave, "x", 1) < 0 ? -1 : 0);
}

/* PATH: makes it its own controlling terminal, in a session of its own. */
static int try_steal_terminal(char **words)
{
	int fd = open(words[0], O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	pid_t pid = fd < 0 ? -1 : fork();

	if (pid == 0) {
		(void)setsid();
		_exit(outcome(ioctl(fd, TIOCSCTTY, 1)));
	}
	return fd < 0 ? errno : child_outcome(pid);
}

/* FD: whether what came as this descriptor can be written to. */
static int try_descriptor(char **words)
{
	return outcome(write((int)number(words[0]), "", 0) < 0 ? -1 : 0);
}

/* FD: the same file opened again for writing, by its name in /proc. */
static int try_descriptor_again(char **words)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%s", words[0]);
	return outcome(open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

/* One byte with a control message, through standard input, where that is a socket. */
static int send_control(int type, const void *data, size_t size)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control = { .space = { 0 } };
	char byte = 'x';
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(size) };

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = type;
	control.head.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&control.head), data, size);
	return outcome(sendmsg(STDIN_FILENO, &message, MSG_NOSIGNAL) < 0 ? -1 : 0);
}

/* PATH: sends a descriptor of it out. */
static int try_send_descriptor(char **words)
{
	int fd = open(words[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? errno : send_control(SCM_RIGHTS, &fd, sizeof fd);
}

/* PID: claims to be somebody else. */
static int try_false_name(char **words)
{
	struct ucred claim = { .pid = (pid_t)number(words[0]), .uid = getuid(), .gid = getgid() };

	return send_control(SCM_CREDENTIALS, &claim, sizeof claim);
}

/* Is the memory a new file in memory, which nobody else has? */
static int try_memory_file(char **words)
{
	int fd = memfd_create(words[0], MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? errno : outcome(ftruncate(fd, 4096));
}

const struct verb verbs_ipc[] = {
	{ "shm_key", 1, try_shm_key },
	{ "shm_attach", 1, try_shm_attach },
	{ "shm_remove", 1, try_shm_remove },
	{ "sem_remove", 1, try_sem_remove },
	{ "msg_send", 1, try_msg_send },
	{ "mqueue", 1, try_queue },
	{ "mqueue_remove", 1, try_queue_remove },
	{ "shared", 1, try_shared },
	{ "shared_remove", 1, try_shared_remove },
	{ "terminal", 1, try_terminal },
	{ "own_terminal", 0, try_own_terminal },
	{ "steal_terminal", 1, try_steal_terminal },
	{ "descriptor", 1, try_descriptor },
	{ "descriptor_again", 1, try_descriptor_again },
	{ "send_descriptor", 1, try_send_descriptor },
	{ "false_name", 1, try_false_name },
	{ "memory_file", 1, try_memory_file },
	{ NULL, 0, NULL },
};
