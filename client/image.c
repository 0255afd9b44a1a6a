#include "client/image.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include "client/options.h"

const char *image_type(const unsigned char *data, size_t len)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t len;
		const char *mime;
	} kinds[] = {
		{ 0, "\x89PNG\r\n\x1a\n", 8, "image/png" },
		{ 0, "\xff\xd8\xff", 3, "image/jpeg" },
		{ 0, "GIF87a", 6, "image/gif" },
		{ 0, "GIF89a", 6, "image/gif" },
		{ 8, "WEBP", 4, "image/webp" },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (len >= kinds[i].at + kinds[i].len &&
		    memcmp(data + kinds[i].at, kinds[i].bytes, kinds[i].len) == 0)
			return kinds[i].mime;
	}
	return NULL;
}

char *image_base64(const unsigned char *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = malloc((len + 2) / 3 * 4 + 1);
	char *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t three = (uint32_t)data[i] << 16 |
				 (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
				 (left > 2 ? data[i + 2] : 0U);

		*p++ = digits[three >> 18 & 63];
		*p++ = digits[three >> 12 & 63];
		*p++ = '=';
		*p++ = '=';
		if (left > 1)
			p[-2] = digits[three >> 6 & 63];
		if (left > 2)
			p[-1] = digits[three & 63];
	}
	*p = '\0';
	return out;
}

static int load_one(struct images *images, const char *path, size_t *room, struct err *err)
{
	struct buf data SCOPED(buf_deinit) = BUF_INIT(*room);
	struct image *image = &images->items[images->count];

	if (buf_read_file(&data, path, err) < 0)
		return ERR_WRAP(err, "--image");
	image->mime = image_type((const unsigned char *)buf_str(&data), data.len);
	if (!image->mime)
		return ERR_SET(err, ERR_INVALID,
			       "--image '%s': not a PNG, JPEG, GIF or WebP picture", path);
	image->base64 = image_base64((const unsigned char *)data.data, data.len);
	if (!image->base64)
		return ERR_NOMEM_SET(err);
	images->count++;
	*room -= data.len;
	return 0;
}

int images_load(struct images *out, const struct options *options, struct err *err)
{
	size_t room = IMAGE_FILE_MAX;

	for (size_t i = 0; i < options->use_count; i++) {
		if (options->uses[i].id != OPTION_IMAGE)
			continue;
		if (out->count == IMAGES_MAX)
			return ERR_SET(err, ERR_LIMIT, "more than %d --image", IMAGES_MAX);
		if (load_one(out, options->uses[i].value, &room, err) < 0)
			return (int)err->code;
	}
	return 0;
}

void images_deinit(struct images *images)
{
	while (images->count > 0)
		free(images->items[--images->count].base64);
}
