/* A secret for any scheme, made by what its grammar says a key is. For the flipped-bit test and the
 * fuzz targets; knows no sender by name. */
#ifndef KNOCKER_SCHEME_SECRET_H
#define KNOCKER_SCHEME_SECRET_H

#include <string.h>

#include "scheme_parts.h"

/* The bytes of the n-th key: 32 letters, so that they are text too. */
static inline void secret_bytes(uint32_t number, uint8_t out[32])
{
	size_t i;

	for (i = 0; i < 32; i++)
		out[i] = (uint8_t)('a' + (i * 7 + number * 11) % 26);
}

/* The secret that has these bytes for a key. */
static inline void secret_text_write(const scheme *s, knocker_bytes key, buffer *out)
{
	const scheme_group *group = &s->tries[0].groups[0];
	char *text = memory_get((size_t)key.len * 2 + 8);
	size_t len;

	if (!text) {
		out->failed = true;
		return;
	}
	buffer_bytes(out, bytes_given(group->key.strip) ? group->key.strip : bytes_of(""));
	switch (group->key.decode) {
	case DECODE_HEX:
		len = codec_hex_write(key, text);
		break;
	case DECODE_BASE64:
	case DECODE_BASE64_OR_RAW:
		len = codec_base64_write(key, false, text);
		break;
	default:
		len = (size_t)key.len;
		memcpy(text, key.data, len);
		if (group->kind->id == KIND_BASIC)
			text[len / 2] = ':'; /* user:password */
		break;
	}
	buffer_add(out, text, len);
	memory_free(text);
}

/* ["..."], the n-th secret. */
static inline void secret_json_write(const scheme *s, uint32_t number, buffer *out)
{
	uint8_t bytes[32];
	buffer text;

	secret_bytes(number, bytes);
	buffer_init(&text, 1024);
	secret_text_write(s, (knocker_bytes){bytes, sizeof bytes}, &text);
	buffer_text(out, "[");
	buffer_json(out, buffer_view(&text));
	buffer_text(out, "]");
	out->failed |= text.failed;
	buffer_free(&text);
}

#endif
