/* The token that a sender would send: the claims that the scheme asks for, signed. Knows nothing of
 * the header that it goes in. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"

#define JWT_LIFE_S 300 /* of a token made here: as long as the usual window */

static jwt_alg jwt_sign_alg(const scheme_jwt *rules, const scheme_key *key)
{
	size_t i = 0;

	if (key->pair)
		return crypto_public_kind_of(key->pair) == PUBLIC_RSA ? JWT_RS256 : JWT_ES256;
	while (!(rules->algs >> i & 1))
		i++;
	return (jwt_alg)i;
}

/* ---- claims ---- */

static const scheme_claim *jwt_sign_rule(const scheme_jwt *rules, size_t slot)
{
	size_t i;

	for (i = 0; i < rules->claim_count; i++)
		if (rules->claims[i].slot == slot)
			return &rules->claims[i];
	return NULL;
}

/* The value that the scheme compares with: a text, but true, false and null stand bare. */
static bool jwt_sign_ruled(scheme_reading *r, const scheme_claim *claim, knocker_bytes *text)
{
	const scheme_template *t = &claim->texts.list[0];
	knocker_bytes parts[SCHEME_PARTS_MAX];
	char *hex;

	if (!scheme_template_fill(r, t, claim->is_hash, NULL, 0, parts))
		return false;
	*text = scheme_join(r, parts, t->count);
	if (!claim->is_hash)
		return bytes_given(*text);
	hex = arena_get(r->arena, 65);
	r->no_memory |= !hex || !bytes_given(*text) || !crypto_sha256_hex(*text, hex);
	*text = r->no_memory ? (knocker_bytes){0} : bytes_of(hex);
	return bytes_given(*text);
}

static const scheme_var *jwt_sign_var(const scheme_reading *r, const scheme_try *t, size_t slot)
{
	size_t i;

	for (i = 0; i < r->scheme->var_count; i++)
		if (t->vars[i].from.list[0].kind == SOURCE_CLAIM && t->vars[i].from.list[0].slot == slot)
			return &t->vars[i];
	return NULL;
}

static bool jwt_sign_required(const scheme_jwt *rules, size_t slot)
{
	size_t i;

	for (i = 0; i < rules->require_count; i++)
		if (rules->require[i] == slot)
			return true;
	return false;
}

static void jwt_sign_text(buffer *b, knocker_bytes text)
{
	if (bytes_is(text, "true") || bytes_is(text, "false"))
		buffer_bytes(b, text);
	else
		buffer_json(b, text);
}

/* Writes the claim's value; false: nobody here knows one. */
static bool jwt_sign_value(scheme_reading *r, const scheme_try *t, size_t slot, buffer *b)
{
	knocker_bytes name = r->scheme->claims[slot].text, text;
	const scheme_claim *claim = jwt_sign_rule(&t->jwt, slot);
	const scheme_var *var = jwt_sign_var(r, t, slot);
	char time[32];

	if (claim) {
		if (!jwt_sign_ruled(r, claim, &text))
			return false;
		jwt_sign_text(b, text);
	} else if (var && var->unit != UNIT_NONE) {
		codec_time_write(var->unit, r->now_s, time);
		if (var->unit == UNIT_S || var->unit == UNIT_MS)
			buffer_text(b, time);
		else
			buffer_json(b, bytes_of(time));
	} else if (bytes_is(name, "exp")) {
		buffer_int(b, r->now_s + JWT_LIFE_S);
	} else if (bytes_is(name, "iat") || bytes_is(name, "nbf")) {
		buffer_int(b, r->now_s);
	} else if (bytes_is(name, "jti") || var) {
		buffer_json(b, scheme_made_up(r));
	} else {
		return false;
	}
	return true;
}

static int32_t jwt_sign_claims(scheme_reading *r, const scheme_try *t, buffer *b,
                               knocker_error *error)
{
	size_t i, count = 0;

	buffer_text(b, "{");
	for (i = 0; i < r->scheme->claim_count; i++) {
		const scheme_claim *claim = jwt_sign_rule(&t->jwt, i);
		knocker_bytes name = r->scheme->claims[i].text;
		bool is_whole = r->scheme->claims[i].is_whole;
		size_t before = b->len;

		if (claim && claim->if_body && r->request->body.len <= 0)
			continue;
		buffer_text(b, count > 0 ? "," : "");
		buffer_json(b, name);
		buffer_text(b, ":");
		if ((is_whole || bytes_find(name, '.') < 0) && jwt_sign_value(r, t, i, b)) {
			count++;
			continue;
		}
		if (claim || jwt_sign_required(&t->jwt, i) || jwt_sign_var(r, t, i))
			return fail(error, KNOCKER_INVALID_ARGUMENT,
			            "the request cannot be signed: nothing says what claim '%.*s' is",
			            QUOTED(name));
		b->len = before;
	}
	buffer_text(b, "}");
	return 0;
}

/* ---- the whole ---- */

static size_t jwt_sign_bytes(const scheme_key *key, jwt_alg alg, knocker_bytes body,
                             uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	digest d = scheme_jwt_digest(alg);
	uint8_t numbers[64];
	size_t len;

	if (!key->pair)
		return crypto_key_hmac(key->hmac[d], &body, 1, out);
	len = crypto_public_sign(key->pair, d, body, out);
	if (alg != JWT_ES256 || len == 0)
		return len;
	if (!crypto_ecdsa_numbers((knocker_bytes){out, (int64_t)len}, numbers))
		return 0;
	memcpy(out, numbers, sizeof numbers);
	return sizeof numbers;
}

static void jwt_sign_header(const scheme_key *key, jwt_alg alg, buffer *b)
{
	buffer_text(b, "{\"alg\":\"");
	buffer_text(b, scheme_jwt_name(alg));
	buffer_text(b, "\",\"typ\":\"JWT\"");
	if (key->id) {
		buffer_text(b, ",\"kid\":");
		buffer_json(b, (knocker_bytes){key->id, (int64_t)key->id_len});
	}
	buffer_text(b, "}");
}

int32_t scheme_jwt_sign(scheme_reading *r, const scheme_try *t, const scheme_key *key,
                        knocker_bytes *out, knocker_error *error)
{
	jwt_alg alg = jwt_sign_alg(&t->jwt, key);
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	knocker_bytes parts[3] = {{0}, bytes_of("."), {0}}, body;
	buffer header, claims;
	size_t len;
	int32_t rc;

	buffer_init(&header, LIMIT_JSON);
	buffer_init(&claims, LIMIT_JSON);
	jwt_sign_header(key, alg, &header);
	rc = jwt_sign_claims(r, t, &claims, error);
	if (rc == 0 && (header.failed || claims.failed))
		rc = fail_memory(error);
	if (rc == 0) {
		parts[0] = scheme_encode(r, ENCODING_BASE64URL, buffer_view(&header));
		parts[2] = scheme_encode(r, ENCODING_BASE64URL, buffer_view(&claims));
		body = parts[0] = scheme_join(r, parts, 3);
		len = bytes_given(body) ? jwt_sign_bytes(key, alg, body, signature) : 0;
		parts[2] = scheme_encode(r, ENCODING_BASE64URL, (knocker_bytes){signature, (int64_t)len});
		*out = bytes_given(body) ? scheme_join(r, parts, 3) : body;
		if (len == 0)
			rc = fail(
				error, KNOCKER_INVALID_ARGUMENT,
				"the request cannot be signed: the secret is a public key, which only verifies");
	}
	buffer_free(&header);
	buffer_free(&claims);
	return rc;
}
