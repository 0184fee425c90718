/* The headers that a request lists as signed, by names that it brings itself. Knows nothing of how
 * the list was signed, only that each header in it must be there once. */
#include <string.h>

#include "error.h"
#include "scheme_parts.h"

/* Told before "does not match", which would say nothing of what is missing. */
static bool listed_refuse(scheme_reading *r, const char *says, knocker_bytes name, bool *good)
{
	scheme_refuse(r, REFUSED_MISMATCH, says, scheme_shown(r, name));
	*good = false;
	return false;
}

/* The one value of the header; an empty one is one. */
static bool listed_value(scheme_reading *r, knocker_bytes listed, knocker_bytes *out, bool *good)
{
	knocker_bytes name, value, lower = scheme_lower(r, listed);
	size_t at = 0;
	bool found = false;

	if (r->no_memory)
		return *good = false;
	while (request_header_next(r->request->headers, &at, &name, &value)) {
		if (!request_name_is(name, lower))
			continue;
		if (found && !bytes_equal(value, *out))
			return listed_refuse(r, "different values of header '%s'", listed, good);
		*out = value;
		found = true;
	}
	return found || listed_refuse(r, "header '%s' is missing", listed, good);
}

/* Without the names that must be in it, the list would leave out what makes it safe. */
static bool listed_all(scheme_reading *r, const scheme_header_list *rules, knocker_bytes list,
                       bool *good)
{
	knocker_bytes name;
	size_t i, at;

	for (i = 0; i < rules->require_count; i++) {
		bool found = false;

		for (at = 0; scheme_piece_next(list, rules->items, &at, &name);)
			found |= bytes_equal_nocase(name, rules->require[i]);
		if (!found)
			return listed_refuse(r, "header '%s' is not in the list of signed ones",
			                     rules->require[i], good);
	}
	return true;
}

/* The list as the request has it. */
static bool listed_read(scheme_reading *r, const scheme_header_list *rules, knocker_bytes *out,
                        bool *good)
{
	scheme_text read = scheme_sources_read(r, rules->from);

	*out = read.text;
	if (read.ambiguous)
		scheme_refuse(r, REFUSED_MISMATCH, "different values of %s",
		              scheme_source_says(r, &rules->from.list[0]));
	else if (!bytes_given(read.text))
		scheme_refuse(r, REFUSED_MISMATCH, "%s is missing",
		              scheme_source_says(r, &rules->from.list[0]));
	else
		return true;
	return *good = false;
}

knocker_bytes scheme_header_list_text(scheme_reading *r, bool *good)
{
	const scheme_header_list *rules = &r->current->header_list;
	knocker_bytes parts[4 * SCHEME_LISTED_MAX], list, name;
	size_t at = 0, count = 0;

	if (!listed_read(r, rules, &list, good) || !listed_all(r, rules, list, good))
		return (knocker_bytes){0};
	while (scheme_piece_next(list, rules->items, &at, &name)) {
		if (count + 4 > 4 * SCHEME_LISTED_MAX) {
			listed_refuse(r, "more headers are listed than can be read: '%s'", list, good);
			return (knocker_bytes){0};
		}
		if (count > 0)
			parts[count++] = rules->join;
		if (bytes_given(rules->kv)) {
			parts[count++] = name;
			parts[count++] = rules->kv;
		}
		if (!listed_value(r, name, &parts[count++], good))
			return (knocker_bytes){0};
	}
	return scheme_join(r, parts, count);
}

/* ---- the way back ---- */

/* Whether the signer writes this header itself. */
static bool listed_is_made(scheme_reading *r, knocker_bytes name)
{
	const scheme_try *t = r->current;
	const scheme_source *source = &t->header_list.from.list[0];
	bool made = source->kind == SOURCE_HEADER &&
	            request_name_is(name, scheme_header_name(r, source->name));
	size_t i;

	for (i = 0; i < r->scheme->var_count; i++) {
		source = &t->vars[i].from.list[0];
		made |= source->kind == SOURCE_HEADER &&
		        request_name_is(name, scheme_header_name(r, source->name));
	}
	return made;
}

/* The names that must be listed, else those that the request has. */
static void listed_names(scheme_reading *r, const scheme_header_list *rules, buffer *b)
{
	knocker_bytes name, value;
	size_t i, at = 0;

	for (i = 0; i < rules->require_count; i++) {
		buffer_add(b, rules->items.data, i > 0 ? 1 : 0);
		buffer_bytes(b, rules->require[i]);
	}
	while (rules->require_count == 0 &&
	       request_header_next(r->request->headers, &at, &name, &value)) {
		if (listed_is_made(r, name))
			continue;
		buffer_add(b, rules->items.data, b->len > 0 ? 1 : 0);
		buffer_bytes(b, scheme_lower(r, name));
	}
}

static void listed_line(scheme_reading *r, buffer *b, const scheme_source *source,
                        knocker_bytes value)
{
	if (source->kind != SOURCE_HEADER)
		return;
	buffer_bytes(b, scheme_header_name(r, source->name));
	buffer_text(b, ": ");
	buffer_bytes(b, value);
	buffer_text(b, "\n");
}

/* The request's headers as they will be sent, but for the signature. */
static void listed_headers(scheme_reading *r, knocker_bytes list, buffer *b)
{
	const scheme_try *t = r->current;
	knocker_bytes name, value;
	size_t i, at = 0;

	while (request_header_next(r->request->headers, &at, &name, &value)) {
		if (listed_is_made(r, name))
			continue;
		buffer_bytes(b, name);
		buffer_text(b, ": ");
		buffer_bytes(b, value);
		buffer_text(b, "\n");
	}
	for (i = 0; i < r->scheme->var_count; i++)
		listed_line(r, b, &t->vars[i].from.list[0], r->vars[i]);
	listed_line(r, b, &t->header_list.from.list[0], list);
}

static bool listed_keep(scheme_reading *r, buffer *b, knocker_bytes *out)
{
	bool kept = !b->failed && arena_copy(r->arena, buffer_view(b), out);

	r->no_memory |= !kept;
	buffer_free(b);
	return kept;
}

int32_t scheme_header_list_make(scheme_reading *r, knocker_bytes *list, knocker_error *error)
{
	const scheme_header_list *rules = &r->current->header_list;
	const scheme_source *source = rules->from.list;
	scheme_request *sent = arena_get(r->arena, sizeof *sent);
	knocker_bytes parts[3];
	scheme_text given;
	buffer b;

	*list = (knocker_bytes){0};
	if (rules->from.count == 0 || r->current->sign.count == 0 ||
	    !scheme_template_has(&r->current->sign.list[0], PART_HEADER_LIST))
		return 0;
	if (source->kind != SOURCE_HEADER && source->kind != SOURCE_SIG)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "this scheme cannot sign with headers: its list of headers stands elsewhere");
	given = scheme_source_read(r, source);
	buffer_init(&b, LIMIT_HEADERS);
	if (bytes_given(given.text) && !given.ambiguous)
		buffer_bytes(&b, given.text);
	else
		listed_names(r, rules, &b);
	if (!sent || !listed_keep(r, &b, list))
		return fail_memory(error);
	if (list->len == 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request to sign lacks headers to list");
	*sent = *r->request;
	listed_headers(r, *list, &b);
	if (!listed_keep(r, &b, &sent->headers))
		return fail_memory(error);
	r->request = sent;
	scheme_headers_read(r);
	if (source->kind == SOURCE_SIG) {
		parts[0] = scheme_name_text(r, source->name);
		parts[1] = r->scheme->signature.kv;
		parts[2] = *list;
		r->items[0] = scheme_join(r, parts, 3);
		r->item_count = 1;
	}
	return 0;
}
