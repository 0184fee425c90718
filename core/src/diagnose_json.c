/* Writes a JSON text anew, in the styles of the usual writers. Numbers keep their text, members
 * their order. Judges nothing: what is no JSON comes out as some other text. */
#include <stdio.h>
#include <string.h>

#include "diagnose_parts.h"

typedef struct {
	const uint8_t *text;
	size_t len, at;
	const diagnose_style *style;
	buffer *out;
	int depth;
} diagnose_writer;

static void diagnose_escape(buffer *out, uint32_t unit)
{
	char text[8];

	snprintf(text, sizeof text, "\\u%04x", (unsigned)(unit & 0xFFFF));
	buffer_text(out, text);
}

/* One character of UTF-8 that is not ASCII. */
static void diagnose_write_wide(diagnose_writer *w)
{
	size_t more = w->text[w->at] >= 0xF0 ? 3 : w->text[w->at] >= 0xE0 ? 2 : 1, i;
	uint32_t code = w->text[w->at] & (0x3Fu >> more);

	if (w->len - w->at <= more || w->style->unicode != UNICODE_ESCAPED) {
		buffer_add(w->out, w->text + w->at++, 1);
		return;
	}
	for (i = 1; i <= more; i++)
		code = code << 6 | (w->text[w->at + i] & 0x3Fu);
	w->at += more + 1;
	if (code >= 0x10000) {
		diagnose_escape(w->out, 0xD800 + ((code - 0x10000) >> 10));
		code = 0xDC00 + ((code - 0x10000) & 0x3FF);
	}
	diagnose_escape(w->out, code);
}

static bool diagnose_unit_read(const diagnose_writer *w, size_t at, uint32_t *unit)
{
	uint8_t bytes[2];
	size_t len = 0;

	if (w->len - at < 6 || w->text[at] != '\\' || w->text[at + 1] != 'u' ||
	    !codec_hex((knocker_bytes){w->text + at + 2, 4}, bytes, &len) || len != 2)
		return false;
	*unit = (uint32_t)bytes[0] << 8 | bytes[1];
	return true;
}

/* An escape \uXXXX that stands for a character over ASCII, as UTF-8. False: it is none. */
static bool diagnose_write_raw(diagnose_writer *w)
{
	uint32_t code, low;
	char utf8[4];
	size_t used = 6, n = 0;

	if (!diagnose_unit_read(w, w->at, &code) || code < 0x80)
		return false;
	if (code >= 0xD800 && code < 0xE000) {
		if (code >= 0xDC00 || w->len - w->at < 12 || !diagnose_unit_read(w, w->at + 6, &low) ||
		    low < 0xDC00 || low > 0xDFFF)
			return false;
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		used = 12;
	}
	if (code < 0x800)
		utf8[n++] = (char)(0xC0 | code >> 6);
	else if (code < 0x10000)
		utf8[n++] = (char)(0xE0 | code >> 12);
	else
		utf8[n++] = (char)(0xF0 | code >> 18);
	if (code >= 0x10000)
		utf8[n++] = (char)(0x80 | (code >> 12 & 0x3F));
	if (code >= 0x800)
		utf8[n++] = (char)(0x80 | (code >> 6 & 0x3F));
	utf8[n++] = (char)(0x80 | (code & 0x3F));
	buffer_add(w->out, utf8, n);
	w->at += used;
	return true;
}

static void diagnose_write_backslash(diagnose_writer *w)
{
	if (w->style->unicode == UNICODE_RAW && diagnose_write_raw(w))
		return;
	if (w->at + 1 < w->len && w->text[w->at + 1] == '/' && w->style->slash == SLASH_RAW)
		w->at++;
	else
		buffer_add(w->out, w->text + w->at++, 1);
	if (w->at < w->len)
		buffer_add(w->out, w->text + w->at++, 1);
}

static void diagnose_write_string(diagnose_writer *w)
{
	buffer_add(w->out, w->text + w->at++, 1);
	while (w->at < w->len && w->text[w->at] != '"') {
		uint8_t c = w->text[w->at];

		if (c == '\\') {
			diagnose_write_backslash(w);
		} else if (c >= 0xC0) {
			diagnose_write_wide(w);
		} else if (w->style->html && (c == '<' || c == '>' || c == '&')) {
			diagnose_escape(w->out, c);
			w->at++;
		} else {
			if (c == '/' && w->style->slash == SLASH_ESCAPED)
				buffer_text(w->out, "\\");
			buffer_add(w->out, w->text + w->at++, 1);
		}
	}
	if (w->at < w->len)
		buffer_add(w->out, w->text + w->at++, 1);
}

static void diagnose_write_line(diagnose_writer *w)
{
	int i, width = w->style->indent < 0 ? w->depth : w->depth * w->style->indent;

	if (w->style->indent == 0)
		return;
	buffer_text(w->out, "\n");
	for (i = 0; i < width; i++)
		buffer_text(w->out, w->style->indent < 0 ? "\t" : " ");
}

static bool diagnose_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void diagnose_write_mark(diagnose_writer *w)
{
	uint8_t c = w->text[w->at++];
	bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
	size_t next = w->at;

	while (next < w->len && diagnose_blank(w->text[next]))
		next++;
	if (closes) {
		w->depth--;
		diagnose_write_line(w);
	}
	buffer_add(w->out, &c, 1);
	if (opens && next < w->len && (w->text[next] == '}' || w->text[next] == ']')) {
		buffer_add(w->out, w->text + next, 1);
		w->at = next + 1;
	} else if (opens) {
		w->depth++;
		diagnose_write_line(w);
	} else if (c == ',') {
		buffer_text(w->out, w->style->comma);
		diagnose_write_line(w);
	} else if (c == ':') {
		buffer_text(w->out, w->style->colon);
	}
}

bool diagnose_json_write(knocker_bytes text, const diagnose_style *style, buffer *out)
{
	diagnose_writer w = {text.data, (size_t)text.len, 0, style, out, 0};

	while (w.at < w.len && diagnose_blank(w.text[w.at]))
		w.at++;
	if (w.at == w.len || (w.text[w.at] != '{' && w.text[w.at] != '['))
		return false;
	while (w.at < w.len && w.depth >= 0 && w.depth <= LIMIT_JSON_DEPTH && !out->failed) {
		uint8_t c = w.text[w.at];

		if (c == '"')
			diagnose_write_string(&w);
		else if (diagnose_blank(c))
			w.at++;
		else if (memchr("{}[],:", c, 6))
			diagnose_write_mark(&w);
		else
			buffer_add(out, w.text + w.at++, 1);
	}
	return !out->failed && w.depth == 0;
}
