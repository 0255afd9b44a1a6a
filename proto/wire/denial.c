#include "proto/wire/denial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/str.h"

void denials_add(struct denials *denials, enum denial_rule rule, const char *operation,
		 const char *target, int sys)
{
	struct denial fresh = { .rule = rule, .sys = sys, .count = 1 };

	(void)snprintf(fresh.operation, sizeof fresh.operation, "%s", operation);
	(void)snprintf(fresh.target, sizeof fresh.target, "%s", target);
	for (size_t i = 0; i < denials->count; i++) {
		struct denial *known = &denials->items[i];

		if (known->rule == rule && str_eq(known->operation, fresh.operation) &&
		    str_eq(known->target, fresh.target)) {
			known->count += known->count < UINT32_MAX;
			return;
		}
	}
	if (denials->count < ARRAY_LEN(denials->items))
		denials->items[denials->count++] = fresh;
	else
		denials->lost += denials->lost < UINT32_MAX;
}

void denied_add(struct denied *denied, const struct denial *denial)
{
	struct denial *items = NULL;

	if (denied->count < BROKER_DENIALS_MAX && denial->rule > DENIAL_RULE_NONE &&
	    denial->rule < DENIAL_RULE_COUNT)
		items = realloc(denied->items, (denied->count + 1) * sizeof *items);
	if (!items) {
		denied->lost++;
		return;
	}
	denied->items = items;
	items += denied->count++;
	*items = *denial;
	str_clean(items->operation, sizeof items->operation);
	str_clean(items->target, sizeof items->target);
}

void denied_deinit(struct denied *denied)
{
	free(denied->items);
	*denied = (struct denied){ 0 };
}

void denied_tell(const struct denied *denied, struct broker_denial rows[BROKER_DENIALS_MAX],
		 struct broker_child_exited *out)
{
	out->denials = denied->count ? rows : NULL;
	out->denials_count = denied->count;
	out->has_denials_lost = denied->lost > 0;
	out->denials_lost = denied->lost;
	for (size_t i = 0; i < denied->count; i++) {
		const struct denial *denial = &denied->items[i];
		const char *error = denial->sys ? strerrorname_np(denial->sys) : "";

		rows[i] = (struct broker_denial){ .rule = denial->rule,
						  .operation = denial->operation,
						  .target = denial->target,
						  .error = error ? error : "?",
						  .count = denial->count };
	}
}
