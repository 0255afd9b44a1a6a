/*
 * pointer.h - the small files in which git says where a repository is: .git, commondir.
 */
#pragma once

#include <stdbool.h>

#define POINTER_FILE_MAX 4096 /* bytes of one that are looked at */

/* The start of such a file; false when it cannot be one. A link is none. */
bool pointer_read(char out[POINTER_FILE_MAX + 1], const char *path);

/* The target that the text of a .git file names; NULL when it names none. Cuts the text. */
char *pointer_target(char *text);
