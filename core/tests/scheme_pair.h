/* Key pairs made for a scheme that verifies with a public key: the private one in PEM, the public
 * one as the scheme's grammar wants a secret. By libcrypto itself, so that two hands make them. */
#ifndef KNOCKER_SCHEME_PAIR_H
#define KNOCKER_SCHEME_PAIR_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "scheme_parts.h"

typedef struct {
	buffer private_text, public_text;
} scheme_pair;

/* NULL: the scheme has no pairs. */
static inline EVP_PKEY *pair_make(const scheme *s)
{
	switch (s->tries[0].groups[0].kind->id) {
	case KIND_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case KIND_ECDSA_P256:
		return EVP_EC_gen("P-256");
	case KIND_RSA_PKCS1:
		return EVP_RSA_gen(1024);
	case KIND_JWT:
		if (s->tries[0].jwt.algs & 1u << JWT_RS256)
			return EVP_RSA_gen(1024);
		return s->tries[0].jwt.algs & 1u << JWT_ES256 ? EVP_EC_gen("P-256") : NULL;
	case KIND_HMAC:
	case KIND_HASH:
	case KIND_TOKEN:
	case KIND_BASIC:
		break;
	}
	return NULL;
}

static inline void pair_pem(EVP_PKEY *key, bool is_private, buffer *out)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *text = NULL;
	int done = is_private ? PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL)
	                      : PEM_write_bio_PUBKEY(memory, key);
	long len = done == 1 ? BIO_get_mem_data(memory, &text) : 0;

	out->failed |= len <= 0;
	if (len > 0)
		buffer_add(out, text, (size_t)len);
	BIO_free(memory);
}

/* One number of a JWK, in as many bytes as it must have; 0: in its own. */
static inline void pair_number(EVP_PKEY *key, const char *name, const char *param, int size,
                               buffer *out)
{
	BIGNUM *number = NULL;
	uint8_t bytes[512];
	char text[700];
	int len;

	if (EVP_PKEY_get_bn_param(key, param, &number) != 1) {
		out->failed = true;
		return;
	}
	len = BN_bn2binpad(number, bytes, size > 0 ? size : BN_num_bytes(number));
	buffer_text(out, ",\"");
	buffer_text(out, name);
	buffer_text(out, "\":\"");
	buffer_add(out, text, codec_base64_write((knocker_bytes){bytes, len}, true, text));
	buffer_text(out, "\"");
	BN_free(number);
}

static inline void pair_jwk(EVP_PKEY *key, buffer *out)
{
	if (EVP_PKEY_is_a(key, "RSA")) {
		buffer_text(out, "{\"kty\":\"RSA\"");
		pair_number(key, "n", OSSL_PKEY_PARAM_RSA_N, 0, out);
		pair_number(key, "e", OSSL_PKEY_PARAM_RSA_E, 0, out);
	} else {
		buffer_text(out, "{\"kty\":\"EC\",\"crv\":\"P-256\"");
		pair_number(key, "x", OSSL_PKEY_PARAM_EC_PUB_X, 32, out);
		pair_number(key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, 32, out);
	}
	buffer_text(out, "}");
}

/* False: the scheme has no pairs. */
static inline bool pair_begin(const scheme *s, scheme_pair *pair)
{
	EVP_PKEY *key = pair_make(s);
	key_decoding decode = s->tries[0].groups[0].key.decode;
	uint8_t raw[32];
	size_t len = sizeof raw;
	char text[80];

	buffer_init(&pair->private_text, LIMIT_JSON);
	buffer_init(&pair->public_text, LIMIT_JSON);
	if (!key)
		return false;
	pair_pem(key, true, &pair->private_text);
	if (decode == DECODE_JWKS)
		pair_jwk(key, &pair->public_text);
	else if (decode == DECODE_PEM)
		pair_pem(key, false, &pair->public_text);
	else if (EVP_PKEY_get_raw_public_key(key, raw, &len) == 1 && decode == DECODE_HEX)
		buffer_add(&pair->public_text, text,
		           codec_hex_write((knocker_bytes){raw, (int64_t)len}, text));
	else
		buffer_add(&pair->public_text, text,
		           codec_base64_write((knocker_bytes){raw, (int64_t)len}, false, text));
	EVP_PKEY_free(key);
	return true;
}

static inline void pair_free(scheme_pair *pair)
{
	buffer_free(&pair->private_text);
	buffer_free(&pair->public_text);
}

#endif
