#include <stdio.h>
#include <string.h>

#include "proto/base/attr.h"
#include "proto/base/err.h"
#include "proto/base/str.h"

#include "client/image.h"
#include "client/options.h"
#include "tests/support/fixture.h"

static void a_picture_is_known_by_its_first_bytes(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *mime;
	} rows[] = {
		{ "\x89PNG\r\n\x1a\nx", 9, "image/png" },
		{ "\xff\xd8\xff\xe0", 4, "image/jpeg" },
		{ "GIF89a", 6, "image/gif" },
		{ "GIF87a", 6, "image/gif" },
		{ "RIFFxxxxWEBP", 12, "image/webp" },
		{ "RIFFxxxxWEB", 11, NULL },
		{ "", 0, NULL },
		{ "<svg>", 5, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_eq(image_type((const unsigned char *)rows[i].data, rows[i].len),
			    rows[i].mime))
			fail_msg("row %zu", i);
	}
}

static void base64_is_that_of_its_standard(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe\xfd", "//79" }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *text SCOPED(str_free) =
			image_base64((const unsigned char *)rows[i][0], strlen(rows[i][0]));

		assert_string_equal(text, rows[i][1]);
	}
}

static int load(struct images *images, const char *path, struct err *err)
{
	struct options options SCOPED(options_deinit) = { 0 };
	const char *argv[] = { "exec", "-i", path };

	assert_int_equal(options_parse(&options, argv, ARRAY_LEN(argv), err), 0);
	return images_load(images, &options, err);
}

static void what_is_no_picture_or_too_large_is_refused(void **state)
{
	static char data[IMAGE_FILE_MAX + 1] = "\x89PNG\r\n\x1a\n";
	struct images images SCOPED(images_deinit) = { .count = 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load(&images, fixture_file("a.png", "text", 4), &err), ERR_INVALID);
	assert_non_null(strstr(err.text, "a.png"));
	assert_int_equal(load(&images, "/nonexistent.png", &err), ERR_SYSTEM);
	assert_int_equal(load(&images, fixture_file("b.png", data, sizeof data), &err), ERR_LIMIT);
	assert_int_equal(load(&images, fixture_file("b.png", data, sizeof data - 1), &err), 0);
	assert_int_equal(images.count, 1);
	assert_string_equal(images.items[0].mime, "image/png");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_picture_is_known_by_its_first_bytes),
		FIXTURE_TEST(base64_is_that_of_its_standard),
		FIXTURE_TEST(what_is_no_picture_or_too_large_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
