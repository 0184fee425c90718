/* The kinds of signature, one row and one function each. Knows nothing of where a signature stood.
 */
#include <string.h>

#include "scheme_parts.h"

/* Whether one of the candidates that name `d` is `expected`; all are compared. */
static bool check_candidates(const scheme_reading *r, digest d, knocker_bytes expected)
{
	bool matched = false;
	size_t i;

	for (i = 0; i < r->candidate_count; i++)
		if (r->candidates[i].digest == d)
			matched |= crypto_equal(expected, r->candidates[i].bytes);
	return matched;
}

static void check_matched(scheme_reading *r, const scheme_key *key)
{
	if (!r->matched)
		r->matched = key;
}

/* The digests that the candidates name. */
static uint32_t check_digests(const scheme_reading *r)
{
	uint32_t named = 0;
	size_t i;

	for (i = 0; i < r->candidate_count; i++)
		named |= 1u << r->candidates[i].digest;
	return named;
}

/* hmac and hash: one message under one key (NULL: none), with each digest that was named. */
static bool check_message(scheme_reading *r, const scheme_key *key, bool keyed,
                          const knocker_bytes *parts, size_t count)
{
	uint32_t named = check_digests(r);
	uint8_t computed[DIGEST_MAX];
	bool matched = false;
	size_t d, len;

	for (d = 0; d < DIGEST_KINDS; d++) {
		if (!(named >> d & 1))
			continue;
		if (!keyed)
			len = crypto_hash((digest)d, parts, count, computed);
		else
			len = key->hmac[d] ? crypto_key_hmac(key->hmac[d], parts, count, computed) : 0;
		if (len == 0)
			r->no_memory = true;
		else
			matched |= check_candidates(r, (digest)d, (knocker_bytes){computed, (int64_t)len});
	}
	return matched;
}

/* How many spellings the template has. */
static size_t check_attempts(scheme_reading *r, const scheme_template *t)
{
	if (!scheme_template_has(t, PART_URL_TRIES))
		return 1;
	if (r->url_try_count == 0)
		scheme_url_spell(r);
	return r->url_try_count;
}

/* Fills one template in all its spellings and asks of each whether it is signed under `key`. */
static bool check_template(scheme_reading *r, const scheme_key *key, bool keyed,
                           const scheme_template *t)
{
	size_t attempt, attempts = check_attempts(r, t);
	knocker_bytes parts[SCHEME_PARTS_MAX];
	bool matched = false;

	for (attempt = 0; attempt < attempts; attempt++) {
		if (!scheme_template_fill(r, t, true, key, attempt, parts))
			return false;
		matched |= check_message(r, key, keyed, parts, t->count);
	}
	return matched;
}

static bool check_digest(scheme_reading *r, size_t group, scheme_templates sign, bool keyed)
{
	bool matched = false;
	size_t i, k;

	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		if (key->group != group)
			continue;
		for (i = 0; i < sign.count; i++) {
			bool this_one = check_template(r, key, keyed, &sign.list[i]);

			if (this_one)
				check_matched(r, key);
			matched |= this_one;
		}
	}
	return matched;
}

static bool check_hmac(scheme_reading *r, size_t group, scheme_templates sign)
{
	return check_digest(r, group, sign, true);
}

static bool check_hash(scheme_reading *r, size_t group, scheme_templates sign)
{
	return check_digest(r, group, sign, false);
}

static bool check_ed25519(scheme_reading *r, size_t group, scheme_templates sign)
{
	knocker_bytes parts[SCHEME_PARTS_MAX], message;
	bool matched = false;
	size_t i, k, c;

	for (i = 0; i < sign.count; i++) {
		if (!scheme_template_fill(r, &sign.list[i], true, NULL, 0, parts))
			return false;
		message = scheme_join(r, parts, sign.list[i].count);
		for (k = 0; k < r->keys->key_count; k++) {
			const scheme_key *key = &r->keys->keys[k];

			for (c = 0; c < r->candidate_count && key->group == group; c++) {
				int32_t right = crypto_ed25519_verify(key->bytes, message, r->candidates[c].bytes);

				r->no_memory |= right < 0;
				if (right != 1)
					continue;
				check_matched(r, key);
				matched = true;
			}
		}
	}
	return matched;
}

/* Whether the key is one of now: that of a certificate has its time. */
static bool check_time(scheme_reading *r, const scheme_key *key)
{
	if (!key->has_time || (r->now_s >= key->from_s && r->now_s <= key->until_s))
		return true;
	if (r->now_s > key->until_s)
		scheme_refuse(r, REFUSED_STALE, "the certificate expired %lld s ago",
		              (long long)(r->now_s - key->until_s));
	else
		scheme_refuse(r, REFUSED_STALE, "the certificate begins in %lld s only",
		              (long long)(key->from_s - r->now_s));
	return false;
}

/* The candidates under each key of the group, over one message's digest. */
static bool check_pairs(scheme_reading *r, size_t group, digest d, knocker_bytes hash)
{
	bool matched = false;
	size_t k, c;

	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		for (c = 0; c < r->candidate_count && key->group == group; c++) {
			int32_t right = r->candidates[c].digest == d
			                    ? crypto_public_verify(key->pair, d, hash, r->candidates[c].bytes)
			                    : 0;

			r->no_memory |= right < 0;
			if (right != 1 || !check_time(r, key))
				continue;
			check_matched(r, key);
			matched = true;
		}
	}
	return matched;
}

/* ecdsa-p256 and rsa-pkcs1: each message is hashed once for all keys. */
static bool check_public(scheme_reading *r, size_t group, scheme_templates sign)
{
	uint32_t named = check_digests(r);
	knocker_bytes parts[SCHEME_PARTS_MAX];
	uint8_t hash[DIGEST_MAX];
	bool matched = false;
	size_t i, d, attempt, len;

	for (i = 0; i < sign.count; i++) {
		const scheme_template *t = &sign.list[i];
		size_t attempts = check_attempts(r, t);

		for (attempt = 0; attempt < attempts; attempt++) {
			if (!scheme_template_fill(r, t, true, NULL, attempt, parts))
				return false;
			for (d = 0; d < DIGEST_KINDS; d++) {
				if (!(named >> d & 1))
					continue;
				len = crypto_hash((digest)d, parts, t->count, hash);
				r->no_memory |= len == 0;
				matched |= check_pairs(r, group, (digest)d, (knocker_bytes){hash, (int64_t)len});
			}
		}
	}
	return matched;
}

/* Compares hashes, so that neither the time nor an early end tells how long the secret is. */
static bool check_text(scheme_reading *r, size_t group, knocker_bytes text)
{
	uint8_t hash[DIGEST_MAX];
	bool matched = false;
	size_t k;

	if (crypto_hash(DIGEST_SHA256, &text, 1, hash) != 32) {
		r->no_memory = true;
		return false;
	}
	for (k = 0; k < r->keys->key_count; k++) {
		const scheme_key *key = &r->keys->keys[k];

		if (key->group != group)
			continue;
		if (!crypto_equal((knocker_bytes){hash, 32}, (knocker_bytes){key->hash, 32}))
			continue;
		check_matched(r, key);
		matched = true;
	}
	return matched;
}

static bool check_token(scheme_reading *r, size_t group, scheme_templates sign)
{
	bool matched = false;
	size_t i;

	(void)sign;
	for (i = 0; i < r->candidate_count; i++)
		matched |= check_text(r, group, r->candidates[i].bytes);
	return matched;
}

const scheme_kind *scheme_kind_find(knocker_bytes name)
{
	/* The columns: has alg, key, signed, enc. basic is a token whose candidates come in base64; a
	 * jwt is more than a signature, so scheme_jwt.c judges it. */
	static const scheme_kind kinds[] = {
		{"hmac", KIND_HMAC, true, true, true, true, check_hmac},
		{"hash", KIND_HASH, true, false, true, true, check_hash},
		{"ed25519", KIND_ED25519, false, true, true, true, check_ed25519},
		{"token", KIND_TOKEN, false, false, false, false, check_token},
		{"basic", KIND_BASIC, false, false, false, false, check_token},
		{"ecdsa-p256", KIND_ECDSA_P256, true, true, true, true, check_public},
		{"rsa-pkcs1", KIND_RSA_PKCS1, true, true, true, true, check_public},
		{"jwt", KIND_JWT, false, true, false, false, NULL},
	};
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (bytes_is(name, kinds[i].name))
			return &kinds[i];
	return NULL;
}
