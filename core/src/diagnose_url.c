/* Hypotheses about the URL and the method, for senders that sign them: what a proxy changes between
 * the sender and the application. */
#include <string.h>

#include "diagnose_parts.h"

#define DIAGNOSE_URL_TEXTS 6

/* A URL in parts, each with its marks: "https", "//host", ":8080", "/path", "?query". */
typedef struct {
	knocker_bytes scheme, host, port, path, query;
} diagnose_url_parts;

typedef struct {
	knocker_bytes texts[DIAGNOSE_URL_TEXTS];
	size_t count;
} diagnose_choice;

static void diagnose_choose(diagnose_choice *c, knocker_bytes text)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (bytes_equal(c->texts[i], text))
			return;
	if (bytes_given(text) && c->count < DIAGNOSE_URL_TEXTS)
		c->texts[c->count++] = text;
}

static bool diagnose_url_cut(knocker_bytes url, diagnose_url_parts *out)
{
	int64_t colon = bytes_find(url, ':'), end, mark;
	knocker_bytes rest;

	if (colon < 1 || url.len < colon + 3 || memcmp((const char *)url.data + colon, "://", 3) != 0)
		return false;
	out->scheme = bytes_part(url, 0, (size_t)colon);
	rest = bytes_part(url, (size_t)colon + 3, (size_t)url.len);
	mark = bytes_find(rest, '?');
	out->query = mark < 0 ? bytes_of("") : bytes_part(rest, (size_t)mark, (size_t)rest.len);
	rest = mark < 0 ? rest : bytes_part(rest, 0, (size_t)mark);
	end = bytes_find(rest, '/');
	out->path = end < 0 ? bytes_of("") : bytes_part(rest, (size_t)end, (size_t)rest.len);
	rest = end < 0 ? rest : bytes_part(rest, 0, (size_t)end);
	colon = bytes_find(rest, ':');
	out->host = colon < 0 ? rest : bytes_part(rest, 0, (size_t)colon);
	out->port = colon < 0 ? bytes_of("") : bytes_part(rest, (size_t)colon, (size_t)rest.len);
	return true;
}

static knocker_bytes diagnose_header(const diagnosis *d, const char *wanted)
{
	knocker_bytes name, value;
	size_t at = 0;

	while (request_header_next(d->request.headers, &at, &name, &value))
		if (request_header_is(name, wanted) && value.len > 0)
			return value;
	return (knocker_bytes){0};
}

static knocker_bytes diagnose_joined(diagnosis *d, knocker_bytes a, knocker_bytes b)
{
	knocker_bytes kept = {0};
	buffer both;

	buffer_init(&both, LIMIT_JSON);
	buffer_bytes(&both, a);
	buffer_bytes(&both, b);
	if (both.failed || !arena_copy(&d->memory, buffer_view(&both), &kept))
		d->rc = fail_memory(d->error);
	buffer_free(&both);
	return kept;
}

static void diagnose_hosts(const diagnosis *d, const diagnose_url_parts *u, diagnose_choice *hosts,
                           diagnose_choice *ports)
{
	static const char *const names[] = {"x-forwarded-host", "x-original-host", "host"};
	knocker_bytes host;
	size_t i;

	diagnose_choose(hosts, u->host);
	diagnose_choose(ports, u->port);
	diagnose_choose(ports, bytes_of(""));
	diagnose_choose(ports, bytes_of(":443"));
	diagnose_choose(ports, bytes_of(":80"));
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		int64_t colon;

		host = diagnose_header(d, names[i]);
		if (!bytes_given(host))
			continue;
		colon = bytes_find(host, ':');
		diagnose_choose(hosts, colon < 0 ? host : bytes_part(host, 0, (size_t)colon));
		if (colon >= 0)
			diagnose_choose(ports, bytes_part(host, (size_t)colon, (size_t)host.len));
	}
}

static void diagnose_paths(diagnosis *d, const diagnose_url_parts *u, diagnose_choice *paths)
{
	static const char *const names[] = {"x-original-uri", "x-original-url", "x-forwarded-uri",
	                                    "x-envoy-original-path"};
	knocker_bytes path = u->path, other;
	int64_t second;
	size_t i;

	diagnose_choose(paths, path);
	if (path.len > 1 && ((const char *)path.data)[path.len - 1] == '/')
		diagnose_choose(paths, bytes_part(path, 0, (size_t)path.len - 1));
	else
		diagnose_choose(paths, diagnose_joined(d, path, bytes_of("/")));
	other = diagnose_header(d, "x-forwarded-prefix");
	if (bytes_given(other))
		diagnose_choose(paths, diagnose_joined(d, other, path));
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		other = diagnose_header(d, names[i]);
		if (bytes_given(other) && bytes_find(other, '?') >= 0)
			other = bytes_part(other, 0, (size_t)bytes_find(other, '?'));
		if (bytes_starts(other, "/"))
			diagnose_choose(paths, other);
	}
	second = path.len > 1 ? bytes_find(bytes_part(path, 1, (size_t)path.len), '/') : -1;
	if (second >= 0)
		diagnose_choose(paths, bytes_part(path, (size_t)second + 1, (size_t)path.len));
}

/* Keys with this URL as their option. */
static scheme_keys *diagnose_url_keys(diagnosis *d, const diagnose_url_parts *u)
{
	knocker_bytes parts[6] = {u->scheme, bytes_of("://"), u->host, u->port, u->path, u->query};
	scheme_option_value *value;
	scheme_keys *keys = NULL;
	size_t i;
	buffer b;

	buffer_init(&b, LIMIT_JSON);
	for (i = 0; i < 6; i++)
		buffer_bytes(&b, parts[i]);
	if (b.failed)
		d->rc = fail_memory(d->error);
	else
		d->rc = scheme_keys_over(&d->loose.scheme, d->bare, d->secrets_json, (knocker_bytes){0},
		                         &keys, d->error);
	if (keys) {
		uint8_t *text = memory_get(b.len);

		value = &keys->options[d->scheme->option_url];
		if (text) {
			memcpy(text, b.data, b.len);
			memory_free(value->text.bytes);
			value->text = (scheme_secret){text, b.len};
		} else {
			d->rc = fail_memory(d->error);
		}
	}
	buffer_free(&b);
	return keys;
}

/* Which part differs, the least likely of them named. */
static const char *diagnose_url_cause(const diagnose_url_parts *was, const diagnose_url_parts *u,
                                      const char **sentence)
{
	const struct {
		bool differs;
		const char *cause, *sentence;
	} parts[] = {
		{!bytes_equal(was->host, u->host), "url_host",
	     "the sender signed another host than the url that was given: give the one that it calls"},
		{!bytes_equal(was->path, u->path), "url_path",
	     "the sender signed another path than that of the url that was given: a proxy changes it, "
	     "or a slash at its end differs; give the one that the sender calls"},
		{!bytes_equal(was->query, u->query), "url_query",
	     "the sender signed the url with another query: give the url as the sender calls it"},
		{!bytes_equal(was->scheme, u->scheme), "url_scheme",
	     "the sender signed the url with https where http was given, or the other way: a proxy ends "
	     "TLS; give the url that the sender calls"},
		{true, "url_port",
	     "the sender signed the url with another port, or without one: give the url that the "
	     "sender calls"},
	};
	size_t i;

	for (i = 0; i + 1 < sizeof parts / sizeof *parts && !parts[i].differs; i++)
		;
	*sentence = parts[i].sentence;
	return parts[i].cause;
}

static bool diagnose_url_try(diagnosis *d, const diagnose_url_parts *was,
                             const diagnose_url_parts *u)
{
	scheme_keys *keys = diagnose_url_keys(d, u);
	bool fits = keys && diagnose_fits(d, keys, &d->request);
	const char *sentence, *cause = diagnose_url_cause(was, u, &sentence);

	if (fits)
		diagnose_found(d, keys, &d->request, cause, sentence);
	scheme_keys_free(keys);
	return fits;
}

/* The combinations of all parts, those of one change first: the outer loops change last. */
static bool diagnose_combine(diagnosis *d, const diagnose_url_parts *was,
                             const diagnose_choice choices[5], size_t changes)
{
	size_t total = 1, n, i;

	for (i = 0; i < 5; i++)
		total *= choices[i].count;
	for (n = 1; n < total && d->rc == 0 && !d->stopped; n++) {
		size_t rest = n, at[5], changed = 0;
		diagnose_url_parts u;

		for (i = 0; i < 5; i++) {
			at[i] = rest % choices[i].count;
			rest /= choices[i].count;
			changed += at[i] > 0;
		}
		u = (diagnose_url_parts){choices[0].texts[at[0]], choices[1].texts[at[1]],
		                         choices[2].texts[at[2]], choices[3].texts[at[3]],
		                         choices[4].texts[at[4]]};
		if (changed == changes && diagnose_url_try(d, was, &u))
			return true;
	}
	return false;
}

static bool diagnose_urls(diagnosis *d)
{
	ptrdiff_t option = d->scheme->option_url;
	knocker_bytes url = option >= 0 ? scheme_option_text(d->scheme, d->bare, (size_t)option)
	                                : (knocker_bytes){0};
	diagnose_choice choices[5] = {0};
	diagnose_url_parts u;
	size_t changes;

	if (!bytes_given(url) || !diagnose_url_cut(url, &u))
		return false;
	diagnose_choose(&choices[0], u.scheme);
	diagnose_choose(&choices[0], bytes_of(bytes_is(u.scheme, "https") ? "http" : "https"));
	diagnose_hosts(d, &u, &choices[1], &choices[2]);
	diagnose_paths(d, &u, &choices[3]);
	diagnose_choose(&choices[4], u.query);
	diagnose_choose(&choices[4], bytes_of(""));
	if (d->request.query.len > 0)
		diagnose_choose(&choices[4], diagnose_joined(d, bytes_of("?"), d->request.query));
	for (changes = 1; changes <= 3 && d->rc == 0; changes++)
		if (diagnose_combine(d, &u, choices, changes))
			return true;
	return false;
}

/* The query counts where the url option has none. */
void diagnose_url(diagnosis *d)
{
	static const char *const methods[] = {"POST", "GET", "PUT", "PATCH", "DELETE"};
	scheme_request changed = d->request;
	size_t i;

	if (diagnose_urls(d))
		return;
	changed.query = (knocker_bytes){0};
	if (d->request.query.len > 0 && diagnose_fits(d, d->keys, &changed)) {
		diagnose_found(d, d->keys, &changed, "url_query",
		               "the sender signed the url without its query: give none");
		return;
	}
	changed = d->request;
	for (i = 0; i < sizeof methods / sizeof *methods && d->found == 0; i++) {
		changed.method = bytes_of(methods[i]);
		if (!bytes_equal(changed.method, d->request.method) && diagnose_fits(d, d->keys, &changed))
			diagnose_found(
				d, d->keys, &changed, "method",
				"the sender signed another method than the one that was given: give that "
				"of the request");
	}
}
