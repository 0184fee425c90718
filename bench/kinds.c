/* Verifying one request of each kind of signature, over what libcrypto alone must do for it with a
 * key that is ready: one HMAC, or one signature checked. */
#include "bench.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND_SECRET "bench_0123456789abcdef"
#define KIND_LARGE (5 * 1024 * 1024 - 1024)

typedef struct {
	const char *figure, *provider;
	EVP_PKEY *pair; /* NULL: an HMAC under `key` */
	char secrets[3000], headers[2000];
	const char *key;
	char *body, *signed_text;
	size_t body_len, signed_len, signature_len;
	unsigned char signature[600];
	bool hashes_body; /* a token holds the body's hash, which must be made too */
} kind_case;

/* ---- making the requests ---- */

static void kind_body(kind_case *c, size_t len)
{
	int head;

	c->body = need(len + 1);
	c->body_len = len;
	head = snprintf(c->body, len,
	                "{\"id\":\"evt_1\",\"type\":\"a.b\",\"event_type\":\"a.b\",\"text\":\"");
	memset(c->body + head, 'x', len - (size_t)head - 2);
	memcpy(c->body + len - 2, "\"}", 2);
}

/* What is signed is the text and then the body. */
static void kind_signed(kind_case *c, const char *before)
{
	size_t head = strlen(before);

	c->signed_len = head + c->body_len;
	c->signed_text = need(c->signed_len + 1);
	memcpy(c->signed_text, before, head);
	memcpy(c->signed_text + head, c->body, c->body_len);
}

static void kind_mac(const kind_case *c, unsigned char mac[EVP_MAX_MD_SIZE])
{
	unsigned int len = 0;

	if (!HMAC(EVP_sha256(), c->key, (int)strlen(c->key), (const unsigned char *)c->signed_text,
	          c->signed_len, mac, &len))
		die("libcrypto's HMAC failed");
}

static void kind_hex(const unsigned char *bytes, size_t len, char *out)
{
	size_t i;

	for (i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void kind_sign(kind_case *c, const EVP_MD *md)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	c->signature_len = sizeof c->signature;
	if (EVP_DigestSignInit(context, NULL, md, NULL, c->pair) != 1 ||
	    EVP_DigestSign(context, c->signature, &c->signature_len,
	                   (const unsigned char *)c->signed_text, c->signed_len) != 1)
		die("libcrypto did not sign");
	EVP_MD_CTX_free(context);
}

/* The public key as a list of one secret: PEM, its lines ended by "\n" as JSON has it. */
static void kind_pem(kind_case *c)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char pem[1500];
	int len, i;
	size_t at;

	PEM_write_bio_PUBKEY(memory, c->pair);
	len = BIO_read(memory, pem, sizeof pem);
	BIO_free(memory);
	at = (size_t)snprintf(c->secrets, sizeof c->secrets, "[\"");
	for (i = 0; i < len; i++)
		at += (size_t)snprintf(c->secrets + at, sizeof c->secrets - at,
		                       pem[i] == '\n' ? "\\n" : "%c", pem[i]);
	snprintf(c->secrets + at, sizeof c->secrets - at, "\"]");
}

static void kind_secret(kind_case *c)
{
	c->key = KIND_SECRET;
	snprintf(c->secrets, sizeof c->secrets, "[\"%s\"]", KIND_SECRET);
}

static void kind_github(kind_case *c, size_t body_len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char hex[65];

	kind_secret(c);
	c->provider = "github";
	kind_body(c, body_len);
	kind_signed(c, "");
	kind_mac(c, mac);
	kind_hex(mac, 32, hex);
	snprintf(c->headers, sizeof c->headers,
	         "x-hub-signature-256: sha256=%s\nx-github-delivery: 1\nx-github-event: push\n", hex);
}

static void kind_standard(kind_case *c)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char text64[60];

	c->provider = "standard-webhooks";
	c->key = KIND_SECRET "xx";
	EVP_EncodeBlock((unsigned char *)text64, (const unsigned char *)c->key, (int)strlen(c->key));
	snprintf(c->secrets, sizeof c->secrets, "[\"whsec_%s\"]", text64);
	kind_body(c, BENCH_BODY);
	kind_signed(c, "msg_1.1700000000.");
	kind_mac(c, mac);
	EVP_EncodeBlock((unsigned char *)text64, mac, 32);
	snprintf(c->headers, sizeof c->headers,
	         "webhook-id: msg_1\nwebhook-timestamp: 1700000000\nwebhook-signature: v1,%s\n",
	         text64);
}

static void kind_ed25519(kind_case *c)
{
	unsigned char raw[32];
	size_t len = sizeof raw;
	char hex[129];

	c->provider = "discord";
	c->pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY_get_raw_public_key(c->pair, raw, &len);
	kind_hex(raw, 32, hex);
	snprintf(c->secrets, sizeof c->secrets, "[\"%s\"]", hex);
	kind_body(c, BENCH_BODY);
	kind_signed(c, "1700000000");
	kind_sign(c, NULL);
	kind_hex(c->signature, 64, hex);
	snprintf(c->headers, sizeof c->headers,
	         "x-signature-timestamp: 1700000000\nx-signature-ed25519: %s\n", hex);
}

static void kind_pair(kind_case *c, const char *provider, EVP_PKEY *pair, const char *before,
                      const char *header)
{
	char text64[900];

	c->provider = provider;
	c->pair = pair;
	kind_pem(c);
	kind_body(c, BENCH_BODY);
	kind_signed(c, before);
	kind_sign(c, EVP_sha256());
	EVP_EncodeBlock((unsigned char *)text64, c->signature, (int)c->signature_len);
	snprintf(c->headers, sizeof c->headers, "%s: %s\n%s: 1700000000\n", header, text64,
	         "x-twilio-email-event-webhook-timestamp");
}

static size_t kind_base64url(const unsigned char *bytes, size_t len, char *out)
{
	size_t i, n = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);

	while (n > 0 && out[n - 1] == '=')
		n--;
	for (i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	out[n] = '\0';
	return n;
}

static void kind_jwt(kind_case *c)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char hex[65], claims[200], token[1000];
	size_t at;

	kind_secret(c);
	c->provider = "netlify";
	c->hashes_body = true;
	kind_body(c, BENCH_BODY);
	EVP_Digest(c->body, c->body_len, mac, NULL, EVP_sha256(), NULL);
	kind_hex(mac, 32, hex);
	snprintf(claims, sizeof claims, "{\"iss\":\"netlify\",\"sha256\":\"%s\"}", hex);
	at = kind_base64url((const unsigned char *)"{\"alg\":\"HS256\"}", 15, token);
	token[at++] = '.';
	at += kind_base64url((const unsigned char *)claims, strlen(claims), token + at);
	c->signed_text = need(at + 1);
	memcpy(c->signed_text, token, at);
	c->signed_len = at;
	kind_mac(c, mac);
	token[at++] = '.';
	kind_base64url(mac, 32, token + at);
	snprintf(c->headers, sizeof c->headers, "x-webhook-signature: %s\n", token);
}

/* ---- measuring ---- */

static void kind_bare_once(const kind_case *c)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	const EVP_MD *md = c->pair && EVP_PKEY_get_base_id(c->pair) == EVP_PKEY_ED25519 ? NULL
	                                                                                : EVP_sha256();
	EVP_MD_CTX *context;

	if (!c->pair) {
		kind_mac(c, mac);
		if (c->hashes_body)
			EVP_Digest(c->body, c->body_len, mac, NULL, EVP_sha256(), NULL);
		return;
	}
	context = EVP_MD_CTX_new();
	if (EVP_DigestVerifyInit(context, NULL, md, NULL, c->pair) != 1 ||
	    EVP_DigestVerify(context, c->signature, c->signature_len,
	                     (const unsigned char *)c->signed_text, c->signed_len) != 1)
		die("libcrypto did not verify");
	EVP_MD_CTX_free(context);
}

static void kind_whole_once(const kind_case *c)
{
	knocker_request q = {.size = sizeof q};
	knocker_error error = {0};
	knocker_value valid = {0};
	knocker_rows *rows = NULL;

	q.provider = text(c->provider);
	q.secrets_json = text(c->secrets);
	q.headers = text(c->headers);
	q.body = (knocker_bytes){c->body, (int64_t)c->body_len};
	must(knocker_verify(&q, 1700000000000, &rows, &error), "verify", &error);
	knocker_rows_next(rows);
	knocker_rows_value(rows, 0, &valid);
	if (valid.integer != 1)
		die("%s: a request was not valid", c->figure);
	knocker_rows_free(rows);
}

static double kind_us(const kind_case *c, void (*once)(const kind_case *c), int64_t slice_ms)
{
	bench_meter meter = meter_start();
	int64_t count = 0;

	do {
		once(c);
		count++;
	} while (now_ns() - meter.wall_ns < slice_ms * 1000000);
	return meter_end(meter, count).cpu_us;
}

void bench_kinds(const bench_plan *plan)
{
	static kind_case cases[7] = {{.figure = "verify_hmac_sha256"},
	                             {.figure = "verify_standard_webhooks"},
	                             {.figure = "verify_ed25519"},
	                             {.figure = "verify_ecdsa"},
	                             {.figure = "verify_rsa"},
	                             {.figure = "verify_jwt"},
	                             {.figure = "verify_5mib"}};
	int32_t i, k;

	kind_github(&cases[0], BENCH_BODY);
	kind_standard(&cases[1]);
	kind_ed25519(&cases[2]);
	kind_pair(&cases[3], "sendgrid", EVP_EC_gen("P-256"), "1700000000",
	          "x-twilio-email-event-webhook-signature");
	kind_pair(&cases[4], "wise", EVP_RSA_gen(2048), "", "x-signature-sha256");
	kind_jwt(&cases[5]);
	kind_github(&cases[6], KIND_LARGE);
	for (i = 0; i < plan->rounds; i++)
		for (k = 0; k < 7; k++) {
			double bare_us = kind_us(&cases[k], kind_bare_once, plan->slice_ms / 4);

			figure_add(cases[k].figure,
			           bare_us / kind_us(&cases[k], kind_whole_once, plan->slice_ms / 4));
		}
	for (k = 0; k < 7; k++) {
		EVP_PKEY_free(cases[k].pair);
		free(cases[k].body);
		free(cases[k].signed_text);
	}
}
