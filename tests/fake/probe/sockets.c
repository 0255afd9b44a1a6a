/*
 * sockets.c - attempts to reach somebody through a socket.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"

#include "tests/fake/probe/probe.h"

#define ROUNDS 4000
#define WAIT_MS 2000

static const char text[] = "escaped\n";

/* A leading @ stands for the NUL of an abstract name. */
static socklen_t unix_name(struct sockaddr_un *out, const char *name)
{
	size_t length = strnlen(name, sizeof out->sun_path - 1);

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, name, length);
	if (name[0] == '@')
		out->sun_path[0] = '\0';
	else
		length++;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int unix_connect(const char *name, int type)
{
	struct sockaddr_un address;
	socklen_t length = unix_name(&address, name);
	int fd SCOPED(fd_close) = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, length) < 0)
		return errno;
	return outcome(send(fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0 ? -1 : 0);
}

static int try_stream(char **words)
{
	return unix_connect(words[0], SOCK_STREAM);
}

static int try_packets(char **words)
{
	return unix_connect(words[0], SOCK_SEQPACKET);
}

static int try_datagram(char **words)
{
	return unix_connect(words[0], SOCK_DGRAM);
}

static int try_raw_unix(char **words)
{
	return unix_connect(words[0], SOCK_RAW);
}

/* A datagram without a connection, from each end of a pair. */
static int try_datagram_pair(char **words)
{
	struct sockaddr_un address;
	socklen_t length = unix_name(&address, words[0]);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return errno;
	return outcome(
		sendto(pair[0], text, sizeof text, 0, (const struct sockaddr *)&address, length) < 0
			? -1
			: 0);
}

/* A stream that says where it goes with each message. */
static int try_stream_message(char **words)
{
	struct sockaddr_un address;
	socklen_t length = unix_name(&address, words[0]);
	int fd SCOPED(fd_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return outcome(sendto(fd, text, sizeof text, MSG_NOSIGNAL,
			      (const struct sockaddr *)&address, length) < 0
			       ? -1
			       : 0);
}

/* FOLDER NAME: by the folder's descriptor in /proc, so that no path is looked up from the top. */
static int try_stream_by_descriptor(char **words)
{
	char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
	int folder SCOPED(fd_close) = open(words[0], O_PATH | O_CLOEXEC);

	if (folder < 0)
		return errno;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, words[1]);
	return unix_connect(path, SOCK_STREAM);
}

/* The socket itself held open by O_PATH, as init does it. */
static int try_stream_pinned(char **words)
{
	char path[64];
	int fd SCOPED(fd_close) = open(words[0], O_PATH | O_CLOEXEC);

	if (fd < 0)
		return errno;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return unix_connect(path, SOCK_STREAM);
}

/* FOLDER NAME: relative to the working directory. */
static int try_stream_relative(char **words)
{
	return chdir(words[0]) < 0 ? errno : unix_connect(words[1], SOCK_STREAM);
}

static void *answer(void *data)
{
	int server = *(int *)data;
	int fd SCOPED(fd_close) = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	char bytes[sizeof text];

	while (fd >= 0 && recv(fd, bytes, sizeof bytes, 0) > 0)
		;
	return NULL;
}

static int serve_own(const char *name, int type)
{
	struct sockaddr_un address;
	socklen_t length = unix_name(&address, name);
	int server SCOPED(fd_close) = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	pthread_t thread;
	int sys;

	if (bind(server, (const struct sockaddr *)&address, length) < 0 || listen(server, 4) < 0)
		return errno;
	if (pthread_create(&thread, NULL, answer, &server) != 0)
		return EAGAIN;
	sys = unix_connect(name, type);
	if (sys != 0)
		(void)shutdown(server, SHUT_RDWR);
	(void)pthread_join(thread, NULL);
	return sys;
}

static int try_own_stream(char **words)
{
	return serve_own(words[0], SOCK_STREAM);
}

static int try_own_packets(char **words)
{
	return serve_own(words[0], SOCK_SEQPACKET);
}

/* PATH: listens there, for others to connect. Ends when somebody has, or after a while. */
static int try_bind(char **words)
{
	struct sockaddr_un address;
	socklen_t length = unix_name(&address, words[0]);
	int server SCOPED(fd_close) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return outcome(bind(server, (const struct sockaddr *)&address, length));
}

/* ------------------------------------------------------------------ races around connect() */

struct race {
	struct sockaddr_un addresses[2];
	socklen_t lengths[2];
	struct sockaddr_un shown;
	socklen_t length;
	int fd;
	const char *folders[2];
	const char *link;
	volatile bool stop;
};

static void *swap_address(void *data)
{
	struct race *race = data;

	for (unsigned i = 0; !race->stop; i++)
		race->shown = race->addresses[i % 2];
	return NULL;
}

static void *swap_socket(void *data)
{
	struct race *race = data;

	for (unsigned i = 0; !race->stop; i++) {
		int fresh = socket(i % 2 ? AF_UNIX : AF_INET,
				   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		(void)dup3(fresh, race->fd, O_CLOEXEC);
		(void)close(fresh);
	}
	return NULL;
}

static void *swap_link(void *data)
{
	struct race *race = data;
	char next[PATH_MAX];

	(void)snprintf(next, sizeof next, "%s.next", race->link);
	for (unsigned i = 0; !race->stop; i++) {
		if (symlink(race->addresses[i % 2].sun_path, next) == 0)
			(void)rename(next, race->link);
	}
	(void)unlink(next);
	return NULL;
}

static void *swap_folder(void *data)
{
	struct race *race = data;

	for (unsigned i = 0; !race->stop; i++) {
		if (chdir(race->folders[i % 2]) < 0)
			break;
	}
	return NULL;
}

/* Connects in a loop while the other thread changes what the call depends on. */
static int run_race(struct race *race, void *(*change)(void *))
{
	pthread_t thread;
	int reached = 0;

	if (pthread_create(&thread, NULL, change, race) != 0)
		return EAGAIN;
	for (int i = 0; i < ROUNDS; i++) {
		int fresh = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		(void)dup3(fresh, race->fd, O_CLOEXEC);
		(void)close(fresh);
		if (connect(race->fd, (const struct sockaddr *)&race->shown, race->length) == 0)
			reached++;
	}
	race->stop = true;
	(void)pthread_join(thread, NULL);
	note(" %d of %d connected", reached, ROUNDS);
	return reached > 0 ? 0 : EPERM;
}

/* A server of one's own, which may be connected to as often as one likes. */
static int own_server(const char *path)
{
	struct sockaddr_un address;
	socklen_t length = unix_name(&address, path);
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlink(path);
	if (bind(server, (const struct sockaddr *)&address, length) < 0 ||
	    listen(server, ROUNDS + 1) < 0)
		fd_close(&server);
	return server;
}

/* HOW OWN HOST...: OWN is where it may connect, HOST where not. */
static int try_race(char **words)
{
	struct race race = { .fd = -1, .link = words[3], .folders = { words[4], words[5] } };
	int server SCOPED(fd_close) = own_server(words[1]);
	char how = words[0][0];

	if (server < 0)
		return errno;
	race.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	race.lengths[0] = unix_name(&race.addresses[0], words[1]);
	race.lengths[1] = unix_name(&race.addresses[1], words[2]);
	race.shown = race.addresses[1];
	race.length = sizeof race.shown;
	if (how == 'a')
		return run_race(&race, swap_address);
	if (how == 's')
		return run_race(&race, swap_socket);
	if (how == 'l') {
		(void)unix_name(&race.shown, words[3]);
		return run_race(&race, swap_link);
	}
	(void)unix_name(&race.shown, "race.sock"); /* that both folders have */
	return run_race(&race, swap_folder);
}

/* ------------------------------------------------------------------ the network */

/* FAMILY TYPE PROTOCOL as numbers. */
static int try_socket(char **words)
{
	return outcome(socket((int)number(words[0]), (int)number(words[1]), (int)number(words[2])));
}

static int try_socket_high(char **words)
{
	/* The kernel reads the low half alone. */
	return outcome(syscall(SYS_socket, 0x100000000L | number(words[0]), number(words[1]), 0));
}

static int resolve(struct sockaddr_storage *out, socklen_t *length, char **words, int type)
{
	struct addrinfo hints = { .ai_socktype = type, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *list = NULL;

	if (getaddrinfo(words[0], words[1], &hints, &list) != 0)
		return EAFNOSUPPORT;
	memcpy(out, list->ai_addr, list->ai_addrlen);
	*length = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

static int connected(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int sys = 0;

	if (poll(&entry, 1, WAIT_MS) <= 0)
		return ETIMEDOUT;
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &length);
	return sys;
}

/* ADDRESS PORT */
static int try_tcp(char **words)
{
	struct sockaddr_storage address;
	socklen_t length = 0;
	int sys = resolve(&address, &length, words, SOCK_STREAM);
	int fd SCOPED(fd_close) = -1;

	if (sys != 0)
		return sys;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)&address, length) == 0)
		return 0;
	return errno == EINPROGRESS ? connected(fd) : errno;
}

/* The first bytes in the SYN, which is no connect(). */
static int try_fast_open(char **words)
{
	struct sockaddr_storage address;
	socklen_t length = 0;
	int sys = resolve(&address, &length, words, SOCK_STREAM);
	int fd SCOPED(fd_close) = -1;

	if (sys != 0)
		return sys;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sendto(fd, text, sizeof text, MSG_FASTOPEN | MSG_NOSIGNAL,
		   (const struct sockaddr *)&address, length) >= 0)
		return 0;
	return errno == EINPROGRESS ? connected(fd) : errno;
}

static int try_udp(char **words)
{
	struct sockaddr_storage address;
	socklen_t length = 0;
	int sys = resolve(&address, &length, words, SOCK_DGRAM);
	int fd SCOPED(fd_close) = -1;

	if (sys != 0)
		return sys;
	fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	return outcome(sendto(fd, text, sizeof text, 0, (const struct sockaddr *)&address, length) <
				       0
			       ? -1
			       : 0);
}

/* NAME through the resolver. */
static int try_lookup(char **words)
{
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(words[0], NULL, NULL, &list);

	note(" %s", rc ? gai_strerror(rc) : "");
	if (rc == 0)
		freeaddrinfo(list);
	return rc == 0 ? 0 : EHOSTUNREACH;
}

/* FAMILY ADDRESS TYPE: a server and a client of one's own. */
static int try_own_loopback(char **words)
{
	char *any[] = { words[0], (char[]){ "0" }, NULL };
	int type = (int)number(words[1]);
	struct sockaddr_storage address;
	socklen_t length = 0;
	int sys = resolve(&address, &length, any, type);
	int server SCOPED(fd_close) = -1;
	int client SCOPED(fd_close) = -1;

	if (sys != 0)
		return sys;
	server = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
	client = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
	if (server < 0 || client < 0 ||
	    bind(server, (const struct sockaddr *)&address, length) < 0 ||
	    (type == SOCK_STREAM && listen(server, 1) < 0))
		return errno;
	length = sizeof address;
	(void)getsockname(server, (struct sockaddr *)&address, &length);
	if (connect(client, (const struct sockaddr *)&address, length) < 0)
		return errno;
	return outcome(send(client, text, sizeof text, MSG_NOSIGNAL) < 0 ? -1 : 0);
}

/* PATH: serves there, at an abstract name like it, and on a port that it prints; for ever. */
static int try_serve(char **words)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof any;
	int tcp SCOPED(fd_close) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int named SCOPED(fd_close) = own_server(words[0]);
	int abstract SCOPED(fd_close) = own_server("@agent-corpus-served");

	if (tcp < 0 || bind(tcp, (const struct sockaddr *)&any, length) < 0 || listen(tcp, 8) < 0 ||
	    getsockname(tcp, (struct sockaddr *)&any, &length) < 0)
		return errno;
	printf("%d\n", ntohs(any.sin_port));
	(void)fflush(stdout);
	(void)pause();
	return named < 0 || abstract < 0 ? EIO : 0;
}

const struct verb verbs_sockets[] = {
	{ "serve", 1, try_serve },
	{ "stream", 1, try_stream },
	{ "packets", 1, try_packets },
	{ "datagram", 1, try_datagram },
	{ "raw_unix", 1, try_raw_unix },
	{ "datagram_pair", 1, try_datagram_pair },
	{ "stream_message", 1, try_stream_message },
	{ "stream_by_descriptor", 2, try_stream_by_descriptor },
	{ "stream_pinned", 1, try_stream_pinned },
	{ "stream_relative", 2, try_stream_relative },
	{ "own_stream", 1, try_own_stream },
	{ "own_packets", 1, try_own_packets },
	{ "bind", 1, try_bind },
	{ "race", 6, try_race },
	{ "socket", 3, try_socket },
	{ "socket_high", 2, try_socket_high },
	{ "tcp", 2, try_tcp },
	{ "fast_open", 2, try_fast_open },
	{ "udp", 2, try_udp },
	{ "lookup", 1, try_lookup },
	{ "own_loopback", 2, try_own_loopback },
	{ NULL, 0, NULL },
};
