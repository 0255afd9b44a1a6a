/*
 * roots.h - where a sandbox may write, and what it may not touch there.
 *
 * roots_find() turns a configuration into places: canonical paths, each with the identity that the
 * file had when it was looked at. Whoever mounts a place opens it again and compares, so that a
 * path which has meanwhile become another file is refused. Nothing here changes anything. What a
 * repository says (pointer files, symbolic links) can only add protection, never take any away.
 */
#pragma once

#include <limits.h>

#include "proto/sys/pointer.h"

#include "broker/sandbox.h"

#define ROOTS_MAX SANDBOX_ROOTS_MAX /* the configured ones, cwd, /tmp and $TMPDIR */
#define PLACES_MAX 512              /* of all kinds */
#define LINK_SCAN_MAX 256           /* entries of a protected folder that are searched for links */
#define NESTED_DEPTH 3              /* folders below a root that are searched for repositories */
#define NESTED_MAX 24               /* repositories that are protected there, of all roots */
#define NESTED_SCAN_MS 20           /* for the search */

#define ROOTS_CUT                                                                                  \
	"nested repositories: there are more than are looked for, so the .git of "                 \
	"some is writable"

/* All zero: there is no such file. */
struct identity {
	uint64_t device;
	uint64_t inode;
	uint64_t type;  /* S_IFMT part of the mode */
	uint64_t stamp; /* of a regular file's content, ns: pointer files are rewritten in place */
};

enum place_kind {
	PLACE_ROOT,      /* writable */
	PLACE_PIN,       /* a folder between a root and something deeper: must not be renamed */
	PLACE_PROTECTED, /* read-only with all that is beneath it */
	PLACE_HIDDEN,    /* not even readable */
	PLACE_WATCHED,   /* nothing yet: a name that would be protected if it were there */
	PLACE_COUNT
};

struct place {
	enum place_kind kind;
	size_t owner;   /* the root, by index, that brought it in; hidden ones: 0 */
	bool inside;    /* beneath a root */
	bool temporary; /* a root that nobody has named: /tmp or $TMPDIR */
	char *path;     /* canonical, apart from a last component that is a link to be protected */
	struct identity id;
	struct identity folder; /* of a protected or watched one: where it is, or would be */
};

struct roots {
	struct place places[PLACES_MAX]; /* the roots, then the rest; both sorted: parents first */
	size_t count;
	size_t root_count;
	size_t nested; /* repositories below the roots */
	bool cut;      /* there may be more, which are not protected */
};

int roots_find(struct roots *out, const struct sandbox_config *config, struct err *err) MUST_CHECK;
void roots_deinit(struct roots *roots);

/* Whether a place is no longer what it was, or an absent one has appeared. */
bool roots_changed(const struct roots *roots);

/*
 * Whether no command may make `name` in this folder, be it there or not: a protected name, at the
 * top of a root or where it was found. Letters count the same in both cases.
 */
bool roots_reserved(const struct roots *roots, uint64_t device, uint64_t inode, const char *name);

/* Opens a place (O_PATH, no link followed) in the caller's view; ERR_STATE when it is another file.
 */
int roots_open(int *out, const struct place *place, struct err *err) MUST_CHECK;
