/*
 * protogen.c - from proto/schema to C tables, reference pages and JSON Schema.
 *
 *   protogen --schema DIR --out DIR    writes proto/wire/<protocol>_gen.h and .c below DIR
 *   protogen --schema DIR --docs DIR   writes <protocol>.md and <protocol>.schema.json into DIR
 *
 * A mistake in a schema is one sentence with its place on standard error, and exit status 1.
 */
#include <stdio.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/base/str.h"
#include "proto/gen/emit.h"
#include "proto/gen/out.h"
#include "proto/gen/schema.h"

enum { COMMON, BROKER, AGENT, CONFIG, SCHEMA_COUNT };

static const char *const protocols[SCHEMA_COUNT] = { "common", "broker", "agent", "config" };

struct job {
	const char *schema_dir;
	const char *out_dir;
	const char *docs_dir;
	struct schema schemas[SCHEMA_COUNT];
};

static void job_deinit(struct job *job)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++)
		schema_deinit(&job->schemas[i]);
}

static int emit_file(const struct schema *schema,
		     void (*emit)(struct out *out, const struct schema *schema), const char *dir,
		     const char *name_format, struct err *err)
{
	struct out out SCOPED(out_deinit) = { 0 };
	struct buf name SCOPED(buf_deinit) = BUF_INIT(FILENAME_MAX);
	const char *rest = strchr(name_format, '*');

	out_init(&out);
	emit(&out, schema);
	if (buf_append(&name, name_format, (size_t)(rest - name_format), err) < 0 ||
	    buf_printf(&name, err, "%s%s", schema->protocol, rest + 1) < 0)
		return err->code;
	return out_write(&out, dir, name.data, err);
}

static int emit_code(const char *dir, const struct schema *schema, struct err *err)
{
	if (str_eq(schema->protocol, protocols[CONFIG]))
		return emit_file(schema, emit_config, dir, "proto/conf/*_gen.c", err);
	if (emit_file(schema, emit_header, dir, "proto/wire/*_gen.h", err) < 0)
		return err->code;
	return emit_file(schema, emit_source, dir, "proto/wire/*_gen.c", err);
}

static int emit_docs(const char *dir, const struct schema *schema, struct err *err)
{
	if (!schema->common)
		return 0; /* the pages of the others hold it */
	if (str_eq(schema->protocol, protocols[CONFIG]))
		return emit_file(schema, emit_config_page, dir, "*.md", err);
	if (emit_file(schema, emit_page, dir, "*.md", err) < 0)
		return err->code;
	return emit_file(schema, emit_json_schema, dir, "*.schema.json", err);
}

static int emit_schema(const struct job *job, const struct schema *schema, struct err *err)
{
	if (job->out_dir && emit_code(job->out_dir, schema, err) < 0)
		return err->code;
	return job->docs_dir ? emit_docs(job->docs_dir, schema, err) : 0;
}

static int job_run(struct job *job, struct err *err)
{
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		struct schema *schema = &job->schemas[i];

		if (schema_load(schema, job->schema_dir, protocols[i], i != CONFIG, err) < 0)
			return err->code;
		if (i != COMMON)
			schema->common = &job->schemas[COMMON];
		if (schema->root && schema_check(schema, err) < 0)
			return err->code;
	}
	/* Nothing is written before everything was found right. */
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		if (job->schemas[i].root && emit_schema(job, &job->schemas[i], err) < 0)
			return err->code;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct job job SCOPED(job_deinit) = { 0 };
	struct err err = { 0 };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (str_eq(argv[i], "--schema"))
			job.schema_dir = argv[i + 1];
		else if (str_eq(argv[i], "--out"))
			job.out_dir = argv[i + 1];
		else if (str_eq(argv[i], "--docs"))
			job.docs_dir = argv[i + 1];
	}
	if (!job.schema_dir || (!job.out_dir && !job.docs_dir) || argc % 2 == 0) {
		(void)fprintf(stderr, "usage: protogen --schema DIR [--out DIR] [--docs DIR]\n");
		return 1;
	}
	if (job_run(&job, &err) < 0) {
		(void)fprintf(stderr, "protogen: %s\n", err.text);
		return 1;
	}
	return 0;
}
