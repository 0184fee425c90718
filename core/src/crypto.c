/* Hashes, MACs and Ed25519 by libcrypto. Knows nothing of schemes or requests. */
#include "crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

#define CRYPTO_BLOCK_MAX 128 /* bytes of SHA-512's block, the longest */

/* A digest by name is looked up in every call unless it is fetched once: that look-up costs as much
 * as 1 KB of SHA-256. One that could not be fetched is tried again by the next caller. */
const void *crypto_digest(digest d)
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

bool crypto_md5(knocker_bytes b, uint8_t out[16])
{
	return EVP_Q_digest(NULL, "MD5", NULL, b.data, (size_t)b.len, out, NULL) == 1;
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
