/*
 * demo.h - the cassette that plays when none is named: demo.jsonl, built into the program.
 */
#pragma once

#include <stddef.h>

extern const char demo_cassette[];
extern const size_t demo_cassette_size;
