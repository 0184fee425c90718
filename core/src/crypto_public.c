/* Keys of pairs by libcrypto: decoding, verifying and signing. Knows nothing of how an application
 * writes a key, nor of schemes or requests. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#include "crypto.h"

#define CRYPTO_KEPT 16      /* decoded public keys */
#define CRYPTO_KEPT_DER 600 /* bytes of the longest that is kept: RSA of 4096 bits */

/* A key of libcrypto's, under our name. */
struct crypto_public {
	EVP_PKEY *pair;
	crypto_public_kind kind;
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

/* libcrypto says no when it runs out of memory on the way, too, and does not always leave an error.
 * So a no is asked for again where this says that there is memory. */
static bool crypto_memory_there(void)
{
	void *probe = OPENSSL_malloc(1024);

	OPENSSL_free(probe);
	return probe != NULL;
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

static crypto_public_kind crypto_kind_of(const EVP_PKEY *pair)
{
	char group[40] = "", form[40] = "";
	size_t len = 0;

	switch (EVP_PKEY_get_base_id(pair)) {
	case EVP_PKEY_RSA:
		return crypto_rsa_usable(pair) ? PUBLIC_RSA : PUBLIC_OTHER;
	case EVP_PKEY_EC:
		EVP_PKEY_get_group_name(pair, group, sizeof group, &len);
		EVP_PKEY_get_utf8_string_param(pair, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form,
		                               sizeof form, &len);
		return strcmp(group, "prime256v1") == 0 && strcmp(form, "hybrid") != 0 ? PUBLIC_P256
		                                                                       : PUBLIC_OTHER;
	case EVP_PKEY_ED25519:
		return PUBLIC_ED25519;
	default:
		return PUBLIC_OTHER;
	}
}

static int32_t crypto_public_wrap(EVP_PKEY *pair, crypto_public_kind kind, bool no_memory,
                                  crypto_public **out)
{
	*out = pair ? memory_get(sizeof **out) : NULL;
	if (*out) {
		**out = (crypto_public){pair, kind};
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

/* The public keys that were decoded last. To decode one costs more than to verify with it, and who
 * verifies without an endpoint gives it with each request. */
static struct {
	uint8_t der[CRYPTO_KEPT_DER];
	size_t len;
	EVP_PKEY *pair;
	crypto_public_kind kind;
} crypto_kept[CRYPTO_KEPT];
static size_t crypto_kept_next;
static pthread_mutex_t crypto_kept_lock = PTHREAD_MUTEX_INITIALIZER;

static EVP_PKEY *crypto_kept_find(knocker_bytes der, crypto_public_kind *kind)
{
	EVP_PKEY *pair = NULL;
	size_t i;

	pthread_mutex_lock(&crypto_kept_lock);
	for (i = 0; i < CRYPTO_KEPT && !pair; i++)
		if (crypto_kept[i].pair && crypto_kept[i].len == (size_t)der.len &&
		    memcmp(crypto_kept[i].der, der.data, (size_t)der.len) == 0) {
			pair = crypto_kept[i].pair;
			*kind = crypto_kept[i].kind;
		}
	if (pair && EVP_PKEY_up_ref(pair) != 1)
		pair = NULL;
	pthread_mutex_unlock(&crypto_kept_lock);
	return pair;
}

static void crypto_keep(knocker_bytes der, EVP_PKEY *pair, crypto_public_kind kind)
{
	EVP_PKEY *old = NULL;

	if (der.len > CRYPTO_KEPT_DER || EVP_PKEY_up_ref(pair) != 1)
		return;
	pthread_mutex_lock(&crypto_kept_lock);
	old = crypto_kept[crypto_kept_next].pair;
	memcpy(crypto_kept[crypto_kept_next].der, der.data, (size_t)der.len);
	crypto_kept[crypto_kept_next].len = (size_t)der.len;
	crypto_kept[crypto_kept_next].pair = pair;
	crypto_kept[crypto_kept_next].kind = kind;
	crypto_kept_next = (crypto_kept_next + 1) % CRYPTO_KEPT;
	pthread_mutex_unlock(&crypto_kept_lock);
	EVP_PKEY_free(old);
}

static EVP_PKEY *crypto_public_decode(knocker_bytes der, bool is_private, crypto_public_kind *kind)
{
	const unsigned char *at = der.data;
	EVP_PKEY *pair = is_private ? d2i_AutoPrivateKey(NULL, &at, (long)der.len)
	                            : d2i_PUBKEY(NULL, &at, (long)der.len);

	if (pair && (at != (const unsigned char *)der.data + der.len ||
	             (!is_private && !crypto_der_canonical(pair, der)))) {
		EVP_PKEY_free(pair);
		pair = NULL;
	}
	*kind = pair ? crypto_kind_of(pair) : PUBLIC_OTHER;
	return pair;
}

int32_t crypto_public_der(knocker_bytes der, bool is_private, crypto_public **out)
{
	bool no_memory = false;
	EVP_PKEY *pair;
	crypto_public_kind kind;

	*out = NULL;
	if (der.len <= 0)
		return 0;
	pair = is_private ? NULL : crypto_kept_find(der, &kind);
	if (pair)
		return crypto_public_wrap(pair, kind, false, out);
	ERR_clear_error();
	pair = crypto_public_decode(der, is_private, &kind);
	if (kind == PUBLIC_OTHER) {
		EVP_PKEY_free(pair);
		no_memory = !crypto_memory_there();
		pair = no_memory ? NULL : crypto_public_decode(der, is_private, &kind);
	}
	if (pair && !is_private)
		crypto_keep(der, pair, kind);
	no_memory |= crypto_errors_end();
	return crypto_public_wrap(pair, kind, no_memory, out);
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
	return crypto_public_wrap(pair, pair ? crypto_kind_of(pair) : PUBLIC_OTHER, crypto_errors_end(),
	                          out);
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
	return crypto_public_wrap(pair, pair ? crypto_kind_of(pair) : PUBLIC_OTHER, crypto_errors_end(),
	                          out);
}

void crypto_public_free(crypto_public *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pair);
	memory_free(key);
}

crypto_public_kind crypto_public_kind_of(const crypto_public *key)
{
	return key->kind;
}

bool crypto_public_ed25519(const crypto_public *key, uint8_t out[32])
{
	size_t len = 32;

	return EVP_PKEY_get_raw_public_key(key->pair, out, &len) == 1 && len == 32;
}

static int32_t crypto_public_once(const crypto_public *key, const EVP_MD *kind, knocker_bytes hash,
                                  knocker_bytes signature)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pair, NULL);
	int32_t right = -1;

	if (context && EVP_PKEY_verify_init(context) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(context, kind) == 1)
		right = EVP_PKEY_verify(context, signature.data, (size_t)signature.len, hash.data,
		                        (size_t)hash.len) == 1;
	EVP_PKEY_CTX_free(context);
	return right;
}

int32_t crypto_public_verify(const crypto_public *key, digest d, knocker_bytes hash,
                             knocker_bytes signature)
{
	const EVP_MD *kind = crypto_digest(d);
	int32_t right;

	ERR_clear_error();
	right = kind ? crypto_public_once(key, kind, hash, signature) : -1;
	if (right == 0)
		right = crypto_memory_there() ? crypto_public_once(key, kind, hash, signature) : -1;
	return crypto_errors_end() && right != 1 ? -1 : right;
}

size_t crypto_public_sign(const crypto_public *key, digest d, knocker_bytes message,
                          uint8_t out[CRYPTO_SIGNATURE_MAX])
{
	bool own = key->kind == PUBLIC_ED25519;
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
