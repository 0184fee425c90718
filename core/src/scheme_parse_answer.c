/* Compiles what a scheme says about a request beyond its signature: ids, identity, handshakes and
 * answers. */
#include <string.h>

#include "error.h"
#include "scheme_parse.h"

/* ---- extract ---- */

/* each:PATH:TEMPLATE */
static int32_t parse_dedupe_each(scheme_parser *p, knocker_bytes rest, scheme_dedupe *out)
{
	knocker_bytes *steps;
	scan_path *members;
	int64_t colon = bytes_find(rest, ':');
	size_t i;
	int32_t rc;

	if (colon < 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'dedupe' has an each: without a template");
	out->how = DEDUPE_EACH;
	rc = scheme_parse_path(p, "dedupe", bytes_part(rest, 0, (size_t)colon), false, &out->array);
	p->members = scheme_room(p, SCAN_PATHS_MAX, sizeof *p->members);
	p->member_count = 0;
	if (rc < 0 || !p->members)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	rc = scheme_parse_template(p, "dedupe", bytes_part(rest, (size_t)colon + 1, (size_t)rest.len),
	                           IN_EACH, &out->text);
	members = rc < 0 ? NULL : scheme_room(p, p->member_count, sizeof *members);
	if (!members)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	for (i = 0; i < p->member_count; i++) {
		steps = scheme_room(p, SCAN_STEPS_MAX, sizeof *steps);
		if (!steps)
			return KNOCKER_STORAGE;
		if (!scan_path_cut(p->members[i], steps, &members[i]))
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'dedupe' has a path of too many steps");
	}
	out->members = members;
	out->member_count = p->member_count;
	return 0;
}

static int32_t parse_dedupe_one(scheme_parser *p, knocker_bytes text, scheme_dedupe *out)
{
	if (bytes_starts(text, "each:"))
		return parse_dedupe_each(p, bytes_part(text, 5, (size_t)text.len), out);
	out->how = bytes_starts(text, "sha256:") ? DEDUPE_SHA256 : DEDUPE_TEXT;
	if (out->how == DEDUPE_SHA256)
		text = bytes_part(text, 7, (size_t)text.len);
	return scheme_parse_template(p, "dedupe", text, IN_DEDUPE, &out->text);
}

static int32_t parse_dedupe(scheme_parser *p, const json *value, scheme_try *t)
{
	scheme_dedupe *list;
	const json *text;
	size_t count;
	int32_t rc = scheme_parse_list(p, value, "dedupe", &count);

	list = rc < 0 ? NULL : scheme_room(p, count, sizeof *list);
	if (!list)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	for (text = json_first(value); rc == 0 && text; text = json_next(text)) {
		if (json_kind(text) != JSON_TEXT)
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: 'dedupe' holds what is not a text");
		rc = parse_dedupe_one(p, json_text(text), &list[t->dedupe_count++]);
	}
	t->dedupe = list;
	return rc;
}

int32_t scheme_parse_extract(scheme_parser *p, const json *extract, scheme_try *t)
{
	static const char *const known[] = {"delivery_id", "event_id",        "event_type", "dedupe",
	                                    "batch",       "form_json_field", NULL};
	knocker_bytes batch;
	int32_t rc = scheme_parse_known(p, extract, "extract", known);
	size_t i;

	for (i = 0; rc == 0 && i < ID_COUNT; i++)
		if (json_member(extract, known[i]))
			rc = scheme_parse_sources(p, json_member(extract, known[i]), known[i], &t->ids[i]);
	if (rc == 0)
		rc = scheme_parse_text(p, extract, "extract", "form_json_field", false,
		                       &p->scheme->form_json_field);
	if (rc == 0)
		rc = scheme_parse_text(p, extract, "extract", "batch", false, &batch);
	if (rc == 0 && bytes_given(batch) && !bytes_starts(batch, "json:"))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'batch' is '%.*s' and must be json:PATH", QUOTED(batch));
	if (rc == 0 && json_member(extract, "dedupe"))
		rc = parse_dedupe(p, json_member(extract, "dedupe"), t);
	return rc;
}

/* ---- answers ---- */

/* Members whose values are templates; of a body also whole numbers. */
static int32_t parse_members(scheme_parser *p, const json *object, const char *what, bool numbers,
                             const scheme_member **out, size_t *count)
{
	scheme_member *list = scheme_room(p, json_count(object), sizeof *list);
	const json *value;
	int64_t number;
	int32_t rc = 0;

	if (!list)
		return KNOCKER_STORAGE;
	*out = list;
	for (value = json_first(object); rc == 0 && value; value = json_next(value)) {
		scheme_member *member = &list[(*count)++];
		buffer digits;

		rc = scheme_copy(p, json_name(value), &member->name);
		if (rc == 0 && json_kind(value) == JSON_TEXT) {
			rc = scheme_parse_template(p, what, json_text(value), IN_ANSWER, &member->text);
			continue;
		}
		if (rc < 0 || !numbers || !json_int(value, &number))
			return rc < 0 ? rc
			              : fail(p->error, KNOCKER_INVALID_ARGUMENT,
			                     "scheme: '%s.%.*s' is not a text%s", what, QUOTED(member->name),
			                     numbers ? " or whole number" : "");
		buffer_init(&digits, 32);
		buffer_int(&digits, number);
		member->is_number = true;
		rc = scheme_parse_template(p, what, buffer_view(&digits), IN_ANSWER, &member->text);
		buffer_free(&digits);
	}
	return rc;
}

static int32_t parse_answer_body(scheme_parser *p, const json *body, const char *what,
                                 scheme_answer *out)
{
	if (!body)
		return 0;
	if (json_kind(body) == JSON_TEXT) {
		out->has_text = true;
		return scheme_parse_template(p, what, json_text(body), IN_ANSWER, &out->text);
	}
	if (json_kind(body) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.body' is not a text or object",
		            what);
	out->has_object = true;
	return parse_members(p, body, what, true, &out->members, &out->member_count);
}

/* Values are asked when they are known, at each answer. */
static int32_t parse_answer_headers(scheme_parser *p, const json *headers, const char *what,
                                    scheme_answer *out)
{
	int32_t rc;
	size_t i;

	if (json_kind(headers) != JSON_OBJECT)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.headers' is not an object",
		            what);
	rc = parse_members(p, headers, what, false, &out->headers, &out->header_count);
	for (i = 0; rc == 0 && i < out->header_count; i++)
		if (!request_name_valid(out->headers[i].name))
			return fail(p->error, KNOCKER_INVALID_ARGUMENT,
			            "scheme: '%s.headers' has '%.*s', which is no header's name", what,
			            QUOTED(out->headers[i].name));
	return rc;
}

int32_t scheme_parse_answer(scheme_parser *p, const json *value, const char *what,
                            scheme_answer *out)
{
	static const char *const known[] = {"status", "type", "headers", "body", NULL};
	const json *headers = json_member(value, "headers");
	int32_t rc = scheme_parse_known(p, value, what, known);

	*out = (scheme_answer){0};
	if (rc == 0 && !json_member(value, "status"))
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: '%s.status' is missing", what);
	if (rc == 0)
		rc = scheme_parse_int(p, value, what, "status", 599, &out->status);
	if (rc == 0 && out->status < 100)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: '%s.status' is %lld and must be 100 to 599", what,
		          (long long)out->status);
	if (rc == 0)
		rc = scheme_parse_text(p, value, what, "type", false, &out->type);
	if (rc == 0 && headers)
		rc = parse_answer_headers(p, headers, what, out);
	return rc < 0 ? rc : parse_answer_body(p, json_member(value, "body"), what, out);
}

/* ---- handshakes ---- */

/* {chars, min, max} */
static int32_t parse_when_chars(scheme_parser *p, const json *value, scheme_condition *out)
{
	static const char *const known[] = {"chars", "min", "max", NULL};
	int32_t rc = scheme_parse_known(p, value, "when", known);

	out->how = WHEN_CHARS;
	out->max = LIMIT_ID;
	if (rc == 0)
		rc = scheme_parse_text(p, value, "when", "chars", true, &out->text);
	if (rc == 0)
		rc = scheme_parse_int(p, value, "when", "min", LIMIT_ID, &out->min);
	return rc < 0 ? rc : scheme_parse_int(p, value, "when", "max", LIMIT_ID, &out->max);
}

static int32_t parse_when_text(scheme_parser *p, knocker_bytes text, scheme_condition *out)
{
	if (bytes_is(text, "*")) {
		out->how = WHEN_ANY;
		return 0;
	}
	if (text.len > 2 && bytes_starts(text, "{") && ((const char *)text.data)[text.len - 1] == '}') {
		out->how = WHEN_SAME;
		return scheme_parse_source(p, "when", bytes_part(text, 1, (size_t)text.len - 1),
		                           &out->other);
	}
	out->how = WHEN_TEXT;
	return scheme_copy(p, text, &out->text);
}

static int32_t parse_condition(scheme_parser *p, const json *value, scheme_condition *out)
{
	int64_t number;
	buffer digits;
	int32_t rc;

	if (bytes_is(json_name(value), "method")) {
		out->how = WHEN_METHOD;
		if (json_kind(value) == JSON_TEXT)
			return scheme_copy(p, json_text(value), &out->text);
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "scheme: 'when.method' is not a text");
	}
	rc = scheme_parse_source(p, "when", json_name(value), &out->source);
	if (rc < 0)
		return rc;
	if (json_kind(value) == JSON_NULL) {
		out->how = WHEN_NULL;
		return 0;
	}
	if (json_kind(value) == JSON_TEXT)
		return parse_when_text(p, json_text(value), out);
	if (json_kind(value) == JSON_OBJECT)
		return parse_when_chars(p, value, out);
	if (!json_int(value, &number))
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'when.%.*s' is not a text or whole number", QUOTED(json_name(value)));
	buffer_init(&digits, 32);
	buffer_int(&digits, number);
	out->how = WHEN_TEXT;
	rc = scheme_copy(p, buffer_view(&digits), &out->text);
	buffer_free(&digits);
	return rc;
}

static int32_t parse_conditions(scheme_parser *p, const json *when, scheme_handshake *out)
{
	scheme_condition *list;
	const json *value;
	int32_t rc = 0;

	if (json_kind(when) != JSON_OBJECT || json_count(when) == 0)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "scheme: 'handshake.when' is not an object of conditions");
	list = scheme_room(p, json_count(when), sizeof *list);
	if (!list)
		return KNOCKER_STORAGE;
	out->conditions = list;
	for (value = json_first(when); rc == 0 && value; value = json_next(value))
		rc = parse_condition(p, value, &list[out->condition_count++]);
	return rc;
}

static int32_t parse_handshake(scheme_parser *p, const json *value, scheme_handshake *out)
{
	static const char *const known[] = {"when", "signed", "store_secret", "respond", NULL};
	knocker_bytes store = {0};
	int32_t rc = scheme_parse_known(p, value, "handshake", known);

	if (rc == 0 && json_kind(json_member(value, "signed")) != JSON_BOOL)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: 'handshake.signed' is not true or false");
	if (rc == 0)
		rc = scheme_parse_bool(p, value, "handshake", "signed", &out->is_signed);
	if (rc == 0)
		rc = scheme_parse_text(p, value, "handshake", "store_secret", false, &store);
	if (rc == 0 && bytes_given(store) && out->is_signed)
		rc = fail(p->error, KNOCKER_INVALID_ARGUMENT,
		          "scheme: a signed handshake hands over no secret: it was signed with it");
	if (rc == 0 && bytes_given(store)) {
		out->stores = p->scheme->stores_secret = true;
		rc = scheme_parse_source(p, "store_secret", store, &out->store);
	}
	if (rc == 0)
		rc = parse_conditions(p, json_member(value, "when"), out);
	if (rc == 0)
		rc = scheme_parse_answer(p, json_member(value, "respond"), "respond", &out->answer);
	return rc;
}

int32_t scheme_parse_handshakes(scheme_parser *p, const json *list)
{
	scheme_handshake *made;
	const json *value;
	size_t count;
	int32_t rc = scheme_parse_list(p, list, "handshake", &count);

	made = rc < 0 ? NULL : scheme_room(p, count, sizeof *made);
	if (!made)
		return rc < 0 ? rc : KNOCKER_STORAGE;
	p->scheme->handshakes = made;
	for (value = json_first(list); rc == 0 && value; value = json_next(value))
		rc = parse_handshake(p, value, &made[p->scheme->handshake_count++]);
	return rc;
}
