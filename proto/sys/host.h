/*
 * host.h - what a host can lack for a sandbox, in sentences for people: how to mend what a system
 * call has refused, and what is not protected where something is missing.
 */
#pragma once

#include <stddef.h>

#define HOST_NO_LANDLOCK                                                                           \
	"landlock: this kernel has none of ABI 2 or later (CONFIG_SECURITY_LANDLOCK, and "         \
	"'landlock' in lsm= on its command line), so mounts alone bound what is written"
#define HOST_NO_CALL                                                                               \
	" (Linux 5.13 has this call: use a newer kernel, or allow it in the container's profile)"

enum host_feature {
	HOST_CALL, /* a system call that every supported kernel has */
	HOST_NAMESPACES,
	HOST_USER_NAMESPACE, /* the rights in it, which a security module may take away */
	HOST_DEVICES,
	HOST_PROC,
	HOST_SECCOMP
};

/* How to mend this errno, EACCES counting as EPERM: " (...)", or "" when nobody knows. */
const char *host_mend(enum host_feature feature, int sys);

/* What holds for a sandbox. */
#define HOST_BY_RULES 1U  /* Landlock and seccomp alone */
#define HOST_IN_SPACES 2U /* namespaces */
#define HOST_ONLINE 4U
#define HOST_NO_PROC 8U
#define HOST_NO_NOTIFY 16U

/* Pure: a static sentence for each thing that is not protected then, at most as many as the table
 * has; returns how many. */
size_t host_missing(const char **out, unsigned holds, int landlock_abi);
