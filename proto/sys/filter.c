#include "proto/sys/filter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/base/fd.h"
#include "proto/base/str.h"
#include "proto/sys/call.h"

/* The lower half of the first argument. */
#define ARGUMENT_0                                                                                 \
	(offsetof(struct seccomp_data, args) + 4 * (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))

#define PERSONALITY_QUERY 0xffffffffU

/* Errors that stand for more than one answer, until a filter is finished. */
enum { PERSONALITY = 4000, HANDED_OVER };

#define TAIL 5 /* instructions behind what libseccomp makes: what personality() is answered */

static void release(scmp_filter_ctx *context)
{
	seccomp_release(*context);
}

static int failed(int rc, const char *what, struct err *err)
{
	return rc < 0 ? ERR_SYS(err, -rc, "libseccomp: %s", what) : 0;
}

static int add_rule(scmp_filter_ctx context, int error, const char *call, unsigned count,
		    const struct scmp_arg_cmp *compare, struct err *err)
{
	uint32_t action = error ? SCMP_ACT_ERRNO((uint32_t)error) : SCMP_ACT_ALLOW;
	int number = seccomp_syscall_resolve_name(call);

	/* What a library does not know yet needs capabilities too, and nobody has any. */
	if (number == __NR_SCMP_ERROR)
		return 0;
	return failed(seccomp_rule_add_array(context, action, number, count, compare), call, err);
}

static int add_handed(scmp_filter_ctx context, const struct filter_handed *handed, struct err *err)
{
	int rc = 0;

	if (handed->bits == 0)
		return add_rule(context, HANDED_OVER, handed->call, 0, NULL, err);
	for (uint64_t left = handed->bits; rc == 0 && left > 0; left &= left - 1) {
		uint64_t bit = left & ~(left - 1);
		struct scmp_arg_cmp set =
			SCMP_CMP64(handed->argument, SCMP_CMP_MASKED_EQ, bit, bit);

		rc = add_rule(context, HANDED_OVER, handed->call, 1, &set, err);
	}
	return rc;
}

static int add_all(scmp_filter_ctx context, const struct filter_spec *spec, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(spec->lists); i++) {
		const struct filter_list *list = &spec->lists[i];

		for (const char *const *name = list->names; rc == 0 && name && *name; name++)
			rc = add_rule(context, list->error, *name, 0, NULL, err);
	}
	for (size_t i = 0; rc == 0 && i < spec->rule_count; i++) {
		const struct filter_rule *rule = &spec->rules[i];

		rc = add_rule(context, rule->error, rule->call, rule->count, rule->compare, err);
	}
	if (rc == 0 && spec->personality)
		rc = add_rule(context, PERSONALITY, "personality", 0, NULL, err);
	for (size_t i = 0; rc == 0 && i < spec->handed_count; i++)
		rc = add_handed(context, &spec->handed[i], err);
	return rc;
}

/* The 32-bit architecture whose programs the machine may run too. */
static uint32_t companion(void)
{
	uint32_t native = seccomp_arch_native();

	if (native == SCMP_ARCH_X86_64)
		return SCMP_ARCH_X86;
	return native == SCMP_ARCH_AARCH64 ? SCMP_ARCH_ARM : native;
}

static int set(scmp_filter_ctx context, enum scmp_filter_attr name, uint32_t value, struct err *err)
{
	return failed(seccomp_attr_set(context, name, value), "attribute", err);
}

static int compile(struct filter *out, const struct filter_spec *spec, struct err *err)
{
	uint32_t otherwise =
		spec->otherwise ? SCMP_ACT_ERRNO((uint32_t)spec->otherwise) : SCMP_ACT_ALLOW;
	scmp_filter_ctx context SCOPED(release) = seccomp_init(otherwise);
	int file SCOPED(fd_close) = memfd_create("filter", MFD_CLOEXEC);
	const size_t room = sizeof out->code - TAIL * sizeof out->code[0];
	ssize_t size;
	int rc;

	if (!context || file < 0)
		return !context ? ERR_NOMEM_SET(err) : ERR_SYS(err, errno, "memfd_create");
	rc = spec->companion ? seccomp_arch_add(context, companion()) : 0;
	if ((rc != -EEXIST && failed(rc, "arch_add", err) < 0) ||
	    set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS, err) < 0 ||
	    /* A tree instead of a chain: fewer steps for a call. */
	    set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2, err) < 0 ||
	    set(context, SCMP_FLTATR_API_SYSRAWRC, 1, err) < 0 || add_all(context, spec, err) < 0 ||
	    failed(seccomp_export_bpf(context, file), "export", err) < 0)
		return err->code;
	size = pread(file, out->code, room, 0);
	if (size < 0 || (size_t)size == room)
		return ERR_SYS(err, size < 0 ? errno : E2BIG, "read the filter");
	out->count = (size_t)size / sizeof out->code[0];
	return 0;
}

/* Puts the answers in place. */
static void finish(struct filter *filter, uint32_t personality, bool hands_over)
{
	/* With the library it would take two hundred instructions to say so. */
	const struct sock_filter tail[TAIL] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT_0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PERSONALITY_QUERY, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~personality, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const size_t end = filter->count;

	if (personality) {
		memcpy(filter->code + end, tail, sizeof tail);
		filter->count += TAIL;
	}
	for (size_t i = 0; i < filter->count; i++) {
		struct sock_filter *code = &filter->code[i];
		unsigned error = code->k & SECCOMP_RET_DATA;

		if (code->code != (BPF_RET | BPF_K) ||
		    (code->k & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO)
			continue;
		if (error == PERSONALITY)
			*code = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
							     (unsigned)(end - i - 1));
		else if (error == HANDED_OVER || (hands_over && error != ENOSYS))
			code->k = hands_over ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	}
}

int filter_compile(const struct filter_spec *spec, struct filter *plain, struct filter *handing,
		   struct err *err)
{
	struct filter *first = plain ? plain : handing;

	if (compile(first, spec, err) < 0)
		return err->code;
	if (handing && handing != first)
		*handing = *first;
	if (handing)
		finish(handing, spec->personality, true);
	if (plain)
		finish(plain, spec->personality, false);
	return 0;
}

int filter_load(const struct filter *filter, unsigned flags, struct err *err)
{
	/* The kernel reads it only. */
	const struct sock_fprog program = {
		.filter = (struct sock_filter *)(uintptr_t)filter->code,
		.len = (unsigned short)filter->count,
	};
	int rc;

	if (program.len == 0)
		return ERR_SET(err, ERR_STATE, "the filter has not been prepared");
	rc = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (rc > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC))
		return ERR_SET(err, ERR_SYSTEM, "seccomp: thread %d has another filter", rc);
	return rc < 0 ? ERR_SYS(err, errno, "seccomp") : rc;
}

int filter_load_known(unsigned first, struct err *err)
{
	struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					       offsetof(struct seccomp_data, nr)),
				      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 1),
				      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
				      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	const struct sock_fprog known = { .filter = code, .len = ARRAY_LEN(code) };

	return SYSCALL(err, seccomp, SECCOMP_SET_MODE_FILTER, 0, &known);
}

/* ------------------------------------------------------------------ what is answered */

/* Whether one comparison holds. */
static bool holds(const struct scmp_arg_cmp *compare, const struct seccomp_data *call)
{
	uint64_t value = call->args[compare->arg];

	if (compare->op == SCMP_CMP_MASKED_EQ)
		return (value & compare->datum_a) == compare->datum_b;
	if (compare->op == SCMP_CMP_GE)
		return value >= compare->datum_a;
	return (value == compare->datum_a) == (compare->op == SCMP_CMP_EQ);
}

int filter_answer(const struct filter_spec *spec, const struct seccomp_data *call)
{
	char *name = seccomp_syscall_resolve_num_arch(call->arch, call->nr);
	int error = EPERM;

	for (size_t i = 0; i < ARRAY_LEN(spec->lists); i++) {
		for (const char *const *listed = spec->lists[i].names; listed && *listed; listed++)
			error = str_eq(*listed, name) ? spec->lists[i].error : error;
	}
	for (size_t i = 0; i < spec->rule_count; i++) {
		const struct filter_rule *rule = &spec->rules[i];

		if (str_eq(rule->call, name) &&
		    (rule->count < 1 || holds(&rule->compare[0], call)) &&
		    (rule->count < 2 || holds(&rule->compare[1], call)))
			error = rule->error;
	}
	free(name);
	return error;
}
