/* JSON out: rows as objects, and a body indented for people. Knows rows; decides by a column's name
 * and type how it is written. */
#include "print.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 512 /* brackets open at once; a deeper body is shown as text */
#define INDENT_MAX \
	24 /* levels that move the text to the right: beyond, the lines would only be wider */
#define DUMP_BYTES 256 /* of a body that is no text */
#define DUMP_LINE 16

static bool name_is_switch(const char *name)
{
	static const char *const names[] = {"enabled",   "paused",          "valid",
	                                    "duplicate", "signature_valid", "has_replay_window",
	                                    "curated"};
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* Past the closing quote of the string that begins at `at`; past `len` where it does not close. */
static size_t json_string_end(const char *data, size_t len, size_t at)
{
	for (at++; at < len; at++) {
		if (data[at] == '\\')
			at++;
		else if (data[at] == '"')
			return at + 1;
	}
	return len + 1;
}

/* Brackets and strings are balanced: enough to indent it. */
static bool json_check(const char *data, size_t len)
{
	char open[DEPTH_MAX];
	size_t depth = 0, at = 0;
	bool any = false;

	while (at < len) {
		char c = data[at];

		if (c == '"') {
			at = json_string_end(data, len, at);
			if (at > len || depth == 0)
				return false;
			continue;
		}
		if (c == '{' || c == '[') {
			if (depth == DEPTH_MAX || (depth == 0 && any))
				return false;
			open[depth++] = c == '{' ? '}' : ']';
			any = true;
		} else if (c == '}' || c == ']') {
			if (depth == 0 || open[--depth] != c)
				return false;
		} else if (c == '\0' || (depth == 0 && strchr(" \t\r\n", c) == NULL)) {
			return false;
		}
		at++;
	}
	return any && depth == 0;
}

/* Stored JSON goes in as it is; a line feed can only stand between its tokens. */
static void json_embed(text *out, const char *data, size_t len)
{
	size_t i;

	if (!json_check(data, len) || !utf8_check(data, len)) {
		text_json(out, data, len);
		return;
	}
	for (i = 0; i < len; i++)
		text_add(out, data[i] == '\n' || data[i] == '\r' ? " " : data + i, 1);
}

static void json_bytes(text *out, const char *name, knocker_bytes bytes, bool is_json)
{
	size_t len = (size_t)bytes.len, name_len = strlen(name) - (is_json ? strlen("_json") : 0);
	bool is_text = utf8_check(bytes.data, len);

	text_print(out, "\"%.*s%s\":", (int)name_len, name, is_text ? "" : "_base64");
	if (!is_text) {
		text_json_base64(out, bytes.data, len);
	} else if (is_json) {
		json_embed(out, bytes.data, len);
	} else {
		text_json(out, bytes.data, len);
	}
}

static void json_member(text *out, const char *name, knocker_value value)
{
	size_t len = strlen(name);
	bool is_json = len > 5 && strcmp(name + len - 5, "_json") == 0;

	if (value.type == KNOCKER_TEXT || value.type == KNOCKER_BLOB) {
		json_bytes(out, name, value.bytes, is_json);
		return;
	}
	text_print(out, "\"%.*s\":", (int)(is_json ? len - 5 : len), name);
	if (value.type == KNOCKER_INTEGER && name_is_switch(name))
		text_puts(out, value.integer != 0 ? "true" : "false");
	else if (value.type == KNOCKER_INTEGER)
		text_print(out, "%lld", (long long)value.integer);
	else if (value.type == KNOCKER_REAL)
		text_print(out, "%.17g", value.real);
	else
		text_puts(out, "null");
}

void print_json_row(text *out, const knocker_rows *rows, bool bodies)
{
	int32_t i, count = knocker_rows_columns(rows);
	const char *comma = "";

	text_puts(out, "{");
	for (i = 0; i < count; i++) {
		const char *name = knocker_rows_name(rows, i);
		knocker_value value = {0};

		if (!bodies && strcmp(name, "body") == 0)
			continue;
		knocker_rows_value(rows, i, &value);
		text_puts(out, comma);
		json_member(out, name, value);
		comma = ",";
	}
	text_puts(out, "}");
}

int64_t print_json_lines(knocker_rows *rows, bool bodies)
{
	return print_json_lines_with(rows, bodies, NULL);
}

int64_t print_json_lines_with(knocker_rows *rows, bool bodies, const char *word)
{
	int64_t count = 0;

	while (print_next_with(rows, word)) {
		text line = {0};

		print_json_row(&line, rows, bodies);
		print_line(&line);
		count++;
	}
	return count;
}

static void json_new_line(text *out, size_t depth)
{
	size_t i;

	text_puts(out, "\n");
	for (i = 0; i < depth && i < INDENT_MAX; i++)
		text_puts(out, "  ");
}

static size_t json_skip_blanks(const char *data, size_t len, size_t at)
{
	while (at < len &&
	       (data[at] == ' ' || data[at] == '\t' || data[at] == '\r' || data[at] == '\n'))
		at++;
	return at;
}

/* Tokens stay as they are, byte for byte; only the blanks between them are ours. An empty object or
 * list stays on its line. */
static void json_indent(text *out, const char *data, size_t len)
{
	size_t at = 0, depth = 0;

	while ((at = json_skip_blanks(data, len, at)) < len) {
		size_t next = at + 1;

		if (data[at] == '"') {
			next = json_string_end(data, len, at);
			next = next > len ? len : next;
			text_show(out, data + at, next - at, false);
		} else if (data[at] == '{' || data[at] == '[') {
			size_t inner = json_skip_blanks(data, len, next);

			text_add(out, data + at, 1);
			if (inner < len && (data[inner] == '}' || data[inner] == ']')) {
				text_add(out, data + inner, 1);
				next = inner + 1;
			} else {
				json_new_line(out, ++depth);
			}
		} else if (data[at] == '}' || data[at] == ']') {
			json_new_line(out, depth > 0 ? --depth : 0);
			text_add(out, data + at, 1);
		} else if (data[at] == ',') {
			text_puts(out, ",");
			json_new_line(out, depth);
		} else if (data[at] == ':') {
			text_puts(out, ": ");
		} else {
			while (next < len && strchr(",:{}[]\" \t\r\n", data[next]) == NULL)
				next++;
			text_show(out, data + at, next - at, false);
		}
		at = next;
	}
}

static void body_dump(text *out, const unsigned char *data, size_t len)
{
	size_t at, i;

	for (at = 0; at < len && at < DUMP_BYTES; at += DUMP_LINE) {
		size_t end = at + DUMP_LINE < len ? at + DUMP_LINE : len;

		text_print(out, "%08zx ", at);
		for (i = at; i < at + DUMP_LINE; i++)
			text_print(out, i < end ? " %02x" : "   ", i < end ? data[i] : 0u);
		text_puts(out, "  |");
		for (i = at; i < end; i++)
			text_print(out, "%c", data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.');
		text_puts(out, "|\n");
	}
}

/* Each line is moved to the right of the headings. */
static void body_write(const text *shown)
{
	const char *line = shown->data, *end = shown->data + shown->len;

	while (line < end) {
		const char *feed = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((feed != NULL ? feed : end) - line);

		printf("  %.*s\n", (int)len, line);
		line += len + 1;
	}
}

void print_json_block(const void *data, size_t len)
{
	text shown = {0};

	json_indent(&shown, data, len);
	body_write(&shown);
	text_free(&shown);
}

void print_body(const void *data, size_t len, size_t limit)
{
	bool is_text = utf8_check(data, len) && (len == 0 || memchr(data, '\0', len) == NULL);
	bool is_json = is_text && json_check(data, len);
	bool more = !is_text && len > DUMP_BYTES;
	text shown = {0};

	if (is_json)
		json_indent(&shown, data, len);
	else if (is_text)
		text_show(&shown, data, len, true);
	else
		body_dump(&shown, data, len);
	if (shown.len > limit) {
		while (limit > 0 && ((unsigned char)shown.data[limit] & 0xc0) == 0x80)
			limit--;
		shown.len = limit;
		more = true;
	}
	printf("  %zu bytes, %s\n", len,
	       len == 0  ? "empty"
	       : is_json ? "JSON"
	       : is_text ? "text"
	                 : "binary");
	body_write(&shown);
	if (more)
		printf("  ... there is more: --raw writes all of it\n");
	text_free(&shown);
}
