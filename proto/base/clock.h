/*
 * clock.h - time that only goes forward; it also counts while the machine sleeps.
 */
#pragma once

#include <stdint.h>

/* Since some point in the past. */
int64_t clock_us(void);
int64_t clock_ms(void);
