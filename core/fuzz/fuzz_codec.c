/* Fuzzes encodings and times: what is read and written again is the same text. Input: a text. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "scheme_parts.h"

static void codec_hex_case(knocker_bytes text)
{
	uint8_t *bytes = malloc((size_t)text.len / 2);
	char *again = malloc((size_t)text.len);
	size_t len = 0;

	if (codec_hex(text, bytes, &len)) {
		FUZZ_MUST(codec_hex_write((knocker_bytes){bytes, (int64_t)len}, again) == (size_t)text.len,
		          "hexadecimal has two digits a byte");
		FUZZ_MUST(bytes_equal_nocase((knocker_bytes){again, text.len}, text) || text.len == 0,
		          "hexadecimal that was read is written the same but for case");
	}
	free(bytes);
	free(again);
}

static void codec_base64_case(knocker_bytes text, bool url)
{
	size_t room = (size_t)text.len * 3 / 4, len = 0, loose_len = 0;
	uint8_t *bytes = malloc(room), *loose = malloc(room);
	char *again = malloc((size_t)text.len + 4);
	bool read = url ? codec_base64url(text, bytes, &len) : codec_base64(text, bytes, &len);
	bool read_loosely = codec_base64_lenient(text, loose, &loose_len);

	if (read) {
		size_t written = codec_base64_write((knocker_bytes){bytes, (int64_t)len}, url, again);

		FUZZ_MUST(written == (size_t)text.len &&
		              (written == 0 || memcmp(again, text.data, written) == 0),
		          "one byte string has one base64");
		FUZZ_MUST(url || (read_loosely && loose_len == len &&
		                  (len == 0 || memcmp(bytes, loose, len) == 0)),
		          "what is right is right where less is asked");
	}
	free(bytes);
	free(loose);
	free(again);
}

static void codec_time_case(knocker_bytes text)
{
	static const time_unit units[] = {UNIT_S, UNIT_MS, UNIT_RFC3339, UNIT_RFC3339_OR_S};
	char written[32];
	size_t i;

	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		int64_t time_s = 0, again_s = 0;

		if (!codec_time(text, units[i], &time_s))
			continue;
		FUZZ_MUST(time_s >= -62200000000 && time_s < 10000000000000000, "a time has its bounds");
		if (time_s < 0 || time_s > 253402300799)
			continue; /* four digits have no year beyond 9999 */
		codec_time_write(units[i], time_s, written);
		FUZZ_MUST(codec_time(bytes_of(written), units[i], &again_s) && again_s == time_s,
		          "a time that is written is read again");
	}
}

/* What our own writer of JSON makes of any bytes is JSON, and of text the same text. */
static void codec_json_case(knocker_bytes text)
{
	scan_value v;
	arena memory = {0};
	buffer out;

	buffer_init(&out, LIMIT_JSON * 8);
	buffer_json(&out, text);
	FUZZ_MUST(!out.failed && scan_valid(buffer_view(&out)), "whatever is written is JSON");
	v = scan_find(buffer_view(&out), bytes_of(""));
	if (bytes_utf8(text) && bytes_find(text, '\0') < 0)
		FUZZ_MUST(bytes_equal(scan_text(v, &memory, LIMIT_JSON * 8), text),
		          "a text that is written as JSON is read again");
	arena_free(&memory);
	buffer_free(&out);
}

int fuzz_codec(const uint8_t *data, size_t len)
{
	fuzz_input in = {.data = data, .len = len};
	knocker_bytes text = fuzz_rest(&in);

	codec_hex_case(text);
	codec_base64_case(text, false);
	codec_base64_case(text, true);
	codec_time_case(text);
	codec_json_case(text);
	fuzz_end(&in);
	return 0;
}
