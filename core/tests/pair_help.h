/* Pairs of keys for tests, made, written and signed with by libcrypto itself: what the engine says
 * of them has another's word beside it. Nothing here is the engine's. */
#ifndef KNOCKER_PAIR_HELP_H
#define KNOCKER_PAIR_HELP_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define PAIR_TEXT 4000

static inline EVP_PKEY *pair_rsa(void)
{
	return EVP_RSA_gen(2048);
}

static inline EVP_PKEY *pair_ec(void)
{
	return EVP_EC_gen("P-256");
}

/* The key in PEM; `is_private`: its PKCS #8. */
static inline void pair_pem(EVP_PKEY *pair, int is_private, char out[PAIR_TEXT])
{
	BIO *memory = BIO_new(BIO_s_mem());
	int len;

	if (is_private)
		PEM_write_bio_PKCS8PrivateKey(memory, pair, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(memory, pair);
	len = BIO_read(memory, out, PAIR_TEXT - 1);
	out[len > 0 ? len : 0] = '\0';
	BIO_free(memory);
}

static inline void pair_base64url(const unsigned char *bytes, size_t len, char *out)
{
	int n = EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);

	while (n > 0 && out[n - 1] == '=')
		n--;
	out[n] = '\0';
	for (; *out; out++)
		*out = *out == '+' ? '-' : *out == '/' ? '_' : *out;
}

static inline void pair_number(EVP_PKEY *pair, const char *name, char *out)
{
	unsigned char bytes[600];
	BIGNUM *number = NULL;
	int width;

	EVP_PKEY_get_bn_param(pair, name, &number);
	width = EVP_PKEY_get_base_id(pair) == EVP_PKEY_EC ? 32 : BN_num_bytes(number);
	BN_bn2binpad(number, bytes, width);
	pair_base64url(bytes, (size_t)width, out);
	BN_clear_free(number);
}

/* `more` stands before the key's own members: "\"kid\":\"a\",". */
static inline void pair_jwk(EVP_PKEY *pair, int is_private, const char *more, char out[PAIR_TEXT])
{
	char a[800], b[800], d[800] = "";
	int ec = EVP_PKEY_get_base_id(pair) == EVP_PKEY_EC;

	pair_number(pair, ec ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_N, a);
	pair_number(pair, ec ? OSSL_PKEY_PARAM_EC_PUB_Y : OSSL_PKEY_PARAM_RSA_E, b);
	if (is_private)
		pair_number(pair, ec ? OSSL_PKEY_PARAM_PRIV_KEY : OSSL_PKEY_PARAM_RSA_D, d);
	snprintf(out, PAIR_TEXT, "{%s\"kty\":\"%s\",\"%s\":\"%s\",\"%s\":\"%s\"%s%s%s}", more,
	         ec ? "EC\",\"crv\":\"P-256" : "RSA", ec ? "x" : "n", a, ec ? "y" : "e", b,
	         is_private ? ",\"d\":\"" : "", d, is_private ? "\"" : "");
}

/* The signature's length, or 0. ECDSA's is DER. `md` is NULL for Ed25519. */
static inline size_t pair_sign(EVP_PKEY *pair, const EVP_MD *md, const void *text, size_t text_len,
                               unsigned char out[600])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = 600;

	if (EVP_DigestSignInit(context, NULL, md, NULL, pair) != 1 ||
	    EVP_DigestSign(context, out, &len, text, text_len) != 1)
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

/* A token under the pair, or, when that is NULL, under the secret "secret" by HMAC with `md`. */
static inline void token_make(EVP_PKEY *pair, const EVP_MD *md, const char *header,
                              const char *claims, char out[PAIR_TEXT])
{
	unsigned char signature[600], numbers[64];
	unsigned int mac_len = 0;
	size_t len, at;

	pair_base64url((const unsigned char *)header, strlen(header), out);
	at = strlen(out);
	out[at++] = '.';
	pair_base64url((const unsigned char *)claims, strlen(claims), out + at);
	at = strlen(out);
	if (pair) {
		len = pair_sign(pair, md, out, at, signature);
	} else {
		HMAC(md, "secret", 6, (const unsigned char *)out, at, signature, &mac_len);
		len = mac_len;
	}
	if (pair && EVP_PKEY_get_base_id(pair) == EVP_PKEY_EC) {
		const unsigned char *der = signature;
		ECDSA_SIG *two = d2i_ECDSA_SIG(NULL, &der, (long)len);

		BN_bn2binpad(ECDSA_SIG_get0_r(two), numbers, 32);
		BN_bn2binpad(ECDSA_SIG_get0_s(two), numbers + 32, 32);
		ECDSA_SIG_free(two);
		memcpy(signature, numbers, len = 64);
	}
	out[at++] = '.';
	pair_base64url(signature, len, out + at);
}

/* A list of one secret, as JSON. */
static inline const char *secrets_of(const char *secret)
{
	static char out[2 * PAIR_TEXT];
	size_t at = 0;

	out[at++] = '[';
	out[at++] = '"';
	for (; *secret && at < sizeof out - 8; secret++) {
		if (*secret == '"' || *secret == '\\' || *secret == '\n')
			out[at++] = '\\';
		out[at++] = *secret == '\n' ? 'n' : *secret;
	}
	memcpy(out + at, "\"]", 3);
	return out;
}

#endif
