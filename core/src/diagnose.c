/* Runs the hypotheses in order of likelihood, within bounds, and says what it found. The hypotheses
 * themselves stand in the other diagnose_*.c files. */
#include "diagnose_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- tries ---- */

void diagnose_scheme_copy(const scheme *s, diagnose_scheme *out)
{
	out->scheme = *s;
	memcpy(out->tries, s->tries, s->try_count * sizeof *s->tries);
	out->scheme.tries = out->tries;
}

static bool diagnose_verify(diagnosis *d, const scheme *s, const scheme_keys *keys,
                            const scheme_request *request, int64_t now_s, scheme_verdict *v,
                            arena *a)
{
	*v = (scheme_verdict){0};
	if (d->rc < 0 || !keys)
		return false;
	if (d->tries >= DIAGNOSE_TRIES || d->bytes >= DIAGNOSE_BYTES) {
		d->stopped = true;
		return false;
	}
	d->tries++;
	d->bytes += (request->body.len + 64) * (int64_t)(keys->key_count + 1);
	d->rc = scheme_verify(s, keys, request, now_s, a, v, d->error);
	return d->rc == 0 && v->valid;
}

bool diagnose_fits(diagnosis *d, const scheme_keys *keys, const scheme_request *request)
{
	scheme_verdict v;
	arena a = {0};
	bool fits = diagnose_verify(d, &d->loose.scheme, keys ? keys : d->bare, request, d->now_s, &v,
	                            &a);

	d->has_signature = v.has_signature;
	arena_free(&a);
	return fits;
}

/* The number in "timestamp is N s off", which the engine says once a signature was right. */
static int64_t diagnose_off(const char *error)
{
	static const char before[] = "timestamp is ";
	const char *at = error ? strstr(error, before) : NULL;
	int64_t off_s = 0;

	if (!at || !strstr(at, " s off"))
		return 0;
	for (at += sizeof before - 1; *at >= '0' && *at <= '9' && off_s < INT64_MAX / 20; at++)
		off_s = off_s * 10 + (*at - '0');
	return off_s;
}

bool diagnose_strict(diagnosis *d, const scheme *s, const scheme_keys *keys,
                     const scheme_request *request, int64_t now_s, int64_t *off_s)
{
	scheme_verdict v;
	arena a = {0};
	bool fits = diagnose_verify(d, s, keys, request, now_s, &v, &a);

	*off_s = fits ? 0 : diagnose_off(v.error);
	arena_free(&a);
	return fits;
}

scheme_keys *diagnose_keys(diagnosis *d, const scheme *rules, knocker_bytes secret)
{
	scheme_keys *keys = NULL;
	int32_t rc;
	buffer list;

	if (d->rc < 0 || d->stopped || !bytes_utf8(secret))
		return NULL;
	buffer_init(&list, LIMIT_JSON);
	buffer_text(&list, "[");
	buffer_json(&list, secret);
	buffer_text(&list, "]");
	rc = list.failed ? KNOCKER_STORAGE
	                 : scheme_keys_over(rules, d->bare, buffer_view(&list), (knocker_bytes){0},
	                                    &keys, NULL);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail_memory(d->error);
	if (list.data)
		crypto_cleanse(list.data, list.len);
	buffer_free(&list);
	return keys;
}

/* ---- findings ---- */

void diagnose_say(diagnosis *d, const char *cause, const char *format, ...)
{
	char text[600];
	va_list arguments;

	if (d->rc < 0)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	d->rc = rows_add(d->rows, (const knocker_value[]){TEXT(bytes_of(cause)), TEXT(bytes_of(text))},
	                 d->error);
}

void diagnose_found(diagnosis *d, const scheme_keys *keys, const scheme_request *request,
                    const char *cause, const char *sentence)
{
	d->found++;
	if (bytes_given(d->renamed) && strcmp(cause, "header_renamed") != 0)
		diagnose_say(d, "header_renamed", "%s", (const char *)d->renamed.data);
	diagnose_say(d, cause, "%s", sentence);
	diagnose_time(d, keys, request);
}

/* ---- what is given ---- */

/* The scheme by name, as JSON, or of the registration. */
static int32_t diagnose_find_scheme(diagnosis *d, knocker_bytes provider, const registration *r,
                                    scheme **own)
{
	const scheme *builtin = NULL;
	bool known = r && r->scheme && (!bytes_given(provider) || bytes_equal(r->provider, provider));

	if (known) {
		d->scheme = r->scheme;
		return 0;
	}
	if (provider.len <= 0)
		return fail(d->error, KNOCKER_INVALID_ARGUMENT,
		            "provider is missing: a built-in's name or a scheme's JSON");
	if (bytes_starts(provider, "{")) {
		d->rc = scheme_compile(provider, own, d->error);
		d->scheme = *own;
		return d->rc;
	}
	d->rc = scheme_builtin(provider, &builtin, d->error);
	d->scheme = builtin;
	if (d->rc == 0 && !builtin)
		d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT, "no provider is named '%.*s'",
		             QUOTED(provider));
	return d->rc;
}

static const knocker_bytes *diagnose_texts(diagnosis *d, const json *list, size_t *count)
{
	knocker_bytes *texts = arena_get(&d->memory, (json_count(list) + 1) * sizeof *texts);
	const json *one;

	*count = 0;
	if (!texts)
		d->rc = fail_memory(d->error);
	for (one = json_first(list); texts && one; one = json_next(one)) {
		if (json_kind(one) == JSON_TEXT)
			texts[(*count)++] = json_text(one);
		else
			d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT, "secret %zu is not a text",
			             *count + 1);
		if (d->rc < 0)
			return texts;
	}
	return texts;
}

/* The secrets as texts: those of the call, else of the registration. */
static void diagnose_take_secrets(diagnosis *d, knocker_bytes secrets_json, const registration *r,
                                  json **tree, buffer *list)
{
	size_t i;

	if (bytes_given(secrets_json) && secrets_json.len > 0) {
		d->rc = json_parse("secrets_json", secrets_json, tree, d->error);
		if (d->rc == 0 && json_kind(*tree) != JSON_ARRAY && json_kind(*tree) != JSON_NULL)
			d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT,
			             "secrets_json is not a JSON array of texts");
	}
	if (d->rc == 0 && *tree) {
		d->secrets = diagnose_texts(d, *tree, &d->secret_count);
	} else if (d->rc == 0 && r && r->keys && r->scheme == d->scheme) {
		knocker_bytes *texts = arena_get(&d->memory, (r->keys->secret_count + 1) * sizeof *texts);

		for (i = 0; texts && i < r->keys->secret_count; i++)
			texts[i] = (knocker_bytes){r->keys->secrets[i].bytes, (int64_t)r->keys->secrets[i].len};
		d->secrets = texts;
		d->secret_count = texts ? r->keys->secret_count : 0;
	}
	buffer_text(list, "[");
	for (i = 0; d->rc == 0 && i < d->secret_count; i++) {
		buffer_text(list, i ? "," : "");
		buffer_json(list, d->secrets[i]);
	}
	buffer_text(list, "]");
	if (d->rc == 0 && (list->failed || (!d->secrets && d->secret_count)))
		d->rc = fail_memory(d->error);
	d->secrets_json = buffer_view(list);
}

static void diagnose_take_others(diagnosis *d)
{
	if (!bytes_given(d->place->others_json) || d->place->others_json.len == 0)
		return;
	d->rc = json_parse("others_json", d->place->others_json, &d->others, d->error);
	if (d->rc == 0 && json_kind(d->others) != JSON_OBJECT && json_kind(d->others) != JSON_NULL)
		d->rc = fail(d->error, KNOCKER_INVALID_ARGUMENT,
		             "others_json is not a JSON object of names and secrets");
}

/* The options, then the keys; secrets that are no keys are not the end of it. */
static void diagnose_take_keys(diagnosis *d, const registration *r)
{
	const scheme_keys *base = r && r->scheme == d->scheme ? r->keys : NULL;
	int32_t rc;

	diagnose_scheme_copy(d->scheme, &d->loose);
	d->loose.scheme.has_window = false;
	d->loose.scheme.option_tolerance = -1;
	d->loose.scheme.stores_secret = true;
	d->rc = scheme_keys_over(&d->loose.scheme, base, bytes_of("[]"), d->options_json, &d->bare,
	                         d->error);
	if (d->rc < 0)
		return;
	rc = scheme_keys_over(d->scheme, d->bare, d->secrets_json, (knocker_bytes){0}, &d->keys,
	                      &d->keys_error);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail(d->error, rc, "%s", d->keys_error.text);
}

/* ---- the order ---- */

/* True: there is nothing to explain, or the signature is right and the time alone is wrong. */
static bool diagnose_as_it_is(diagnosis *d, knocker_bytes *error)
{
	scheme_verdict v;
	arena a = {0};
	bool valid = diagnose_verify(d, d->scheme, d->keys ? d->keys : d->bare, &d->request, d->now_s,
	                             &v, &a);
	bool done = valid || v.handshake;

	d->had_signature = v.has_signature;
	if (d->rc == 0 && !arena_copy(&d->memory, bytes_of(v.error), error))
		d->rc = fail_memory(d->error);
	if (valid)
		diagnose_say(d, "valid", "the request is valid as it is");
	else if (v.handshake)
		diagnose_say(d, "handshake", "it is a handshake, which was answered: it is never an event");
	arena_free(&a);
	if (!done && d->keys && !d->no_body && diagnose_fits(d, d->keys, &d->request)) {
		d->found++;
		diagnose_time(d, d->keys, &d->request);
		done = true;
	}
	d->found += valid || v.handshake;
	return done;
}

static void diagnose_give_up(diagnosis *d, knocker_bytes error)
{
	if (bytes_given(d->renamed))
		diagnose_say(d, "header_renamed", "%s; %s", (const char *)d->renamed.data,
		             d->no_body ? "its body was not kept, so that the signature cannot be tried"
		                        : "even so its signature is not right");
	if (d->no_body) {
		diagnose_say(d, "no_body",
		             "the body of this delivery was not kept, so that its signature cannot be "
		             "tried: %.*s",
		             QUOTED(error));
		return;
	}
	diagnose_say(
		d, NULL,
		"%.*s, and no known mistake explains it: renamed headers, times, secrets cut, "
		"decoded or of others, the body's ends, lines, encoding and JSON, the url, and the "
		"other providers were tried, %lld requests in all%s. The secret is wrong, the body "
		"is not what was signed, or it is a forgery",
		QUOTED(bytes_given(error) ? error : bytes_of("not valid")), (long long)d->tries,
		d->stopped ? ", until the bounds were reached" : "");
}

static void diagnose_run(diagnosis *d)
{
	static void (*const groups[])(diagnosis *) = {diagnose_headers, diagnose_secrets,
	                                              diagnose_others,  diagnose_digits,
	                                              diagnose_body,    diagnose_url};
	knocker_bytes error = {0};
	size_t i;

	if (diagnose_as_it_is(d, &error))
		return;
	for (i = 0; i < sizeof groups / sizeof *groups && d->rc == 0 && d->found == 0; i++)
		if (!d->no_body || i == 0)
			groups[i](d);
	if (d->rc == 0 && d->found == 0)
		diagnose_provider(d);
	if (d->rc < 0 || d->found > 0)
		return;
	if (!d->keys && rows_count(d->rows) == 0 && !bytes_given(d->renamed))
		d->rc = fail(d->error, (int32_t)d->keys_error.code, "%s", d->keys_error.text);
	else
		diagnose_give_up(d, error);
}

/* The endpoint's registration here, held; NULL: none. */
static registration *diagnose_registered(const diagnosis *d)
{
	return d->place->known && d->endpoint.len > 0 ? registration_find(d->place->known, d->endpoint)
	                                              : NULL;
}

int32_t diagnose_request(const diagnose_place *place, const knocker_request *request,
                         knocker_rows **out, knocker_error *error)
{
	diagnosis *d = memory_get(sizeof *d);
	knocker_bytes provider = request->provider;
	registration *r;
	scheme *own = NULL;
	json *tree = NULL;
	buffer list;
	int32_t rc;

	if (!d)
		return fail_memory(error);
	*d = (diagnosis){.place = place, .error = error, .endpoint = request->endpoint};
	d->options_json = request->options_json;
	d->request = (scheme_request){request->method, request->headers, request->query, request->body};
	d->now_s = place->now_ms / 1000;
	buffer_init(&list, LIMIT_JSON);
	d->rc = request_headers_check(request->headers, error);
	if (d->rc == 0)
		d->rc = rows_new(DIAGNOSE_COLUMNS, &d->rows, error);
	if (d->rc == 0 && place->delivery_id)
		diagnose_stored(d, &provider);
	r = d->rc == 0 ? diagnose_registered(d) : NULL;
	if (d->rc == 0)
		d->rc = diagnose_find_scheme(d, provider, r, &own);
	if (d->rc == 0)
		diagnose_take_secrets(d, request->secrets_json, r, &tree, &list);
	if (d->rc == 0)
		diagnose_take_others(d);
	if (d->rc == 0)
		diagnose_take_keys(d, r);
	if (d->rc == 0 && place->delivery_id)
		diagnose_stored_texts(d);
	if (d->rc == 0 && !d->redacted)
		diagnose_run(d);
	rc = rows_or_none(d->rc, &d->rows);
	*out = d->rows;
	scheme_keys_free(d->keys);
	scheme_keys_free(d->bare);
	registration_leave(r);
	scheme_free(own);
	json_cleanse_free(tree);
	json_cleanse_free(d->others);
	if (list.data)
		crypto_cleanse(list.data, list.len);
	buffer_free(&list);
	arena_free(&d->memory);
	memory_free(d);
	return rc;
}
