/* Hypotheses about keys: a secret that was copied with something around it, decoded or not, or that
 * is somebody else's. No sentence holds one. */
#include <stdio.h>
#include <string.h>

#include "diagnose_parts.h"

/* ---- the given secrets, read in other ways ---- */

/* Of keys that are any bytes; a public key has one form only. */
static void diagnose_rules(const scheme *s, key_decoding decode, diagnose_scheme *out)
{
	size_t i, k;

	diagnose_scheme_copy(s, out);
	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->group_count; k++) {
			scheme_group *group = &out->tries[i].groups[k];

			if (group->kind->id != KIND_HMAC && group->kind->id != KIND_HASH)
				continue;
			group->key.decode = decode;
			group->key.strip = (knocker_bytes){0};
		}
}

static bool diagnose_secret_try(diagnosis *d, const scheme *rules, knocker_bytes secret,
                                const char *cause, const char *sentence)
{
	scheme_keys *keys = secret.len > 0 ? diagnose_keys(d, rules, secret) : NULL;
	bool fits = keys && diagnose_fits(d, keys, &d->request);

	if (fits)
		diagnose_found(d, keys, &d->request, cause, sentence);
	scheme_keys_free(keys);
	return fits;
}

static bool diagnose_around(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'';
}

static knocker_bytes diagnose_unwrap(knocker_bytes secret)
{
	size_t from = 0, to = (size_t)secret.len;
	const char *text = secret.data;

	while (from < to && diagnose_around(text[from]))
		from++;
	while (to > from && diagnose_around(text[to - 1]))
		to--;
	return bytes_part(secret, from, to);
}

/* Something stands around the secret, or there are several in one. */
static bool diagnose_wrapped(diagnosis *d, knocker_bytes secret)
{
	knocker_bytes inner = diagnose_unwrap(secret), piece;
	int64_t equals = bytes_find(inner, '=');
	size_t at = 0;

	if (inner.len != secret.len &&
	    diagnose_secret_try(d, &d->loose.scheme, inner, "secret_trimmed",
	                        "the secret has blanks, quotes or a line end around it: take them off"))
		return true;
	if (equals > 0 && equals + 1 < inner.len &&
	    diagnose_secret_try(d, &d->loose.scheme,
	                        diagnose_unwrap(
								bytes_part(inner, (size_t)equals + 1, (size_t)inner.len)),
	                        "secret_trimmed",
	                        "the secret is a whole line NAME=SECRET: give what stands after the ="))
		return true;
	while (scheme_piece_next(inner, bytes_of(" ,;\n|"), &at, &piece))
		if (piece.len != inner.len &&
		    diagnose_secret_try(d, &d->loose.scheme, diagnose_unwrap(piece), "secret_list",
		                        "the secret is a list in one text: give each secret by itself"))
			return true;
	return false;
}

static const struct {
	key_decoding decode;
	const char *sentence;
} diagnose_decodings[] = {
	{DECODE_UTF8, "the sender signs with the secret's text as it is, where the scheme decodes it"},
	{DECODE_BASE64, "the sender decodes the secret from base64, where the scheme does not"},
	{DECODE_HEX, "the sender decodes the secret from hexadecimal, where the scheme does not"},
};

static bool diagnose_decoded(diagnosis *d, knocker_bytes secret, bool cut)
{
	knocker_bytes strip = d->scheme->tries[0].groups[0].key.strip;
	bool prefixed = strip.len > 0 && secret.len > strip.len &&
	                memcmp(secret.data, strip.data, (size_t)strip.len) == 0;
	size_t i;

	for (i = 0; i < sizeof diagnose_decodings / sizeof *diagnose_decodings; i++) {
		bool prefix = cut || (prefixed && diagnose_decodings[i].decode == DECODE_UTF8);
		const char *sentence =
			cut        ? "the secret has a prefix that is no part of the sender's key: take it off"
			: prefixed ? "the sender's key is the secret with its prefix left on, where the scheme "
						 "takes it off"
					   : diagnose_decodings[i].sentence;
		diagnose_scheme rules;

		diagnose_rules(d->scheme, diagnose_decodings[i].decode, &rules);
		if (diagnose_secret_try(d, &rules.scheme, secret,
		                        prefix ? "secret_prefix" : "secret_encoding", sentence))
			return true;
	}
	return false;
}

/* What stands up to an underscore may be a prefix, up to each one; or the scheme's is lacking. */
static bool diagnose_prefixed(diagnosis *d, knocker_bytes secret)
{
	knocker_bytes strip = d->scheme->tries[0].groups[0].key.strip, rest = secret, parts[2];
	int64_t mark;
	size_t cut = 0;
	char whole[512];

	for (mark = bytes_find(rest, '_'); mark >= 0 && cut < 24; mark = bytes_find(rest, '_')) {
		cut += (size_t)mark + 1;
		rest = bytes_part(secret, cut, (size_t)secret.len);
		if (diagnose_secret_try(d, &d->loose.scheme, rest, "secret_prefix",
		                        "the secret has a prefix that is no part of the sender's key: take "
		                        "it off") ||
		    diagnose_decoded(d, rest, true))
			return true;
	}
	parts[0] = strip;
	parts[1] = secret;
	if (strip.len == 0 || (size_t)(strip.len + secret.len) >= sizeof whole)
		return false;
	memcpy(whole, parts[0].data, (size_t)parts[0].len);
	memcpy(whole + parts[0].len, parts[1].data, (size_t)parts[1].len);
	mark = diagnose_secret_try(d, &d->loose.scheme, (knocker_bytes){whole, strip.len + secret.len},
	                           "secret_prefix", "the secret lacks its prefix: copy all of it");
	crypto_cleanse(whole, sizeof whole);
	return mark != 0;
}

void diagnose_secrets(diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->secret_count; i++) {
		knocker_bytes secret = d->secrets[i];

		if (!bytes_given(secret) || secret.len == 0)
			continue;
		if (diagnose_secret_try(d, &d->loose.scheme, secret, "secret_other",
		                        "another secret of the list is no key of this scheme, and this one "
		                        "fits: take the other out") ||
		    diagnose_wrapped(d, secret) || diagnose_decoded(d, secret, false) ||
		    diagnose_prefixed(d, secret))
			return;
	}
}

/* ---- secrets of others ---- */

typedef enum { DIAGNOSE_NO_MODE, DIAGNOSE_TEST, DIAGNOSE_LIVE } diagnose_mode;

static bool diagnose_holds(knocker_bytes text, const char *word)
{
	return text.len > 0 &&
	       memmem(text.data, (size_t)text.len, word, (size_t)bytes_of(word).len) != NULL;
}

static diagnose_mode diagnose_mode_of(knocker_bytes text)
{
	if (diagnose_holds(text, "test") || diagnose_holds(text, "sandbox"))
		return DIAGNOSE_TEST;
	return diagnose_holds(text, "live") || diagnose_holds(text, "prod") ? DIAGNOSE_LIVE
	                                                                    : DIAGNOSE_NO_MODE;
}

static diagnose_mode diagnose_mode_here(const diagnosis *d)
{
	diagnose_mode mode = diagnose_mode_of(d->endpoint);

	return mode == DIAGNOSE_NO_MODE && d->secret_count > 0 ? diagnose_mode_of(d->secrets[0]) : mode;
}

static bool diagnose_rotation_word(knocker_bytes name)
{
	static const char *const words[] = {"previous", "old", "current", "new", "next", "rotated"};
	size_t i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (bytes_is(name, words[i]))
			return true;
	return false;
}

/* Which of the causes it is that the secret of `name` fits. */
static void diagnose_other_say(diagnosis *d, const scheme_keys *keys, knocker_bytes name,
                               knocker_bytes secret)
{
	diagnose_mode here = diagnose_mode_here(d), there = diagnose_mode_of(name);
	const char *cause = "secret_other_endpoint";
	char text[400];

	there = there == DIAGNOSE_NO_MODE ? diagnose_mode_of(secret) : there;
	if (there != DIAGNOSE_NO_MODE && here != there) {
		cause = "secret_mode";
		snprintf(text, sizeof text,
		         "it is signed with the secret '%.*s', that of the sender's %s mode: test and live "
		         "have secrets of their own",
		         QUOTED(name), there == DIAGNOSE_TEST ? "test" : "live");
	} else if (diagnose_rotation_word(name) || bytes_equal(name, d->endpoint)) {
		cause = "secret_rotated";
		snprintf(text, sizeof text,
		         "it is signed with the secret '%.*s', not with the one that was given: while a "
		         "secret is rotated give both",
		         QUOTED(name));
	} else {
		snprintf(
			text, sizeof text,
			"it is signed with the secret of '%.*s': the sender posts to another URL than that "
			"one's, or the secrets were mixed up",
			QUOTED(name));
	}
	diagnose_found(d, keys, &d->request, cause, text);
}

static bool diagnose_other_try(diagnosis *d, knocker_bytes name, knocker_bytes secret)
{
	scheme_keys *keys = secret.len > 0 ? diagnose_keys(d, &d->loose.scheme, secret) : NULL;
	bool fits = keys && diagnose_fits(d, keys, &d->request);

	if (fits)
		diagnose_other_say(d, keys, name, secret);
	scheme_keys_free(keys);
	return fits;
}

static bool diagnose_others_given(diagnosis *d)
{
	const json *one, *secret;
	bool fits = false;

	for (one = json_first(d->others); d->rc == 0 && !fits && one; one = json_next(one)) {
		if (json_kind(one) == JSON_TEXT)
			fits = diagnose_other_try(d, json_name(one), json_text(one));
		for (secret = json_kind(one) == JSON_ARRAY ? json_first(one) : NULL; !fits && secret;
		     secret = json_next(secret))
			fits = diagnose_other_try(d, json_name(one), json_text(secret));
	}
	return fits;
}

/* The registrations of this process, each held while it is read. */
void diagnose_others(diagnosis *d)
{
	registration *r = NULL;
	int32_t at = 0;
	size_t i;

	if (diagnose_others_given(d) || !d->place->known)
		return;
	while (d->rc == 0 && d->found == 0 && registration_next(d->place->known, &at, &r))
		for (i = 0; r->keys && i < r->keys->secret_count && d->found == 0; i++)
			diagnose_other_try(d, r->name,
			                   (knocker_bytes){r->keys->secrets[i].bytes,
			                                   (int64_t)r->keys->secrets[i].len});
	registration_leave(r);
}
