/*
 * list.h - an intrusive, circular, doubly linked list. The list owns nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/attr.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

/* gcc's analyzer loses sight of a node that only its list leads to, and reports a leak. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Adds at the end. */
static inline void list_add(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Also right for a node that was initialised and never added, and for one already removed. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

/* The body may remove `node` itself, and no other. */
#define LIST_EACH(node, safe, head)                                                                \
	for ((node) = (head)->next, (safe) = (node)->next; (node) != (head);                       \
	     (node) = (safe), (safe) = (node)->next)
