/*
 * patch_intercept.h - a shell script that is nothing but an apply_patch with a here-document.
 *
 * Models that do not know the tool write that; it is then carried out as the tool, with its checks
 * and its approval, instead of as a command. Pure and conservative: whatever else is in the script
 * makes it a script.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct patch_script {
	const char *folder; /* folder_len bytes: of "cd FOLDER &&"; NULL when there is none */
	size_t folder_len;
	const char *patch; /* patch_len bytes */
	size_t patch_len;
};

/* Fills out with pieces of the script and says true, or leaves it alone. */
bool patch_intercept(struct patch_script *out, const char *script);
