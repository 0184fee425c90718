/* Which headers and query members hold a credential that must not be stored. Knows nothing of how
 * they are stored. */
#include "request_restore.h"
#include "scheme_parts.h"

static bool redact_names(scheme_reading *r, const scheme_source *source, source_kind kind,
                         knocker_bytes name)
{
	knocker_bytes own;

	if (source->kind == SOURCE_HEADERS && kind == SOURCE_HEADER)
		return request_name_begins(name, scheme_name_text(r, source->name));
	if (source->kind != kind)
		return false;
	if (kind != SOURCE_HEADER)
		return bytes_equal(name, scheme_name_text(r, source->name));
	own = scheme_header_name(r, source->name);
	return request_name_is(name, own);
}

/* What a handshake compares with an option, or takes as the secret. */
static bool redact_handshakes(scheme_reading *r, source_kind kind, knocker_bytes name)
{
	const scheme *s = r->scheme;
	size_t i, k;

	for (i = 0; i < s->handshake_count; i++) {
		const scheme_handshake *h = &s->handshakes[i];

		if (h->stores && redact_names(r, &h->store, kind, name))
			return true;
		for (k = 0; k < h->condition_count; k++)
			if (h->conditions[k].how == WHEN_SAME &&
			    redact_names(r, &h->conditions[k].source, kind, name))
				return true;
	}
	return false;
}

static bool redact_tries(scheme_reading *r, source_kind kind, knocker_bytes name)
{
	const scheme *s = r->scheme;
	bool found = false;
	size_t i, k;

	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->tries[i].from.count; k++)
			found |= redact_names(r, &s->tries[i].from.list[k], kind, name);
	return found;
}

int32_t scheme_redacts(const scheme *s, const scheme_keys *keys, source_kind kind,
                       knocker_bytes name)
{
	arena memory = {0};
	scheme_reading r;
	bool redacts = false;

	r.scheme = s;
	r.keys = keys;
	r.arena = &memory;
	r.no_memory = false;
	if (s->is_credential)
		redacts = redact_tries(&r, kind, name);
	redacts |= redact_handshakes(&r, kind, name);
	arena_free(&memory);
	return r.no_memory ? KNOCKER_STORAGE : redacts;
}

int32_t scheme_was_redacted(const scheme *s, const scheme_keys *keys, const scheme_request *stored)
{
	arena memory = {0};
	scheme_reading r = {.scheme = s, .keys = keys, .arena = &memory};
	knocker_bytes name, value;
	bool redacted = false;
	size_t at = 0;

	while (request_header_next(stored->headers, &at, &name, &value))
		redacted |= bytes_is(value, "[redacted]") &&
		            redact_tries(&r, SOURCE_HEADER, bytes_trim(name));
	for (at = 0; request_pair_next(stored->query, &at, &name, &value);)
		redacted |= request_decoded_is(value, bytes_of("[redacted]")) &&
		            redact_tries(&r, SOURCE_QUERY, name);
	arena_free(&memory);
	return r.no_memory ? KNOCKER_STORAGE : redacted;
}
