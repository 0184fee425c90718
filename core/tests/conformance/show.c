/*
 * Writes values as JSON: whole, to hand them to a door, and cut, to show them to people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"

enum { show_most = 400 }; /* bytes of a value that a failure prints */

/* A text that grows; `most` is where it stops. */
typedef struct {
	char *data;
	size_t len;
	size_t room;
	size_t most;
} show_buffer;

static void show_put(show_buffer *to, const char *data, size_t len)
{
	if (to->len >= to->most)
		return;
	if (to->len + len + 1 > to->room) {
		size_t room = 2 * (to->len + len) + 64;
		char *grown = realloc(to->data, room);

		if (grown == NULL) {
			fprintf(stderr, "conformance: no memory for %zu bytes\n", room);
			exit(3);
		}
		to->data = grown;
		to->room = room;
	}
	memcpy(to->data + to->len, data, len);
	to->len += len;
	to->data[to->len] = '\0';
}

static void show_word(show_buffer *to, const char *text)
{
	show_put(to, text, strlen(text));
}

static void show_text(show_buffer *to, const char *data, size_t len)
{
	char escape[8];

	show_word(to, "\"");
	for (size_t at = 0; at < len && to->len < to->most; at++) {
		unsigned char c = (unsigned char)data[at];

		if (c == '"' || c == '\\') {
			snprintf(escape, sizeof escape, "\\%c", c);
			show_word(to, escape);
		} else if (c < 32) {
			snprintf(escape, sizeof escape, "\\u%04x", c);
			show_word(to, escape);
		} else {
			show_put(to, data + at, 1);
		}
	}
	show_word(to, "\"");
}

/* Bytes that are not text are shown in hexadecimal: they are read by people only. */
static void show_bytes(show_buffer *to, const char *data, size_t len)
{
	char pair[4];

	show_word(to, "bytes ");
	for (size_t at = 0; at < len && to->len < to->most; at++) {
		snprintf(pair, sizeof pair, "%02x", (unsigned)(unsigned char)data[at]);
		show_word(to, pair);
	}
}

static void show_value(show_buffer *to, const value *v);

static void show_children(show_buffer *to, const value *v)
{
	show_word(to, v->kind == VALUE_LIST ? "[" : "{");
	for (const value *item = v->first; item != NULL && to->len < to->most; item = item->next) {
		if (item != v->first)
			show_word(to, ", ");
		if (v->kind == VALUE_OBJECT) {
			show_text(to, item->name, strlen(item->name));
			show_word(to, ": ");
		}
		show_value(to, item);
	}
	show_word(to, v->kind == VALUE_LIST ? "]" : "}");
}

static bool show_is_text(const value *v)
{
	for (size_t at = 0; at < v->len; at++) {
		unsigned char c = (unsigned char)v->data[at];

		if (c > 126 || (c < 32 && c != '\n' && c != '\t' && c != '\r'))
			return false;
	}
	return true;
}

static void show_value(show_buffer *to, const value *v)
{
	char number[40];

	switch (v->kind) {
	case VALUE_NULL:
		show_word(to, "null");
		break;
	case VALUE_BOOL:
		show_word(to, v->integer != 0 ? "true" : "false");
		break;
	case VALUE_INTEGER:
		snprintf(number, sizeof number, "%lld", (long long)v->integer);
		show_word(to, number);
		break;
	case VALUE_REAL:
		snprintf(number, sizeof number, "%.17g", v->real);
		show_word(to, number);
		break;
	case VALUE_TEXT:
		show_text(to, v->data, v->len);
		break;
	case VALUE_BYTES:
		if (show_is_text(v))
			show_text(to, v->data, v->len);
		else
			show_bytes(to, v->data, v->len);
		break;
	case VALUE_LIST:
	case VALUE_OBJECT:
		show_children(to, v);
		break;
	}
}

static const char *show_within(arena *a, const value *v, size_t most)
{
	show_buffer to = {NULL, 0, 0, most};
	const char *text;

	show_value(&to, v);
	text = arena_print(a, "%s%s", to.data == NULL ? "" : to.data, to.len >= most ? " ..." : "");
	free(to.data);
	return text;
}

const char *value_show(arena *a, const value *v)
{
	return v == NULL ? "nothing" : show_within(a, v, show_most);
}

const char *value_json(arena *a, const value *v)
{
	return show_within(a, v, SIZE_MAX);
}
