/* Hashes, MACs and signatures by libcrypto, which only crypto*.c include. Knows nothing of schemes
 * or requests. */
#ifndef KNOCKER_CRYPTO_H
#define KNOCKER_CRYPTO_H

#include "bytes.h"

typedef enum { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 } digest;
#define DIGEST_KINDS 4
#define DIGEST_MAX 64 /* bytes of the longest digest */

/* libcrypto's EVP_MD, looked up once; NULL: it has none, or no memory. */
const void *crypto_digest(digest d);
/* Each returns the digest's length in bytes, or 0 when libcrypto failed. `parts` are hashed one
 * after the other. */
size_t crypto_hash(digest d, const knocker_bytes *parts, size_t count, uint8_t out[DIGEST_MAX]);
size_t crypto_hmac(digest d, knocker_bytes key, const knocker_bytes *parts, size_t count,
                   uint8_t out[DIGEST_MAX]);

/* An HMAC key made ready: a third of a short message's cost is the key. Immutable, shared between
 * threads. */
typedef struct crypto_key crypto_key;
crypto_key *crypto_key_new(digest d, knocker_bytes key); /* NULL: libcrypto failed or no memory */
void crypto_key_free(crypto_key *key);                   /* NULL is fine */
size_t crypto_key_hmac(const crypto_key *key, const knocker_bytes *parts, size_t count,
                       uint8_t out[DIGEST_MAX]);

/* 1 = right, 0 = wrong, -1 = libcrypto failed: nobody knows. */
int32_t crypto_ed25519_verify(const uint8_t public_key[32], knocker_bytes message,
                              knocker_bytes signature);

/* ---- crypto_public.c ---- */

/* A key of a pair, decoded once. Immutable, shared between threads. */
typedef struct crypto_public crypto_public;
typedef enum { PUBLIC_RSA, PUBLIC_P256, PUBLIC_ED25519, PUBLIC_OTHER } crypto_public_kind;
#define CRYPTO_RSA_BITS_MIN 1024
#define CRYPTO_SIGNATURE_MAX 2048 /* bytes: of an RSA key of 16384 bits, libcrypto's longest */

/* Each: 1 = made, 0 = it is no such key, -1 = no memory. From DER: a SubjectPublicKeyInfo, or, when
 * `is_private`, a private key's PKCS #8. From big-endian numbers: public without `d`. */
int32_t crypto_public_der(knocker_bytes der, bool is_private, crypto_public **out);
int32_t crypto_public_rsa(knocker_bytes n, knocker_bytes e, knocker_bytes d, crypto_public **out);
int32_t crypto_public_p256(const uint8_t x[32], const uint8_t y[32], knocker_bytes d,
                           crypto_public **out);
void crypto_public_free(crypto_public *key); /* NULL is fine */
/* PUBLIC_OTHER: also another curve, and RSA of fewer bits than CRYPTO_RSA_BITS_MIN. */
crypto_public_kind crypto_public_kind_of(const crypto_public *key);
bool crypto_public_ed25519(const crypto_public *key, uint8_t out[32]);
/* Of RSA (PKCS #1 v1.5) and P-256 (DER), over a message's digest. 1 = right, 0 = wrong, -1 =
 * libcrypto failed. */
int32_t crypto_public_verify(const crypto_public *key, digest d, knocker_bytes hash,
                             knocker_bytes signature);
/* The length of the signature of the message, or 0: the key is no private one, or libcrypto failed.
 * Ed25519 has a digest of its own. */
size_t crypto_public_sign(const crypto_public *key, digest d, knocker_bytes message,
                          uint8_t out[CRYPTO_SIGNATURE_MAX]);
/* ECDSA's two numbers, 32 bytes each, as DER of at most 72 bytes, and back. 0 or false: failed. */
size_t crypto_ecdsa_der(const uint8_t numbers[64], uint8_t out[72]);
bool crypto_ecdsa_numbers(knocker_bytes der, uint8_t out[64]);

/* ---- crypto_certificate.c ---- */

#define CRYPTO_CERTIFICATES_MAX 8
typedef struct {
	uint8_t key[CRYPTO_SIGNATURE_MAX + 256]; /* the first one's, as SubjectPublicKeyInfo */
	size_t key_len;
	int64_t from_s, until_s; /* when all of them hold */
} crypto_certificate;
typedef enum {
	CERTIFICATE_GOOD,
	CERTIFICATE_UNREADABLE,
	CERTIFICATE_NOT_ISSUED, /* one is not the issuer of that before it */
	CERTIFICATE_OTHER_HOST
} certificate_verdict;
/* Certificates in DER, each issued by the next. An absent host is not asked. */
certificate_verdict crypto_certificate_read(const knocker_bytes *ders, size_t count,
                                            knocker_bytes host, crypto_certificate *out);

bool crypto_md5(knocker_bytes b, uint8_t out[16]);   /* of a body that is signed by it; no guard */
bool crypto_equal(knocker_bytes a, knocker_bytes b); /* in constant time for equal lengths */
void crypto_cleanse(void *memory, size_t size);      /* zeroes what held a secret; NULL is fine */
bool crypto_sha256_hex(knocker_bytes b, char out[65]); /* false: libcrypto failed; `out` is empty */

#endif
