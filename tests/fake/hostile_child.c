/*
 * hostile_child.c - a command that tries to become a client.
 *
 *   hostile_child direct|orphan SOCKET...
 *
 * As itself, or as a grandchild in a session of its own that nobody is the parent of any more, it
 * connects to each socket, says hello in both protocols, and prints one line for each:
 *
 *   NAME: cannot ERRNO    it could not connect
 *   NAME: refused TEXT    the connection was closed, perhaps after a sentence
 *   NAME: SERVED TEXT     it was answered
 *
 * and one for what it has inherited: "descriptors: N" beyond the three that every command has.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"

#define FDS_LOOKED_AT 4096

static const char broker_hello[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":"
				   "{\"version\":1,\"name\":\"hostile\"}}";
static const char agent_hello[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\","
				  "\"params\":{\"protocolVersion\":1}}\n";

static int connect_to(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -1;
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect(sock, (const struct sockaddr *)&address, sizeof address) == 0)
		return sock;
	(void)close(sock);
	return -1;
}

static void try_socket(const char *path)
{
	char text[4096] = "";
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	bool stream = false;
	int sock SCOPED(fd_close) = connect_to(path, SOCK_SEQPACKET);
	ssize_t got;

	if (sock < 0 && errno == EPROTOTYPE) {
		stream = true;
		sock = connect_to(path, SOCK_STREAM);
	}
	if (sock < 0) {
		(void)printf("%s: cannot %s\n", name, strerrorname_np(errno));
		return;
	}
	(void)send(sock, stream ? agent_hello : broker_hello,
		   (stream ? sizeof agent_hello : sizeof broker_hello) - 1, MSG_NOSIGNAL);
	got = recv(sock, text, sizeof text - 1, 0);
	text[got > 0 ? got : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	(void)printf("%s: %s %s\n", name, strstr(text, "\"result\"") ? "SERVED" : "refused", text);
}

static int inherited(void)
{
	int count = 0;

	for (int fd = 3; fd < FDS_LOOKED_AT; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int main(int argc, char *argv[])
{
	int descriptors = inherited();
	pid_t parent;

	if (argc > 2 && str_eq(argv[1], "orphan")) {
		parent = fork();
		if (parent != 0)
			return parent < 0;
		parent = getpid();
		if (fork() != 0)
			_exit(0);
		(void)setsid();
		while (getppid() == parent)
			(void)sched_yield();
	}
	for (int i = 2; i < argc; i++)
		try_socket(argv[i]);
	(void)printf("descriptors: %d\n", descriptors);
	return EXIT_SUCCESS;
}
