/*
 * denial.h - what a sandbox has refused its command: as it crosses from init to the broker, of
 * fixed size and without a pointer; and the list of it that a command's exit is reported with.
 *
 * All text is the command's and therefore hostile. In the list it is UTF-8 without control
 * characters, and so short that the whole list fits into one packet.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/wire/broker_gen.h"

#define DENIAL_TARGET_MAX 512 /* bytes with the NUL; a longer target is cut */

struct denial {
	uint32_t rule; /* enum denial_rule */
	int32_t sys;   /* errno that the command was told; 0 when it was ended */
	uint32_t count;
	char operation[32]; /* the system call */
	char target[DENIAL_TARGET_MAX];
};

/* Different ones, as they are collected where no memory can be added. Zeroed: none. */
struct denials {
	struct denial items[BROKER_DENIALS_MAX];
	size_t count;
	uint32_t lost; /* different ones, beyond the room */
};

/* Adds one, or counts it with an earlier one of the same rule, operation and target. */
void denials_add(struct denials *denials, enum denial_rule rule, const char *operation,
		 const char *target, int sys);

/* Zeroed: none. */
struct denied {
	struct denial *items;
	size_t count; /* at most BROKER_DENIALS_MAX */
	uint32_t lost;
};

/* One that cannot be kept, or is of no rule, is lost. */
void denied_add(struct denied *denied, const struct denial *denial);
void denied_deinit(struct denied *denied);

/* As the protocol tells it with the exit, borrowed from the list and from the rows. */
void denied_tell(const struct denied *denied, struct broker_denial rows[BROKER_DENIALS_MAX],
		 struct broker_child_exited *out);
