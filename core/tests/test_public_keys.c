/* Keys of pairs: what a registration takes for one and what it refuses, and that one flipped bit of
 * the text, the signature or the key is enough. Keys and signatures are libcrypto's. */
#include <openssl/x509.h>

#include "pair_help.h"
#include "scheme_help.h"

#define NOW 1700000000
#define BODY "{\"id\":\"evt_1\"}"
#define SCHEME(kind, alg, decode)                                                     \
	"{\"kind\":\"" kind "\"," alg "\"key\":{\"decode\":\"" decode                     \
	"\"},\"sig\":{\"from\":[\"header:x-s\"],\"enc\":\"base64\"},\"signed\":[\"{body}" \
	"\"],\"extract\":{}}"
#define ECDSA SCHEME("ecdsa-p256", "\"alg\":\"sha256\",", "pem-or-spki-b64")
#define RSA_SCHEME SCHEME("rsa-pkcs1", "\"alg\":\"sha256\",", "pem-or-spki-b64")
#define ED SCHEME("ed25519", "", "pem-or-spki-b64")

/* ---- asking ---- */

/* The error of a registration with the secret, or NULL. */
static const char *registered(const char *scheme_json, const char *secret)
{
	static knocker_error error;
	scheme_keys *keys = NULL;
	scheme *s = NULL;
	int32_t rc = scheme_compile(bytes_of(scheme_json), &s, &error);

	if (rc == 0)
		rc = scheme_keys_new(s, bytes_of(secrets_of(secret)), (knocker_bytes){0}, &keys, &error);
	CHECK((rc == 0) == (keys != NULL), "keys are made or an error is told");
	scheme_keys_free(keys);
	scheme_free(s);
	return rc < 0 ? error.text : NULL;
}

typedef struct {
	scheme *s;
	scheme_keys *keys;
	const char *header; /* what stands before the signature */
} judge;

static bool judge_says(const judge *j, const char *signature, knocker_bytes body)
{
	char headers[PAIR_TEXT + 20];
	scheme_request request = {.headers = {headers, 0}, .body = body};
	scheme_verdict v = {0};
	arena memory = {0};
	knocker_error error;
	int32_t rc;

	request.headers.len = snprintf(headers, sizeof headers, "X-S: %s\n", signature);
	rc = scheme_verify(j->s, j->keys, &request, NOW, &memory, &v, &error);
	CHECK(rc == 0, "to verify is no error");
	arena_free(&memory);
	return rc == 0 && v.valid;
}

static judge judge_new(const char *scheme_json, const char *secret)
{
	judge j = {0};
	knocker_error error;

	if (scheme_compile(bytes_of(scheme_json), &j.s, &error) < 0 ||
	    scheme_keys_new(j.s, bytes_of(secrets_of(secret)), (knocker_bytes){0}, &j.keys, &error) <
	        0) {
		CHECK(false, "a judge has a scheme and its key");
		printf("  %s\n", error.text);
	}
	return j;
}

static void judge_free(judge *j)
{
	scheme_keys_free(j->keys);
	scheme_free(j->s);
}

/* ---- one flipped bit ---- */

/* The text and the signature. */
static void flip_request(const judge *j, unsigned char *signature, size_t len)
{
	char body[] = BODY, text[1000];
	size_t bit;
	int wrong = 0;

	base64_write(signature, len, text);
	CHECK(judge_says(j, text, bytes_of(body)), "what libcrypto signed is valid");
	for (bit = 0; bit < 8 * strlen(BODY); bit++) {
		body[bit / 8] ^= (char)(1 << bit % 8);
		wrong += judge_says(j, text, (knocker_bytes){body, (int64_t)strlen(BODY)});
		body[bit / 8] ^= (char)(1 << bit % 8);
	}
	CHECK(wrong == 0, "with a flipped bit in what is signed it is not");
	for (bit = 0; bit < 8 * len; bit++) {
		signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
		base64_write(signature, len, text);
		wrong += judge_says(j, text, bytes_of(BODY));
		signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	CHECK(wrong == 0, "nor with one in the signature");
	base64_write(signature, len, text);
	CHECK(judge_says(j, text, bytes_of(BODY)), "as it was it is valid again");
}

/* The public key: with a flipped bit it is no key, or another one. */
static void flip_key(const char *scheme_json, EVP_PKEY *pair, const unsigned char *signature,
                     size_t len)
{
	unsigned char der[600], *at = der;
	size_t bit, der_len = (size_t)i2d_PUBKEY(pair, &at);
	char text[1000], key[1000];
	int refused = 0, wrong = 0;

	base64_write(signature, len, text);
	for (bit = 0; bit < 8 * der_len; bit++) {
		der[bit / 8] ^= (unsigned char)(1 << bit % 8);
		base64_write(der, der_len, key);
		if (registered(scheme_json, key)) {
			refused++;
		} else {
			judge j = judge_new(scheme_json, key);

			wrong += judge_says(&j, text, bytes_of(BODY));
			judge_free(&j);
		}
		der[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	CHECK(refused > 0, "a key with a flipped bit is often none");
	CHECK(wrong == 0, "and never verifies");
	base64_write(der, der_len, key);
	CHECK(registered(scheme_json, key) == NULL, "as it was it is a key again");
}

static void flips(EVP_PKEY *pair, const char *scheme_json, const EVP_MD *md, bool key_too)
{
	unsigned char signature[600];
	char pem[PAIR_TEXT];
	size_t len = pair_sign(pair, md, BODY, strlen(BODY), signature);
	judge j;

	pair_pem(pair, 0, pem);
	j = judge_new(scheme_json, pem);
	CHECK(len > 0, "libcrypto signs");
	flip_request(&j, signature, len);
	if (key_too)
		flip_key(scheme_json, pair, signature, len);
	judge_free(&j);
}

/* Of a token each bit counts: what is ignored is signed too, and base64url is canonical. */
static void flip_token(EVP_PKEY *pair, const char *alg, const char *secret)
{
	char scheme_json[400], header[60], token[PAIR_TEXT];
	size_t bit, len;
	int wrong = 0;
	judge j;

	snprintf(scheme_json, sizeof scheme_json,
	         "{\"kind\":\"jwt\",\"key\":{\"decode\":\"%s\"},\"sig\":{\"from\":[\"header:x-s\"]},"
	         "\"jwt\":{\"algs\":[\"%s\"]},\"extract\":{}}",
	         pair ? "pem-or-spki-b64" : "utf8", alg);
	snprintf(header, sizeof header, "{\"alg\":\"%s\",\"x\":1}", alg);
	token_make(pair, EVP_sha256(), header, "{\"iss\":\"a\"}", token);
	j = judge_new(scheme_json, secret);
	CHECK(judge_says(&j, token, bytes_of("")), "a token is valid");
	for (bit = 0, len = strlen(token); bit < 8 * len; bit++) {
		token[bit / 8] ^= (char)(1 << bit % 8);
		wrong += judge_says(&j, token, bytes_of(""));
		token[bit / 8] ^= (char)(1 << bit % 8);
	}
	CHECK(wrong == 0, "with one flipped bit it is not");
	judge_free(&j);
}

/* ---- how keys are written ---- */

/* The same text with each of `from` made `to`; NUL: left out. */
static void replaced(const char *text, char from, char to, char *out)
{
	for (; *text; text++)
		if (*text != from)
			*out++ = *text;
		else if (to)
			*out++ = to;
	*out = '\0';
}

static void spellings(EVP_PKEY *ec)
{
	char pem[PAIR_TEXT], text[PAIR_TEXT], bare[PAIR_TEXT + 10];
	char *at;

	pair_pem(ec, 0, pem);
	CHECK(!registered(ECDSA, pem), "PEM is a key");
	replaced(pem, '\n', ' ', text);
	CHECK(!registered(ECDSA, text), "on one line too");
	replaced(pem, '\n', '\0', text);
	CHECK(!registered(ECDSA, text), "without white space too");
	snprintf(bare, sizeof bare, "%s", strchr(pem, '\n') + 1);
	at = strstr(bare, "-----END");
	*at = '\0';
	CHECK(!registered(ECDSA, bare), "without its armour too");
	replaced(bare, '\n', '\0', text);
	CHECK(!registered(ECDSA, text), "as bare base64 too");
	replaced(text, '=', '\0', bare);
	CHECK(!registered(ECDSA, bare), "without its padding too");
	snprintf(bare, sizeof bare, "%sAAAA", text);
	CHECK(registered(ECDSA, bare) != NULL, "but nothing may follow it");
}

/* ---- what is refused ---- */

static void refuses(const char *scheme_json, const char *secret, const char *says,
                    const char *sentence)
{
	const char *got = registered(scheme_json, secret);
	char part[17] = "";

	CHECK(got && strstr(got, says), sentence);
	if (!got || !strstr(got, says))
		printf("  it says: %s\n", got ? got : "nothing");
	if (strlen(secret) > 60)
		memcpy(part, secret + 40, 16);
	CHECK(!got || part[0] == '\0' || !strstr(got, part), "no message tells a secret");
}

static void pem_refused(const char *scheme_json, EVP_PKEY *pair, int is_private, const char *says,
                        const char *sentence)
{
	char pem[PAIR_TEXT];

	pair_pem(pair, is_private, pem);
	refuses(scheme_json, pem, says, sentence);
	EVP_PKEY_free(pair);
}

static void wrong_keys(EVP_PKEY *rsa, EVP_PKEY *ec)
{
	static const char ec_jwk[] = SCHEME("ecdsa-p256", "\"alg\":\"sha256\",", "jwks");
	char text[PAIR_TEXT];

	EVP_PKEY_up_ref(rsa);
	pem_refused(ECDSA, rsa, 0, "a P-256 public key in PEM", "an RSA key is none of ECDSA");
	EVP_PKEY_up_ref(ec);
	pem_refused(RSA_SCHEME, ec, 0, "an RSA public key (1024", "a P-256 key is none of RSA");
	pem_refused(ECDSA, EVP_EC_gen("P-384"), 0, "a P-256 public key", "P-384 is another curve");
	pem_refused(ECDSA, EVP_EC_gen("secp256k1"), 0, "a P-256", "so is secp256k1");
	pem_refused(ECDSA, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), 0, "a P-256", "and Ed25519");
	pem_refused(RSA_SCHEME, EVP_RSA_gen(768), 0, "1024 bits or more", "768 bits are too few");
	pem_refused(ED, EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), 0, "an Ed25519",
	            "X25519 signs nothing");
	EVP_PKEY_up_ref(ec);
	pem_refused(ECDSA, ec, 1, "is a private key", "a private key is not to verify with");
	EVP_PKEY_up_ref(rsa);
	pem_refused(RSA_SCHEME, rsa, 1, "is a private key", "nor an RSA one");
	EVP_PKEY_up_ref(rsa);
	pem_refused(ec_jwk, rsa, 1, "is a private key", "nor one where a JWK is wanted");
	refuses(ECDSA,
	        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGH\n-----END ENCRYPTED PRIVATE KEY-----",
	        "is a private key", "nor an encrypted one");
	refuses(ECDSA, "not base64!", "a P-256 public key", "what is no base64 is none");
	refuses(ECDSA, "-----BEGIN PUBLIC KEY-----", "a P-256 public key", "nor an empty one");
	refuses(ECDSA, "AAAA", "a P-256 public key", "nor DER of something else");
	pair_jwk(ec, 1, "", text);
	refuses(ec_jwk, text, "is a private key", "a private JWK is not to verify with");
	pair_jwk(rsa, 0, "", text);
	refuses(ec_jwk, text, "as a JWK or JWKS", "an RSA JWK is none of ECDSA");
	pair_jwk(ec, 0, "\"use\":\"enc\",", text);
	refuses(ec_jwk, text, "as a JWK or JWKS", "one to encrypt with is none");
	pair_jwk(ec, 0, "\"alg\":\"ECDH-ES\",", text);
	refuses(ec_jwk, text, "as a JWK or JWKS", "one of another algorithm is none");
	pair_jwk(ec, 0, "", text);
	CHECK(!registered(ec_jwk, text), "a public JWK is a key");
	*strstr(text, "\"y\":\"") = '\0';
	refuses(ec_jwk, text, "as a JWK or JWKS", "what is no JSON is none");
	refuses(ec_jwk, "{\"keys\":[]}", "as a JWK or JWKS", "nor an empty set");
	refuses(ec_jwk, "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}", "as a JWK or JWKS", "nor a secret");
	refuses(ec_jwk, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
	        "as a JWK or JWKS", "nor a point that is not on the curve");
	refuses(SCHEME("hmac", "\"alg\":\"sha256\",", "jwks"), "x", "makes no keys of kind 'hmac'",
	        "an HMAC has no public key");
	refuses(SCHEME("ecdsa-p256", "\"alg\":\"sha256\",", "utf8"), "x",
	        "makes no keys of kind 'ecdsa-p256'", "a text is no public key");
}

/* ---- signing ---- */

/* Signs with the private key, verifies with the public one, and refuses to sign with that. */
static void there_and_back(const char *scheme_json, EVP_PKEY *pair)
{
	scheme_request request = {.body = bytes_of(BODY)};
	char private_pem[PAIR_TEXT], public_pem[PAIR_TEXT];
	knocker_error error = {0};
	scheme_keys *keys = NULL;
	buffer lines;
	judge j;
	int32_t rc;

	pair_pem(pair, 1, private_pem);
	pair_pem(pair, 0, public_pem);
	j = judge_new(scheme_json, public_pem);
	buffer_init(&lines, 10000);
	rc = scheme_sign(j.s, j.keys, &request, NOW, &lines, &error);
	CHECK(rc == KNOCKER_INVALID_ARGUMENT && strstr(error.text, "public one"),
	      "a public key does not sign");
	buffer_free(&lines);
	buffer_init(&lines, 10000);
	rc = scheme_keys_to_sign(j.s, bytes_of(secrets_of(private_pem)), (knocker_bytes){0}, &keys,
	                         &error);
	if (rc == 0)
		rc = scheme_sign(j.s, keys, &request, NOW, &lines, &error);
	buffer_add(&lines, "", 1);
	CHECK(rc == 0 && judge_says(&j, rc == 0 ? lines.data + 5 : "", bytes_of(BODY)),
	      "what a private key signs is valid under the public one");
	if (rc < 0)
		printf("  %s\n", error.text);
	buffer_free(&lines);
	scheme_keys_free(keys);
	judge_free(&j);
}

int main(void)
{
	EVP_PKEY *rsa = EVP_RSA_gen(1024), *ec = pair_ec();
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	char pem[PAIR_TEXT];

	flips(ec, ECDSA, EVP_sha256(), true);
	flips(ec, SCHEME("ecdsa-p256", "\"alg\":\"sha512\",", "pem-or-spki-b64"), EVP_sha512(), false);
	flips(rsa, RSA_SCHEME, EVP_sha256(), true);
	flips(rsa, SCHEME("rsa-pkcs1", "\"alg\":\"sha1\",", "pem-or-spki-b64"), EVP_sha1(), false);
	flips(ed, ED, NULL, true);
	flip_token(NULL, "HS256", "secret");
	pair_pem(ec, 0, pem);
	flip_token(ec, "ES256", pem);
	pair_pem(rsa, 0, pem);
	flip_token(rsa, "RS256", pem);
	spellings(ec);
	wrong_keys(rsa, ec);
	there_and_back(ECDSA, ec);
	there_and_back(RSA_SCHEME, rsa);
	there_and_back(ED, ed);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ed);
	arena_free(&ask_memory);
	return check_end("test_public_keys");
}
