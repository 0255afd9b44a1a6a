/*
 * attr.h - the compiler attributes that this project uses, under names that say what they are for.
 */
#pragma once

#include <stddef.h> /* offsetof */

/* Runs fn(&variable) when the variable leaves its scope; ownership leaves earlier through TAKE() or
 * fd_take(). */
#define SCOPED(fn) __attribute__((cleanup(fn)))

/* Yields the pointer and leaves NULL behind, so that the scope's cleanup has nothing to free. */
#define TAKE(ptr)                                                                                  \
	__extension__({                                                                            \
		__typeof__(ptr) taken_ = (ptr);                                                    \
		(ptr) = NULL;                                                                      \
		taken_;                                                                            \
	})

/* The same for a struct that owns something: yields it and leaves a zeroed one behind. */
#define MOVE(object)                                                                               \
	__extension__({                                                                            \
		__typeof__(object) moved_ = (object);                                              \
		(object) = (__typeof__(object)){ 0 };                                              \
		moved_;                                                                            \
	})

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The object of the given type that embeds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
