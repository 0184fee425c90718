/* What a JSON string says: its escapes, as UTF-8. Neither recurses nor knows where the string
 * stood. */
#include <string.h>

#include "scan_parts.h"

int32_t scan_hex4(const uint8_t *at, const uint8_t *end)
{
	int32_t value = 0;
	size_t i;

	if (end - at < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		uint8_t c = at[i], lower = c | 0x20;

		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if (lower >= 'a' && lower <= 'f')
			value = value * 16 + lower - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* The next character of a string's inside as UTF-8; 0: a lone surrogate. `*at` moves behind it. */
static size_t scan_character(const uint8_t **at, const uint8_t *end, uint8_t out[4])
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	uint32_t code;
	int32_t low;

	if (**at != '\\' || (*at)[1] != 'u') {
		out[0] = **at == '\\' ? (uint8_t)meant[strchr(escapes, (*at)[1]) - escapes] : **at;
		*at += **at == '\\' ? 2 : 1;
		return 1;
	}
	code = (uint32_t)scan_hex4(*at + 2, end);
	*at += 6;
	if (code >= 0xD800 && code <= 0xDFFF) {
		low = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? scan_hex4(*at + 2, end) : -1;
		if (code > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
			return 0;
		code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
		*at += 6;
	}
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xC0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xE0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (code & 0x3F));
	return 4;
}

/* Whether a name with escapes in it says `wanted`. */
bool scan_name_escaped(const uint8_t *at, const uint8_t *end, knocker_bytes wanted)
{
	const uint8_t *left = wanted.data;
	size_t left_len = (size_t)wanted.len, len;
	uint8_t character[4];

	while (at < end) {
		len = scan_character(&at, end, character);
		if (len == 0 || len > left_len || memcmp(character, left, len) != 0)
			return false;
		left += len;
		left_len -= len;
	}
	return left_len == 0;
}

static knocker_bytes scan_unescape(knocker_bytes inside, arena *a, size_t max)
{
	const uint8_t *at = inside.data, *end = at + inside.len;
	uint8_t character[4];
	uint8_t *text = arena_get(a, ((size_t)inside.len < max ? (size_t)inside.len : max) + 1);
	size_t len = 0, more;

	if (!text)
		return (knocker_bytes){NULL, -1};
	while (at < end) {
		more = scan_character(&at, end, character);
		if (more == 0 || len + more > max || (more == 1 && character[0] == 0))
			return (knocker_bytes){0};
		memcpy(text + len, character, more);
		len += more;
	}
	return (knocker_bytes){text, (int64_t)len};
}

knocker_bytes scan_text(scan_value v, arena *a, size_t max)
{
	if (v.type == SCAN_TEXT) {
		knocker_bytes inside = bytes_part(v.raw, 1, (size_t)v.raw.len - 1);

		if (bytes_find(inside, '\\') >= 0)
			return scan_unescape(inside, a, max);
		return (size_t)inside.len <= max ? inside : (knocker_bytes){0};
	}
	if ((v.type == SCAN_NUMBER || v.type == SCAN_BOOL) && (size_t)v.raw.len <= max)
		return v.raw;
	return (knocker_bytes){0};
}
