/*
 * Turns a door's rows into values. What the format calls otherwise than the C door is listed in one
 * table here.
 */
#include <ctype.h>
#include <string.h>

#include "play.h"

static value *row_value(arena *a, const knocker_rows *rows, int32_t column)
{
	knocker_value v;
	value *real;

	knocker_rows_value(rows, column, &v);
	switch (v.type) {
	case KNOCKER_INTEGER:
		return value_integer(a, v.integer);
	case KNOCKER_REAL:
		real = value_new(a, VALUE_REAL);
		real->real = v.real;
		return real;
	case KNOCKER_TEXT:
		return value_bytes(a, VALUE_TEXT, v.bytes.data, (size_t)v.bytes.len);
	case KNOCKER_BLOB:
		return value_bytes(a, VALUE_BYTES, v.bytes.data, (size_t)v.bytes.len);
	default:
		return value_new(a, VALUE_NULL);
	}
}

/* JSON text becomes what it says; text that is none stays itself, and will not compare with an
 * object. */
static value *row_json(arena *a, value *text)
{
	const char *why = NULL;
	value *parsed = text->kind == VALUE_TEXT ? value_parse(a, text->data, text->len, &why) : NULL;

	return parsed == NULL ? text : parsed;
}

static void row_header(arena *a, value *headers, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	size_t name_len = colon == NULL ? len : (size_t)(colon - line);
	char *name = arena_text(a, line, name_len);
	size_t start = colon == NULL ? len : name_len + 1;

	for (char *at = name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	while (start < len && line[start] == ' ')
		start++;
	value_set(a, headers, name, value_bytes(a, VALUE_TEXT, line + start, len - start));
}

/* Header lines become an object with names in lower case. */
static value *row_headers(arena *a, value *text)
{
	value *headers = value_new(a, VALUE_OBJECT);
	size_t at = 0;

	if (text->kind != VALUE_TEXT)
		return text;
	while (at < text->len) {
		const char *line = text->data + at;
		const char *end = memchr(line, '\n', text->len - at);
		size_t len = end == NULL ? text->len - at : (size_t)(end - line);

		if (len > 0)
			row_header(a, headers, line, len);
		at += len + 1;
	}
	return headers;
}

typedef struct {
	const char *column;
	const char *name;
	value *(*form)(arena *a, value *v);
} row_form;

static const row_form row_forms[] = {
	{"headers_json", "headers", row_json},
	{"query_json", "query", row_json},
	{"response_headers", "response_headers", row_headers},
};

static void row_set(arena *a, value *row, const char *column, value *v)
{
	for (size_t i = 0; i < sizeof row_forms / sizeof row_forms[0]; i++) {
		if (strcmp(row_forms[i].column, column) == 0) {
			value_set(a, row, row_forms[i].name, row_forms[i].form(a, v));
			return;
		}
	}
	value_set(a, row, column, v);
}

static value *rows_read(arena *a, knocker_rows *rows, bool plain)
{
	value *list = value_new(a, VALUE_LIST);

	while (rows != NULL && knocker_rows_next(rows) == 0) {
		value *row = value_new(a, VALUE_OBJECT);

		for (int32_t column = 0; column < knocker_rows_columns(rows); column++) {
			value *v = row_value(a, rows, column);

			if (plain)
				value_set(a, row, knocker_rows_name(rows, column), v);
			else
				row_set(a, row, knocker_rows_name(rows, column), v);
		}
		value_append(list, row);
	}
	knocker_rows_free(rows);
	return list;
}

value *rows_plain(arena *a, knocker_rows *rows)
{
	return rows_read(a, rows, true);
}

value *rows_list(arena *a, knocker_rows *rows)
{
	return rows_read(a, rows, false);
}

value *rows_one(arena *a, knocker_rows *rows)
{
	value *list = rows_list(a, rows);

	return list->first == NULL || list->first != list->last ? value_new(a, VALUE_NULL)
	                                                        : list->first;
}
