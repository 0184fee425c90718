/* Spells a request's URL and form in the ways that senders sign them. Knows nothing of signatures.
 */
#include <stdlib.h>
#include <string.h>

#include "scheme_parts.h"

static knocker_bytes url_kept(scheme_reading *r, buffer *b)
{
	knocker_bytes kept = {0};

	if (b->failed || !arena_copy(r->arena, buffer_view(b), &kept))
		r->no_memory = true;
	buffer_free(b);
	return bytes_given(kept) ? kept : bytes_of("");
}

/* The option `url`; where that has no query and the request has one, "?" and the raw query. */
knocker_bytes scheme_url(scheme_reading *r)
{
	ptrdiff_t option = r->scheme->option_url;
	knocker_bytes url = option >= 0 ? scheme_option_text(r->scheme, r->keys, (size_t)option)
	                                : (knocker_bytes){0};
	knocker_bytes parts[3] = {url, bytes_of("?"), r->request->query};

	if (!bytes_given(url) || bytes_find(url, '?') >= 0 || r->request->query.len <= 0)
		return bytes_given(url) ? url : bytes_of("");
	return scheme_join(r, parts, 3);
}

knocker_bytes scheme_url_noquery(knocker_bytes url)
{
	int64_t mark = bytes_find(url, '?');

	return mark < 0 ? url : bytes_part(url, 0, (size_t)mark);
}

/* %3A %2F %3F %40 %21 %24 %27 %28 %29 %2A %2C %3B, in either case, decoded. */
knocker_bytes scheme_url_unescaped(scheme_reading *r, knocker_bytes url)
{
	const char *s = url.data;
	char *out = arena_get(r->arena, (size_t)url.len + 1);
	size_t i, at = 0, len;
	uint8_t byte[2];

	if (!out) {
		r->no_memory = true;
		return url;
	}
	for (i = 0; i < (size_t)url.len; i++) {
		if (s[i] == '%' && (size_t)url.len - i >= 3 &&
		    codec_hex(bytes_part(url, i + 1, i + 3), byte, &len) && byte[0] != 0 &&
		    bytes_find(bytes_of(":/?@!$'()*,;"), (char)byte[0]) >= 0) {
			out[at++] = (char)byte[0];
			i += 2;
		} else {
			out[at++] = s[i];
		}
	}
	return (knocker_bytes){out, (int64_t)at};
}

/* ---- {url~} ---- */

typedef struct {
	/* Port with its colon, query with its mark; both may be empty. */
	knocker_bytes scheme, host, port, path, query;
} url_parts;

static bool url_split(knocker_bytes url, url_parts *out)
{
	const char *s = url.data;
	size_t len = (size_t)url.len, from, at, colon;
	int64_t mark = bytes_find(url, ':');

	if (mark < 0 || len - (size_t)mark < 3 || s[mark + 1] != '/' || s[mark + 2] != '/')
		return false;
	out->scheme = bytes_part(url, 0, (size_t)mark);
	from = at = (size_t)mark + 3;
	while (at < len && s[at] != '/' && s[at] != '?' && s[at] != '#')
		at++;
	colon = at;
	while (colon > from && s[colon - 1] >= '0' && s[colon - 1] <= '9')
		colon--;
	colon = colon > from && s[colon - 1] == ':' ? colon - 1 : at;
	out->host = bytes_part(url, from, colon);
	out->port = bytes_part(url, colon, at);
	from = at;
	while (at < len && s[at] != '?')
		at++;
	out->path = bytes_part(url, from, at);
	out->query = bytes_part(url, at, len);
	return true;
}

static void url_escape(buffer *b, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

	buffer_add(b, escape, sizeof escape);
}

static void url_lower(buffer *b, knocker_bytes text)
{
	int64_t i;

	for (i = 0; i < text.len; i++) {
		char c = ((const char *)text.data)[i];

		c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		buffer_add(b, &c, 1);
	}
}

/* Escapes what a URL does not hold as it is, and `more`. */
static void url_normal(buffer *b, knocker_bytes text, const char *more)
{
	knocker_bytes marks = bytes_of(more);
	int64_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = ((const uint8_t *)text.data)[i];

		if (c <= 0x20 || c >= 0x7F || bytes_find(bytes_of("\"<>"), (char)c) >= 0 ||
		    bytes_find(marks, (char)c) >= 0)
			url_escape(b, c);
		else
			buffer_add(b, &c, 1);
	}
}

/* Escapes all but letters, digits and `marks`. */
static void url_component(buffer *b, knocker_bytes text, const char *marks)
{
	int64_t i;

	for (i = 0; i < text.len; i++) {
		char c = ((const char *)text.data)[i];
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		             (c != 0 && bytes_find(bytes_of(marks), c) >= 0);

		if (plain)
			buffer_add(b, &c, 1);
		else
			url_escape(b, (uint8_t)c);
	}
}

typedef struct {
	knocker_bytes name, value;
	size_t order;
	bool done;
} url_pair;

/* The decoded pairs of a query or form in the arena; NULL: none, too many or no memory. */
static url_pair *url_pairs(scheme_reading *r, knocker_bytes raw, size_t *count)
{
	knocker_bytes name, value;
	size_t at = 0, total = 0;
	url_pair *pairs;

	*count = 0;
	while (total <= SCHEME_FORM_MAX && request_pair_next(raw, &at, &name, &value))
		total++;
	if (total > SCHEME_FORM_MAX) {
		scheme_refuse(r, REFUSED_MALFORMED, "the form has more than %d fields", SCHEME_FORM_MAX);
		return NULL;
	}
	pairs = total ? arena_get(r->arena, total * sizeof *pairs) : NULL;
	for (at = 0; pairs && *count < total; (*count)++) {
		url_pair *pair = &pairs[*count];

		request_pair_next(raw, &at, &name, &value);
		pair->order = *count;
		if (!request_decode(r->arena, name, &pair->name) ||
		    !request_decode(r->arena, value, &pair->value))
			pairs = NULL;
	}
	r->no_memory |= total > 0 && !pairs;
	*count = pairs ? total : 0;
	return pairs;
}

/* name=value again, with pairs of one name together where it came first. */
static void url_query_again(scheme_reading *r, buffer *b, knocker_bytes query)
{
	size_t i, k, count, written = 0;
	url_pair *pairs = url_pairs(r, query, &count);

	for (i = 0; i < count; i++)
		for (k = i; k < count; k++) {
			if (pairs[k].done || !bytes_equal(pairs[k].name, pairs[i].name))
				continue;
			pairs[k].done = true;
			buffer_text(b, written++ ? "&" : "");
			url_component(b, pairs[k].name, "-_.!~*'()");
			buffer_text(b, "=");
			url_component(b, pairs[k].value, "-_.!~*'()");
		}
}

static void url_try_add(scheme_reading *r, const url_parts *u, knocker_bytes port)
{
	knocker_bytes parts[6] = {u->scheme, bytes_of("://"), u->host, port, u->path, u->query};

	r->url_tries[r->url_try_count++] = scheme_join(r, parts, 6);
}

static void url_three(scheme_reading *r, knocker_bytes whole, const url_parts *u)
{
	const char *usual = bytes_is(u->scheme, "https") ? ":443" : ":80";

	r->url_tries[r->url_try_count++] = whole;
	url_try_add(r, u, bytes_of(""));
	url_try_add(r, u, u->port.len > 0 ? u->port : bytes_of(usual));
}

void scheme_url_spell(scheme_reading *r)
{
	knocker_bytes url = scheme_url(r);
	url_parts u, n;
	int64_t at;
	buffer b;

	r->url_try_count = 0;
	if (!url_split(url, &u)) {
		r->url_tries[r->url_try_count++] = url;
		return;
	}
	url_three(r, url, &u);
	buffer_init(&b, LIMIT_JSON);
	url_lower(&b, u.scheme);
	buffer_text(&b, "://");
	for (at = u.host.len; at > 0 && ((const char *)u.host.data)[at - 1] != '@';)
		at--;
	buffer_bytes(&b, bytes_part(u.host, 0, (size_t)at));
	url_lower(&b, bytes_part(u.host, (size_t)at, (size_t)u.host.len));
	buffer_bytes(&b, u.port);
	url_normal(&b, u.path.len > 0 ? u.path : bytes_of("/"), "`{}");
	url_normal(&b, u.query, "'#");
	url = url_kept(r, &b);
	if (!url_split(url, &n))
		return;
	url_three(r, url, &n);
	if (n.query.len > 0) {
		buffer_text(&b, "?");
		url_query_again(r, &b, bytes_part(n.query, 1, (size_t)n.query.len));
		n.query = url_kept(r, &b);
	}
	url_try_add(r, &n, n.port);
	url_three(r, r->url_tries[--r->url_try_count], &n);
}

knocker_bytes scheme_url_path(knocker_bytes url)
{
	url_parts u;

	if (!url_split(url, &u))
		return scheme_url_noquery(url);
	return u.path.len > 0 ? u.path : bytes_of("/");
}

/* ---- {form_sorted} ---- */

static int url_bytes_order(knocker_bytes a, knocker_bytes b)
{
	size_t shorter = (size_t)(a.len < b.len ? a.len : b.len);
	int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;

	return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int url_pair_order(const void *a, const void *b)
{
	const url_pair *first = a, *second = b;
	int order = url_bytes_order(first->name, second->name);

	return order ? order : url_bytes_order(first->value, second->value);
}

knocker_bytes scheme_form_sorted(scheme_reading *r, bool unique)
{
	size_t i, kept = 0, count;
	url_pair *pairs = url_pairs(r, r->request->body, &count);
	knocker_bytes *parts = count ? arena_get(r->arena, 2 * count * sizeof *parts) : NULL;

	if (!parts) {
		r->no_memory |= count > 0;
		return bytes_of("");
	}
	qsort(pairs, count, sizeof *pairs, url_pair_order);
	for (i = 0; i < count; i++) {
		if (unique && i > 0 && url_pair_order(&pairs[i - 1], &pairs[i]) == 0)
			continue;
		parts[kept++] = pairs[i].name;
		parts[kept++] = pairs[i].value;
	}
	return scheme_join(r, parts, kept);
}

/* ---- {url_form_sorted} ---- */

/* The query's pairs in order: name=value, joined by "&". */
static void url_query_sorted(scheme_reading *r, buffer *b, knocker_bytes query)
{
	size_t i, count;
	url_pair *pairs = url_pairs(r, query, &count);

	if (count > 0)
		qsort(pairs, count, sizeof *pairs, url_pair_order);
	for (i = 0; i < count; i++) {
		buffer_text(b, i > 0 ? "&" : "");
		buffer_bytes(b, pairs[i].name);
		buffer_text(b, "=");
		buffer_bytes(b, pairs[i].value);
	}
}

knocker_bytes scheme_url_form_sorted(scheme_reading *r)
{
	knocker_bytes url = scheme_url(r), form = scheme_form_sorted(r, false), query = {0};
	int64_t mark = bytes_find(url, '?');
	buffer b;

	if (mark >= 0)
		query = bytes_part(url, (size_t)mark + 1, (size_t)url.len);
	buffer_init(&b, LIMIT_JSON);
	buffer_bytes(&b, scheme_url_noquery(url));
	if (query.len > 0 || form.len > 0)
		buffer_text(&b, "?");
	url_query_sorted(r, &b, query);
	if (query.len > 0 && form.len > 0)
		buffer_text(&b, ".");
	buffer_bytes(&b, form);
	return url_kept(r, &b);
}

/* ---- {uri_escaped} ---- */

/* A query is escaped twice: once as one text, and once more with the path. What stands behind a
 * second "?" is nobody's. */
knocker_bytes scheme_uri_escaped(scheme_reading *r)
{
	static const char plain[] = "-_.!~*'()", whole[] = "-_.!~*'();/?:@&=+$,#";
	knocker_bytes url = scheme_url(r), path = scheme_url_path(url), query, escaped;
	int64_t mark = bytes_find(url, '?');
	buffer b;

	buffer_init(&b, LIMIT_JSON);
	query = mark < 0 ? bytes_of("") : bytes_part(url, (size_t)mark + 1, (size_t)url.len);
	url_component(&b, scheme_url_noquery(query), plain);
	escaped = url_kept(r, &b);
	url_component(&b, path, whole);
	buffer_text(&b, escaped.len > 0 ? "?" : "");
	url_component(&b, escaped, whole);
	return url_kept(r, &b);
}

/* ---- {query_canonical} ---- */

/* The text with all escaped that RFC 3986 does not leave as it is. */
static knocker_bytes url_escaped(scheme_reading *r, knocker_bytes text)
{
	buffer b;

	buffer_init(&b, LIMIT_JSON);
	url_component(&b, text, "-_.~");
	return url_kept(r, &b);
}

/* Pairs of one name are one, their values between commas; a token beside them is not its own hash.
 */
knocker_bytes scheme_query_canonical(scheme_reading *r)
{
	size_t i, count, kept = 0;
	url_pair *pairs = url_pairs(r, r->request->query, &count);
	buffer b;

	for (i = 0; i < count; i++) {
		if (bytes_is(pairs[i].name, "jwt"))
			continue;
		pairs[kept] = pairs[i];
		pairs[kept].name = url_escaped(r, pairs[i].name);
		pairs[kept++].value = url_escaped(r, pairs[i].value);
	}
	if (kept > 0)
		qsort(pairs, kept, sizeof *pairs, url_pair_order);
	buffer_init(&b, LIMIT_JSON);
	for (i = 0; i < kept; i++) {
		if (i > 0 && bytes_equal(pairs[i].name, pairs[i - 1].name)) {
			buffer_text(&b, ",");
		} else {
			buffer_text(&b, i > 0 ? "&" : "");
			buffer_bytes(&b, pairs[i].name);
			buffer_text(&b, "=");
		}
		buffer_bytes(&b, pairs[i].value);
	}
	return url_kept(r, &b);
}
