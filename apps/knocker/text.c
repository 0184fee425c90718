/* A growing text, and what may safely be shown of bytes that a stranger sent. Knows nothing of
 * Knocker. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void memory_end(const char *why)
{
	fprintf(stderr, "knocker: %s\n", why);
	exit(4);
}

void *memory_new(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		memory_end("out of memory");
	return memory;
}

/* Grows by copying, not by realloc: what a secret's text leaves behind must be cleansed. */
static void text_reserve(text *t, size_t more)
{
	size_t room = t->room < 64 ? 64 : t->room;
	char *data;

	if (more > TEXT_LIMIT || t->len + more > TEXT_LIMIT)
		memory_end("more than 256 MiB in one text");
	while (room < t->len + more + 1)
		room *= 2;
	if (room == t->room)
		return;
	data = memory_new(room);
	if (t->len > 0)
		memcpy(data, t->data, t->len);
	if (t->data != NULL)
		explicit_bzero(t->data, t->len);
	free(t->data);
	t->data = data;
	t->room = room;
}

void text_add(text *t, const void *data, size_t len)
{
	text_reserve(t, len);
	if (len > 0)
		memcpy(t->data + t->len, data, len);
	t->len += len;
	t->data[t->len] = '\0';
}

void text_puts(text *t, const char *words)
{
	text_add(t, words, strlen(words));
}

void text_print(text *t, const char *format, ...)
{
	char line[512];
	va_list list;
	int len;

	va_start(list, format);
	len = vsnprintf(line, sizeof line, format, list);
	va_end(list);
	if (len > 0)
		text_add(t, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

void text_free(text *t)
{
	free(t->data);
	*t = (text){0};
}

void text_cleanse_free(text *t)
{
	if (t->data != NULL)
		explicit_bzero(t->data, t->room);
	text_free(t);
}

size_t utf8_next(const unsigned char *data, size_t len, uint32_t *character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size, i;
	uint32_t c;

	if (len == 0)
		return 0;
	c = data[0];
	size = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	if (size == 0 || size > len)
		return 0;
	if (size > 1)
		c &= 0x7fu >> size;
	for (i = 1; i < size; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (data[i] & 0x3fu);
	}
	if (c < least[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*character = c;
	return size;
}

bool utf8_check(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	uint32_t character;
	size_t at = 0, size;

	while (at < len) {
		size = utf8_next(bytes + at, len - at, &character);
		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

int utf8_columns(uint32_t character)
{
	static const struct {
		uint32_t first, last;
		int columns;
	} ranges[] = {{0x300, 0x36f, 0},    {0x200b, 0x200f, 0}, {0x20d0, 0x20ff, 0},
	              {0xfe00, 0xfe0f, 0},  {0x1100, 0x115f, 2}, {0x2e80, 0xa4cf, 2},
	              {0xac00, 0xd7a3, 2},  {0xf900, 0xfaff, 2}, {0xfe30, 0xfe6f, 2},
	              {0xff00, 0xff60, 2},  {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2},
	              {0x20000, 0x3fffd, 2}};
	size_t i;

	for (i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		if (character >= ranges[i].first && character <= ranges[i].last)
			return ranges[i].columns;
	}
	return 1;
}

/* Control characters, and the marks that turn the direction of text: what follows one would not be
 * what it seems. */
static bool text_is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void text_show_escape(text *t, uint32_t c)
{
	if (c == '\n')
		text_puts(t, "\\n");
	else if (c == '\r')
		text_puts(t, "\\r");
	else if (c == '\t')
		text_puts(t, "\\t");
	else
		text_print(t, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
}

void text_show(text *t, const void *data, size_t len, bool lines)
{
	const unsigned char *bytes = data;
	size_t at = 0, size;
	uint32_t c = 0;

	while (at < len) {
		size = utf8_next(bytes + at, len - at, &c);
		if (size == 0) {
			text_print(t, "\\x%02x", bytes[at]);
			size = 1;
		} else if (text_is_unsafe(c) && !(lines && (c == '\n' || c == '\t'))) {
			text_show_escape(t, c);
		} else {
			text_add(t, bytes + at, size);
		}
		at += size;
	}
}

void text_json(text *t, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	size_t at = 0, size;
	uint32_t c = 0;

	text_puts(t, "\"");
	while (at < len) {
		size = utf8_next(bytes + at, len - at, &c);
		if (size == 0) {
			text_puts(t, "\xef\xbf\xbd");
			size = 1;
		} else if (c == '"' || c == '\\') {
			text_print(t, "\\%c", (char)c);
		} else if (text_is_unsafe(c)) {
			text_print(t, "\\u%04x", (unsigned)c);
		} else {
			text_add(t, bytes + at, size);
		}
		at += size;
	}
	text_puts(t, "\"");
}

void text_base64(text *t, const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *bytes = data;
	size_t at;

	for (at = 0; at < len; at += 3) {
		size_t left = len - at;
		uint32_t three = (uint32_t)bytes[at] << 16 | (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) |
		                 (left > 2 ? bytes[at + 2] : 0);
		char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
		                left > 1 ? digits[three >> 6 & 63] : '=',
		                left > 2 ? digits[three & 63] : '='};
		text_add(t, four, sizeof four);
	}
}

void text_json_base64(text *t, const void *data, size_t len)
{
	text_puts(t, "\"");
	text_base64(t, data, len);
	text_puts(t, "\"");
}
