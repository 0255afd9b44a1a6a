#include <inttypes.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "agentd/tool/exec.h"

#define BYTES_PER_TOKEN 4U

uint64_t exec_tokens(uint64_t bytes)
{
	return bytes / BYTES_PER_TOKEN + (bytes % BYTES_PER_TOKEN ? 1 : 0);
}

static bool continues(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Half of the budget from the front, half from the end, both moved to whole characters. */
static int cut_middle(struct buf *out, const struct exec_result *result, size_t budget,
		      struct err *err)
{
	const char *text = result->output;
	size_t left = budget / 2;
	size_t right = result->output_len - (budget - left);
	uint64_t removed = result->total_bytes - budget;
	int rc;

	while (left > 0 && continues(text[left]))
		left--;
	while (right < result->output_len && continues(text[right]))
		right++;
	rc = buf_append(out, text, left, err);
	if (rc == 0)
		rc = buf_printf(out, err, "…%" PRIu64 " tokens truncated…", exec_tokens(removed));
	if (rc == 0)
		rc = buf_append(out, text + right, result->output_len - right, err);
	return rc;
}

/* Lines as people count them: a last one without its end counts too. */
static uint64_t lines_of(const struct exec_result *result)
{
	bool open = result->output_len > 0 && result->output[result->output_len - 1] != '\n';

	return result->total_lines + (open ? 1 : 0);
}

int exec_output_text(struct buf *out, const struct exec_result *result, int64_t tokens_max,
		     struct err *err)
{
	size_t budget = (size_t)tokens_max * BYTES_PER_TOKEN;
	int rc;

	if (result->output_len <= budget && result->total_bytes <= budget)
		return buf_append(out, result->output, result->output_len, err);
	rc = buf_printf(out, err,
			"Warning: truncated output (original token count: %" PRIu64 ")\n"
			"Total output lines: %" PRIu64 "\n\n",
			exec_tokens(result->total_bytes), lines_of(result));
	if (rc < 0)
		return rc;
	if (result->output_len <= budget) /* the capture has already cut it, and says so */
		return buf_append(out, result->output, result->output_len, err);
	return cut_middle(out, result, budget, err);
}

int exec_result_text(struct buf *out, const struct exec_result *result, int64_t tokens_max,
		     struct err *err)
{
	int rc = buf_printf(
		out, err, "Chunk ID: %s\nWall time: %" PRIu64 ".%04" PRIu64 " seconds\n",
		result->chunk_id, result->wall_us / 1000000, result->wall_us % 1000000 / 100);

	if (rc == 0 && result->running)
		rc = buf_printf(out, err, "Process running with session ID %" PRId64 "\n",
				result->session_id);
	if (rc == 0 && !result->running)
		rc = buf_printf(out, err, "Process exited with code %d\n", result->exit_code);
	if (rc == 0)
		rc = buf_printf(out, err, "Original token count: %" PRIu64 "\nOutput:\n",
				exec_tokens(result->total_bytes));
	if (rc == 0)
		rc = exec_output_text(out, result, tokens_max, err);
	return rc;
}

/* A string as it stands in source code: the form in which models know these refusals. */
static int put_quoted(struct buf *out, const char *text, struct err *err)
{
	int rc = buf_putc(out, '"', err);

	for (; rc == 0 && *text; text++) {
		if (*text == '\n')
			rc = buf_puts(out, "\\n", err);
		else if (*text == '"' || *text == '\\')
			rc = buf_printf(out, err, "\\%c", *text);
		else
			rc = buf_putc(out, *text, err);
	}
	return rc == 0 ? buf_putc(out, '"', err) : rc;
}

int exec_rejected_text(struct buf *out, const char *reason, struct err *err)
{
	size_t before = out->len;
	int rc = buf_puts(out, "exec_command failed: Rejected(", err);

	if (rc == 0)
		rc = put_quoted(out, reason, err);
	if (rc == 0)
		rc = buf_putc(out, ')', err);
	if (rc < 0)
		buf_cut(out, before);
	return rc;
}

int exec_failed_text(struct buf *out, const char *reason, struct err *err)
{
	return buf_printf(out, err, "exec_command failed: %s", reason);
}
