/* Hashes, MACs and signatures by libcrypto; the only file that includes it. Knows nothing of
 * schemes or requests. */
#include "crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <string.h>

#define CRYPTO_BLOCK_MAX 128 /* bytes of SHA-512's block, the longest */

/* A digest by name is looked up in every call unless it is fetched once: that look-up costs as much
 * as 1 KB of SHA-256. One that could not be fetched is tried again by the next caller. */
static const EVP_MD *crypto_digest(digest d)
{
	static const char *const names[DIGEST_KINDS] = {"SHA1", "SHA256", "SHA384", "SHA512"};
	static _Atomic(EVP_MD *) digests[DIGEST_KINDS];
	EVP_MD *known = atomic_load_explicit(&digests[d], memory_order_acquire), *fetched;

	if (known)
		return known;
	fetched = EVP_MD_fetch(NULL, names[d], NULL);
	if (!fetched || atomic_compare_exchange_strong(&digests[d], &known, fetched))
		return fetched;
	EVP_MD_free(fetched);
	return known;
}

static bool crypto_update(EVP_MD_CTX *context, const knocker_bytes *parts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (parts[i].len > 0 && !EVP_DigestUpdate(context, parts[i].data, (size_t)parts[i].len))
			return false;
	return true;
}

size_t crypto_hash(digest d, const knocker_bytes *parts, size_t count, uint8_t out[DIGEST_MAX])
{
	const EVP_MD *kind = crypto_digest(d);
	EVP_MD_CTX *context = kind ? EVP_MD_CTX_new() : NULL;
	unsigned int len = 0;

	if (!context || !EVP_DigestInit_ex(context, kind, NULL) ||
	    !crypto_update(context, parts, count) || !EVP_DigestFinal_ex(context, out, &len))
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

/* ---- HMAC, as RFC 2104 has it: the two keyed states are kept, and copied for each message ---- */

struct crypto_key {
	EVP_MD_CTX *inner, *outer;
};

static EVP_MD_CTX *crypto_keyed(const EVP_MD *kind, const uint8_t *key, size_t block, uint8_t pad)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t padded[CRYPTO_BLOCK_MAX];
	size_t i;

	for (i = 0; i < block; i++)
		padded[i] = key[i] ^ pad;
	if (context &&
	    (!EVP_DigestInit_ex(context, kind, NULL) || !EVP_DigestUpdate(context, padded, block))) {
		EVP_MD_CTX_free(context);
		context = NULL;
	}
	OPENSSL_cleanse(padded, sizeof padded);
	return context;
}

crypto_key *crypto_key_new(digest d, knocker_bytes key)
{
	const EVP_MD *kind = crypto_digest(d);
	crypto_key *made = kind ? memory_get(sizeof *made) : NULL;
	uint8_t block[CRYPTO_BLOCK_MAX] = {0};
	size_t size;

	if (!made)
		return NULL;
	*made = (crypto_key){0};
	size = (size_t)EVP_MD_get_block_size(kind);
	if (key.len > (int64_t)size)
		size = crypto_hash(d, &key, 1, block) ? size : 0;
	else if (key.len > 0)
		memcpy(block, key.data, (size_t)key.len);
	if (size > 0) {
		made->inner = crypto_keyed(kind, block, size, 0x36);
		made->outer = crypto_keyed(kind, block, size, 0x5c);
	}
	OPENSSL_cleanse(block, sizeof block);
	if (made->inner && made->outer)
		return made;
	crypto_key_free(made);
	return NULL;
}

void crypto_key_free(crypto_key *key)
{
	if (!key)
		return;
	EVP_MD_CTX_free(key->inner);
	EVP_MD_CTX_free(key->outer);
	memory_free(key);
}

size_t crypto_key_hmac(const crypto_key *key, const knocker_bytes *parts, size_t count,
                       uint8_t out[DIGEST_MAX])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned int len = 0;

	if (!context || !EVP_MD_CTX_copy_ex(context, key->inner) ||
	    !crypto_update(context, parts, count) || !EVP_DigestFinal_ex(context, out, &len) ||
	    !EVP_MD_CTX_copy_ex(context, key->outer) || !EVP_DigestUpdate(context, out, len) ||
	    !EVP_DigestFinal_ex(context, out, &len))
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

size_t crypto_hmac(digest d, knocker_bytes key, const knocker_bytes *parts, size_t count,
                   uint8_t out[DIGEST_MAX])
{
	crypto_key *made = crypto_key_new(d, key);
	size_t len = made ? crypto_key_hmac(made, parts, count, out) : 0;

	crypto_key_free(made);
	return len;
}

/* ---- public keys ---- */

/* A key of libcrypto's, under our name. */
struct crypto_public {
	EVP_PKEY *pair;
};

/* Leaves nothing in the queue of libcrypto, which is the application's too. True: it had no memory.
 */
static bool crypto_errors_end(void)
{
	unsigned long code = ERR_peek_last_error();
	bool none = code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;

	ERR_clear_error();
	return none;
}

static int32_t crypto_public_wrap(EVP_PKEY *pair, bool no_memory, crypto_public **out)
{
	*out = pair ? memory_get(sizeof **out) : NULL;
	if (*out) {
		(*out)->pair = pair;
		return 1;
	}
	EVP_PKEY_free(pair);
	return pair || no_memory ? -1 : 0;
}

/* libcrypto passes over bytes that mean nothing, as a NULL of another type; a key has one DER. */
static bool crypto_der_canonical(const EVP_PKEY *pair, knocker_bytes der)
{
	unsigned char *written = NULL;
	int len = i2d_PUBKEY(pair, &written);
	bool same = len == der.len && memcmp(written, der.data, (size_t)len) == 0;

	OPENSSL_free(written);
	return same;
}

int32_t crypto_public_der(knocker_bytes der, bool is_private, crypto_public **out)
{
	const unsigned char *at = der.data;
	EVP_PKEY *pair;

	*out = NULL;
	if (der.len <= 0)
		return 0;
	ERR_clear_error();
	pair = is_private ? d2i_AutoPrivateKey(NULL, &at, (long)der.len)
	                  : d2i_PUBKEY(NULL, &at, (long)der.len);
	if (pair && (at != (const unsigned char *)der.data + der.len ||
	             (!is_private && !crypto_der_canonical(pair, der)))) {
		EVP_PKEY_free(pair);
		pair = NULL;
	}
	return crypto_public_wrap(pair, crypto_errors_end(), out);
}

static EVP_PKEY *crypto_public_build(const char *type, OSSL_PARAM_BLD *build, bool is_private)
{
	int selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pair = NULL;

	if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &pair, selection, parameters) != 1) {
		EVP_PKEY_free(pair);
		pair = NULL;
	}
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return pair;
}

/* Absent and empty numbers are NULL, and so is one that libcrypto had no memory for. */
static BIGNUM *crypto_number(knocker_bytes b)
{
	return b.len > 0 && b.len <= CRYPTO_SIGNATURE_MAX ? BN_bin2bn(b.data, (int)b.len, NULL) : NULL;
}

int32_t crypto_public_rsa(knocker_bytes n, knocker_bytes e, knocker_bytes d, crypto_public **out)
{
	OSSL_PARAM_BLD *build;
	BIGNUM *modulus, *exponent, *secret;
	EVP_PKEY *pair = NULL;

	ERR_clear_error();
	build = OSSL_PARAM_BLD_new();
	modulus = crypto_number(n);
	exponent = crypto_number(e);
	secret = crypto_number(d);
	if (build && modulus && exponent && OSSL_PARAM_BLD_push_BN(build, "n", modulus) &&
	    OSSL_PARAM_BLD_push_BN(build, "e", exponent) &&
	    (!secret || OSSL_PARAM_BLD_push_BN(build, "d", secret)))
		pair = crypto_public_build("RSA", build, secret != NULL);
	OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	BN_clear_free(secret);
	return crypto_public_wrap(pair, crypto_errors_end(), out);
}

int32_t crypto_public_p256(const uint8_t x[32], const uint8_t y[32], knocker_bytes d,
                           crypto_public **out)
{
	uint8_t point[65] = {4};
	OSSL_PARAM_BLD *build;
	BIGNUM *secret;
	EVP_PKEY *pair = NULL;

	memcpy(point + 1, x, 32);
	memcpy(point + 33, y, 32);
	ERR_clear_error();
	build = OSSL_PARAM_BLD_new();
	secret = crypto_number(d);
	if (build && OSSL_PARAM_BLD_push_utf8_string(build, "group", "prime256v1", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, "pub", point, sizeof point) &&
	    (!secret || OSSL_PARAM_BLD_push_BN(build, "priv", secret)))
		pair = crypto_public_build("EC", build, secret != NULL);
	OSSL_PARAM_BLD_free(build);
	BN_clear_free(secret);
	return crypto_public_wrap(pair, crypto_errors_end(), out);
}

void crypto_public_free(crypto_public *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pair);
	memory_free(key);
}

/* An exponent of 1 signs everything by itself. */
static bool crypto_rsa_usable(const EVP_PKEY *pair)
{
	int bits = EVP_PKEY_get_bits(pair);
	BIGNUM *e = NULL;
	bool usable = bits >= CRYPTO_RSA_BITS_MIN && bits <= 8 * CRYPTO_SIGNATURE_MAX &&
	              EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
	              !BN_is_one(e);

	BN_free(e);
	return usable;
}

crypto_public_kind crypto_public_kind_of(const crypto_public *key)
{
	char group[40] = "", form[40] = "";
	size_t len = 0;

	switch (EVP_PKEY_get_base_id(key->pair)) {
	case EVP_PKEY_RSA:
		return crypto_rsa_usable(key->pair) ? PUBLIC_RSA : PUBLIC_OTHER;
	case EVP_PKEY_EC:
		EVP_PKEY_get_group_name(key->pair, group, sizeof group, &len);
		EVP_PKEY_get_utf8_string_param(key->pair, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form,
		                               sizeof form, &len);
		return strcmp(group, "prime256v1") == 0 && strcmp(form, "hybrid") != 0 ? PUBLIC_P256
		                                                                       : PUBLIC_OTHER;
	case EVP_PKEY_ED25519:
		return PUBLIC_ED25519;
	default:
		return PUBLIC_OTHER;
	}
}

bool crypto_public_ed25519(const crypto_public *key, uint8_t out[32])
{
	size_t len = 32;

	return EVP_PKEY_get_raw_public_key(key->pair, out, &len) == 1 && len == 32;
}

int32_t crypto_public_verify(const crypto_public *key, digest d, knocker_bytes hash,
                             knocker_bytes signature)
{
	const EVP_MD *kind = crypto_digest(d);
	EVP_PKEY_CTX *context;
	int32_t right = -1;

	ERR_clear_error();
	context = kind ? EVP_PKEY_CTX_new_from_pkey(NULL, key->pair, NULL) : NULL;
	if (context && EVP_PKEY_verify_init(context) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(context, kind) == 1)
		right = EVP_PKEY_verify(context, signature.data, (size_t)signature.len, hash.data,
		                        (size_t)hash.len) == 1;
	EVP_PKEY_CTX_free(context);
	return crypto_errors_end() && right != 1 ? -1 : right;
}

size_t crypto_public_sign(const crypto_public *key, digest d, knocker_bytes message,
                          uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	bool own = EVP_PKEY_get_base_id(key->pair) == EVP_PKEY_ED25519;
	const EVP_MD *kind = own ? NULL : crypto_digest(d);
	const void *text = message.len > 0 ? message.data : (const void *)"";
	size_t len = CRYPTO_SIGNATURE_MAX;
	EVP_MD_CTX *context;

	ERR_clear_error();
	context = EVP_MD_CTX_new();
	if (!context || EVP_DigestSignInit(context, NULL, kind, NULL, key->pair) != 1 ||
	    EVP_DigestSign(context, out, &len, text, (size_t)message.len) != 1)
		len = 0;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return len;
}

size_t crypto_ecdsa_der(const uint8_t numbers[64], uint8_t out[72])
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(numbers, 32, NULL), *s = BN_bin2bn(numbers + 32, 32, NULL);
	int len = 0;

	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		len = i2d_ECDSA_SIG(pair, &out);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return len > 0 ? (size_t)len : 0;
}

bool crypto_ecdsa_numbers(knocker_bytes der, uint8_t out[64])
{
	const unsigned char *at = der.data;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32) == 32 &&
	            BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32) == 32;

	ECDSA_SIG_free(pair);
	return good;
}

/* ---- the rest ---- */

static int32_t crypto_ed25519_once(const uint8_t public_key[32], knocker_bytes message,
                                   const void *signature)
{
	const void *text = message.len > 0 ? message.data : (const void *)"";
	EVP_PKEY *key;
	EVP_MD_CTX *context;
	int32_t right = -1;

	ERR_clear_error();
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	context = EVP_MD_CTX_new();
	if (key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1)
		right = EVP_DigestVerify(context, signature, 64, text, (size_t)message.len) == 1;
	if (right == 0 && ERR_peek_error() != 0)
		right = -1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return right;
}

/* libcrypto calls a signature wrong when it runs out of memory on the way, too, and does not always
 * leave an error. So a wrong one is looked at again, once memory for its digest is there. */
int32_t crypto_ed25519_verify(const uint8_t public_key[32], knocker_bytes message,
                              knocker_bytes signature)
{
	uint8_t hash[DIGEST_MAX];
	int32_t right;

	if (signature.len != 64)
		return 0;
	right = crypto_ed25519_once(public_key, message, signature.data);
	if (right != 0)
		return right;
	if (crypto_hash(DIGEST_SHA512, &message, 1, hash) == 0)
		return -1;
	return crypto_ed25519_once(public_key, message, signature.data);
}

bool crypto_equal(knocker_bytes a, knocker_bytes b)
{
	if (!a.data || !b.data || a.len != b.len)
		return false;
	return CRYPTO_memcmp(a.data, b.data, (size_t)a.len) == 0;
}

void crypto_cleanse(void *memory, size_t size)
{
	if (memory)
		OPENSSL_cleanse(memory, size);
}

bool crypto_sha256_hex(knocker_bytes b, char out[65])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[DIGEST_MAX];
	size_t i, len = crypto_hash(DIGEST_SHA256, &b, 1, hash);

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[2 * len] = '\0';
	return len > 0;
}
