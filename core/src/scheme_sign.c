/* The same scheme read backwards: the header lines that a sender would add. Knows no sender by
 * name. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"

static int32_t sign_refuse(knocker_error *error, const char *why)
{
	return fail(error, KNOCKER_INVALID_ARGUMENT, "this scheme cannot sign with headers: %s", why);
}

/* ---- vars: times are now, other texts stand in the request's headers or are made up ---- */

knocker_bytes scheme_made_up(scheme_reading *r)
{
	knocker_bytes parts[2], made;
	char time[32], *id = arena_get(r->arena, 72);

	codec_time_write(UNIT_S, r->now_s, time);
	parts[0] = bytes_of(time);
	parts[1] = r->request->body;
	made = scheme_join(r, parts, 2);
	if (!id || !bytes_given(made) || !crypto_sha256_hex(made, id + 4)) {
		r->no_memory = true;
		return bytes_of("");
	}
	memcpy(id, "msg_", 4);
	id[4 + 24] = '\0';
	return bytes_of(id);
}

static knocker_bytes sign_time(scheme_reading *r, time_unit unit)
{
	char *time = arena_get(r->arena, 32);

	if (!time) {
		r->no_memory = true;
		return bytes_of("");
	}
	codec_time_write(unit, r->now_s, time);
	return bytes_of(time);
}

static bool sign_is_sent(source_kind kind)
{
	return kind == SOURCE_HEADER || kind == SOURCE_SIG || kind == SOURCE_SIGITEM;
}

static int32_t sign_var(scheme_reading *r, const scheme_var *var, knocker_bytes *out,
                        knocker_error *error)
{
	scheme_text read = scheme_sources_read(r, var->from);

	if (var->from.list[0].kind == SOURCE_CLAIM) {
		*out = var->unit != UNIT_NONE ? sign_time(r, var->unit) : scheme_made_up(r);
		return 0;
	}
	if (!sign_is_sent(var->from.list[0].kind)) {
		*out = read.text;
		if (bytes_given(read.text) && !read.ambiguous)
			return 0;
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request to sign lacks %s",
		            scheme_source_says(r, &var->from.list[0]));
	}
	if (var->unit != UNIT_NONE)
		*out = sign_time(r, var->unit);
	else
		*out = bytes_given(read.text) && !read.ambiguous ? read.text : scheme_made_up(r);
	return 0;
}

/* ---- the signature itself ---- */

static const char *sign_digest_name(digest d)
{
	static const char *const names[DIGEST_KINDS] = {"sha1=", "sha256=", "sha384=", "sha512="};

	return names[d];
}

knocker_bytes scheme_encode(scheme_reading *r, encoding how, knocker_bytes bytes)
{
	char *text = arena_get(r->arena, 2 * (size_t)bytes.len + 8);
	size_t len = 0;

	if (!text) {
		r->no_memory = true;
		return bytes_of("");
	}
	if (how == ENCODING_HEX)
		len = codec_hex_write(bytes, text);
	else
		len = codec_base64_write(bytes, how == ENCODING_BASE64URL, text);
	return (knocker_bytes){text, (int64_t)len};
}

static size_t sign_compute(scheme_reading *r, const scheme_try *t, const scheme_key *key, digest d,
                           const knocker_bytes *parts, size_t count, uint8_t *computed)
{
	if (key->pair)
		return crypto_public_sign(key->pair, d, scheme_join(r, parts, count), computed);
	if (t->groups[key->group].kind->id == KIND_HASH)
		return crypto_hash(d, parts, count, computed);
	return key->hmac[d] ? crypto_key_hmac(key->hmac[d], parts, count, computed) : 0;
}

static int32_t sign_digest(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                           knocker_bytes *out, knocker_error *error)
{
	const scheme_alg *alg = &t->groups[key->group].alg;
	knocker_bytes parts[SCHEME_PARTS_MAX], pieces[3], name;
	uint8_t computed[CRYPTO_SIGNATURE_MAX];
	scheme_templates sign;
	size_t len;
	digest d;

	if (!scheme_digest_named(r, alg, &d, &name) || !scheme_signed_choose(r, t, &sign))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request cannot be signed: %s", r->error);
	scheme_url_spell(r);
	if (!scheme_template_fill(r, &sign.list[0], true, key, 0, parts))
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the request cannot be signed: %s",
		            r->error ? r->error : "a text is missing");
	len = sign_compute(r, t, key, d, parts, sign.list[0].count, computed);
	if (len == 0 && key->pair)
		return sign_refuse(error, "its key is a public one, which only verifies");
	if (len == 0)
		return fail_memory(error);
	pieces[0] = alg->how == ALG_AUTO ? bytes_of(sign_digest_name(d)) : bytes_of("");
	pieces[1] = bytes_given(r->scheme->signature.prefix) ? r->scheme->signature.prefix
	                                                     : bytes_of("");
	pieces[2] = scheme_encode(r, r->scheme->signature.encoding,
	                          (knocker_bytes){computed, (int64_t)len});
	*out = scheme_join(r, pieces, 3);
	return 0;
}

static int32_t sign_candidate(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                              knocker_bytes *out, knocker_error *error)
{
	const scheme_secret *secret = &r->keys->secrets[key->secret];
	knocker_bytes text = {secret->bytes, (int64_t)secret->len};

	switch (t->groups[key->group].kind->id) {
	case KIND_HMAC:
	case KIND_HASH:
		return sign_digest(r, t, key, out, error);
	case KIND_TOKEN:
		*out = text;
		return 0;
	case KIND_BASIC:
		*out = scheme_encode(r, ENCODING_BASE64, text);
		return 0;
	case KIND_JWT:
		return scheme_jwt_sign(r, t, key, out, error);
	case KIND_ED25519:
	case KIND_ECDSA_P256:
	case KIND_RSA_PKCS1:
		if (key->pair)
			return sign_digest(r, t, key, out, error);
		break;
	}
	return sign_refuse(error, "its key is a public one, which only verifies");
}

/* ---- the header's value: word, elements of vars, the signature ---- */

/* All separators are written: a sender's own library may want the blank behind the comma. */
static void sign_piece(buffer *b, size_t *count, knocker_bytes items, knocker_bytes piece)
{
	if ((*count)++ > 0)
		buffer_bytes(b, items);
	buffer_bytes(b, piece);
}

static void sign_elements(scheme_reading *r, const scheme_try *t, buffer *b, size_t *count)
{
	const scheme_signature *rules = &r->scheme->signature;
	size_t i;

	for (i = 0; i < r->scheme->var_count; i++) {
		const scheme_source *source = &t->vars[i].from.list[0];

		if (source->kind == SOURCE_SIGITEM)
			sign_piece(b, count, rules->items, r->vars[i]);
		if (source->kind != SOURCE_SIG)
			continue;
		sign_piece(b, count, rules->items, scheme_name_text(r, source->name));
		buffer_bytes(b, rules->kv);
		buffer_bytes(b, r->vars[i]);
	}
}

static void sign_value(scheme_reading *r, const scheme_try *t, const scheme_group *group,
                       knocker_bytes list, knocker_bytes candidate, buffer *b)
{
	const scheme_signature *rules = &r->scheme->signature;
	size_t count = 0;

	if (bytes_given(rules->word)) {
		buffer_bytes(b, rules->word);
		buffer_text(b, " ");
	}
	sign_elements(r, t, b, &count);
	if (bytes_given(list) && t->header_list.from.list[0].kind == SOURCE_SIG) {
		sign_piece(b, &count, rules->items, scheme_name_text(r, t->header_list.from.list[0].name));
		buffer_bytes(b, rules->kv);
		buffer_bytes(b, list);
	}
	if (bytes_given(rules->kv) && group->pick_count > 0) {
		sign_piece(b, &count, rules->items, scheme_name_text(r, group->pick[0]));
		buffer_bytes(b, rules->kv);
		buffer_bytes(b, candidate);
	} else {
		sign_piece(b, &count, rules->items, candidate);
	}
}

static void sign_header(scheme_reading *r, buffer *b, const scheme_source *source)
{
	knocker_bytes name = scheme_header_name(r, source->name);

	buffer_bytes(b, name);
	if (source->kind == SOURCE_HEADERS && name.len > 0 &&
	    ((const char *)name.data)[name.len - 1] == '-')
		buffer_text(b, "1");
	buffer_text(b, ": ");
}

/* Whether the receiver of a header would read this very value: a line's end in it would begin a
 * header that nobody asked for, and blanks around it are not read. */
static bool sign_sendable(knocker_bytes value)
{
	int64_t i;

	for (i = 0; i < value.len; i++) {
		uint8_t c = ((const uint8_t *)value.data)[i];

		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return false;
	}
	return bytes_trim(value).len == value.len;
}

static int32_t sign_unsendable(scheme_reading *r, const scheme_source *source, knocker_error *error)
{
	return fail(error, KNOCKER_INVALID_ARGUMENT,
	            "%s cannot be sent: its text has a blank at an end, or a control character",
	            scheme_source_says(r, source));
}

/* Ends the line whose value begins at `from`. */
static int32_t sign_line_end(scheme_reading *r, buffer *b, const scheme_source *source, size_t from,
                             knocker_error *error)
{
	bool sendable = b->failed || sign_sendable(bytes_part(buffer_view(b), from, b->len));

	buffer_text(b, "\n");
	return sendable ? 0 : sign_unsendable(r, source, error);
}

/* The header in which the digest is named, where that is all that it holds: under the request's own
 * name for it, where it has one. */
static void sign_algorithm(scheme_reading *r, const scheme_alg *alg, buffer *b)
{
	knocker_bytes name;
	digest d;
	size_t i;

	if (alg->how != ALG_BY_SOURCE || alg->has_fallback || bytes_given(alg->pick) ||
	    alg->from.list[0].kind != SOURCE_HEADER || !scheme_digest_named(r, alg, &d, &name))
		return;
	for (i = 0; !bytes_given(name) && i < alg->map_count; i++)
		if (alg->map[i].digest == d)
			name = alg->map[i].name;
	if (!bytes_given(name))
		return;
	sign_header(r, b, &alg->from.list[0]);
	buffer_bytes(b, name);
	buffer_text(b, "\n");
}

/* The header in which other headers are listed. */
static void sign_list(scheme_reading *r, const scheme_try *t, knocker_bytes list, buffer *b)
{
	if (!bytes_given(list) || t->header_list.from.list[0].kind != SOURCE_HEADER)
		return;
	sign_header(r, b, &t->header_list.from.list[0]);
	buffer_bytes(b, list);
	buffer_text(b, "\n");
}

/* ---- the whole ---- */

/* The family of which the request already has a header, else the first. */
static const scheme_try *sign_family(scheme_reading *r)
{
	const scheme *s = r->scheme;
	size_t i, k;

	for (i = 0; i < s->try_count; i++)
		for (k = 0; k < s->var_count; k++)
			if (s->tries[i].vars[k].from.list[0].kind == SOURCE_HEADER &&
			    bytes_given(scheme_source_read(r, &s->tries[i].vars[k].from.list[0]).text))
				return &s->tries[i];
	return s->tries;
}

static int32_t sign_write(scheme_reading *r, const scheme_key *key, buffer *out,
                          knocker_error *error)
{
	const scheme_try *t = r->current = sign_family(r);
	const scheme_source *where = &t->from.list[0];
	knocker_bytes candidate = {0}, list = {0};
	int32_t rc = 0;
	size_t i, from;

	if (where->kind != SOURCE_HEADER && where->kind != SOURCE_HEADERS)
		return sign_refuse(error, "its signature stands elsewhere");
	for (i = 0; rc == 0 && i < r->scheme->var_count; i++)
		rc = sign_var(r, &t->vars[i], &r->vars[i], error);
	if (rc == 0)
		rc = scheme_header_list_make(r, &list, error);
	if (rc == 0)
		rc = sign_candidate(r, t, key, &candidate, error);
	if (rc == 0 && !sign_sendable(candidate))
		rc = sign_unsendable(r, where, error);
	if (rc < 0)
		return rc;
	for (i = 0; rc == 0 && i < r->scheme->var_count; i++) {
		if (t->vars[i].from.list[0].kind != SOURCE_HEADER)
			continue;
		sign_header(r, out, &t->vars[i].from.list[0]);
		from = out->len;
		buffer_bytes(out, r->vars[i]);
		rc = sign_line_end(r, out, &t->vars[i].from.list[0], from, error);
	}
	if (rc < 0)
		return rc;
	sign_algorithm(r, &t->groups[key->group].alg, out);
	sign_list(r, t, list, out);
	sign_header(r, out, where);
	from = out->len;
	sign_value(r, t, &t->groups[key->group], list, candidate, out);
	return sign_line_end(r, out, where, from, error);
}

int32_t scheme_sign(const scheme *s, const scheme_keys *keys, const scheme_request *request,
                    int64_t now_s, buffer *out, knocker_error *error)
{
	arena memory = {0};
	scheme_reading r;
	int32_t rc;

	if (keys->key_count == 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "a secret is missing: nothing can be signed without one");
	if (now_s < 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "the time %lld is before 1970",
		            (long long)now_s);
	scheme_reading_begin(&r, s, keys, request, now_s, &memory);
	rc = sign_write(&r, &keys->keys[0], out, error);
	if (rc == 0 && (r.no_memory || out->failed))
		rc = fail_memory(error);
	arena_free(&memory);
	return rc;
}
