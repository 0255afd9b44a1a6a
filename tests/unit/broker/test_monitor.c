/*
 * The monitor with a hostile front: what crosses is made by hand here. As an ordinary account it is
 * only tried that there is no monitor without root's rights.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/err.h"
#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/wire/limits.h"
#include "proto/wire/order.h"
#include "proto/wire/packet.h"

#include "broker/monitor.h"
#include "tests/support/fixture.h"

/* As in monitor.c. */
struct request {
	struct order order;
	uint32_t mode;
	uint32_t on;
};

#define NETWORK 1U
#define WORKSPACE_WRITE SANDBOX_MODE_WORKSPACE_WRITE

enum block { SEALED, OPEN, NONE };

static const struct row {
	const char *name;
	size_t less; /* bytes that are missing */
	uint32_t mode;
	uint32_t on;
	enum block block;
	uint32_t magic;   /* 0: the right one */
	const char *root; /* a further one */
	const char *cwd;
	enum err_code code; /* of the monitor, or of what should have become a zygote */
} rows[] = {
	{ .name = "short", .less = 1, .mode = 1, .code = ERR_INVALID },
	{ .name = "empty", .less = sizeof(struct request) - 1, .mode = 1, .code = ERR_INVALID },
	{ .name = "no block", .block = NONE, .mode = 1, .code = ERR_INVALID },
	{ .name = "no mode", .mode = 0, .code = ERR_INVALID },
	{ .name = "another mode", .mode = SANDBOX_MODE_COUNT, .code = ERR_INVALID },
	{ .name = "the last mode", .mode = UINT32_MAX, .code = ERR_INVALID },
	{ .name = "a block that changes", .block = OPEN, .mode = 1, .code = ERR_INVALID },
	{ .name = "another order", .magic = 7, .mode = 1, .code = ERR_INVALID },
	{ .name = "everything", .mode = WORKSPACE_WRITE, .cwd = "/", .code = ERR_DENIED },
	{ .name = "the kernel's", .mode = WORKSPACE_WRITE, .root = "/proc/1", .code = ERR_DENIED },
	{ .name = "what is hidden", .mode = WORKSPACE_WRITE, .root = "/var", .code = ERR_DENIED },
	{ .name = "no such root", .mode = WORKSPACE_WRITE, .root = "/no", .code = ERR_NOTFOUND },
	{ .name = "only root enters",
	  .mode = WORKSPACE_WRITE,
	  .root = "/proc/1/root",
	  .code = ERR_NOTFOUND },
	{ .name = "against the limits", .mode = 1, .on = NETWORK, .code = ERR_DENIED },
	{ .name = "full access", .mode = SANDBOX_MODE_DANGER_FULL_ACCESS, .code = ERR_DENIED },
	{ .name = "unknown bits", .mode = 1, .on = ~0x3fU },
	{ .name = "a good one", .mode = WORKSPACE_WRITE },
};

static int send_row(int sock, const struct row *row, struct err *err)
{
	const char *argv[] = { "-", row->root };
	struct command command = { argv, row->root ? 2 : 1, NULL, 0, row->cwd ? row->cwd : "/tmp" };
	struct request request = { .mode = row->mode, .on = row->on };
	int block SCOPED(fd_close) = -1;

	if (order_pack(&request.order, &block, &command, err) < 0)
		return err->code;
	request.order.magic = row->magic ? row->magic : request.order.magic;
	if (row->block == OPEN) {
		fd_close(&block);
		block = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (ftruncate(block, request.order.block_bytes) < 0)
			return ERR_SET(err, ERR_SYSTEM, "ftruncate");
	}
	return packet_send(sock, &request, sizeof request - row->less, &block,
			   row->block == NONE ? 0 : 1, err);
}

/* A struct err, and a descriptor when it says that all is well. */
static enum err_code read_answer(int sock, int *out_fd)
{
	struct packet packet SCOPED(packet_deinit) = { 0 };
	struct err err = { 0 };
	struct err answer = { 0 };

	if (packet_recv(sock, &packet, &err) != PACKET_DONE || packet.data.len != sizeof answer)
		return ERR_GONE;
	memcpy(&answer, packet.data.data, sizeof answer);
	*out_fd = packet_take(&packet, 0);
	return answer.code;
}

/* In a process that has become the front. Returns how many rows went wrong. */
static int attack(int sock)
{
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int control SCOPED(fd_close) = -1;
		int mounts SCOPED(fd_close) = -1;
		struct err err = { 0 };
		enum err_code code =
			send_row(sock, &rows[i], &err) < 0 ? err.code : read_answer(sock, &control);

		if (code == ERR_NONE)
			code = read_answer(control, &mounts);
		if (code == rows[i].code && (code != ERR_NONE || mounts >= 0))
			continue;
		print_error("%s: %s\n", rows[i].name, err_code_name(code));
		wrong++;
	}
	return wrong;
}

static _Noreturn void be_the_front(void)
{
	static const char *const hidden[] = { "/var" };
	static const char json[] = "{\"allowed_sandbox_modes\": [\"read-only\", "
				   "\"workspace-write\"], \"allow_network\": false}";
	static struct limits limits;
	static struct account account;
	struct system_mode system = { &account, &limits, hidden, 1, -1 };
	struct err err = { 0 };
	int sock = dup(0); /* the number that the socket will have */

	(void)close(sock);
	if (limits_decode(&limits, "/limits", json, strlen(json), &err) < 0 ||
	    account_find(&account, "daemon", &err) < 0 || monitor_start(&system, &err) < 0) {
		print_error("%s\n", err.text);
		_exit(err.code == ERR_DENIED ? 100 : 101);
	}
	if (getuid() != account.uid || setuid(0) == 0)
		_exit(102);
	_exit(attack(sock));
}

static void a_hostile_front_gets_nothing_and_does_not_end_the_monitor(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		be_the_front();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), getuid() == 0 ? 0 : 100);
}

static void only_a_user_that_exists_and_is_not_root_is_served(void **state)
{
	static const char *const names[] = { "root", "no-such-user", "", "0" };
	struct account account;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err err = { 0 };

		if (account_find(&account, names[i], &err) != ERR_INVALID)
			fail_msg("'%s'", names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_hostile_front_gets_nothing_and_does_not_end_the_monitor),
		FIXTURE_TEST(only_a_user_that_exists_and_is_not_root_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
