/* Headers and queries as they are stored: JSON objects in which credentials are redacted. Knows not
 * which those are. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "scheme_parts.h"

typedef struct {
	knocker_bytes name, value;
	size_t order, next; /* the next of the same name; its own order when it is the last */
	bool first;
} request_pair;

static int request_bytes_order(knocker_bytes a, knocker_bytes b, bool nocase)
{
	const uint8_t *s = a.data, *t = b.data;
	int64_t i;

	for (i = 0; i < a.len && i < b.len; i++) {
		uint8_t c = nocase ? (uint8_t)ascii_lower((char)s[i]) : s[i];
		uint8_t d = nocase ? (uint8_t)ascii_lower((char)t[i]) : t[i];

		if (c != d)
			return c - d;
	}
	return a.len < b.len ? -1 : a.len > b.len;
}

static int request_then_order(const request_pair *a, const request_pair *b, int order)
{
	return order ? order : a->order < b->order ? -1 : 1;
}

static int request_header_order(const void *a, const void *b)
{
	const request_pair *first = *(request_pair *const *)a, *second = *(request_pair *const *)b;

	return request_then_order(first, second, request_bytes_order(first->name, second->name, true));
}

static int request_query_order(const void *a, const void *b)
{
	const request_pair *first = *(request_pair *const *)a, *second = *(request_pair *const *)b;

	return request_then_order(first, second, request_bytes_order(first->name, second->name, false));
}

#define REQUEST_FEW 32 /* that many are compared with each other rather than sorted */

static bool request_same_name(const request_pair *a, const request_pair *b, bool headers)
{
	return a->name.len == b->name.len && request_bytes_order(a->name, b->name, headers) == 0;
}

static void request_chain_few(request_pair *pairs, size_t count, bool headers)
{
	size_t i, before;

	for (i = 0; i < count; i++) {
		pairs[i].order = pairs[i].next = i;
		for (before = i; before > 0; before--)
			if (request_same_name(&pairs[before - 1], &pairs[i], headers))
				break;
		pairs[i].first = before == 0;
		if (before > 0)
			pairs[before - 1].next = i;
	}
}

/* Chains the pairs of one name. Many are sorted: a hostile query has ten thousand. */
static bool request_chain(arena *a, request_pair *pairs, size_t count, bool headers)
{
	request_pair **sorted;
	size_t i;

	if (count <= REQUEST_FEW) {
		request_chain_few(pairs, count, headers);
		return true;
	}
	sorted = arena_get(a, (count + 1) * sizeof(request_pair *));
	if (!sorted)
		return false;
	for (i = 0; i < count; i++) {
		sorted[i] = &pairs[i];
		pairs[i].order = pairs[i].next = i;
	}
	qsort(sorted, count, sizeof(request_pair *),
	      headers ? request_header_order : request_query_order);
	for (i = 0; i < count; i++) {
		bool same = i > 0 &&
		            request_bytes_order(sorted[i - 1]->name, sorted[i]->name, headers) == 0;

		sorted[i]->first = !same;
		if (same)
			sorted[i - 1]->next = sorted[i]->order;
	}
	return true;
}

/* 1: yes, 0: no; KNOCKER_STORAGE: there was no memory to tell. */
static int32_t request_is_credential(const scheme *s, const scheme_keys *keys, bool headers,
                                     knocker_bytes name)
{
	if (headers &&
	    (request_header_is(name, "authorization") ||
	     request_header_is(name, "proxy-authorization") || request_header_is(name, "cookie")))
		return 1;
	return s ? scheme_redacts(s, keys, headers ? SOURCE_HEADER : SOURCE_QUERY, name) : 0;
}

static int32_t request_pairs_write(const scheme *s, const scheme_keys *keys, request_pair *pairs,
                                   size_t count, bool headers, buffer *out, knocker_error *error)
{
	size_t i, at;
	bool any = false;

	buffer_text(out, "{");
	for (i = 0; i < count; i++) {
		bool several = pairs[i].next != i;
		int32_t secret;

		if (!pairs[i].first)
			continue;
		secret = request_is_credential(s, keys, headers, pairs[i].name);
		if (secret < 0)
			return fail_memory(error);
		buffer_text(out, any ? "," : "");
		any = true;
		buffer_json(out, pairs[i].name);
		buffer_text(out, several ? ":[" : ":");
		for (at = i;; at = pairs[at].next) {
			buffer_text(out, at != i ? "," : "");
			buffer_json(out, secret ? bytes_of("[redacted]") : pairs[at].value);
			if (pairs[at].next == at)
				break;
		}
		buffer_text(out, several ? "]" : "");
	}
	buffer_text(out, "}");
	if (!out->failed)
		return 0;
	if (!out->full)
		return fail_memory(error);
	return fail(error, KNOCKER_INVALID_ARGUMENT, "%s are over the limit of %zu bytes",
	            headers ? "headers" : "query members", out->max);
}

int32_t request_headers_json(const scheme *s, const scheme_keys *keys, knocker_bytes headers,
                             buffer *out, knocker_error *error)
{
	arena a = {0};
	knocker_bytes name, value;
	request_pair *pairs;
	size_t at = 0, count = 0;
	int32_t rc;

	buffer_expect(out, (size_t)headers.len + (size_t)headers.len / 8 + 16);
	while (request_header_next(headers, &at, &name, &value))
		count++;
	pairs = arena_get(&a, (count + 1) * sizeof *pairs);
	for (at = count = 0; pairs && request_header_next(headers, &at, &name, &value); count++) {
		pairs[count].name = bytes_trim(name);
		pairs[count].value = value;
	}
	if (pairs && request_chain(&a, pairs, count, true))
		rc = request_pairs_write(s, keys, pairs, count, true, out, error);
	else
		rc = fail_memory(error);
	arena_free(&a);
	return rc;
}

int32_t request_query_json(const scheme *s, const scheme_keys *keys, knocker_bytes query,
                           buffer *out, knocker_error *error)
{
	arena a = {0};
	knocker_bytes name, value;
	request_pair *pairs;
	size_t at = 0, count = 0;
	bool good;
	int32_t rc;

	while (request_pair_next(query, &at, &name, &value))
		count++;
	pairs = arena_get(&a, (count + 1) * sizeof *pairs);
	good = pairs != NULL;
	for (at = count = 0; good && request_pair_next(query, &at, &name, &value); count++)
		good = request_decode(&a, name, &pairs[count].name) &&
		       request_decode(&a, value, &pairs[count].value);
	if (good && request_chain(&a, pairs, count, false))
		rc = request_pairs_write(s, keys, pairs, count, false, out, error);
	else
		rc = fail_memory(error);
	arena_free(&a);
	return rc;
}
