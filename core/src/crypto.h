/* Hashes, MACs and signatures by libcrypto; the only file that includes it. Knows nothing of
 * schemes or requests. */
#ifndef KNOCKER_CRYPTO_H
#define KNOCKER_CRYPTO_H

#include "bytes.h"

typedef enum { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 } digest;
#define DIGEST_KINDS 4
#define DIGEST_MAX 64 /* bytes of the longest digest */

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
bool crypto_equal(knocker_bytes a, knocker_bytes b);   /* in constant time for equal lengths */
void crypto_cleanse(void *memory, size_t size);        /* zeroes what held a secret; NULL is fine */
bool crypto_sha256_hex(knocker_bytes b, char out[65]); /* false: libcrypto failed; `out` is empty */

#endif
