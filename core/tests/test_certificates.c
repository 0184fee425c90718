/* Certificates as secrets: what libcrypto makes here verifies while it holds, for its host, and
 * with the certificates that issued it; nothing else does. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "scheme_help.h"

#define NOW 1700000000
#define OWN                                                                               \
	"{\"kind\":\"rsa-pkcs1\",\"alg\":\"sha256\",\"key\":{\"decode\":\"pem-or-spki-b64\"," \
	"\"host\":\"host\"},\"sig\":{\"from\":[\"header:s\"],\"enc\":\"base64\"},"            \
	"\"signed\":[\"{body}\"],\"extract\":{},\"options\":{\"host\":{\"type\":\"string\"}}}"

typedef struct {
	EVP_PKEY *pair;
	X509 *certificate;
	char pem[4000];
} holder;

static void extend(X509 *made, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, made, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	CHECK(extension && X509_add_ext(made, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

/* From `from_s` on for a day. `issuer` NULL: by itself. */
static void hold(holder *h, const holder *issuer, const char *name, const char *basic,
                 const char *host, int64_t from_s)
{
	X509 *made = X509_new();
	X509_NAME *subject = X509_get_subject_name(made);
	BIO *memory = BIO_new(BIO_s_mem());
	int len;

	h->pair = EVP_RSA_gen(2048);
	h->certificate = made;
	X509_set_version(made, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made), 7);
	ASN1_TIME_set(X509_getm_notBefore(made), (time_t)from_s);
	ASN1_TIME_set(X509_getm_notAfter(made), (time_t)(from_s + 86400));
	X509_set_pubkey(made, h->pair);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(made, issuer ? X509_get_subject_name(issuer->certificate) : subject);
	extend(made, issuer ? issuer->certificate : made, NID_basic_constraints, basic);
	if (host)
		extend(made, made, NID_subject_alt_name, host);
	CHECK(X509_sign(made, issuer ? issuer->pair : h->pair, EVP_sha256()) > 0, "it is signed");
	CHECK(PEM_write_bio_X509(memory, made) == 1, "it is written");
	len = BIO_read(memory, h->pem, sizeof h->pem - 1);
	h->pem[len > 0 ? len : 0] = '\0';
	BIO_free(memory);
}

static void drop(holder *h)
{
	EVP_PKEY_free(h->pair);
	X509_free(h->certificate);
}

static void sign(const holder *h, const char *body, char *headers, size_t room)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[256];
	char text[400];
	size_t len = sizeof signature;

	CHECK(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, h->pair) == 1 &&
	          EVP_DigestSign(context, signature, &len, (const unsigned char *)body, strlen(body)) ==
	              1,
	      "a body is signed");
	EVP_EncodeBlock((unsigned char *)text, signature, (int)len);
	snprintf(headers, room, "s: %s\n", text);
	EVP_MD_CTX_free(context);
}

/* A list of one secret: the texts one behind the other. */
static const char *secrets(const char *first, const char *second, const char *third)
{
	static char list[16000];
	buffer whole, json;

	buffer_init(&whole, LIMIT_JSON);
	buffer_init(&json, LIMIT_JSON);
	buffer_text(&whole, first);
	buffer_text(&whole, second);
	buffer_text(&whole, third);
	buffer_json(&json, buffer_view(&whole));
	snprintf(list, sizeof list, "[%.*s]", (int)json.len, (const char *)buffer_view(&json).data);
	buffer_free(&whole);
	buffer_free(&json);
	return list;
}

static void judged(const char *list, const char *options, const char *headers, int64_t now_s,
                   const char *error)
{
	scheme_verdict v = ask_verdict((ask){.own = OWN,
	                                     .secrets = list,
	                                     .options = options,
	                                     .headers = headers,
	                                     .body = "paid",
	                                     .now_s = now_s});

	CHECK(error ? v.error && strcmp(v.error, error) == 0 : v.valid, error ? error : "valid");
	if (v.error && (!error || strcmp(v.error, error) != 0))
		printf("  %s\n", v.error);
}

static void refused(const char *list, const char *options, const char *reason)
{
	scheme_keys *keys = NULL;
	scheme *own = NULL;
	knocker_error error = {0};
	int32_t rc = scheme_compile(bytes_of(OWN), &own, &error);

	CHECK(rc == 0, "it compiles");
	rc = scheme_keys_new(own, bytes_of(list), bytes_of(options), &keys, &error);
	CHECK(rc == KNOCKER_INVALID_ARGUMENT && strstr(error.text, reason), reason);
	if (!strstr(error.text, reason))
		printf("  %s\n", error.text);
	scheme_keys_free(keys);
	scheme_free(own);
}

int main(void)
{
	static holder root, middle, leaf, other, late;
	static char headers[500], broken[4000];
	const char *host = "{\"host\":\"hooks.example\"}";

	hold(&root, NULL, "root", "CA:TRUE", NULL, NOW - 1000);
	hold(&middle, &root, "middle", "CA:TRUE,pathlen:0", NULL, NOW - 500);
	hold(&leaf, &middle, "leaf", "CA:FALSE", "DNS:hooks.example", NOW - 1000);
	hold(&other, &leaf, "other", "CA:FALSE", "DNS:hooks.example", NOW - 1000);
	hold(&late, &root, "middle", "CA:TRUE", NULL, NOW - 500);
	sign(&leaf, "paid", headers, sizeof headers);
	judged(secrets(leaf.pem, "", ""), host, headers, NOW, NULL);
	judged(secrets(leaf.pem, "", ""), NULL, headers, NOW, NULL);
	judged(secrets(leaf.pem, middle.pem, root.pem), host, headers, NOW, NULL);
	judged(secrets("said in words\n", leaf.pem, "and behind"), host, headers, NOW, NULL);
	judged(secrets(leaf.pem, "", ""), host, headers, NOW - 1000, NULL);
	judged(secrets(leaf.pem, "", ""), host, headers, NOW - 1001,
	       "the certificate begins in 1 s only");
	judged(secrets(leaf.pem, "", ""), host, headers, NOW - 1000 + 86400, NULL);
	judged(secrets(leaf.pem, "", ""), host, headers, NOW - 1000 + 86401,
	       "the certificate expired 1 s ago");
	judged(secrets(leaf.pem, middle.pem, ""), host, headers, NOW - 600,
	       "the certificate begins in 100 s only");
	judged(secrets(other.pem, "", ""), host, headers, NOW, "signature does not match");
	judged(secrets(middle.pem, root.pem, ""), NULL, headers, NOW, "signature does not match");
	refused(secrets(leaf.pem, "", ""), "{\"host\":\"hook.example\"}",
	        "a certificate of another host than 'hook.example'");
	refused(secrets(leaf.pem, root.pem, ""), host, "did not issue the one before it");
	refused(secrets(leaf.pem, late.pem, ""), host, "did not issue the one before it");
	refused(secrets(other.pem, leaf.pem, ""), host, "did not issue the one before it");
	refused(secrets(root.pem, middle.pem, ""), NULL, "did not issue the one before it");
	snprintf(broken, sizeof broken, "%s", leaf.pem);
	broken[strlen(broken) / 2] = '!';
	refused(secrets(broken, "", ""), host, "a certificate that cannot be read");
	refused(secrets(leaf.pem, broken, ""), host, "a certificate that cannot be read");
	refused(secrets("-----BEGIN CERTIFICATE-----", "", ""), host, "that cannot be read");
	refused(secrets("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "", ""), host,
	        "that cannot be read");
	drop(&root);
	drop(&middle);
	drop(&leaf);
	drop(&other);
	drop(&late);
	arena_free(&ask_memory);
	return check_end("test_certificates");
}
