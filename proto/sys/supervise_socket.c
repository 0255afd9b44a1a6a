/*
 * supervise_socket.c - connections and addresses of sockets, made in the command's place.
 *
 * By its path any socket of the host could be reached, whatever the network namespace. So a path
 * leads only to sockets that a command of the same sandbox has bound: its supervisor performed
 * that, and asked the kernel which file the socket has made.
 */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/un.h>

#include "proto/base/clock.h"
#include "proto/sys/landlock.h"
#include "proto/sys/supervise_call.h"

#define RETRY_MS 10  /* while the queue of a listening socket is full, which nothing signals */
#define CHECK_MS 250 /* whether who waits for a connection is still there */

#define ALARM_US 20000 /* how long a connect() holds up everybody, at most */

#define UNIX_PATH offsetof(struct sockaddr_un, sun_path)

/* An address as it was copied. */
struct target {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
		struct sockaddr_storage room;
	};
	socklen_t len;
	char end; /* behind a path without NUL */
};

static int option(int socket, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(socket, SOL_SOCKET, name, &value, &len) < 0 ? -errno : value;
}

/* Copies the address, and duplicates the socket; its family, or a negative errno. */
static int take(const struct supervisor *self, const struct task *task, struct target *out,
		int *socket)
{
	const __u64 *args = task->data->args;
	int got;

	memset(out, 0, sizeof *out);
	if ((int)args[2] < 0 || args[2] > sizeof out->room)
		return -EINVAL;
	out->len = (socklen_t)args[2];
	got = task_read(task, args[1], &out->room, out->len);
	if (got < (int)out->len)
		return got < 0 ? got : -EFAULT;
	*socket = task_fd(self, task, (int)args[0]);
	return *socket < 0 ? *socket : option(*socket, SO_DOMAIN);
}

static bool has_path(int family, const struct target *target)
{
	return family == AF_UNIX && target->any.sa_family == AF_UNIX && target->len > UNIX_PATH &&
	       target->local.sun_path[0] != '\0';
}

static void address_text(char out[DENIAL_TARGET_MAX], const struct target *target)
{
	char text[INET6_ADDRSTRLEN] = "";
	size_t len = target->len > UNIX_PATH ? target->len - UNIX_PATH : 0;

	if (target->any.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &target->v4.sin_addr, text, sizeof text);
		(void)snprintf(out, DENIAL_TARGET_MAX, "%s:%d", text, ntohs(target->v4.sin_port));
	} else if (target->any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &target->v6.sin6_addr, text, sizeof text);
		(void)snprintf(out, DENIAL_TARGET_MAX, "[%s]:%d", text,
			       ntohs(target->v6.sin6_port));
	} else {
		(void)snprintf(out, DENIAL_TARGET_MAX, "%.*s", (int)len, target->local.sun_path);
		for (size_t i = 0; i < len && target->any.sa_family == AF_UNIX; i++)
			out[i] = target->local.sun_path[i] ? target->local.sun_path[i] : '@';
		out[len] = '\0';
	}
}

/* ------------------------------------------------------------------ files of sockets */

/* A bound socket. While it is open its file is held, so that no other file can get its number. */
struct bound {
	_Atomic uint64_t cookie; /* of the socket, never given again; 0: none */
	uint64_t device;
	uint64_t inode;
	uint32_t socket; /* its number */
};

/* Of all commands of a sandbox: made in the zygote, a place is used again when all have been. */
static struct bounds {
	_Atomic uint32_t count;
	struct bound items[SUPERVISE_SOCKETS_MAX];
} * bounds;

int supervise_share(struct err *err)
{
	void *shared = mmap(NULL, sizeof *bounds, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	bounds = shared == MAP_FAILED ? NULL : shared;
	return CHECK(err, bounds ? 0 : -1, "mmap");
}

/* Asks for the file that a socket of this network namespace has made; without cookie for any. */
static bool ask(const struct supervisor *self, uint32_t socket, uint64_t *cookie, uint32_t *file)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} question = { .head = { .nlmsg_len = sizeof question,
				 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				 .nlmsg_flags = NLM_F_REQUEST },
		       .body = {
			       .sdiag_family = AF_UNIX,
			       .udiag_states = UINT32_MAX,
			       .udiag_ino = socket,
			       .udiag_show = UDIAG_SHOW_VFS,
			       .udiag_cookie = { (uint32_t)*cookie, (uint32_t)(*cookie >> 32) } } };
	struct {
		struct nlmsghdr head;
		struct unix_diag_msg body;
		struct nlattr kind;
		struct unix_diag_vfs file;
		char room[256];
	} answer = { .head = { 0 } };

	if (send(self->diag, &question, sizeof question, 0) < 0 ||
	    recv(self->diag, &answer, sizeof answer, MSG_DONTWAIT) <
		    (ssize_t)offsetof(__typeof__(answer), room) ||
	    answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY || answer.kind.nla_type != UNIX_DIAG_VFS)
		return false;
	*cookie = answer.body.udiag_cookie[0] | (uint64_t)answer.body.udiag_cookie[1] << 32;
	*file = answer.file.udiag_vfs_ino;
	return true;
}

/* 0 where a command of this sandbox has bound a socket to the file, or the errno to refuse with. */
static int is_ours(const struct supervisor *self, const struct stat *st)
{
	int error = EPERM;

	for (size_t i = 0; i < SUPERVISE_SOCKETS_MAX; i++) {
		const struct bound *bound = &bounds->items[i];
		uint64_t cookie = bound->cookie;
		uint64_t same = cookie;
		uint32_t file = 0;

		if (cookie == 0 || bound->inode != st->st_ino || bound->device != st->st_dev)
			continue;
		if (ask(self, bound->socket, &same, &file) && file == (uint32_t)st->st_ino &&
		    cookie == bound->cookie)
			return 0;
		error = ECONNREFUSED; /* it has been closed */
	}
	return error;
}

static void enter(const struct supervisor *self, int socket, const struct stat *file)
{
	struct bound *bound = &bounds->items[bounds->count++ % SUPERVISE_SOCKETS_MAX];
	uint64_t cookie = UINT64_MAX;
	uint32_t made = 0;
	struct stat st;

	/* Another file may have been moved there since: then nobody can connect to it. */
	if (fstat(socket, &st) < 0 || !ask(self, (uint32_t)st.st_ino, &cookie, &made) ||
	    made != (uint32_t)file->st_ino)
		return;
	bound->cookie = 0; /* whoever looks meanwhile sees none, or the change */
	bound->device = file->st_dev;
	bound->inode = file->st_ino;
	bound->socket = (uint32_t)st.st_ino;
	bound->cookie = cookie;
}

/*
 * Binds to the path as it was given, since getsockname() tells it, from the task's working
 * directory. Should it lead elsewhere by now, the file is not found to be the socket's.
 */
static int bind_path(const struct supervisor *self, const struct spot *spot, int socket,
		     const struct target *target)
{
	int from = spot->start >= 0 ? spot->start : spot->folder; /* of a name alone */
	struct stat st;

	if ((target->local.sun_path[0] != '/' && fchdir(from) < 0) ||
	    bind(socket, &target->any, target->len) < 0)
		return -errno;
	if (fstatat(spot->folder, spot->last, &st, AT_SYMLINK_NOFOLLOW) == 0)
		enter(self, socket, &st);
	return 0;
}

int supervise_bind(struct supervisor *self, struct task *task)
{
	struct spot spot SCOPED(spot_close) = SPOT_NONE;
	int socket SCOPED(fd_close) = -1;
	struct target target;
	int rc = take(self, task, &target, &socket);

	if (rc < 0 || !has_path(rc, &target)) {
		if (rc >= 0 && !task_waits(self, task->id))
			rc = -EINTR;
		return rc < 0 ? rc : bind(socket, &target.any, target.len) < 0 ? -errno : 0;
	}
	memcpy(spot.text, target.local.sun_path, sizeof target.local.sun_path);
	rc = spot_begin(self, task, AT_FDCWD, &spot);
	if (rc == 0 && spot.rest != spot.text) {
		/* "/proc/self" would mean this process: the rest, from the folder that it is. */
		rc = *spot.rest ? 0 : -ELOOP;
		memmove(target.local.sun_path, target.local.sun_path + (spot.rest - spot.text),
			strlen(spot.rest) + 1);
		target.len =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(spot.rest) + 1);
	}
	rc = rc == 0 ? spot_mask(self, task) : rc;
	rc = rc == 0 ? spot_folder(&spot) : rc;
	rc = rc == 0 ? spot_allowed(self, task, &spot, EADDRINUSE, EROFS) : rc;
	return spot_told(self, task, &spot, rc == 0 ? bind_path(self, &spot, socket, &target) : rc);
}

/* ------------------------------------------------------------------ connections */

/*
 * Never waits here: ANSWERED_LATER for a task that wants to wait itself. The task can take the flag
 * away again in between, and then an alarm ends the wait.
 */
static int try(int socket, const struct target *target)
{
	static const struct itimerval soon = { { 0, ALARM_US }, { 0, ALARM_US } };
	int flags = fcntl(socket, F_GETFL);
	bool waits = !(flags & O_NONBLOCK);
	int rc;

	if (flags < 0 || (waits && fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0) ||
	    setitimer(ITIMER_REAL, &soon, NULL) < 0)
		return -errno;
	rc = connect(socket, &target->any, target->len) < 0 ? -errno : 0;
	(void)setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	if (waits)
		(void)fcntl(socket, F_SETFL, flags);
	if (!waits || (rc != -EINPROGRESS && rc != -EALREADY && rc != -EAGAIN && rc != -EINTR))
		return rc;
	return ANSWERED_LATER;
}

/* A file in the place of the path that led to it. */
static int try_file(int socket, int file)
{
	struct target target = { .local = { .sun_family = AF_UNIX }, .len = sizeof target.local };

	(void)snprintf(target.local.sun_path, sizeof target.local.sun_path, "/proc/self/fd/%d",
		       file);
	return try(socket, &target);
}

static int later(struct supervisor *self, const struct task *task, int *socket, int *file,
		 const char *text)
{
	struct pending *pending = &self->pendings[self->pending_count];
	struct timeval limit = { 0 };
	socklen_t len = sizeof limit;

	if (self->pending_count == SUPERVISE_PENDING_MAX)
		return -EAGAIN;
	(void)getsockopt(*socket, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	*pending = (struct pending){ .id = task->id,
				     .deadline_ms = INT64_MAX,
				     .target = fd_take(file),
				     .socket = fd_take(socket) };
	if (limit.tv_sec > 0 || limit.tv_usec > 0)
		pending->deadline_ms = clock_ms() + limit.tv_sec * 1000 + limit.tv_usec / 1000;
	memcpy(pending->text, text, sizeof pending->text);
	self->pending_count++;
	return ANSWERED_LATER;
}

static int connect_path(struct supervisor *self, struct task *task, struct target *target,
			int *socket)
{
	struct spot spot SCOPED(spot_close) = SPOT_NONE;
	char text[DENIAL_TARGET_MAX];
	int file SCOPED(fd_close) = -1;
	struct stat st;
	int rc;

	memcpy(spot.text, target->local.sun_path, sizeof target->local.sun_path);
	rc = spot_begin(self, task, AT_FDCWD, &spot);
	file = rc = rc == 0 ? spot_file(&spot, 0) : rc;
	if (rc >= 0 && fstat(file, &st) < 0)
		rc = -errno;
	if (rc < 0)
		return spot_told(self, task, &spot, rc);
	if (!task_waits(self, task->id) || !S_ISSOCK(st.st_mode))
		return -ECONNREFUSED; /* as of a file without a socket */
	path_text(text, file, "");
	rc = is_ours(self, &st);
	/* A file that a socket has left behind; a socket of another type would not hear of this. */
	if (rc == EPERM && try_file(self->touch, file) == -ECONNREFUSED)
		rc = ECONNREFUSED;
	if (rc == EPERM)
		task_deny(self, task, DENIAL_RULE_HOST_SOCKET, text, EPERM);
	if (rc != 0)
		return -rc;
	rc = try_file(*socket, file);
	return rc == ANSWERED_LATER ? later(self, task, socket, &file, text) : rc;
}

/* Tells where no address can be reached, with the network off. */
static void told(struct supervisor *self, const char *name, const char *text, int rc)
{
	if (rc == -ENETUNREACH && !self->policy->network)
		denials_add(self->policy->denials, DENIAL_RULE_NETWORK, name, text, -rc);
}

int supervise_connect(struct supervisor *self, struct task *task)
{
	char text[DENIAL_TARGET_MAX];
	int socket SCOPED(fd_close) = -1;
	struct target target;
	int family = take(self, task, &target, &socket);
	int rc;

	if (family < 0)
		return family;
	if (has_path(family, &target))
		return connect_path(self, task, &target, &socket);
	if (!task_waits(self, task->id))
		return -EINTR;
	address_text(text, &target);
	/* Names without a path are the network namespace's; on the host's, Landlock bounds them. */
	if (family == AF_UNIX && self->policy->network &&
	    self->policy->landlock < LANDLOCK_ABI_SCOPES) {
		task_deny(self, task, DENIAL_RULE_HOST_SOCKET, text, EPERM);
		return -EPERM;
	}
	rc = try(socket, &target);
	if (rc == -EPERM && family == AF_UNIX)
		task_deny(self, task, DENIAL_RULE_HOST_SOCKET, text, EPERM);
	told(self, task->name, text, rc);
	return rc == ANSWERED_LATER ? later(self, task, &socket, &(int){ -1 }, text) : rc;
}

/* ------------------------------------------------------------------ connections under way */

size_t sockets_poll(const struct supervisor *self, struct pollfd *fds)
{
	for (size_t i = 0; i < self->pending_count; i++) {
		const struct pending *pending = &self->pendings[i];

		fds[i] = (struct pollfd){ .fd = pending->target < 0 ? pending->socket : -1,
					  .events = POLLOUT };
	}
	return self->pending_count;
}

int supervise_timeout_ms(const struct supervisor *self)
{
	int timeout_ms = self->pending_count > 0 ? CHECK_MS : -1;

	for (size_t i = 0; i < self->pending_count; i++) {
		if (self->pendings[i].target >= 0)
			timeout_ms = RETRY_MS;
	}
	return timeout_ms;
}

/* What has become of it; ANSWERED_LATER: nothing yet. */
static int outcome(const struct pending *pending, bool ready)
{
	int rc = ANSWERED_LATER;

	if (pending->target >= 0) {
		rc = try_file(pending->socket, pending->target);
		rc = rc == -EAGAIN || rc == -EINTR ? ANSWERED_LATER : rc;
	} else if (ready) {
		rc = option(pending->socket, SO_ERROR);
		rc = rc > 0 ? -rc : rc;
	}
	if (rc == ANSWERED_LATER && clock_ms() >= pending->deadline_ms)
		rc = pending->target >= 0 ? -EAGAIN : -EINPROGRESS;
	return rc;
}

void sockets_serve(struct supervisor *self, const struct pollfd *fds, size_t count)
{
	for (size_t i = count; i-- > 0;) { /* backwards: the last one takes a free place */
		struct pending *pending = &self->pendings[i];
		int rc = outcome(pending, fds[i].revents != 0);

		if (rc == ANSWERED_LATER && task_waits(self, pending->id))
			continue;
		supervise_answer(self, pending->id, rc);
		told(self, "connect", pending->text, rc);
		fd_close(&pending->socket);
		fd_close(&pending->target);
		*pending = self->pendings[--self->pending_count];
	}
}
