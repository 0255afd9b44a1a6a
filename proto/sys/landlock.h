/*
 * landlock.h - Landlock: what may be read and written, bound to files instead of mounts.
 *
 * Landlock only grants, and what is granted holds for all that is beneath. A ruleset is made,
 * filled and enforced; from then on it holds for the process and all that come from it, for ever.
 */
#pragma once

#include <limits.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/attr.h"

struct err;

/* From which ABI on there is what. Below the first, no file can be moved to another folder at all.
 */
#define LANDLOCK_ABI_REFER 2
#define LANDLOCK_ABI_TRUNCATE 3
#define LANDLOCK_ABI_NETWORK 4
#define LANDLOCK_ABI_IOCTL_DEV 5
#define LANDLOCK_ABI_SCOPES 6
#define LANDLOCK_ABI_KNOWN 7

/* The ABI of this kernel, clamped to what is known here; 0: it has none. */
int landlock_abi(void);

#define LANDLOCK_READ                                                                              \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* The kernel's own name of ABI 3, which older headers lack. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* The rights on files that an ABI has beyond the second, and all of them. */
uint64_t landlock_newer(int abi);
uint64_t landlock_all(int abi);

/* What a ruleset handles, and what is not granted is refused; an ABI without a right ignores it. */
struct landlock_wants {
	uint64_t files;
	bool tcp;      /* to bind and to connect */
	bool signals;  /* to processes outside */
	bool abstract; /* connections to abstract sockets outside */
};

int landlock_create(int *out, int abi, const struct landlock_wants *wants, struct err *err)
	MUST_CHECK;
int landlock_enforce(int ruleset, struct err *err) MUST_CHECK;

/* Of the rights, a file that is no folder gets those that it can have. The second opens the file,
 * by links too. */
int landlock_allow_fd(int ruleset, int fd, uint64_t rights, const char *path, struct err *err)
	MUST_CHECK;
int landlock_allow(int ruleset, int folder, const char *path, uint64_t rights, struct err *err)
	MUST_CHECK;

#define LANDLOCK_ENTRIES_MAX 16384 /* that one walk may cost, 2 us each */

/*
 * Where something beneath a folder is excepted, the folder itself is granted nothing and each of
 * its entries is looked at.
 */
struct landlock_walk {
	int ruleset;
	uint64_t rights;
	const char *const *excepted; /* paths, canonical */
	size_t excepted_count;
	const char *const *known; /* the same, for where a folder cannot be listed */
	size_t known_count;
	size_t entries;      /* so far */
	char path[PATH_MAX]; /* where it begins, canonical */
};

/* Grants all of walk->path, which is open as `fd`, that is not excepted; `whole`: if nothing
 * beneath it is, the folder itself and with it what will be made there. */
int landlock_allow_but(struct landlock_walk *walk, int fd, bool whole, struct err *err) MUST_CHECK;
