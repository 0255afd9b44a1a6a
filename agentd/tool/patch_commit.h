/*
 * patch_commit.h - writes what a patch_tree says, all of it or nothing.
 *
 * New files are created and filled first; then existing ones are rewritten in place (so that mode,
 * hard links and symbolic links stay), then what goes is renamed away, then files are shortened,
 * and at last the renamed ones are removed. Room for longer files is reserved before anything is
 * overwritten. Whatever fails on the way, every step before it is undone. What this cannot undo is
 * its own sudden death (SIGKILL) half way; signals that can be blocked are.
 */
#pragma once

#include "proto/base/attr.h"

struct err;
struct patch_tree;

/* The sentence names the file: "Failed to write file P: ...". */
int patch_commit(struct patch_tree *tree, struct err *err) MUST_CHECK;
