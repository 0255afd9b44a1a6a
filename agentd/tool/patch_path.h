/*
 * patch_path.h - how the paths of a patch reach the disk.
 *
 * Inside the sandbox they are plain: symbolic links are followed, and the kernel says what may be
 * written. Where a person has approved an edit outside of it, what they read must be what is
 * written: then no path may lead through a symbolic link, which a command of the sandbox could have
 * planted. All functions fail like the system calls that they stand for.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* Once, before anything else: from now on symbolic links are refused with ELOOP. */
void patch_path_refuse_links(void);

int patch_path_open(const char *path, int flags, mode_t mode);
int patch_path_mkdir(const char *path, mode_t mode);
int patch_path_rmdir(const char *path);
int patch_path_unlink(const char *path);
int patch_path_rename(const char *path, const char *beside); /* both in the same folder */
int patch_path_symlink(const char *target, const char *path);

/* Fills err for a path that could not be reached: "PATH: reason". */
int patch_path_error(struct err *err, int sys, const char *path);
