/* Stripe's requests as they arrive: an event of 1 KB and the headers that come with it, signed by
 * libcrypto itself, not by what is measured. */
#include "bench.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define POOL_TEXT 1536 /* bytes for a body and its headers */

static const char body_format[] =
	"{\"id\":\"evt_%s\",\"object\":\"event\",\"api_version\":\"2024-06-20\",\"created\":%lld,"
	"\"data\":{\"object\":{\"id\":\"ch_%s\",\"object\":\"charge\",\"amount\":%d,"
	"\"amount_captured\":%d,\"currency\":\"usd\",\"captured\":true,\"paid\":true,"
	"\"billing_details\":{\"address\":{\"city\":null,\"country\":\"US\",\"line1\":null,"
	"\"postal_code\":\"94107\"},\"email\":\"customer@example.com\",\"name\":null,\"phone\":null},"
	"\"metadata\":{\"order_id\":\"%d\"},\"outcome\":{\"network_status\":\"approved_by_network\","
	"\"risk_level\":\"normal\",\"risk_score\":32,\"type\":\"authorized\"},"
	"\"payment_method_details\":{\"card\":{\"brand\":\"visa\",\"exp_month\":8,\"exp_year\":2031,"
	"\"last4\":\"4242\"},\"type\":\"card\"},\"description\":\"";
static const char body_end[] =
	"\",\"status\":\"succeeded\"}},\"livemode\":true,\"pending_webhooks\":1,"
	"\"request\":{\"id\":null,\"idempotency_key\":null},\"type\":\"charge.succeeded\"}";
static const char headers_format[] =
	"Host: hooks.example.com\nAccept: */*; q=0.5, application/xml\n"
	"Accept-Encoding: gzip\nCache-Control: no-cache\n"
	"Content-Type: application/json; charset=utf-8\nContent-Length: %d\n"
	"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\n"
	"Stripe-Signature: t=%lld,v1=%s\n";

void pool_random(void *bytes, size_t size)
{
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		die("the system gives no random bytes");
}

/* splitmix64, from a random state: as many distinct ids as are wanted, quickly. */
static uint64_t pool_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

/* 24 random letters and digits, as Stripe's ids have. The dedupe index is hit all over. */
static void pool_id(uint64_t *state, char out[25])
{
	static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t r = 0;
	int i;

	for (i = 0; i < 24; i++) {
		if (i % 8 == 0)
			r = pool_next(state);
		out[i] = letters[r % 62];
		r /= 62;
	}
	out[24] = '\0';
}

static void pool_body(char *to, uint64_t *state, int64_t now_s)
{
	char event[25], charge[25];
	int amount = (int)(pool_next(state) % 1000000), order = (int)(pool_next(state) % 1000000);
	size_t end = sizeof body_end - 1, len;

	pool_id(state, event);
	pool_id(state, charge);
	len = (size_t)snprintf(to, POOL_TEXT, body_format, event, (long long)now_s, charge, amount,
	                       amount, order);
	if (len + end > BENCH_BODY)
		die("a body is over %d bytes", BENCH_BODY);
	memset(to + len, 'x', BENCH_BODY - len - end);
	memcpy(to + BENCH_BODY - end, body_end, end);
}

static size_t pool_headers(char *to, size_t size, const char *body, int64_t now_s)
{
	static const char digits[] = "0123456789abcdef";
	char message[BENCH_BODY + 32], hex[65];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int i, mac_len = 0;
	int at = snprintf(message, sizeof message, "%lld.", (long long)now_s);

	memcpy(message + at, body, BENCH_BODY);
	HMAC(EVP_sha256(), BENCH_SECRET, (int)strlen(BENCH_SECRET), (unsigned char *)message,
	     (size_t)at + BENCH_BODY, mac, &mac_len);
	for (i = 0; i < 32; i++) {
		hex[2 * i] = digits[mac[i] >> 4];
		hex[2 * i + 1] = digits[mac[i] & 15];
	}
	hex[64] = '\0';
	return (size_t)snprintf(to, size, headers_format, BENCH_BODY, (long long)now_s, hex);
}

void pool_new(request_pool *pool, int64_t capacity)
{
	*pool = (request_pool){.capacity = capacity};
	pool->requests = need((size_t)capacity * sizeof *pool->requests);
	pool->texts = need((size_t)capacity * POOL_TEXT);
}

void pool_fill(request_pool *pool, int64_t count)
{
	int64_t now_s = (int64_t)time(NULL), i;
	uint64_t state;

	pool_random(&state, sizeof state);
	count = count > pool->capacity ? pool->capacity : count;
	for (i = 0; i < count; i++) {
		char *body = pool->texts + i * POOL_TEXT, *headers = body + BENCH_BODY;
		size_t len;

		pool_body(body, &state, now_s);
		len = pool_headers(headers, POOL_TEXT - BENCH_BODY, body, now_s);
		pool->requests[i] = (knocker_request){.size = sizeof *pool->requests,
		                                      .endpoint = text(BENCH_ENDPOINT),
		                                      .method = text("POST"),
		                                      .headers = {headers, (int64_t)len},
		                                      .body = {body, BENCH_BODY}};
	}
	pool->count = count;
	atomic_store(&pool->taken, 0);
}

const knocker_request *pool_take(request_pool *pool)
{
	int64_t at = atomic_fetch_add(&pool->taken, 1);

	return at < pool->count ? &pool->requests[at] : NULL;
}

void pool_free(request_pool *pool)
{
	free(pool->requests);
	free(pool->texts);
}
