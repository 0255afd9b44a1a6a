/*
 * tree.h - trees of mounts by descriptor: Linux 5.12's calls, in which no path is looked up twice.
 */
#pragma once

#include <linux/mount.h>

#include "proto/base/attr.h"

struct err;

int tree_attributes(int tree, unsigned flags, struct mount_attr attr, struct err *err) MUST_CHECK;

/* A copy of the mounts at folder/name, attached nowhere; a link there is not followed. */
int tree_copy(int *out, int folder, const char *name, unsigned flags, struct mount_attr attr,
	      struct err *err) MUST_CHECK;

/* A new file system, attached nowhere. Options: names and values in turn, ended by NULL. */
int tree_make(int *out, const char *type, const char *const *options, unsigned attributes,
	      struct err *err) MUST_CHECK;

/* Over the file folder/name, or with "" over the file that `folder` is. */
int tree_attach(int tree, int folder, const char *name, struct err *err) MUST_CHECK;
