/* Fuzzes header lines: as they are checked, cut and stored. Fields: a provider's name; the lines.
 * What a built-in compares as a credential must not be found in what is stored. */
#include <string.h>

#include "fuzz.h"
#include "scheme_parts.h"

static bool headers_secret(const scheme *s, const scheme_keys *keys, knocker_bytes name)
{
	return request_header_is(name, "authorization") ||
	       request_header_is(name, "proxy-authorization") || request_header_is(name, "cookie") ||
	       scheme_redacts(s, keys, SOURCE_HEADER, name);
}

/* Whether a path of one step names it, so that it can be asked for in the stored object. */
static bool headers_plain(knocker_bytes name)
{
	int64_t i;

	for (i = 0; i < name.len; i++) {
		char c = ((const char *)name.data)[i];

		if (!(c == '-' || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			return false;
	}
	return name.len > 0;
}

static void headers_redacted(knocker_bytes stored, knocker_bytes name, knocker_bytes value)
{
	scan_value v = headers_plain(name) ? scan_find(stored, name) : (scan_value){0};

	if (v.type == SCAN_ABSENT || value.len <= 10)
		return; /* shorter ones may stand in the word "[redacted]" */
	FUZZ_MUST(memmem(v.raw.data, (size_t)v.raw.len, value.data, (size_t)value.len) == NULL ||
	              memmem("[redacted],[redacted]", 21, value.data, (size_t)value.len) != NULL,
	          "a credential is not stored");
}

int fuzz_headers(const uint8_t *data, size_t len)
{
	fuzz_input in = {.data = data, .len = len};
	const scheme *s = fuzz_builtin(fuzz_field(&in));
	knocker_bytes lines = fuzz_rest(&in), name, value;
	scheme_keys *keys = fuzz_keys(s, (knocker_bytes){0}, (knocker_bytes){0});
	knocker_error error = {0};
	int32_t rc = request_headers_check(lines, &error);
	size_t at = 0;
	buffer out;

	if (rc < 0)
		fuzz_refused(rc, &error);
	buffer_init(&out, 8 * LIMIT_HEADERS);
	FUZZ_MUST(request_headers_json(s, keys, lines, &out, &error) == 0 &&
	              scan_valid(buffer_view(&out)),
	          "headers are stored as JSON");
	while (request_header_next(lines, &at, &name, &value)) {
		fuzz_within(name, lines);
		fuzz_within(value, lines);
		FUZZ_MUST(bytes_trim(value).len == value.len, "a value has no blanks around it");
		if (headers_secret(s, keys, name))
			headers_redacted(buffer_view(&out), name, value);
	}
	scheme_keys_free(keys);
	buffer_free(&out);
	fuzz_end(&in);
	return 0;
}
