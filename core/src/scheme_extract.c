/* Reads the ids of a request and makes its dedupe key. It never refuses: what cannot be read is
 * absent. */
#include <stdlib.h>
#include <string.h>

#include "scheme_parts.h"

#define EXTRACT_HASHED "sha256:"
#define EXTRACT_HASHED_LEN 7

knocker_bytes scheme_id_text(knocker_bytes text)
{
	if (!bytes_given(text) || text.len == 0 || text.len > LIMIT_ID || bytes_find(text, '\0') >= 0 ||
	    !bytes_utf8(text))
		return (knocker_bytes){0};
	return text;
}

/* The first source whose text can be an id. */
static knocker_bytes extract_id(scheme_reading *r, scheme_sources sources)
{
	knocker_bytes id = {0};
	size_t i;

	for (i = 0; i < sources.count && !bytes_given(id); i++)
		id = scheme_id_text(scheme_source_read(r, &sources.list[i]).text);
	return id;
}

/* "sha256:" and the hash of the text; nothing of nothing. */
static knocker_bytes extract_hashed(scheme_reading *r, knocker_bytes text)
{
	char *key;

	if (!bytes_given(text) || text.len == 0)
		return (knocker_bytes){0};
	key = arena_get(r->arena, EXTRACT_HASHED_LEN + 65);
	if (!key || !crypto_sha256_hex(text, key + EXTRACT_HASHED_LEN)) {
		r->no_memory = true;
		return (knocker_bytes){0};
	}
	memcpy(key, EXTRACT_HASHED, EXTRACT_HASHED_LEN);
	return bytes_of(key);
}

/* ---- each: for senders whose retries change the bytes ---- */

/* The template's text for one element, or absent when it lacks a member. */
static knocker_bytes extract_element(scheme_reading *r, const scheme_dedupe *d, scan_value element)
{
	scan_value values[SCAN_PATHS_MAX];
	knocker_bytes parts[SCHEME_PARTS_MAX];
	size_t i;

	scan_all(element.raw, d->members, d->member_count, values);
	for (i = 0; i < d->text.count; i++) {
		const scheme_part *part = &d->text.parts[i];

		parts[i] = part->kind == PART_MEMBER ? scan_text(values[part->number], r->arena, LIMIT_ID)
		                                     : part->literal;
		r->no_memory |= parts[i].len < 0;
		if (!bytes_given(parts[i]) || (part->kind == PART_MEMBER && parts[i].len == 0))
			return (knocker_bytes){0};
	}
	return scheme_join(r, parts, d->text.count);
}

static int extract_order(const void *a, const void *b)
{
	const knocker_bytes *first = a, *second = b;
	size_t shorter = (size_t)(first->len < second->len ? first->len : second->len);
	int order = shorter > 0 ? memcmp(first->data, second->data, shorter) : 0;

	return order ? order : first->len < second->len ? -1 : first->len > second->len;
}

/* The hash of the sorted texts of an array's elements. One that lacks a member has no identity, and
 * then the array has none. */
static knocker_bytes extract_each(scheme_reading *r, const scheme_dedupe *d)
{
	scan_value array = scheme_body_values(r)[d->array], element;
	size_t at = 0, count = 0, i = 0;
	knocker_bytes *texts;

	while (scan_each(array, &at, &element))
		count++;
	texts = count ? arena_get(r->arena, 2 * count * sizeof *texts) : NULL;
	r->no_memory |= count > 0 && !texts;
	if (!texts)
		return (knocker_bytes){0};
	for (at = 0; scan_each(array, &at, &element); i++) {
		texts[i] = extract_element(r, d, element);
		if (!bytes_given(texts[i]))
			return (knocker_bytes){0};
	}
	qsort(texts, count, sizeof *texts, extract_order);
	for (i = count; i-- > 0;) {
		texts[2 * i] = texts[i];
		if (i + 1 < count)
			texts[2 * i + 1] = bytes_of("\n");
	}
	return extract_hashed(r, scheme_join(r, texts, 2 * count - 1));
}

/* ---- the key ---- */

static knocker_bytes extract_key(scheme_reading *r, const scheme_dedupe *d)
{
	knocker_bytes key;

	if (d->how == DEDUPE_EACH)
		return extract_each(r, d);
	key = scheme_template_text(r, &d->text);
	if (d->how == DEDUPE_SHA256)
		return extract_hashed(r, key);
	if (!bytes_given(key) || bytes_find(key, '\0') >= 0 || !bytes_utf8(key))
		return (knocker_bytes){0};
	return key.len > LIMIT_DEDUPE_KEY ? extract_hashed(r, key) : key;
}

void scheme_extract(scheme_reading *r, scheme_verdict *out, bool with_dedupe)
{
	const scheme_try *t = r->current;
	knocker_bytes key = {0};
	size_t i;

	r->extracting = r->form_json = true;
	for (i = 0; i < ID_COUNT; i++)
		r->ids[i] = extract_id(r, t->ids[i]);
	out->provider_delivery_id = r->ids[ID_DELIVERY];
	out->provider_event_id = r->ids[ID_EVENT];
	out->event_type = r->ids[ID_TYPE];
	for (i = 0; with_dedupe && i < t->dedupe_count && !bytes_given(key); i++)
		key = extract_key(r, &t->dedupe[i]);
	out->dedupe_key = key;
}
