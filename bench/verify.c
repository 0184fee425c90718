/* Verifying one request and reading its ids, over libcrypto's HMAC of the signed bytes alone. */
#include "bench.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERIFY_COUNT 2000

typedef struct {
	char *bytes;
	size_t len;
} signed_text;

/* What Stripe signs: the time, a dot, the body. */
static signed_text *verify_signed_texts(const request_pool *pool)
{
	signed_text *texts = need(VERIFY_COUNT * sizeof *texts);
	int i;

	for (i = 0; i < VERIFY_COUNT; i++) {
		const knocker_request *q = &pool->requests[i];
		const char *time = memmem(q->headers.data, (size_t)q->headers.len, "t=", 2);
		size_t digits = time ? strspn(time + 2, "0123456789") : 0;

		texts[i].len = digits + 1 + BENCH_BODY;
		texts[i].bytes = need(texts[i].len);
		memcpy(texts[i].bytes, time ? time + 2 : "", digits);
		texts[i].bytes[digits] = '.';
		memcpy(texts[i].bytes + digits + 1, q->body.data, BENCH_BODY);
	}
	return texts;
}

/* As verify_whole, in microseconds of processor time: neither waits for anything. */
static double verify_bare(const signed_text *texts, int64_t slice_ms)
{
	bench_meter meter = meter_start();
	int64_t count = 0;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int i;

	do {
		for (i = 0; i < VERIFY_COUNT; i++, count++)
			if (!HMAC(EVP_sha256(), BENCH_SECRET, (int)strlen(BENCH_SECRET),
			          (const unsigned char *)texts[i].bytes, texts[i].len, mac, &len))
				die("libcrypto's HMAC failed");
	} while (now_ns() - meter.wall_ns < slice_ms * 1000000);
	return meter_end(meter, count).cpu_us;
}

static double verify_whole(const request_pool *pool, int64_t slice_ms)
{
	bench_meter meter = meter_start();
	int64_t count = 0;
	knocker_error error = {0};
	int i;

	do {
		for (i = 0; i < VERIFY_COUNT; i++, count++) {
			knocker_request q = pool->requests[i];
			knocker_value valid = {0}, id = {0};
			knocker_rows *rows = NULL;

			q.provider = text("stripe");
			q.secrets_json = text("[\"" BENCH_SECRET "\"]");
			must(knocker_verify(&q, 0, &rows, &error), "verify", &error);
			knocker_rows_next(rows);
			knocker_rows_value(rows, 0, &valid);
			knocker_rows_value(rows, 3, &id);
			if (valid.integer != 1 || id.type != KNOCKER_TEXT)
				die("a request was not valid");
			knocker_rows_free(rows);
		}
	} while (now_ns() - meter.wall_ns < slice_ms * 1000000);
	return meter_end(meter, count).cpu_us;
}

void bench_verify(const bench_plan *plan)
{
	request_pool pool;
	signed_text *texts;
	int i;

	say("verify");
	pool_new(&pool, VERIFY_COUNT);
	pool_fill(&pool, VERIFY_COUNT);
	texts = verify_signed_texts(&pool);
	for (i = 0; i < plan->rounds; i++) {
		double bare_us = verify_bare(texts, plan->slice_ms / 4);
		double whole_us = verify_whole(&pool, plan->slice_ms / 4);

		figure_add("verify_stripe", bare_us / whole_us);
		figure_add("verify_us", whole_us);
	}
	for (i = 0; i < VERIFY_COUNT; i++)
		free(texts[i].bytes);
	free(texts);
	pool_free(&pool);
	bench_kinds(plan);
}
