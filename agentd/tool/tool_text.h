/*
 * tool_text.h - how the tools are described to the model: JSON of the request, prose, grammar.
 */
#pragma once

/* Whole entries of "tools", as JSON. */
extern const char tool_text_exec_command[];
extern const char tool_text_write_stdin[];
extern const char tool_text_apply_patch[]; /* the form for models without free-form tools */
extern const char tool_text_update_plan[];

/* The free-form apply_patch: its description, and the grammar in Lark's notation. */
extern const char tool_text_patch_custom[];
extern const char tool_text_patch_grammar[];
