/* Reads the texts that a scheme names out of one request. Knows where they stand; refuses to know
 * what they are for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "scheme_jwt.h"

/* ---- why a request is refused ---- */

void scheme_refuse(scheme_reading *r, refusal rank, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (rank <= r->refusal)
		return;
	r->refusal = rank;
	r->error = "the request was refused";
	text = arena_get(r->arena, 200);
	if (!text) {
		r->no_memory = true;
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, 200, format, arguments);
	va_end(arguments);
	r->error = text;
}

const char *scheme_shown(scheme_reading *r, knocker_bytes text)
{
	size_t i, len = text.len < 40 ? (size_t)text.len : 40;
	char *shown = arena_get(r->arena, 44);

	if (!shown) {
		r->no_memory = true;
		return "";
	}
	for (i = 0; i < len; i++) {
		char c = ((const char *)text.data)[i];

		shown[i] = c >= 0x20 && c < 0x7F ? c : '?';
	}
	if (text.len > 40)
		memcpy(shown + len, "...", 3);
	return shown;
}

const char *scheme_source_says(scheme_reading *r, const scheme_source *source)
{
	static const char *const says[] = {"header '",
	                                   "headers '",
	                                   "JSON member '",
	                                   "JSON member '",
	                                   "form field '",
	                                   "query member '",
	                                   "element '",
	                                   "item '",
	                                   "claim '",
	                                   "option '",
	                                   "'"};
	const char *name = source->kind == SOURCE_JOIN
	                       ? scheme_shown(r, source->word)
	                       : scheme_shown(r, scheme_name_text(r, source->name));
	char *text = arena_get(r->arena, 80);

	if (!text) {
		r->no_memory = true;
		return "";
	}
	snprintf(text, 80, "%s%s'", says[source->kind], name);
	return text;
}

/* ---- the beginning: one pass over the headers ---- */

static void scheme_header_note(scheme_text *slot, knocker_bytes value)
{
	if (!bytes_given(slot->text))
		slot->text = value;
	else if (!bytes_equal(slot->text, value))
		slot->ambiguous = true;
}

knocker_bytes scheme_lower(scheme_reading *r, knocker_bytes text)
{
	knocker_bytes lower;

	if (!arena_copy(r->arena, text, &lower)) {
		r->no_memory = true;
		return text;
	}
	bytes_lower(lower);
	return lower;
}

/* A header's name as request_name_is wants it; an option has it in any case. */
knocker_bytes scheme_header_name(scheme_reading *r, scheme_name name)
{
	knocker_bytes text = scheme_name_text(r, name);

	return name.has_option ? scheme_lower(r, text) : text;
}

void scheme_headers_read(scheme_reading *r)
{
	size_t i, at = 0, count = r->scheme->header_count;
	knocker_bytes names[SCHEME_HEADERS_MAX], name, value;

	for (i = 0; i < count; i++) {
		names[i] = scheme_header_name(r, r->scheme->headers[i]);
		r->headers[i] = (scheme_text){0};
	}
	while (request_header_next(r->request->headers, &at, &name, &value))
		for (i = 0; i < count; i++)
			if (request_name_is(name, names[i]))
				scheme_header_note(&r->headers[i], value);
}

void scheme_reading_begin(scheme_reading *r, const scheme *s, const scheme_keys *keys,
                          const scheme_request *request, int64_t now_s, arena *a)
{
	r->scheme = s;
	r->keys = keys;
	r->request = request;
	r->now_s = now_s;
	r->arena = a;
	r->no_memory = r->extracting = r->form_json = r->has_item = r->has_signature = false;
	r->body = r->form_body = BODY_UNREAD;
	r->paths = s->cut;
	r->item_paths = s->item_cut;
	r->claim_paths = s->claim_cut;
	r->token = (knocker_bytes){0};
	memset(r->claims, 0, s->claim_count * sizeof *r->claims);
	r->current = s->tries;
	r->item_count = r->candidate_count = r->candidates_seen = r->url_try_count = 0;
	r->matched = NULL;
	r->refusal = REFUSED_NOT;
	r->error = NULL;
	memset(r->vars, 0, sizeof r->vars);
	memset(r->ids, 0, sizeof r->ids);
	scheme_headers_read(r);
}

/* ---- names with options in them ---- */

knocker_bytes scheme_name_text(scheme_reading *r, scheme_name name)
{
	const char *text = name.text.data;
	buffer out;
	knocker_bytes made;
	size_t at = 0, len = (size_t)name.text.len;

	if (!name.has_option)
		return name.text;
	buffer_init(&out, LIMIT_JSON);
	while (at < len) {
		knocker_bytes rest = bytes_part(name.text, at, len);
		int64_t end = bytes_starts(rest, "{option:") ? bytes_find(rest, '}') : -1;

		if (end < 0) {
			buffer_add(&out, text + at++, 1);
			continue;
		}
		buffer_bytes(&out, scheme_option_text(r->scheme, r->keys,
		                                      (size_t)scheme_option_find(r->scheme,
		                                                                 bytes_part(rest, 8,
		                                                                            (size_t)end))));
		at += (size_t)end + 1;
	}
	if (out.failed || !arena_copy(r->arena, buffer_view(&out), &made)) {
		r->no_memory = true;
		made = bytes_of("");
	}
	buffer_free(&out);
	return made;
}

/* ---- JSON ---- */

bool scheme_path_cut(scheme_name name, knocker_bytes text, knocker_bytes *steps, scan_path *out)
{
	if (!name.is_whole)
		return scan_path_cut(text, steps, out);
	steps[0] = text;
	*out = (scan_path){1, steps};
	return true;
}

/* Cuts anew the paths in which options stand. */
static const scan_path *scheme_paths_cut(scheme_reading *r, const scheme_name *names, size_t count)
{
	scan_path *paths = arena_get(r->arena, (count ? count : 1) * sizeof *paths);
	size_t i;

	for (i = 0; paths && i < count; i++) {
		knocker_bytes *steps = arena_get(r->arena, SCAN_STEPS_MAX * sizeof *steps);

		if (!steps)
			paths = NULL;
		else
			scheme_path_cut(names[i], scheme_name_text(r, names[i]), steps, &paths[i]);
	}
	if (!paths)
		r->no_memory = true;
	return paths;
}

static void scheme_paths_prepare(scheme_reading *r)
{
	const scheme *s = r->scheme;

	if (!s->paths_dynamic || r->paths != s->cut)
		return;
	r->paths = scheme_paths_cut(r, s->paths, s->path_count);
	r->item_paths = scheme_paths_cut(r, s->item_paths, s->item_path_count);
	r->claim_paths = scheme_paths_cut(r, s->claims, s->claim_count);
	if (!r->paths || !r->item_paths || !r->claim_paths) {
		r->paths = s->cut;
		r->item_paths = s->item_cut;
		r->claim_paths = s->claim_cut;
	}
}

bool scheme_body_is_json(scheme_reading *r)
{
	if (r->body == BODY_UNREAD) {
		scheme_paths_prepare(r);
		r->body = scan_all(r->request->body, r->paths, r->scheme->path_count, r->values)
		              ? BODY_JSON
		              : BODY_OTHER;
	}
	return r->body == BODY_JSON;
}

/* The form's field that holds JSON, for a body that is none. */
static void scheme_form_json_read(scheme_reading *r)
{
	knocker_bytes text = {0};
	bool different;
	int64_t found;

	if (r->form_body != BODY_UNREAD)
		return;
	found = request_pair_find(r->arena, r->request->body, r->scheme->form_json_field, &text,
	                          &different);
	r->no_memory |= found < 0;
	if (found < 1 || different)
		text = (knocker_bytes){0};
	r->form_body = scan_all(text, r->paths, r->scheme->path_count, r->form_values) ? BODY_JSON
	                                                                               : BODY_OTHER;
}

const scan_value *scheme_body_values(scheme_reading *r)
{
	if (scheme_body_is_json(r) || !r->form_json || !bytes_given(r->scheme->form_json_field))
		return r->values;
	scheme_form_json_read(r);
	return r->form_values;
}

void scheme_item_enter(scheme_reading *r, scan_value item)
{
	scheme_paths_prepare(r);
	r->has_item = true;
	if (item.type == SCAN_ABSENT)
		item.raw = bytes_of("");
	scan_all(item.raw, r->item_paths, r->scheme->item_path_count, r->item_values);
}

void scheme_token_enter(scheme_reading *r, knocker_bytes claims)
{
	r->token = claims;
	if (r->scheme->claim_count == 0)
		return;
	scheme_paths_prepare(r);
	scan_all(bytes_given(claims) ? claims : bytes_of(""), r->claim_paths, r->scheme->claim_count,
	         r->claims);
}

static scheme_text scheme_value_text(scheme_reading *r, scan_value v)
{
	scheme_text read = {0};
	size_t max = r->extracting ? LIMIT_ID : v.raw.len > 0 ? (size_t)v.raw.len : 0;

	read.is_null = v.type == SCAN_ABSENT || v.type == SCAN_NULL;
	read.is_number = v.type == SCAN_NUMBER;
	read.text = scan_text(v, r->arena, max);
	r->no_memory |= read.text.len < 0;
	if (bytes_given(read.text) && read.text.len == 0)
		read.is_null = true;
	return read;
}

/* ---- the other places ---- */

static scheme_text scheme_pair_text(scheme_reading *r, knocker_bytes raw, knocker_bytes name)
{
	scheme_text read = {0};
	int64_t found = request_pair_find(r->arena, raw, name, &read.text, &read.ambiguous);

	r->no_memory |= found < 0;
	if (found < 1)
		read.text = (knocker_bytes){0};
	return read;
}

static scheme_text scheme_form_text(scheme_reading *r, knocker_bytes name)
{
	if (r->extracting && scheme_body_is_json(r))
		return (scheme_text){0};
	return scheme_pair_text(r, r->request->body, name);
}

/* The values of the signature's elements of that name. */
static scheme_text scheme_element_text(scheme_reading *r, knocker_bytes name)
{
	knocker_bytes kv = r->scheme->signature.kv;
	scheme_text read = {0};
	size_t i;

	for (i = 0; i < r->item_count; i++) {
		knocker_bytes item = r->items[i];
		size_t head = (size_t)name.len + (size_t)kv.len;

		if ((size_t)item.len < head || memcmp(item.data, name.data, (size_t)name.len) != 0 ||
		    memcmp((const char *)item.data + name.len, kv.data, (size_t)kv.len) != 0)
			continue;
		scheme_header_note(&read, bytes_part(item, head, (size_t)item.len));
	}
	return read;
}

static scheme_text scheme_join_text(scheme_reading *r, const scheme_source *join)
{
	knocker_bytes parts[SCHEME_PARTS_MAX], separator = scheme_name_text(r, join->name);
	scheme_text read = {0};
	size_t i, count = 0;

	for (i = 0; i < join->piece_count; i++) {
		scheme_text piece = scheme_source_read(r, &join->pieces[i]);

		if (!bytes_given(piece.text) || piece.ambiguous)
			return piece;
		if (i > 0)
			parts[count++] = separator;
		parts[count++] = piece.text;
	}
	read.text = scheme_join(r, parts, count);
	return read;
}

static scheme_text scheme_source_find(scheme_reading *r, const scheme_source *source)
{
	scheme_text read = {0};

	switch (source->kind) {
	case SOURCE_HEADER:
		return r->headers[source->slot];
	case SOURCE_JSON:
		return scheme_value_text(r, scheme_body_values(r)[source->slot]);
	case SOURCE_ITEM:
		if (!r->has_item)
			return (scheme_text){.is_null = true};
		return scheme_value_text(r, r->item_values[source->slot]);
	case SOURCE_FORM:
		return scheme_form_text(r, scheme_name_text(r, source->name));
	case SOURCE_QUERY:
		return scheme_pair_text(r, r->request->query, scheme_name_text(r, source->name));
	case SOURCE_SIG:
		return scheme_element_text(r, scheme_name_text(r, source->name));
	case SOURCE_SIGITEM:
		if (source->slot < r->item_count)
			read.text = r->items[source->slot];
		return read;
	case SOURCE_CLAIM:
		return scheme_value_text(r, r->claims[source->slot]);
	case SOURCE_OPTION:
		read.text = scheme_option_text(r->scheme, r->keys, source->slot);
		return read;
	case SOURCE_JOIN:
		return scheme_join_text(r, source);
	case SOURCE_HEADERS:
		break;
	}
	return read;
}

scheme_text scheme_source_read(scheme_reading *r, const scheme_source *source)
{
	scheme_text read = scheme_source_find(r, source);

	if (read.ambiguous && r->extracting)
		return (scheme_text){0};
	if (read.text.len == 0) {
		read.text = (knocker_bytes){0};
		if (source->kind != SOURCE_JSON && source->kind != SOURCE_ITEM &&
		    source->kind != SOURCE_CLAIM)
			read.is_null = true;
	}
	return read;
}

scheme_text scheme_sources_read(scheme_reading *r, scheme_sources sources)
{
	scheme_text read = {0};
	size_t i;

	for (i = 0; i < sources.count; i++) {
		read = scheme_source_read(r, &sources.list[i]);
		if (bytes_given(read.text) || read.ambiguous)
			return read;
	}
	return read;
}
