/* Public keys out of an application's secrets: SubjectPublicKeyInfo in PEM or base64, JWK and JWKS.
 * Knows which key a scheme's kind wants, and nothing of requests. No message holds a secret. */
#include <string.h>

#include "error.h"
#include "scheme_jwt.h"

/* Where the keys of a secret go. */
typedef struct {
	const scheme *scheme;
	scheme_keys *keys;
	size_t secret, group;
	knocker_error *error;
} public_place;

static const scheme_group *public_group(const public_place *p)
{
	return &p->scheme->tries[0].groups[p->group];
}

static int32_t public_refuse_private(const public_place *p)
{
	return fail(p->error, KNOCKER_INVALID_ARGUMENT,
	            "secret %zu is a private key: to verify takes the public one, and nobody who only "
	            "receives should hold this",
	            p->secret + 1);
}

/* Whether a key of that sort can be what the scheme verifies with. */
static bool public_fits(const public_place *p, crypto_public_kind kind)
{
	uint32_t algs = p->scheme->tries[0].jwt.algs;

	switch (public_group(p)->kind->id) {
	case KIND_ECDSA_P256:
		return kind == PUBLIC_P256;
	case KIND_RSA_PKCS1:
		return kind == PUBLIC_RSA;
	case KIND_ED25519:
		return kind == PUBLIC_ED25519;
	case KIND_JWT:
		return (kind == PUBLIC_RSA && algs & JWT_BIT(JWT_RS256)) ||
		       (kind == PUBLIC_P256 && algs & JWT_BIT(JWT_ES256));
	case KIND_HMAC:
	case KIND_HASH:
	case KIND_TOKEN:
	case KIND_BASIC:
		break;
	}
	return false;
}

static int32_t public_refuse(const public_place *p)
{
	bool rsa = public_fits(p, PUBLIC_RSA), ec = public_fits(p, PUBLIC_P256);
	const char *wanted = rsa && ec                                   ? "an RSA or P-256"
	                     : rsa                                       ? "an RSA"
	                     : public_group(p)->kind->id == KIND_ED25519 ? "an Ed25519"
	                                                                 : "a P-256";

	return fail(p->error, KNOCKER_INVALID_ARGUMENT,
	            "secret %zu is not a key of this scheme: %s public key %s%s", p->secret + 1, wanted,
	            rsa ? "(1024 bits or more) " : "",
	            public_group(p)->key.decode == DECODE_JWKS ? "as a JWK or JWKS"
	                                                       : "in PEM, or its DER in base64");
}

/* Takes over `pair`. */
static int32_t public_keep(const public_place *p, crypto_public *pair, scheme_key **out)
{
	bool raw = public_group(p)->kind->id == KIND_ED25519;
	scheme_key *key = &p->keys->keys[p->keys->key_count];

	if (p->keys->key_count == SCHEME_KEYS_MAX) {
		crypto_public_free(pair);
		return fail(p->error, KNOCKER_INVALID_ARGUMENT, "more than %d keys", SCHEME_KEYS_MAX);
	}
	p->keys->key_count++;
	*key = (scheme_key){.group = p->group, .secret = p->secret, .pair = pair, .alg = JWT_ALGS};
	*out = key;
	if (!raw)
		return 0;
	key->bytes = memory_get(32);
	if (!key->bytes)
		return fail_memory(p->error);
	key->len = 32;
	return crypto_public_ed25519(pair, key->bytes) ? 0 : public_refuse(p);
}

/* ---- PEM and base64 ---- */

static bool public_label_is_private(knocker_bytes label)
{
	return memmem(label.data, (size_t)label.len, "PRIVATE KEY", 11) != NULL;
}

/* The text without "-----WORDS-----" and white space. `*is_private`: the words said so. */
static size_t public_armour_off(knocker_bytes text, char *out, bool *is_private)
{
	size_t at = 0, len = 0;

	*is_private = false;
	while (at < (size_t)text.len) {
		knocker_bytes rest = bytes_part(text, at, (size_t)text.len);
		const char *s = rest.data, *end;

		end = *s == '-' && bytes_starts(rest, "-----")
		          ? memmem(s + 5, (size_t)rest.len - 5, "-----", 5)
		          : NULL;
		if (end) {
			*is_private |= public_label_is_private(bytes_part(rest, 0, (size_t)(end - s)));
			at += (size_t)(end - s) + 5;
			continue;
		}
		if (*s != ' ' && (*s < '\t' || *s > '\r'))
			out[len++] = *s;
		at++;
	}
	return len;
}

bool scheme_public_is_private(knocker_bytes text)
{
	const char *begin = memmem(text.data, (size_t)text.len, "-----BEGIN ", 11), *end;
	size_t left = begin ? (size_t)((const char *)text.data + text.len - begin) : 0;

	end = begin ? memmem(begin + 11, left - 11, "-----", 5) : NULL;
	return end && public_label_is_private((knocker_bytes){begin, end - begin});
}

static int32_t public_der_add(const public_place *p, knocker_bytes der, bool says_private)
{
	crypto_public *pair;
	scheme_key *key;
	bool is_private = false;
	int32_t made = crypto_public_der(der, false, &pair);

	if (made == 0) {
		made = crypto_public_der(der, true, &pair);
		is_private = made == 1;
	}
	if (made < 0)
		return fail_memory(p->error);
	if ((is_private || says_private) && !p->keys->to_sign) {
		crypto_public_free(pair);
		return public_refuse_private(p);
	}
	if (made == 0 || !public_fits(p, crypto_public_kind_of(pair))) {
		crypto_public_free(pair);
		return public_refuse(p);
	}
	return public_keep(p, pair, &key);
}

static int32_t public_pem_add(const public_place *p, knocker_bytes text)
{
	char *bare = memory_get((size_t)text.len + 1);
	uint8_t *der = memory_get((size_t)text.len + 1);
	bool says_private;
	size_t bare_len, len = 0;
	int32_t rc;

	if (!bare || !der) {
		rc = fail_memory(p->error);
	} else {
		bare_len = public_armour_off(text, bare, &says_private);
		if (!codec_base64_lenient((knocker_bytes){bare, (int64_t)bare_len}, der, &len))
			len = 0;
		rc = public_der_add(p, (knocker_bytes){der, (int64_t)len}, says_private);
	}
	crypto_cleanse(bare, bare ? (size_t)text.len : 0);
	crypto_cleanse(der, der ? (size_t)text.len : 0);
	memory_free(bare);
	memory_free(der);
	return rc;
}

/* ---- certificates ---- */

static const char public_certificate_begin[] = "-----BEGIN CERTIFICATE-----";
static const char public_certificate_end[] = "-----END CERTIFICATE-----";

static bool public_is_certificate(const public_place *p, knocker_bytes text)
{
	kind_id kind = public_group(p)->kind->id;

	return (kind == KIND_RSA_PKCS1 || kind == KIND_ECDSA_P256) &&
	       memmem(text.data, (size_t)text.len, public_certificate_begin,
	              sizeof public_certificate_begin - 1);
}

/* The next certificate's DER; `*text` becomes what is behind it. Absent: there is none, or it is
 * none. */
static knocker_bytes public_certificate_next(knocker_bytes *text, arena *a, bool *no_memory)
{
	const char *begin = memmem(text->data, (size_t)text->len, public_certificate_begin,
	                           sizeof public_certificate_begin - 1);
	size_t from = begin ? (size_t)(begin - (const char *)text->data) : 0, to, len = 0;
	knocker_bytes rest = bytes_part(*text, from, (size_t)text->len);
	const char *end = begin ? memmem(rest.data, (size_t)rest.len, public_certificate_end,
	                                 sizeof public_certificate_end - 1)
	                        : NULL;
	bool is_private;
	uint8_t *der;
	char *bare;

	*text = bytes_of("");
	if (!end)
		return (knocker_bytes){0};
	to = (size_t)(end - (const char *)rest.data) + sizeof public_certificate_end - 1;
	*text = bytes_part(rest, to, (size_t)rest.len);
	bare = arena_get(a, to + 1);
	der = arena_get(a, to + 1);
	*no_memory |= !bare || !der;
	if (!bare || !der)
		return (knocker_bytes){0};
	to = public_armour_off(bytes_part(rest, 0, to), bare, &is_private);
	if (!codec_base64((knocker_bytes){bare, (int64_t)to}, der, &len))
		return (knocker_bytes){0};
	return (knocker_bytes){der, (int64_t)len};
}

static int32_t public_certificate_refuse(const public_place *p, certificate_verdict verdict,
                                         knocker_bytes host)
{
	if (verdict == CERTIFICATE_OTHER_HOST)
		return fail(p->error, KNOCKER_INVALID_ARGUMENT,
		            "secret %zu is a certificate of another host than '%.*s'", p->secret + 1,
		            QUOTED(host));
	return fail(p->error, KNOCKER_INVALID_ARGUMENT, "secret %zu %s", p->secret + 1,
	            verdict == CERTIFICATE_NOT_ISSUED
	                ? "has a certificate that did not issue the one before it"
	                : "has a certificate that cannot be read, or more than 8");
}

/* The sender's certificate, and behind it those that issued it, each the one before. */
static int32_t public_certificates_add(const public_place *p, knocker_bytes text)
{
	size_t count = 0, option = public_group(p)->key.host;
	knocker_bytes ders[CRYPTO_CERTIFICATES_MAX + 1], host = {0};
	crypto_certificate read;
	certificate_verdict verdict;
	bool no_memory = false;
	arena memory = {0};
	scheme_key *key;
	int32_t rc;

	if (option > 0)
		host = scheme_option_text(p->scheme, p->keys, option - 1);
	while (count <= CRYPTO_CERTIFICATES_MAX && public_is_certificate(p, text))
		ders[count++] = public_certificate_next(&text, &memory, &no_memory);
	verdict = crypto_certificate_read(ders, count, host, &read);
	arena_free(&memory);
	if (no_memory)
		return fail_memory(p->error);
	if (verdict != CERTIFICATE_GOOD)
		return public_certificate_refuse(p, verdict, host);
	rc = public_der_add(p, (knocker_bytes){read.key, (int64_t)read.key_len}, false);
	if (rc < 0)
		return rc;
	key = &p->keys->keys[p->keys->key_count - 1];
	key->has_time = true;
	key->from_s = read.from_s;
	key->until_s = read.until_s;
	return 0;
}

/* ---- JWK and JWKS ---- */

/* A JWK's number, decoded into `room`; absent when it is none. Its text is never copied: that of
 * `d` is a secret. */
static knocker_bytes public_number(knocker_bytes jwk, const char *name,
                                   uint8_t room[CRYPTO_SIGNATURE_MAX])
{
	scan_value v = scan_find(jwk, bytes_of(name));
	size_t len = 0;

	if (v.type != SCAN_TEXT || v.raw.len > CRYPTO_SIGNATURE_MAX / 3 * 4)
		return (knocker_bytes){0};
	if (!codec_base64url(bytes_part(v.raw, 1, (size_t)v.raw.len - 1), room, &len) || len == 0)
		return (knocker_bytes){0};
	return (knocker_bytes){room, (int64_t)len};
}

/* 1: a key, 0: none that we know, -1: no memory. */
static int32_t public_jwk_read(knocker_bytes jwk, knocker_bytes type, crypto_public **out)
{
	uint8_t first[CRYPTO_SIGNATURE_MAX], second[CRYPTO_SIGNATURE_MAX], secret[CRYPTO_SIGNATURE_MAX];
	bool rsa = bytes_is(type, "RSA");
	knocker_bytes a = public_number(jwk, rsa ? "n" : "x", first),
				  b = public_number(jwk, rsa ? "e" : "y", second),
				  d = public_number(jwk, "d", secret);
	int32_t made = 0;

	*out = NULL;
	if (rsa && bytes_given(a) && bytes_given(b))
		made = crypto_public_rsa(a, b, d, out);
	else if (!rsa && a.len == 32 && b.len == 32)
		made = crypto_public_p256(first, second, d, out);
	crypto_cleanse(secret, sizeof secret);
	return made;
}

/* JWT_ALGS: the JWK names none. False: one that we do not know. */
static bool public_jwk_alg(knocker_bytes alg, jwt_alg *out)
{
	*out = scheme_jwt_find(alg);
	return !bytes_given(alg) || *out != JWT_ALGS;
}

static int32_t public_jwk_note(const public_place *p, scheme_key *key, jwt_alg alg,
                               knocker_bytes id)
{
	key->alg = alg;
	if (!bytes_given(id) || id.len == 0)
		return 0;
	key->id = memory_get((size_t)id.len);
	if (!key->id)
		return fail_memory(p->error);
	memcpy(key->id, id.data, (size_t)id.len);
	key->id_len = (size_t)id.len;
	return 0;
}

/* One that is for something else adds nothing: a set may hold several. */
static int32_t public_jwk_add(const public_place *p, knocker_bytes jwk, arena *a)
{
	knocker_bytes type = scan_text(scan_find(jwk, bytes_of("kty")), a, LIMIT_ID),
				  curve = scan_text(scan_find(jwk, bytes_of("crv")), a, LIMIT_ID),
				  alg = scan_text(scan_find(jwk, bytes_of("alg")), a, LIMIT_ID),
				  id = scan_text(scan_find(jwk, bytes_of("kid")), a, LIMIT_ID);
	scan_value use = scan_find(jwk, bytes_of("use"));
	crypto_public *pair = NULL;
	scheme_key *key;
	int32_t made = 0;
	jwt_alg only;

	if (type.len < 0 || curve.len < 0 || alg.len < 0 || id.len < 0)
		return fail_memory(p->error);
	if (scan_find(jwk, bytes_of("d")).type != SCAN_ABSENT && !p->keys->to_sign)
		return public_refuse_private(p);
	if ((use.type != SCAN_ABSENT && !bytes_is(use.raw, "\"sig\"")) || !public_jwk_alg(alg, &only))
		return 0;
	if (bytes_is(type, "RSA") || (bytes_is(type, "EC") && bytes_is(curve, "P-256")))
		made = public_jwk_read(jwk, type, &pair);
	if (made < 0)
		return fail_memory(p->error);
	if (made == 0 || !public_fits(p, crypto_public_kind_of(pair))) {
		crypto_public_free(pair);
		return 0;
	}
	made = public_keep(p, pair, &key);
	return made < 0 ? made : public_jwk_note(p, key, only, id);
}

static int32_t public_jwks_add(const public_place *p, knocker_bytes text)
{
	scan_value list = scan_find(text, bytes_of("keys")), jwk;
	size_t before = p->keys->key_count, at = 0;
	arena memory = {0};
	int32_t rc = 0;

	if (list.type == SCAN_ABSENT)
		rc = public_jwk_add(p, text, &memory);
	while (rc == 0 && scan_each(list, &at, &jwk))
		rc = public_jwk_add(p, jwk.raw, &memory);
	arena_free(&memory);
	return rc == 0 && p->keys->key_count == before ? public_refuse(p) : rc;
}

int32_t scheme_public_add(const scheme *s, scheme_keys *keys, size_t secret, size_t group,
                          knocker_bytes text, knocker_error *error)
{
	public_place p = {s, keys, secret, group, error};

	if (scheme_public_is_private(text) && !keys->to_sign)
		return public_refuse_private(&p);
	if (public_group(&p)->key.decode == DECODE_JWKS && !scheme_public_is_private(text))
		return public_jwks_add(&p, text);
	return public_is_certificate(&p, text) ? public_certificates_add(&p, text)
	                                       : public_pem_add(&p, text);
}
