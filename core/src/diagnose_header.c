/* Hypotheses about headers that came under another name than their sender gave them. */
#include <stdio.h>
#include <string.h>

#include "diagnose_parts.h"

/* What proxies put before a name, one before the other, in the order in which it is taken off. */
static const char *const diagnose_prefixes[] = {"http-", "x-original-", "x-forwarded-", "x-"};

static char diagnose_fold(char c)
{
	return c == '_' ? '-' : ascii_lower(c);
}

static bool diagnose_begins(knocker_bytes name, knocker_bytes prefix)
{
	int64_t i;

	for (i = 0; i < prefix.len && i < name.len; i++)
		if (diagnose_fold(((const char *)name.data)[i]) !=
		    diagnose_fold(((const char *)prefix.data)[i]))
			return false;
	return prefix.len > 0 && name.len > prefix.len;
}

/* The name without what a proxy, or one of the scheme's families, puts before it. */
static knocker_bytes diagnose_bare(const scheme *s, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < sizeof diagnose_prefixes / sizeof *diagnose_prefixes; i++) {
		knocker_bytes prefix = bytes_of(diagnose_prefixes[i]);

		if (diagnose_begins(name, prefix))
			name = bytes_part(name, (size_t)prefix.len, (size_t)name.len);
	}
	for (i = 0; i < s->try_count; i++)
		if (diagnose_begins(name, s->tries[i].family)) {
			name = bytes_part(name, (size_t)s->tries[i].family.len, (size_t)name.len);
			break;
		}
	if (name.len > 1 && diagnose_fold(*(const char *)name.data) == '-')
		name = bytes_part(name, 1, (size_t)name.len);
	return name;
}

static bool diagnose_alike(const scheme *s, knocker_bytes a, knocker_bytes b)
{
	int64_t i;

	a = diagnose_bare(s, a);
	b = diagnose_bare(s, b);
	for (i = 0; i < a.len && i < b.len; i++)
		if (diagnose_fold(((const char *)a.data)[i]) != diagnose_fold(((const char *)b.data)[i]))
			return false;
	return a.len == b.len && a.len > 0;
}

static bool diagnose_present(knocker_bytes lines, knocker_bytes wanted)
{
	knocker_bytes name, value;
	size_t at = 0;

	while (request_header_next(lines, &at, &name, &value))
		if (request_name_is(name, wanted) && value.len > 0)
			return true;
	return false;
}

/* The n-th header of the scheme; absent: no memory. */
static knocker_bytes diagnose_header_name(diagnosis *d, size_t n)
{
	knocker_bytes name;
	scheme_reading r;

	r.scheme = d->scheme;
	r.keys = d->bare;
	r.arena = &d->memory;
	r.no_memory = false;
	name = scheme_header_name(&r, d->scheme->headers[n]);
	if (r.no_memory)
		d->rc = fail_memory(d->error);
	return r.no_memory ? (knocker_bytes){0} : name;
}

bool diagnose_reads(diagnosis *d, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < d->scheme->header_count && d->rc == 0; i++) {
		knocker_bytes wanted = diagnose_header_name(d, i);

		if (wanted.len > 0 && request_name_is(name, wanted))
			return true;
	}
	return false;
}

/* The name that the scheme wants in place of this one, or absent. */
static knocker_bytes diagnose_wanted(diagnosis *d, const scheme_try *t, knocker_bytes name)
{
	size_t i;

	for (i = 0; i < d->scheme->header_count && d->rc == 0; i++) {
		knocker_bytes wanted = diagnose_header_name(d, i);

		if (wanted.len <= 0 ||
		    (t->family.len > 0 && d->scheme->try_count > 1 && !diagnose_begins(wanted, t->family)))
			continue;
		if (!request_name_is(name, wanted) && diagnose_alike(d->scheme, name, wanted) &&
		    !diagnose_present(d->request.headers, wanted))
			return wanted;
	}
	return (knocker_bytes){0};
}

/* The lines with each such header renamed; the first one's names go to `was` and `is`. */
static void diagnose_rename(diagnosis *d, const scheme_try *t, buffer *out, knocker_bytes *was,
                            knocker_bytes *is)
{
	knocker_bytes name, value, wanted;
	size_t at = 0;

	while (request_header_next(d->request.headers, &at, &name, &value)) {
		wanted = diagnose_wanted(d, t, name);
		if (bytes_given(wanted) && !bytes_given(*was)) {
			*was = name;
			*is = wanted;
		}
		buffer_bytes(out, bytes_given(wanted) ? wanted : name);
		buffer_text(out, ": ");
		buffer_bytes(out, value);
		buffer_text(out, "\n");
	}
}

static void diagnose_family(diagnosis *d, const scheme_try *t)
{
	scheme_request changed = d->request;
	knocker_bytes was = {0}, is = {0}, said = {0};
	bool fits, kept = true;
	char text[400];
	buffer lines;

	buffer_init(&lines, 2 * LIMIT_HEADERS);
	diagnose_rename(d, t, &lines, &was, &is);
	if (lines.failed && d->rc == 0)
		d->rc = fail_memory(d->error);
	if (d->rc == 0 && bytes_given(was)) {
		snprintf(text, sizeof text, "header '%.*s' came as '%.*s': let the proxy keep its name",
		         QUOTED(is), QUOTED(was));
		changed.headers = buffer_view(&lines);
		fits = !d->no_body && diagnose_fits(d, d->keys, &changed);
		if (fits)
			diagnose_found(d, d->keys, &changed, "header_renamed", text);
		else if (d->no_body)
			diagnose_fits(d, d->keys, &changed);
		if (!fits && d->has_signature && !d->had_signature && !bytes_given(d->renamed)) {
			kept = arena_copy(&d->memory, bytes_of(text), &said) &&
			       arena_copy(&d->memory, changed.headers, &changed.headers);
			d->renamed = said;
			d->request = changed;
		}
	}
	if (!kept)
		d->rc = fail_memory(d->error);
	buffer_free(&lines);
}

/* Where renaming brings a signature to light that is still not right, the later hypotheses go on
 * from there. */
void diagnose_headers(diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->scheme->try_count && d->found == 0 && d->rc == 0; i++)
		diagnose_family(d, &d->scheme->tries[i]);
}
