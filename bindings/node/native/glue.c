/*
 * The conversions of glue.h. Text goes as UTF-8 and comes back as bytes where it is none; integers
 * are BigInts where a double would lose bits.
 */
#include "glue.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 9007199254740991 /* Number.MAX_SAFE_INTEGER */

static const napi_type_tag BOX_TAG = {0x6b6e6f636b657231, 0x9d2f6a7c41e85b03};

struct arena_block {
	struct arena_block *before;
	size_t used, size;
	_Alignas(16) char data[];
};

void *arena_take(arena *a, size_t size)
{
	struct arena_block *b = a->last;
	size_t rounded = (size + 15) & ~(size_t)15;

	if (!b || b->size - b->used < rounded) {
		size_t room = rounded > 2048 ? rounded : 4096;

		b = malloc(sizeof *b + room);
		if (!b)
			return NULL;
		*b = (struct arena_block){.before = a->last, .size = room};
		a->last = b;
	}
	b->used += rounded;
	return b->data + b->used - rounded;
}

void arena_free(arena *a)
{
	while (a->last) {
		struct arena_block *b = a->last;

		a->last = b->before;
		free(b);
	}
}

/* ---- Errors ---- */

napi_value error_value(call *c, int32_t code, const char *text)
{
	napi_value make = NULL, undefined, arguments[2], error = NULL;

	napi_create_int32(c->env, code, &arguments[0]);
	napi_create_string_utf8(c->env, text, NAPI_AUTO_LENGTH, &arguments[1]);
	napi_get_undefined(c->env, &undefined);
	if (c->addon->make_error)
		napi_get_reference_value(c->env, c->addon->make_error, &make);
	if (make && napi_call_function(c->env, undefined, make, 2, arguments, &error) == napi_ok)
		return error;
	napi_create_error(c->env, NULL, arguments[1], &error);
	return error;
}

void *throw_error(call *c, int32_t code, const char *text)
{
	bool pending = false;

	napi_is_exception_pending(c->env, &pending);
	if (!pending)
		napi_throw(c->env, error_value(c, code, text));
	return NULL;
}

bool take_refused(call *c, const char *name, const char *wanted, napi_value value)
{
	static const char *const kinds[] = {"undefined", "null",     "a boolean", "a number",
	                                    "text",      "a symbol", "an object", "a function",
	                                    "an object", "a bigint", "not that"};
	napi_valuetype kind = napi_undefined;
	char text[200];

	napi_typeof(c->env, value, &kind);
	snprintf(text, sizeof text, "%.60s must be %.60s, not %s", name, wanted, kinds[kind]);
	throw_error(c, KNOCKER_INVALID_ARGUMENT, text);
	return false;
}

static bool no_memory(call *c)
{
	throw_error(c, KNOCKER_STORAGE, "out of memory");
	return false;
}

/* ---- Into C ---- */

/* V8 writes U+FFFD for a lone surrogate, and so would lose it in silence: where U+FFFD was written,
 * the text itself must have one. */
static bool text_is_whole(call *c, napi_value value, const char *utf8, size_t len)
{
	size_t units = 0;
	char16_t *text;
	bool whole = true;

	if (!memmem(utf8, len, "\xEF\xBF\xBD", 3))
		return true;
	napi_get_value_string_utf16(c->env, value, NULL, 0, &units);
	text = malloc((units + 1) * sizeof *text);
	if (!text)
		return no_memory(c);
	napi_get_value_string_utf16(c->env, value, text, units + 1, &units);
	for (size_t i = 0; i < units && whole; i++) {
		if ((text[i] & 0xFC00) == 0xD800)
			whole = i + 1 < units && (text[++i] & 0xFC00) == 0xDC00;
		else
			whole = (text[i] & 0xFC00) != 0xDC00;
	}
	free(text);
	return whole;
}

static bool take_text(call *c, napi_value value, const char *name, knocker_bytes *out)
{
	size_t len = 0;
	char *text;

	if (napi_get_value_string_utf8(c->env, value, NULL, 0, &len) != napi_ok)
		return take_refused(c, name, "text", value);
	text = arena_take(&c->memory, len + 1);
	if (!text)
		return no_memory(c);
	napi_get_value_string_utf8(c->env, value, text, len + 1, &len);
	*out = (knocker_bytes){text, (int64_t)len};
	return text_is_whole(c, value, text, len) ||
	       take_refused(c, name, "text without lone surrogates", value);
}

/* The bytes of a Buffer, another typed array, a DataView or an ArrayBuffer. */
static bool buffer_bytes(call *c, napi_value value, knocker_bytes *out)
{
	bool is = false;
	void *data = NULL;
	size_t len = 0;

	if (napi_is_buffer(c->env, value, &is) == napi_ok && is)
		napi_get_buffer_info(c->env, value, &data, &len);
	else if (napi_is_arraybuffer(c->env, value, &is) == napi_ok && is)
		napi_get_arraybuffer_info(c->env, value, &data, &len);
	else if (napi_is_dataview(c->env, value, &is) == napi_ok && is)
		napi_get_dataview_info(c->env, value, &len, &data, NULL, NULL);
	*out = (knocker_bytes){data ? data : "", (int64_t)len};
	return is;
}

bool take_bytes(call *c, napi_value value, const char *name, knocker_bytes *out)
{
	napi_valuetype kind = napi_undefined;

	*out = (knocker_bytes){NULL, 0};
	napi_typeof(c->env, value, &kind);
	if (kind == napi_undefined || kind == napi_null)
		return true;
	if (kind == napi_string)
		return take_text(c, value, name, out);
	if (kind != napi_object || !buffer_bytes(c, value, out))
		return take_refused(c, name, "text or bytes", value);
	if (c->copies) {
		void *copy = arena_take(&c->memory, (size_t)out->len + 1);

		if (!copy)
			return no_memory(c);
		memcpy(copy, out->data, (size_t)out->len);
		out->data = copy;
	}
	return true;
}

bool take_integer(call *c, napi_value value, const char *name, int64_t *out)
{
	napi_valuetype kind = napi_undefined;
	bool lossless = false, truth = false;
	double number = 0;

	napi_typeof(c->env, value, &kind);
	if (kind == napi_bigint) {
		napi_get_value_bigint_int64(c->env, value, out, &lossless);
		return lossless || take_refused(c, name, "an integer of 64 bits", value);
	}
	if (kind == napi_boolean) {
		napi_get_value_bool(c->env, value, &truth);
		*out = truth;
		return true;
	}
	if (kind != napi_number)
		return take_refused(c, name, "an integer", value);
	napi_get_value_double(c->env, value, &number);
	if (!(number >= -EXACT && number <= EXACT) || number != (double)(int64_t)number)
		return take_refused(c, name, "an integer", value);
	*out = (int64_t)number;
	return true;
}

static bool take_value(call *c, napi_value item, size_t index, knocker_value *out)
{
	napi_valuetype kind = napi_undefined;
	char name[40];

	snprintf(name, sizeof name, "parameter %zu", index + 1);
	napi_typeof(c->env, item, &kind);
	*out = (knocker_value){.type = KNOCKER_NULL};
	switch (kind) {
	case napi_null:
		return true;
	case napi_number:
		napi_get_value_double(c->env, item, &out->real);
		out->type = KNOCKER_REAL;
		if (!(out->real >= -EXACT && out->real <= EXACT) || out->real != (double)(int64_t)out->real)
			return true;
		out->integer = (int64_t)out->real;
		out->type = KNOCKER_INTEGER;
		return true;
	case napi_bigint:
	case napi_boolean:
		out->type = KNOCKER_INTEGER;
		return take_integer(c, item, name, &out->integer);
	case napi_string:
		out->type = KNOCKER_TEXT;
		return take_text(c, item, name, &out->bytes);
	default:
		out->type = KNOCKER_BLOB;
		return (kind == napi_object && buffer_bytes(c, item, &out->bytes)) ||
		       take_refused(c, name, "null, a number, a bigint, a boolean, text or bytes", item);
	}
}

bool take_values(call *c, napi_value list, knocker_value **out, int32_t *count)
{
	uint32_t n = 0;

	if (napi_get_array_length(c->env, list, &n) != napi_ok)
		return take_refused(c, "parameters", "an array", list);
	*count = (int32_t)n;
	*out = arena_take(&c->memory, n * sizeof **out + 1);
	if (!*out)
		return no_memory(c);
	for (uint32_t i = 0; i < n; i++) {
		napi_value item;

		napi_get_element(c->env, list, i, &item);
		if (!take_value(c, item, i, &(*out)[i]))
			return false;
	}
	return true;
}

/* ---- Out of C ---- */

napi_value give_integer(call *c, int64_t number)
{
	napi_value value = NULL;

	if (number >= -EXACT && number <= EXACT)
		napi_create_int64(c->env, number, &value);
	else
		napi_create_bigint_int64(c->env, number, &value);
	return value;
}

/* The length of the UTF-8 sequence at `s`, or 0: there is none. */
static size_t utf8_step(const unsigned char *s, size_t left)
{
	static const unsigned char low[] = {0xA0, 0x90}, high[] = {0x9F, 0x8F};
	size_t n = *s < 0x80 ? 1 : *s < 0xC2 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : *s < 0xF5 ? 4 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	if ((*s == 0xE0 && s[1] < low[0]) || (*s == 0xF0 && s[1] < low[1]) ||
	    (*s == 0xED && s[1] > high[0]) || (*s == 0xF4 && s[1] > high[1]))
		return 0;
	return n;
}

static bool is_utf8(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;

	while (s < end) {
		size_t n = utf8_step(s, (size_t)(end - s));

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

static napi_value give_value(call *c, const knocker_value *v)
{
	const char *data = v->bytes.data ? v->bytes.data : "";
	size_t len = (size_t)v->bytes.len;
	napi_value value = NULL;

	if (v->type == KNOCKER_INTEGER)
		return give_integer(c, v->integer);
	if (v->type == KNOCKER_REAL)
		napi_create_double(c->env, v->real, &value);
	else if (v->type == KNOCKER_TEXT && is_utf8(data, len))
		napi_create_string_utf8(c->env, data, len, &value);
	else if (v->type == KNOCKER_TEXT || v->type == KNOCKER_BLOB)
		napi_create_buffer_copy(c->env, len, data, NULL, &value);
	else
		napi_get_null(c->env, &value);
	return value;
}

static void give_row(call *c, knocker_rows *rows, const napi_value *names, napi_value row)
{
	for (int32_t i = 0, n = knocker_rows_columns(rows); i < n; i++) {
		knocker_value value = {0};

		knocker_rows_value(rows, i, &value);
		napi_set_property(c->env, row, names[i], give_value(c, &value));
	}
}

/* The one place where rows become JavaScript's: an array of objects. NULL rows are none. */
napi_value give_rows(call *c, knocker_rows *rows)
{
	int32_t columns = rows ? knocker_rows_columns(rows) : 0;
	napi_value *names = arena_take(&c->memory, ((size_t)columns + 1) * sizeof *names);
	napi_value list = NULL;

	napi_create_array(c->env, &list);
	for (int32_t i = 0; names && i < columns; i++)
		napi_create_string_utf8(c->env, knocker_rows_name(rows, i), NAPI_AUTO_LENGTH, &names[i]);
	for (uint32_t at = 0; names && rows && knocker_rows_next(rows) == 0; at++) {
		napi_handle_scope scope;
		napi_value row;

		napi_open_handle_scope(c->env, &scope);
		napi_create_object(c->env, &row);
		give_row(c, rows, names, row);
		napi_set_element(c->env, list, at, row);
		napi_close_handle_scope(c->env, scope);
	}
	knocker_rows_free(rows);
	return list;
}

/* ---- Handles and works ---- */

void box_drop(box *b)
{
	if (atomic_fetch_sub(&b->holders, 1) > 1)
		return;
	if (b->is_work)
		knocker_work_free(b->pointer);
	else
		knocker_close(b->pointer, NULL);
	free(b);
}

static void box_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	box_drop(data);
}

napi_value box_new(call *c, void *pointer, bool is_work)
{
	box *b = calloc(1, sizeof *b);
	napi_value object = NULL;

	if (!b || napi_create_object(c->env, &object) != napi_ok ||
	    napi_wrap(c->env, object, b, box_finalize, NULL, NULL) != napi_ok) {
		free(b);
		if (is_work)
			knocker_work_free(pointer);
		else
			knocker_close(pointer, NULL);
		no_memory(c);
		return NULL;
	}
	napi_type_tag_object(c->env, object, &BOX_TAG);
	b->pointer = pointer;
	b->holders = 1;
	b->is_work = is_work;
	return object;
}

box *box_of(call *c, size_t index, bool is_work)
{
	bool ours = false;
	void *found = NULL;

	if (napi_check_object_type_tag(c->env, c->argv[index], &BOX_TAG, &ours) == napi_ok && ours)
		napi_unwrap(c->env, c->argv[index], &found);
	if (!found || ((box *)found)->is_work != is_work)
		return throw_error(c, KNOCKER_INVALID_ARGUMENT, "this is no handle of Knocker's");
	return found;
}

void *box_pointer(call *c, size_t index, bool is_work)
{
	box *b = box_of(c, index, is_work);
	void *pointer = b ? b->pointer : NULL;

	if (b && !pointer)
		throw_error(c, KNOCKER_CLOSED,
		            is_work ? "this tx has ended with its handler" : "the handle is closed");
	return pointer;
}
