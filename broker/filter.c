#include "broker/filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include "broker/step.h"

#define PERSONALITY_QUERY_BIT 31      /* set in the question 0xffffffff, which must pass */
#define PERSONALITY_HARMLESS 0x40008U /* PER_LINUX32 and ADDR_NO_RANDOMIZE, for debuggers */

/* As the kernel takes them: to compile one anew for each command would cost more than to install
 * it. */
static struct program {
	struct sock_filter code[BPF_MAXINSNS];
	size_t count;
} programs[FILTER_COUNT];

static void release(scmp_filter_ctx *context)
{
	seccomp_release(*context);
}

static int failed(int rc, const char *what, struct err *err)
{
	return rc < 0 ? ERR_SYS(err, -rc, "libseccomp: %s", what) : 0;
}

static int add_rule(scmp_filter_ctx context, uint32_t action, const char *call, unsigned count,
		    const struct scmp_arg_cmp *compare, struct err *err)
{
	int number = seccomp_syscall_resolve_name(call);

	/* What a library does not know yet needs capabilities too, and nobody has any. */
	if (number == __NR_SCMP_ERROR)
		return 0;
	return failed(seccomp_rule_add_array(context, action, number, count, compare), call, err);
}

/*
 * Refuses every personality but the harmless bits and the question, in which all bits are set: a
 * bit that weakens the process, and with the question's highest bit any other bit that is clear.
 */
static int add_personality(scmp_filter_ctx context, uint32_t refuse, struct err *err)
{
	const uint64_t query = UINT64_C(1) << PERSONALITY_QUERY_BIT;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < PERSONALITY_QUERY_BIT; i++) {
		uint64_t bit = UINT64_C(1) << i;
		struct scmp_arg_cmp weak = SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, query | bit, bit);
		struct scmp_arg_cmp half = SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, query | bit, query);

		if (!(PERSONALITY_HARMLESS & bit))
			rc = add_rule(context, refuse, "personality", 1, &weak, err);
		if (rc == 0)
			rc = add_rule(context, refuse, "personality", 1, &half, err);
	}
	return rc;
}

static int add_rules(scmp_filter_ctx context, enum filter_kind kind, struct err *err)
{
	uint32_t action = kind == FILTER_INIT ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
	int rc = 0;

	for (const char *const *name = filter_names[kind]; rc == 0 && *name; name++)
		rc = add_rule(context, action, *name, 0, NULL, err);
	for (size_t i = 0; rc == 0 && i < filter_rule_count; i++) {
		const struct filter_rule *rule = &filter_rules[i];

		if (rule->kind == kind)
			rc = add_rule(context, SCMP_ACT_ERRNO((uint32_t)rule->error), rule->call,
				      rule->count, rule->compare, err);
	}
	if (rc == 0 && kind == FILTER_COMMON)
		rc = add_personality(context, action, err);
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

static int build(struct program *out, enum filter_kind kind, struct err *err)
{
	scmp_filter_ctx context SCOPED(release) =
		seccomp_init(kind == FILTER_INIT ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	int file SCOPED(fd_close) = memfd_create("filter", MFD_CLOEXEC);
	ssize_t size;
	int rc;

	if (!context || file < 0)
		return !context ? ERR_NOMEM_SET(err) : ERR_SYS(err, errno, "memfd_create");
	rc = seccomp_arch_add(context, companion());
	if ((rc != -EEXIST && failed(rc, "arch_add", err) < 0) ||
	    failed(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
		   "attribute", err) < 0 ||
	    failed(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "attribute", err) < 0 ||
	    failed(seccomp_attr_set(context, SCMP_FLTATR_API_SYSRAWRC, 1), "attribute", err) < 0 ||
	    add_rules(context, kind, err) < 0 ||
	    failed(seccomp_export_bpf(context, file), "export", err) < 0)
		return err->code;
	size = pread(file, out->code, sizeof out->code, 0);
	out->count = size > 0 ? (size_t)size / sizeof out->code[0] : 0;
	return CHECK(err, size, "read the filter");
}

int filter_prepare(struct err *err)
{
	for (enum filter_kind kind = 0; kind < FILTER_COUNT; kind++) {
		if (programs[kind].count == 0 && build(&programs[kind], kind, err) < 0)
			return ERR_WRAP(err, "system call filter");
	}
	return 0;
}

int filter_install(enum filter_kind kind, struct err *err)
{
	const struct sock_fprog program = { .filter = programs[kind].code,
					    .len = (unsigned short)programs[kind].count };

	if (program.len == 0)
		return ERR_SET(err, ERR_STATE, "the filter has not been prepared");
	return SYSCALL(err, seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int filter_common(struct scene *scene UNUSED, struct err *err)
{
	return filter_install(FILTER_COMMON, err);
}

int filter_command(struct scene *scene UNUSED, struct err *err)
{
	return filter_install(FILTER_COMMAND, err);
}
