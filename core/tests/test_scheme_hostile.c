/* Requests made to hurt: each ends in a verdict, in little time and memory, under every allocation
 * that fails, in many threads. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "scheme_help.h"

#define NOW 1700000000

static void repeat(buffer *b, const char *text, size_t count)
{
	for (; count > 0; count--)
		buffer_text(b, text);
}

static void judged(const char *provider, buffer *headers, buffer *body, bool valid,
                   const char *sentence)
{
	const scheme *s = NULL;
	scheme_keys *keys = NULL;
	scheme_request request = {.headers = buffer_view(headers), .body = buffer_view(body)};
	scheme_verdict v = {0};
	knocker_error error;
	arena memory = {0};
	clock_t before = clock();

	scheme_builtin(bytes_of(provider), &s, &error);
	scheme_keys_new(s, bytes_of("[\"s\"]"), (knocker_bytes){0}, &keys, &error);
	CHECK(scheme_verify(s, keys, &request, NOW, &memory, &v, &error) == 0 && v.valid == valid &&
	          (v.valid || v.error),
	      sentence);
	CHECK((clock() - before) / CLOCKS_PER_SEC < 10,
	      "it does not take ten seconds, even where a sanitizer looks on");
	arena_free(&memory);
	scheme_keys_free(keys);
	buffer_free(headers);
	buffer_free(body);
}

static void begin(buffer *headers, buffer *body)
{
	buffer_init(headers, 64 * 1024 * 1024);
	buffer_init(body, 64 * 1024 * 1024);
}

static void signatures_by_the_thousand(void)
{
	buffer headers, body;
	const char *right = hmac_hex("s", bytes_of("1700000000."));

	begin(&headers, &body);
	buffer_text(&headers, "stripe-signature: t=1700000000");
	repeat(&headers,
	       ",v1=000000000000000000000000000000000000000000000000000000000000000"
	       "0",
	       1000);
	repeat(&body, "x", LIMIT_BODY);
	judged("stripe", &headers, &body, false,
	       "a thousand candidates over 5 MiB are one digest and a refusal");
	begin(&headers, &body);
	buffer_text(&headers, "stripe-signature: t=1700000000");
	repeat(&headers, ",v1=00", LIMIT_CANDIDATES - 1);
	buffer_text(&headers, ",v1=");
	buffer_text(&headers, right);
	judged("stripe", &headers, &body, true, "the last candidate that is read counts");
	begin(&headers, &body);
	buffer_text(&headers, "stripe-signature: t=1700000000");
	repeat(&headers, ",v1=00", LIMIT_CANDIDATES);
	buffer_text(&headers, ",v1=");
	buffer_text(&headers, right);
	judged("stripe", &headers, &body, false, "the next one is not read");
	begin(&headers, &body);
	buffer_text(&headers, "stripe-signature: ");
	repeat(&headers, ",", 200000);
	judged("stripe", &headers, &body, false, "commas are no signature");
	begin(&headers, &body);
	buffer_text(&headers, "authorization: ");
	repeat(&headers, "A", 200000);
	judged("basic-auth", &headers, &body, false, "nor are letters");
}

static void headers_by_the_thousand(void)
{
	buffer headers, body;

	begin(&headers, &body);
	repeat(&headers, "stripe-signature: t=1\n", 5000);
	judged("stripe", &headers, &body, false, "five thousand equal headers are one");
	begin(&headers, &body);
	repeat(&headers, "x: y\nno colon\n:\n\n", 5000);
	judged("stripe", &headers, &body, false, "lines that are none are passed over");
	begin(&headers, &body);
	repeat(&headers, "x-knocker-token", 5000);
	judged("token-header", &headers, &body, false, "a name without end is none");
}

static void bodies(void)
{
	buffer headers, body;

	begin(&headers, &body);
	buffer_text(&headers, "x-knocker-token: s\n");
	repeat(&body, "[", 300000);
	judged("token-header", &headers, &body, true, "300,000 brackets have no ids");
	begin(&headers, &body);
	buffer_text(&headers, "x-knocker-token: s\n");
	buffer_text(&body, "[");
	repeat(&body, "0,", LIMIT_BODY / 2);
	buffer_text(&body, "0]");
	judged("token-header", &headers, &body, true, "nor have 5 MiB of 0,");
	begin(&headers, &body);
	buffer_text(&headers, "x-knocker-token: s\n");
	buffer_text(&body, "{\"id\":\"");
	repeat(&body, "x", 64 * 1024);
	buffer_text(&body, "\",\"type\":\"");
	repeat(&body, "\\u0041", 64 * 1024);
	buffer_text(&body, "\"}");
	judged("token-header", &headers, &body, true, "ids of 64 KiB are none");
	begin(&headers, &body);
	repeat(&body, "a&", LIMIT_BODY / 2);
	judged("slack", &headers, &body, false, "a form of two million fields is read in one pass");
}

/* ---- every allocation fails ---- */

static const char full[] =
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:s\"],\"item"
	"s\":\",\",\"kv\":\"=\",\"pick\":[\"v\"],\"enc\":"
	"\"hex\"},\"vars\":{\"t\":{\"from\":[\"sig:t\"],\"unit\":\"s\"}},\"replay\":{\"va"
	"r\":\"t\",\"tolerance_s\":5},\"signed\":[\"{t}"
	"{url}{method}{form_sorted}{body_b64}{header:{option:h}}\"],\"options\":{\"url\":{\"typ"
	"e\":\"string\"},\"h\":{\"type\":"
	"\"string\",\"default\":\"X-H\"}},\"extract\":{\"event_id\":[\"form:a\"],\"event_type\":"
	"[\"join:.:form:b:form:c\"],\"dedupe\":["
	"\"sha256:{event_id}{event_type}\"]},\"handshake\":[{\"when\":{\"form:c\":\"*\"},\"signe"
	"d\":true,\"respond\":{\"status\":200,"
	"\"type\":\"text/plain\",\"body\":\"{hmac:form:c}\"}}]}";

static void no_memory_is_an_error(void)
{
	scheme_request request = {.body = bytes_of("a=1&b=%32&c=3"), .query = bytes_of("q=1")};
	scheme *s = NULL;
	scheme_keys *keys = NULL;
	knocker_error error;
	buffer lines;
	bool clean = true;
	int64_t n;

	CHECK(scheme_compile(bytes_of(full), &s, &error) == 0 &&
	          scheme_keys_new(s, bytes_of("[\"k\"]"), bytes_of("{\"url\":\"https://e.test/x\"}"),
	                          &keys, &error) == 0,
	      "a scheme with many members compiles");
	buffer_init(&lines, 10000);
	CHECK(scheme_sign(s, keys, &request, NOW, &lines, &error) == 0, "and signs");
	request.headers = buffer_view(&lines);
	for (n = 0; n < 1000; n++) {
		scheme_verdict v;
		arena memory = {0};
		int32_t rc;

		memory_fail_after(n, n % 2);
		rc = scheme_verify(s, keys, &request, NOW, &memory, &v, &error);
		memory_fail_after(-1, false);
		arena_free(&memory);
		clean = clean &&
		        (rc == 0 ? v.valid && v.handshake && v.status == 200
		                 : rc == KNOCKER_STORAGE && !v.valid && !bytes_given(v.event_type));
		if (rc == 0)
			break;
	}
	CHECK(clean && n > 0 && n < 1000, "each allocation that fails is an error, never a verdict");
	scheme_keys_free(keys);
	scheme_free(s);
	buffer_free(&lines);
}

/* Escapes are copied, and so need memory too. */
static void no_memory_loses_no_id(void)
{
	scheme_request request = {.headers = bytes_of("x-knocker-token: s\n")};
	const scheme *s = NULL;
	scheme_keys *keys = NULL;
	knocker_error error;
	buffer body;
	bool clean = true;
	int64_t n;

	buffer_init(&body, 100000);
	buffer_text(&body, "{\"id\":\"\\u0041\",\"type\":\"");
	repeat(&body, "\\u0041", LIMIT_ID);
	buffer_text(&body, "\"}");
	request.body = buffer_view(&body);
	scheme_builtin(bytes_of("token-header"), &s, &error);
	scheme_keys_new(s, bytes_of("[\"s\"]"), (knocker_bytes){0}, &keys, &error);
	for (n = 0; n < 100; n++) {
		scheme_verdict v;
		arena memory = {0};
		int32_t rc;

		memory_fail_after(n, false);
		rc = scheme_verify(s, keys, &request, NOW, &memory, &v, &error);
		memory_fail_after(-1, false);
		clean = clean && (rc == KNOCKER_STORAGE ||
		                  (rc == 0 && bytes_is(v.dedupe_key, "A") && v.event_type.len == LIMIT_ID));
		arena_free(&memory);
		if (rc == 0)
			break;
	}
	CHECK(clean && n > 0 && n < 100, "an id is never lost for want of memory");
	scheme_keys_free(keys);
	buffer_free(&body);
}

/* ---- threads ---- */

static void *verify_often(void *right)
{
	static const char *const names[] = {"stripe", "github", "shopify", "slack",
	                                    "standard-webhooks"};
	knocker_error error;
	int i;

	for (i = 0; i < 200; i++) {
		const scheme *s = NULL;
		scheme_keys *keys = NULL;
		scheme_request request = {.body = bytes_of("{\"id\":\"a\"}")};
		scheme_verdict v = {0};
		arena memory = {0};
		buffer lines;

		buffer_init(&lines, 10000);
		if (scheme_builtin(bytes_of(names[i % 5]), &s, &error) < 0 ||
		    scheme_keys_new(s, bytes_of("[\"k\"]"), (knocker_bytes){0}, &keys, &error) < 0 ||
		    scheme_sign(s, keys, &request, NOW, &lines, &error) < 0)
			return NULL;
		request.headers = buffer_view(&lines);
		if (scheme_verify(s, keys, &request, NOW, &memory, &v, &error) < 0 || !v.valid)
			return NULL;
		arena_free(&memory);
		scheme_keys_free(keys);
		buffer_free(&lines);
	}
	*(bool *)right = true;
	return NULL;
}

static void threads_share_schemes(void)
{
	pthread_t threads[8];
	bool right[8] = {false};
	size_t i, good = 0;

	for (i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, verify_often, &right[i]);
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		good += right[i];
	}
	CHECK(good == 8, "eight threads sign and verify with the built-ins at once");
}

int main(void)
{
	threads_share_schemes(); /* first, so that they also compete for reading the built-ins */
	signatures_by_the_thousand();
	headers_by_the_thousand();
	bodies();
	no_memory_is_an_error();
	no_memory_loses_no_id();
	return check_end("test_scheme_hostile");
}
