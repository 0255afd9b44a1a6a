#include "proto/sys/harden.h"

#include <sys/prctl.h>

#include "proto/sys/call.h"

int harden_memory(struct err *err)
{
	const struct rlimit none = { 0, 0 };
	int rc = CHECK(err, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "forbid tracing");

	return rc < 0 ? rc : CHECK(err, setrlimit(RLIMIT_CORE, &none), "forbid core dumps");
}

int harden_parent(unsigned descriptors, struct err *err)
{
	struct rlimit files = { 0, 0 };

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return ERR_SYS(err, errno, "confine");
	if (files.rlim_cur < descriptors)
		files.rlim_cur = files.rlim_max < descriptors ? files.rlim_max : descriptors;
	return CHECK(err, setrlimit(RLIMIT_NOFILE, &files), "limit of descriptors");
}

int harden_limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard, struct err *err)
{
	struct rlimit now = { 0, 0 };

	if (getrlimit(resource, &now) < 0)
		return ERR_SYS(err, errno, "getrlimit");
	now.rlim_max = now.rlim_max < hard ? now.rlim_max : hard;
	now.rlim_cur = now.rlim_cur < soft ? now.rlim_cur : soft;
	return CHECK(err, setrlimit(resource, &now), "setrlimit");
}
