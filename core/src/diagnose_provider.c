/* The last hypothesis: the request is some other built-in provider's. */
#include <stdio.h>
#include <string.h>

#include "diagnose_parts.h"

typedef struct {
	char text[200];
	size_t count;
} diagnose_names;

static void diagnose_name_add(diagnose_names *names, const char *name)
{
	size_t at = (size_t)bytes_of(names->text).len;

	if (names->count < DIAGNOSE_NAMES)
		snprintf(names->text + at, sizeof names->text - at, "%s'%s'", names->count ? ", " : "",
		         name);
	names->count++;
}

/* Headers that many senders use for many things tell nothing. */
static bool diagnose_telling(const scheme *s)
{
	const scheme_sources *from = &s->tries[0].from;

	return from->count > 0 && from->list[0].kind == SOURCE_HEADER &&
	       !bytes_is(from->list[0].name.text, "authorization");
}

static int32_t diagnose_provider_keys(diagnosis *d, const scheme *s, scheme_keys **keys)
{
	int32_t rc = scheme_keys_new(s, d->secrets_json, d->options_json, keys, NULL);

	if (rc == KNOCKER_INVALID_ARGUMENT)
		rc = scheme_keys_new(s, d->secrets_json, (knocker_bytes){0}, keys, NULL);
	if (rc == KNOCKER_STORAGE)
		d->rc = fail_memory(d->error);
	return rc;
}

/* 2: it verifies; 1: its signature is there; 0: neither. */
static int diagnose_provider_try(diagnosis *d, const scheme *s)
{
	scheme_keys *keys = NULL;
	diagnose_scheme loose;
	scheme_verdict v = {0};
	arena a = {0};
	int like = 0;

	diagnose_scheme_copy(s, &loose);
	loose.scheme.has_window = false;
	loose.scheme.option_tolerance = -1;
	if (diagnose_provider_keys(d, &loose.scheme, &keys) == 0) {
		d->rc = scheme_verify(&loose.scheme, keys, &d->request, d->now_s, &a, &v, d->error);
		d->tries++;
		like = v.valid && !d->no_body ? 2
		       : v.has_signature && v.error && diagnose_telling(s) && !strstr(v.error, "missing")
		           ? 1
		           : 0;
	}
	scheme_keys_free(keys);
	arena_free(&a);
	return like;
}

void diagnose_provider(diagnosis *d)
{
	diagnose_names fits = {0}, like = {0};
	scheme_info info;
	int32_t i;

	for (i = 0; i < scheme_builtin_count() && d->rc == 0; i++) {
		const scheme *s = NULL;
		int how;

		d->rc = scheme_builtin_info(i, &info, d->error);
		if (d->rc == 0)
			d->rc = scheme_builtin(bytes_of(info.name), &s, d->error);
		if (d->rc < 0 || s == d->scheme)
			continue;
		how = diagnose_provider_try(d, s);
		if (how == 2)
			diagnose_name_add(&fits, info.name);
		else if (how == 1)
			diagnose_name_add(&like, info.name);
	}
	if (d->rc < 0)
		return;
	if (fits.count > 0) {
		d->found++;
		diagnose_say(d, "wrong_provider", "it is signed as %s sign: name that provider", fits.text);
	} else if (like.count > 0 && !d->had_signature && !bytes_given(d->renamed)) {
		d->found++;
		diagnose_say(d, "wrong_provider",
		             "this scheme's signature is missing, but it looks like %s%s; with this secret "
		             "it is not right by that either",
		             like.text, like.count > DIAGNOSE_NAMES ? " or others" : "");
	}
}
