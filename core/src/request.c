/* Reads header lines, queries and forms as they were received. Refuses to know what any name means.
 */
#include <string.h>

#include "error.h"
#include "scheme_parts.h"

/* ---- headers ---- */

/* The line at `*at` without its end; false past the last. */
static bool request_line_next(knocker_bytes headers, size_t *at, knocker_bytes *line)
{
	size_t len = (size_t)headers.len;
	const char *text = headers.data, *end;

	if (*at >= len)
		return false;
	end = memchr(text + *at, '\n', len - *at);
	*line = bytes_part(headers, *at, end ? (size_t)(end - text) : len);
	*at += (size_t)line->len + 1;
	return true;
}

bool request_header_next(knocker_bytes headers, size_t *at, knocker_bytes *name,
                         knocker_bytes *value)
{
	knocker_bytes line;

	while (request_line_next(headers, at, &line)) {
		int64_t colon = bytes_find(line, ':');

		if (colon < 0)
			continue;
		*name = bytes_part(line, 0, (size_t)colon);
		*value = bytes_trim(bytes_part(line, (size_t)colon + 1, (size_t)line.len));
		return true;
	}
	return false;
}

/* Eight bytes at a time while none of them can be a control character. */
static bool request_line_plain(knocker_bytes line)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	const uint8_t *text = line.data;
	int64_t i = 0;

	while (i < line.len) {
		uint64_t word;

		if (line.len - i >= 8) {
			memcpy(&word, text + i, sizeof word);
			if (!(((word - ones * 0x20) | ((word ^ (ones * 0x7F)) - ones)) & ~word & tops)) {
				i += 8;
				continue;
			}
		}
		if ((text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7F)
			return false;
		i++;
	}
	return true;
}

int32_t request_headers_check(knocker_bytes headers, knocker_error *error)
{
	size_t at = 0, count = 0;
	knocker_bytes line;
	int64_t colon;

	if (headers.len > LIMIT_HEADERS)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "headers of %lld bytes are over the limit of %d", (long long)headers.len,
		            LIMIT_HEADERS);
	while (request_line_next(headers, &at, &line)) {
		if (++count > LIMIT_HEADER_COUNT)
			return fail(error, KNOCKER_INVALID_ARGUMENT, "more than %d headers",
			            LIMIT_HEADER_COUNT);
		colon = bytes_find(line, ':');
		if (!request_line_plain(line))
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "header line %zu holds a control character", count);
		if (colon < 0)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "header line %zu has no colon: \"name: value\"", count);
		if (bytes_trim(bytes_part(line, 0, (size_t)colon)).len == 0)
			return fail(error, KNOCKER_INVALID_ARGUMENT, "header line %zu has no name", count);
	}
	return 0;
}

bool request_name_char(char c)
{
	return c > 0x20 && c < 0x7F && bytes_find(bytes_of("()<>@,;:\\\"/[]?={}"), c) < 0;
}

bool request_name_valid(knocker_bytes name)
{
	int64_t i;

	for (i = 0; i < name.len; i++)
		if (!request_name_char(((const char *)name.data)[i]))
			return false;
	return name.len > 0 && name.len <= LIMIT_NAME;
}

/* Rack's names: HTTP_X_NAME, CONTENT_TYPE, CONTENT_LENGTH. `*name` loses the prefix. */
static bool request_name_rack(knocker_bytes *name)
{
	const char *text = name->data;

	if (name->len > 5 && text[4] == '_' && memcmp(text, "HTTP", 4) == 0) {
		*name = bytes_part(*name, 5, (size_t)name->len);
		return true;
	}
	return (name->len == 12 || name->len == 14) && text[7] == '_' &&
	       memcmp(text, "CONTENT", 7) == 0;
}

bool request_name_begins(knocker_bytes name, knocker_bytes lower_case_prefix)
{
	bool rack = request_name_rack(&name);
	const char *a = name.data, *b = lower_case_prefix.data;
	int64_t i;

	if (name.len < lower_case_prefix.len)
		return false;
	for (i = 0; i < lower_case_prefix.len; i++) {
		char c = ascii_lower(a[i]);

		if (c != b[i] && !(rack && c == '_' && b[i] == '-'))
			return false;
	}
	return true;
}

bool request_name_is(knocker_bytes name, knocker_bytes lower_case_name)
{
	knocker_bytes bare = name;

	request_name_rack(&bare);
	return bare.len == lower_case_name.len && request_name_begins(name, lower_case_name);
}

bool request_header_is(knocker_bytes name, const char *lower_case_name)
{
	return request_name_is(name, bytes_of(lower_case_name));
}

/* ---- queries and forms ---- */

bool request_pair_next(knocker_bytes raw, size_t *at, knocker_bytes *name, knocker_bytes *value)
{
	size_t len = (size_t)raw.len;
	const char *text = raw.data, *end;

	while (*at < len) {
		size_t from = *at, to;
		int64_t equals;
		knocker_bytes piece;

		end = memchr(text + from, '&', len - from);
		to = end ? (size_t)(end - text) : len;
		*at = to + 1;
		if (to == from)
			continue;
		piece = bytes_part(raw, from, to);
		equals = bytes_find(piece, '=');
		*name = bytes_part(piece, 0, equals < 0 ? (size_t)piece.len : (size_t)equals);
		*value = bytes_part(piece, equals < 0 ? (size_t)piece.len : (size_t)equals + 1,
		                    (size_t)piece.len);
		return true;
	}
	return false;
}

static int32_t request_hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte that `raw` means: "+" is a blank, %XX a byte, a wrong escape stays. */
static uint8_t request_decode_next(knocker_bytes raw, size_t *at)
{
	const uint8_t *text = raw.data;
	uint8_t c = text[(*at)++];

	if (c == '+')
		return ' ';
	if (c == '%' && (size_t)raw.len - *at >= 2) {
		int32_t high = request_hex(text[*at]), low = request_hex(text[*at + 1]);

		if (high >= 0 && low >= 0) {
			*at += 2;
			return (uint8_t)(high * 16 + low);
		}
	}
	return c;
}

bool request_decoded_is(knocker_bytes raw, knocker_bytes wanted)
{
	const uint8_t *text = wanted.data;
	size_t at = 0, len = 0;

	if (raw.len < wanted.len)
		return false;
	while (at < (size_t)raw.len) {
		if (len == (size_t)wanted.len || request_decode_next(raw, &at) != text[len])
			return false;
		len++;
	}
	return len == (size_t)wanted.len;
}

bool request_decode(arena *a, knocker_bytes raw, knocker_bytes *out)
{
	uint8_t *text = arena_get(a, (size_t)raw.len + 1);
	size_t at = 0, len = 0;

	if (!text)
		return false;
	while (at < (size_t)raw.len)
		text[len++] = request_decode_next(raw, &at);
	*out = (knocker_bytes){text, (int64_t)len};
	return true;
}

int64_t request_pair_find(arena *a, knocker_bytes raw, knocker_bytes name, knocker_bytes *value,
                          bool *different)
{
	knocker_bytes found_name, found, first_raw = {0};
	size_t at = 0;
	int64_t count = 0;

	*different = false;
	while (request_pair_next(raw, &at, &found_name, &found)) {
		if (!request_decoded_is(found_name, name))
			continue;
		if (count == 0) {
			first_raw = found;
			if (!request_decode(a, found, value))
				return -1;
		} else if (!bytes_equal(found, first_raw) && !request_decoded_is(found, *value)) {
			*different = true;
		}
		count++;
	}
	return count;
}
