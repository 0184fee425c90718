/* Arguments of SQL functions, checked and named, and results as JSON. */
#include "extension_parts.h"

#include <string.h>

#include "error.h"
#include "json.h"

/* ---- scalars ---- */

static const char *call_type_name(int type)
{
	static const char *const names[] = {"",     "an integer", "a real number",
	                                    "text", "a blob",     "null"};

	return names[type];
}

static int call_type(const call *c, int at)
{
	return at < c->argc ? sqlite3_value_type(c->argv[at]) : SQLITE_NULL;
}

static int32_t call_type_fail(const call *c, int at, const char *name, const char *wanted,
                              knocker_error *error)
{
	return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is %s: %s is needed", name,
	            call_type_name(call_type(c, at)), wanted);
}

bool call_given(const call *c, int at)
{
	return call_type(c, at) != SQLITE_NULL;
}

static knocker_bytes call_value(const call *c, int at)
{
	const void *data = call_type(c, at) == SQLITE_BLOB ? sqlite3_value_blob(c->argv[at])
	                                                   : sqlite3_value_text(c->argv[at]);

	return (knocker_bytes){data ? data : "", sqlite3_value_bytes(c->argv[at])};
}

int32_t call_text(call *c, int at, const char *name, knocker_bytes *out, knocker_error *error)
{
	*out = (knocker_bytes){0};
	if (!call_given(c, at))
		return 0;
	if (call_type(c, at) != SQLITE_TEXT)
		return call_type_fail(c, at, name, "text", error);
	*out = call_value(c, at);
	return 0;
}

int32_t call_blob(call *c, int at, const char *name, knocker_bytes *out, knocker_error *error)
{
	*out = (knocker_bytes){0};
	if (!call_given(c, at))
		return 0;
	if (call_type(c, at) != SQLITE_TEXT && call_type(c, at) != SQLITE_BLOB)
		return call_type_fail(c, at, name, "a blob or text", error);
	*out = call_value(c, at);
	return 0;
}

/* better-sqlite3 and other drivers bind each number as a double: one that is whole, and held
 * exactly (53 bits), is an integer. */
static bool call_whole(const call *c, int at, int64_t *out)
{
	double real = sqlite3_value_double(c->argv[at]);

	if (call_type(c, at) == SQLITE_INTEGER) {
		*out = sqlite3_value_int64(c->argv[at]);
		return true;
	}
	if (call_type(c, at) != SQLITE_FLOAT || !(real >= -0x1p53 && real <= 0x1p53))
		return false;
	*out = (int64_t)real;
	return (double)*out == real;
}

int32_t call_int(call *c, int at, const char *name, int64_t missing, int64_t *out,
                 knocker_error *error)
{
	*out = missing;
	if (!call_given(c, at))
		return 0;
	return call_whole(c, at, out) ? 0 : call_type_fail(c, at, name, "an integer", error);
}

int32_t call_int_required(call *c, int at, const char *name, int64_t *out, knocker_error *error)
{
	*out = 0;
	if (!call_given(c, at))
		return call_type_fail(c, at, name, "an integer", error);
	return call_int(c, at, name, 0, out, error);
}

int32_t call_truth(call *c, int at, const char *name, int64_t missing, int64_t *out,
                   knocker_error *error)
{
	int32_t rc = call_int(c, at, name, missing, out, error);

	return rc < 0 || !call_given(c, at) ? rc : inbox_range_check(name, *out, 0, 1, error);
}

int32_t call_seconds(call *c, int at, const char *name, int64_t missing_ms, int64_t *out_ms,
                     knocker_error *error)
{
	double seconds;

	*out_ms = missing_ms;
	if (!call_given(c, at))
		return 0;
	if (call_type(c, at) != SQLITE_INTEGER && call_type(c, at) != SQLITE_FLOAT)
		return call_type_fail(c, at, name, "a number of seconds", error);
	seconds = sqlite3_value_double(c->argv[at]);
	if (!(seconds >= 0) || seconds > 1e12)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is %g: not between 0 and 1e12 seconds",
		            name, seconds);
	*out_ms = call_type(c, at) == SQLITE_INTEGER ? sqlite3_value_int64(c->argv[at]) * 1000
	                                             : (int64_t)(seconds * 1000 + 0.5);
	return 0;
}

/* ---- headers and query, as JSON ---- */

/* Writes one name and value into the text that is being made. */
typedef void (*call_pair)(buffer *out, knocker_bytes name, knocker_bytes value);

static void call_header_pair(buffer *out, knocker_bytes name, knocker_bytes value)
{
	buffer_bytes(out, name);
	buffer_text(out, ": ");
	buffer_bytes(out, value);
	buffer_text(out, "\n");
}

static void call_percent(buffer *out, knocker_bytes text)
{
	static const char hex[] = "0123456789ABCDEF";
	const uint8_t *s = text.data;
	int64_t i;

	for (i = 0; i < text.len; i++) {
		const char escape[3] = {'%', hex[s[i] >> 4], hex[s[i] & 15]};
		bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		             (s[i] >= '0' && s[i] <= '9') || s[i] == '-' || s[i] == '_' || s[i] == '.' ||
		             s[i] == '~';

		if (plain)
			buffer_add(out, &s[i], 1);
		else
			buffer_add(out, escape, sizeof escape);
	}
}

static void call_query_pair(buffer *out, knocker_bytes name, knocker_bytes value)
{
	if (out->len > 0)
		buffer_text(out, "&");
	call_percent(out, name);
	buffer_text(out, "=");
	call_percent(out, value);
}

/* A value that ends its line would be read as another header. */
static int32_t call_pair_check(const char *what, knocker_bytes name, knocker_bytes value,
                               knocker_error *error)
{
	if (bytes_find(name, '\n') >= 0 || bytes_find(name, '\r') >= 0 ||
	    bytes_find(value, '\n') >= 0 || bytes_find(value, '\r') >= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s: '%.*s' holds a line break", what,
		            QUOTED(name));
	return 0;
}

static int32_t call_member(const char *what, const json *member, call_pair pair, buffer *out,
                           knocker_error *error)
{
	const json *each = json_kind(member) == JSON_ARRAY ? json_first(member) : member;
	bool list = json_kind(member) == JSON_ARRAY;
	int32_t rc = 0;

	if (json_kind(member) == JSON_NULL)
		return 0;
	for (; rc == 0 && each; each = list ? json_next(each) : NULL) {
		if (json_kind(each) != JSON_TEXT)
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "%s: the value of '%.*s' is neither text nor a list of texts", what,
			            QUOTED(json_name(member)));
		rc = pair == call_header_pair
		         ? call_pair_check(what, json_name(member), json_text(each), error)
		         : 0;
		if (rc == 0)
			pair(out, json_name(member), json_text(each));
	}
	return rc;
}

/* Keeps the text that was made until the call is over. */
static int32_t call_keep(call *c, buffer *made, knocker_bytes *out, knocker_error *error)
{
	bool kept = !made->failed && arena_copy(&c->memory, buffer_view(made), out);

	buffer_free(made);
	return kept ? 0 : fail_memory(error);
}

static int32_t call_pairs(call *c, int at, const char *name, call_pair pair, knocker_bytes *out,
                          knocker_error *error)
{
	knocker_bytes text;
	json *parsed = NULL;
	const json *member;
	buffer made;
	int32_t rc = call_text(c, at, name, &text, error);

	*out = (knocker_bytes){0};
	if (rc < 0 || !text.data)
		return rc;
	rc = json_parse(name, text, &parsed, error);
	if (rc < 0)
		return rc;
	buffer_init(&made, LIMIT_JSON * 4);
	if (pair == call_query_pair && json_kind(parsed) == JSON_TEXT)
		buffer_bytes(&made, json_text(parsed));
	else if (json_kind(parsed) != JSON_OBJECT && json_kind(parsed) != JSON_NULL)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not a JSON object", name);
	else
		for (member = json_first(parsed); rc == 0 && member; member = json_next(member))
			rc = call_member(name, member, pair, &made, error);
	json_free(parsed);
	if (rc == 0)
		return call_keep(c, &made, out, error);
	buffer_free(&made);
	return rc;
}

int32_t call_headers(call *c, int at, knocker_bytes *out, knocker_error *error)
{
	return call_pairs(c, at, "headers_json", call_header_pair, out, error);
}

int32_t call_query(call *c, int at, knocker_bytes *out, knocker_error *error)
{
	return call_pairs(c, at, "query_json", call_query_pair, out, error);
}

/* ---- results ---- */

void call_give_int(call *c, int64_t number)
{
	c->kind = RESULT_INT;
	c->number = number;
}

/* Header lines as an object; of a name that comes twice the last value. */
static void call_lines(buffer *out, knocker_bytes lines)
{
	knocker_bytes name, value;
	size_t at = 0;
	bool first = true;

	buffer_text(out, "{");
	while (request_header_next(lines, &at, &name, &value)) {
		buffer_text(out, first ? "" : ",");
		buffer_json(out, name);
		buffer_text(out, ":");
		buffer_json(out, value);
		first = false;
	}
	buffer_text(out, "}");
}

static void call_real(buffer *out, double real)
{
	char text[40];

	sqlite3_snprintf(sizeof text, text, "%!.17g", real);
	buffer_text(out, text);
}

static void call_cell(buffer *out, const char *name, const knocker_value *v)
{
	if (v->type == KNOCKER_INTEGER)
		buffer_int(out, v->integer);
	else if (v->type == KNOCKER_REAL)
		call_real(out, v->real);
	else if (v->type == KNOCKER_NULL)
		buffer_text(out, "null");
	else if (strcmp(name, "response_headers") == 0)
		call_lines(out, v->bytes);
	else
		buffer_json(out, v->bytes);
}

static void call_object(buffer *out, const knocker_rows *rows)
{
	knocker_value v;
	int32_t i;

	buffer_text(out, "{");
	for (i = 0; i < knocker_rows_columns(rows); i++) {
		const char *name = knocker_rows_name(rows, i);

		buffer_text(out, i ? "," : "");
		buffer_json(out, bytes_of(name));
		buffer_text(out, ":");
		knocker_rows_value(rows, i, &v);
		call_cell(out, name, &v);
	}
	buffer_text(out, "}");
}

int32_t call_give_rows(call *c, knocker_rows *rows, bool list, knocker_error *error)
{
	bool first = true;

	c->kind = RESULT_JSON;
	buffer_text(&c->text, list ? "[" : "");
	while (knocker_rows_next(rows) == 0 && (list || first)) {
		buffer_text(&c->text, first ? "" : ",");
		call_object(&c->text, rows);
		first = false;
	}
	buffer_text(&c->text, list ? "]" : "");
	knocker_rows_free(rows);
	return c->text.failed ? fail_memory(error) : 0;
}
