/*
 * emit.h - from checked schemas to text. What is emitted for C is data only.
 */
#pragma once

struct out;
struct schema;

/* proto/wire/<protocol>_gen.h and .c */
void emit_header(struct out *out, const struct schema *schema);
void emit_source(struct out *out, const struct schema *schema);

/* proto/conf/config_gen.c: the rows of proto/conf/key.h. */
void emit_config(struct out *out, const struct schema *schema);

/* proto/reference/<protocol>.md and <protocol>.schema.json */
void emit_page(struct out *out, const struct schema *schema);
void emit_config_page(struct out *out, const struct schema *schema);
void emit_json_schema(struct out *out, const struct schema *schema);
