/* JSON web tokens: whether one is signed by a key of the scheme's, and whether its claims are what
 * the scheme wants. Only what is signed is read. Knows nothing of where a token stood. */
#include <string.h>

#include "scheme_jwt.h"

#define JWT_NUMBER_MAX 1000000000000000000LL /* a time beyond it is as good as this one */

const char *scheme_jwt_name(jwt_alg alg)
{
	static const char *const names[JWT_ALGS] = {"HS256", "HS384", "HS512", "RS256", "ES256"};

	return names[alg];
}

jwt_alg scheme_jwt_find(knocker_bytes name)
{
	size_t i = 0;

	while (i < JWT_ALGS && !bytes_is(name, scheme_jwt_name((jwt_alg)i)))
		i++;
	return (jwt_alg)i;
}

digest scheme_jwt_digest(jwt_alg alg)
{
	return alg == JWT_HS384 ? DIGEST_SHA384 : alg == JWT_HS512 ? DIGEST_SHA512 : DIGEST_SHA256;
}

/* ---- the token's three pieces ---- */

typedef struct {
	knocker_bytes body;   /* header.claims, as it is signed */
	knocker_bytes claims; /* still in base64url */
	knocker_bytes signature;
	jwt_alg alg;
	bool has_id;
	knocker_bytes id; /* the header's kid; absent with has_id: one that no key can have */
} jwt_token;

static bool jwt_decode(scheme_reading *r, knocker_bytes text, knocker_bytes *out)
{
	uint8_t *bytes = arena_get(r->arena, (size_t)text.len + 1);
	size_t len = 0;

	r->no_memory |= !bytes;
	if (!bytes || !codec_base64url(text, bytes, &len))
		return false;
	*out = (knocker_bytes){bytes, (int64_t)len};
	return true;
}

static bool jwt_cut(knocker_bytes text, knocker_bytes *header, jwt_token *t)
{
	int64_t first = bytes_find(text, '.'), second;
	knocker_bytes rest;

	if (first < 0)
		return false;
	rest = bytes_part(text, (size_t)first + 1, (size_t)text.len);
	second = bytes_find(rest, '.');
	if (second < 0)
		return false;
	*header = bytes_part(text, 0, (size_t)first);
	t->claims = bytes_part(rest, 0, (size_t)second);
	t->body = bytes_part(text, 0, (size_t)(first + 1 + second));
	t->signature = bytes_part(rest, (size_t)second + 1, (size_t)rest.len);
	return true;
}

static bool jwt_malformed(scheme_reading *r, const char *why)
{
	scheme_refuse(r, REFUSED_MALFORMED, "the token %s", why);
	return false;
}

/* Its algorithm must be one of the scheme's: what the token says decides nothing else. */
static bool jwt_header_read(scheme_reading *r, knocker_bytes header, jwt_token *t)
{
	static const knocker_bytes steps[3] = {{"alg", 3}, {"crit", 4}, {"kid", 3}};
	static const scan_path paths[4] = {{1, &steps[0]}, {1, &steps[1]}, {1, &steps[2]}, {0, NULL}};
	uint32_t algs = r->current->jwt.algs;
	scan_value v[4];
	knocker_bytes name;

	if (!scan_all(header, paths, 4, v) || v[3].type != SCAN_OBJECT)
		return jwt_malformed(r, "has no header that is a JSON object");
	if (v[1].type != SCAN_ABSENT)
		return jwt_malformed(r, "has a header 'crit', whose demands nobody here knows");
	name = v[0].type == SCAN_TEXT ? scan_text(v[0], r->arena, LIMIT_ID) : (knocker_bytes){0};
	t->alg = scheme_jwt_find(name);
	if (t->alg == JWT_ALGS || !(algs & JWT_BIT(t->alg))) {
		scheme_refuse(r, REFUSED_MALFORMED, "the token's algorithm '%s' is not one of the scheme's",
		              bytes_given(name) ? scheme_shown(r, name) : "");
		return false;
	}
	t->has_id = v[2].type != SCAN_ABSENT && v[2].type != SCAN_NULL;
	t->id = scan_text(v[2], r->arena, LIMIT_ID);
	r->no_memory |= name.len < 0 || t->id.len < 0;
	return true;
}

/* ---- its signature ---- */

static bool jwt_key_fits(const scheme_key *key, const jwt_token *t)
{
	knocker_bytes id = {key->id, (int64_t)key->id_len};

	if ((JWT_BIT(t->alg) & JWT_HS) != 0)
		return key->hmac[scheme_jwt_digest(t->alg)] != NULL;
	if (!key->pair ||
	    crypto_public_kind_of(key->pair) != (t->alg == JWT_RS256 ? PUBLIC_RSA : PUBLIC_P256))
		return false;
	if (key->alg != JWT_ALGS && key->alg != t->alg)
		return false;
	return !bytes_given(id) || !t->has_id || bytes_equal(id, t->id);
}

static bool jwt_hmac_right(scheme_reading *r, const scheme_key *key, const jwt_token *t,
                           knocker_bytes signature)
{
	uint8_t mac[DIGEST_MAX];
	size_t len = crypto_key_hmac(key->hmac[scheme_jwt_digest(t->alg)], &t->body, 1, mac);

	r->no_memory |= len == 0;
	return len > 0 && crypto_equal((knocker_bytes){mac, (int64_t)len}, signature);
}

static bool jwt_pair_right(scheme_reading *r, const scheme_key *key, const jwt_token *t,
                           knocker_bytes signature)
{
	uint8_t hash[DIGEST_MAX], der[72];
	int32_t right;

	if (t->alg == JWT_ES256) {
		if (signature.len != 64)
			return false;
		signature = (knocker_bytes){der, (int64_t)crypto_ecdsa_der(signature.data, der)};
		r->no_memory |= signature.len == 0;
	}
	if (crypto_hash(DIGEST_SHA256, &t->body, 1, hash) != 32) {
		r->no_memory = true;
		return false;
	}
	right = crypto_public_verify(key->pair, DIGEST_SHA256, (knocker_bytes){hash, 32}, signature);
	r->no_memory |= right < 0;
	return right == 1;
}

static bool jwt_key_right(scheme_reading *r, size_t group, const jwt_token *t,
                          knocker_bytes signature)
{
	bool fits = false, matched = false;
	size_t k;

	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		if (key->group != group || !jwt_key_fits(key, t))
			continue;
		fits = true;
		if (!(key->pair ? jwt_pair_right(r, key, t, signature)
		                : jwt_hmac_right(r, key, t, signature)))
			continue;
		if (!r->matched)
			r->matched = key;
		matched = true;
	}
	if (!fits)
		scheme_refuse(r, REFUSED_MISMATCH, "no key is of the token's sort and name");
	else if (!matched)
		scheme_refuse(r, REFUSED_MISMATCH, "signature does not match");
	return matched;
}

bool scheme_jwt_signed(scheme_reading *r, size_t group, knocker_bytes token)
{
	knocker_bytes header, signature, claims;
	jwt_token t = {0};

	scheme_token_enter(r, (knocker_bytes){0});
	if (!jwt_cut(token, &header, &t))
		return jwt_malformed(r, "is not three texts between dots");
	if (!jwt_decode(r, header, &header) || !jwt_decode(r, t.signature, &signature))
		return jwt_malformed(r, "is not in base64url");
	if (!jwt_header_read(r, header, &t) || !jwt_key_right(r, group, &t, signature))
		return false;
	if (!jwt_decode(r, t.claims, &claims))
		return jwt_malformed(r, "is not in base64url");
	if (scan_find(claims, bytes_of("")).type != SCAN_OBJECT) {
		scheme_refuse(r, REFUSED_CLAIM, "the token's claims are no JSON object");
		return false;
	}
	scheme_token_enter(r, claims);
	return true;
}

/* ---- its claims ---- */

/* How many of the number's digits stand before the point, once its exponent is done. */
static int64_t jwt_point(knocker_bytes text)
{
	const char *s = text.data;
	int64_t i = 0, point = 0, exponent = 0;
	bool minus;

	for (; i < text.len && s[i] != '.' && s[i] != 'e' && s[i] != 'E'; i++)
		point += s[i] != '-';
	while (i < text.len && s[i] != 'e' && s[i] != 'E')
		i++;
	minus = i + 1 < text.len && s[i + 1] == '-';
	for (; i < text.len; i++)
		if (s[i] >= '0' && s[i] <= '9' && exponent < JWT_NUMBER_MAX / 100)
			exponent = exponent * 10 + (s[i] - '0');
	return minus ? point - exponent : point + exponent;
}

/* A JSON number, floored; what is over JWT_NUMBER_MAX is that. */
static int64_t jwt_floor(knocker_bytes text)
{
	const char *s = text.data;
	int64_t point = jwt_point(text), seen = 0, whole = 0, i;
	bool minus = s[0] == '-', part = false;

	for (i = 0; i < text.len && s[i] != 'e' && s[i] != 'E'; i++) {
		if (s[i] < '0' || s[i] > '9')
			continue;
		if (seen++ >= point)
			part |= s[i] != '0';
		else if (whole < JWT_NUMBER_MAX)
			whole = whole * 10 + (s[i] - '0');
	}
	for (; seen < point && whole > 0 && whole < JWT_NUMBER_MAX; seen++)
		whole *= 10;
	whole = whole < JWT_NUMBER_MAX ? whole : JWT_NUMBER_MAX;
	return minus ? -whole - (part ? 1 : 0) : whole;
}

static bool jwt_claim_refuse(scheme_reading *r, size_t slot, const char *why)
{
	scheme_refuse(r, REFUSED_CLAIM, "claim '%s' %s", scheme_shown(r, r->scheme->claims[slot].text),
	              why);
	return false;
}

static bool jwt_time_read(scheme_reading *r, size_t slot, bool *given, int64_t *time_s)
{
	scan_value v = r->claims[slot];

	*given = v.type != SCAN_ABSENT;
	if (v.type != SCAN_ABSENT && v.type != SCAN_NUMBER)
		return jwt_claim_refuse(r, slot, "is not a number of seconds");
	*time_s = *given ? jwt_floor(v.raw) : 0;
	return true;
}

static bool jwt_times_good(scheme_reading *r, const scheme_jwt *rules)
{
	int64_t exp, nbf, leeway_s = rules->leeway_s;
	bool has_exp, has_nbf;

	if (!jwt_time_read(r, rules->exp, &has_exp, &exp) ||
	    !jwt_time_read(r, rules->nbf, &has_nbf, &nbf))
		return false;
	if (has_exp && r->now_s >= exp + leeway_s)
		scheme_refuse(r, REFUSED_STALE, "the token expired %lld s ago",
		              (long long)(r->now_s - exp));
	else if (has_nbf && nbf > r->now_s + leeway_s)
		scheme_refuse(r, REFUSED_STALE, "the token is not valid for another %lld s",
		              (long long)(nbf - r->now_s));
	else
		return true;
	return false;
}

/* What the claim must be, for each of its templates. Of a hash absent texts are empty, as in what
 * is signed: the hash of an empty body is known, too. */
static bool jwt_wanted(scheme_reading *r, const scheme_claim *claim, size_t n, knocker_bytes *out)
{
	const scheme_template *t = &claim->texts.list[n];
	knocker_bytes parts[SCHEME_PARTS_MAX];
	uint8_t hash[DIGEST_MAX];
	char *hex;

	if (!scheme_template_fill(r, t, claim->is_hash, NULL, 0, parts))
		return false;
	if (!claim->is_hash) {
		*out = scheme_join(r, parts, t->count);
		return bytes_given(*out);
	}
	hex = arena_get(r->arena, 65);
	if (!hex || crypto_hash(DIGEST_SHA256, parts, t->count, hash) != 32) {
		r->no_memory = true;
		return false;
	}
	*out = (knocker_bytes){hex, (int64_t)codec_hex_write((knocker_bytes){hash, 32}, hex)};
	return true;
}

static bool jwt_value_is(scheme_reading *r, const scheme_claim *claim, scan_value v,
                         knocker_bytes wanted)
{
	knocker_bytes text = scan_text(v, r->arena, (size_t)v.raw.len);

	r->no_memory |= text.len < 0;
	return claim->is_hash ? bytes_given(text) && bytes_equal_nocase(text, wanted)
	                      : bytes_equal(text, wanted);
}

static bool jwt_claim_good(scheme_reading *r, const scheme_claim *claim)
{
	scan_value v = r->claims[claim->slot], element;
	knocker_bytes wanted;
	bool good = false;
	size_t i, at;

	if (claim->if_body && r->request->body.len <= 0 &&
	    (v.type == SCAN_ABSENT || v.type == SCAN_NULL))
		return true;
	if (v.type == SCAN_ABSENT)
		return jwt_claim_refuse(r, claim->slot, "is missing");
	for (i = 0; i < claim->texts.count; i++) {
		if (!jwt_wanted(r, claim, i, &wanted))
			continue;
		good |= jwt_value_is(r, claim, v, wanted);
		for (at = 0; v.type == SCAN_ARRAY && scan_each(v, &at, &element);)
			good |= jwt_value_is(r, claim, element, wanted);
	}
	return good || jwt_claim_refuse(r, claim->slot, "is not what it must be");
}

bool scheme_jwt_claims_good(scheme_reading *r, const scheme_jwt *rules)
{
	size_t i;

	for (i = 0; i < rules->require_count; i++) {
		scan_value v = r->claims[rules->require[i]];

		if (v.type == SCAN_ABSENT || v.type == SCAN_NULL)
			return jwt_claim_refuse(r, rules->require[i], "is missing");
	}
	for (i = 0; i < rules->claim_count; i++)
		if (!jwt_claim_good(r, &rules->claims[i]))
			return false;
	return jwt_times_good(r, rules);
}
