/* Handshakes and the answers to other requests: who gets them, what they say, what is reflected. */
#include "scheme_help.h"

static const char meta[] =
	"{\"extends\":\"github\",\"options\":{\"verify_token\":{\"type\":\"string\"}},\"handshak"
	"e\":[{\"when\":{\"method\":"
	"\"GET\",\"query:hub.mode\":\"subscribe\",\"query:hub.verify_token\":\"{option:verify_toke"
	"n}\"},\"signed\":false,"
	"\"respond\":{\"status\":200,\"type\":\"text/plain\",\"body\":\"{query:hub.challenge}\"}},"
	"{\"when\":{\"method\":"
	"\"GET\"},\"signed\":false,\"respond\":{\"status\":403}}]}";
static const char store[] =
	"{\"extends\":\"github\",\"handshake\":[{\"when\":{\"header:x-hook-secret\":\"*\"},\"signe"
	"d\":false,"
	"\"store_secret\":\"header:x-hook-secret\",\"respond\":{\"status\":200,\"headers\":{\"X-Ho"
	"ok-Secret\":"
	"\"{header:x-hook-secret}\"}}}]}";
#define OK_TEXT "Content-Type: text/plain\nX-Content-Type-Options: nosniff\n"
#define OK_JSON "Content-Type: application/json\nX-Content-Type-Options: nosniff\n"

static bool text_is(knocker_bytes got, const char *want)
{
	return want ? bytes_is(got, want) : !bytes_given(got);
}

static void answered(ask a, bool handshake, int64_t status, const char *headers, const char *body,
                     const char *sentence)
{
	scheme_verdict v = ask_verdict(a);
	bool right = v.handshake == handshake && v.status == status &&
	             text_is(v.response_headers, headers) && text_is(v.response_body, body) &&
	             !(v.handshake && bytes_given(v.dedupe_key));

	CHECK(right, sentence);
	if (!right)
		printf("  got %d %lld '%.*s' '%.*s' %s\n", v.handshake, (long long)v.status,
		       (int)v.response_headers.len, (const char *)v.response_headers.data,
		       (int)v.response_body.len, (const char *)v.response_body.data,
		       v.error ? v.error : "valid");
}

static void unsigned_handshakes(void)
{
	ask a = {.own = meta,
	         .secrets = "[\"s\"]",
	         .options = "{\"verify_token\":\"v\"}",
	         .method = "get"};

	a.query = "hub.mode=subscribe&hub.challenge=a%3Cb&hub.verify_token=v";
	answered(a, true, 200, OK_TEXT, "a<b", "the right token gets its challenge back, as text");
	CHECK(!ask_verdict(a).valid && ask_verdict(a).error,
	      "such a request is not valid and says what it is");
	a.query = "hub.mode=subscribe&hub.challenge=x&hub.verify_token=w";
	answered(a, true, 403, NULL, NULL, "a wrong token gets the next answer");
	a.query = "hub.mode=subscribe&hub.challenge=x&hub.verify_token=";
	answered(a, true, 403, NULL, NULL, "an empty token matches nothing");
	a.query = "hub.mode=subscribe&hub.challenge=x";
	answered(a, true, 403, NULL, NULL, "nor does an absent one");
	a.query = "hub.mode=subscribe&hub.verify_token=v&hub.verify_token=w&hub.challenge=x";
	answered(a, true, 403, NULL, NULL, "nor do two different ones");
	a.query = "hub.mode=subscribe&hub.verify_token=v";
	answered(a, true, 403, NULL, NULL, "an answer that lacks its text is not given");
	a.options = NULL;
	a.query = "hub.mode=subscribe&hub.challenge=x&hub.verify_token=v";
	answered(a, true, 403, NULL, NULL, "without the option no token matches");
	a.query = "hub.mode=subscribe&hub.challenge=x&hub.verify_token=";
	answered(a, true, 403, NULL, NULL, "not even none");
	a.method = NULL;
	answered(a, false, 401, NULL, NULL, "another method is verified");
}

static void bounds_of_what_is_reflected(void)
{
	ask a = {.own = meta,
	         .secrets = "[\"s\"]",
	         .options = "{\"verify_token\":\"v\"}",
	         .method = "GET"};
	char query[700] = "hub.mode=subscribe&hub.verify_token=v&hub.challenge=";
	size_t i, len = strlen(query);

	for (i = 0; i < LIMIT_ID; i++)
		query[len + i] = 'x';
	a.query = query;
	answered(a, true, 200, OK_TEXT, query + len, "512 bytes are reflected");
	query[len + i] = 'x';
	answered(a, true, 403, NULL, NULL, "and not one more");
}

static void the_secret_is_handed_over_once(void)
{
	ask a = {.own = store, .headers = "X-Hook-Secret: s3\n", .body = "{}"};
	scheme_verdict v = ask_verdict(a);

	answered(a, true, 200, "X-Hook-Secret: s3\n", NULL,
	         "without a secret the handshake is answered");
	v = ask_verdict(a);
	CHECK(bytes_is(v.store_secret, "s3") && !v.valid, "and the secret is given back to be kept");
	a.headers = "x: y\n";
	answered(a, false, 401, NULL, NULL, "without a secret nothing else is");
	v = ask_verdict(a);
	CHECK(strcmp(v.error, "no secret is known yet") == 0, "and it says why");
	a.headers = "X-Hook-Secret: s3\n";
	a.secrets = "[\"s2\"]";
	answered(a, false, 401, NULL, NULL, "with a secret such a request is ignored");
	CHECK(!bytes_given(ask_verdict(a).store_secret), "and hands over nothing");
	a.secrets = NULL;
	a.headers = "X-Hook-Secret: a\nX-Hook-Secret: b\n";
	answered(a, false, 401, NULL, NULL, "two different secrets are none");
}

static void a_body_that_hands_over_a_secret_is_told(void)
{
	static const char own[] =
		"{\"extends\":\"github\",\"handshake\":[{\"when\":{\"json:verification_token\":\"*\"}"
		",\"signed\":"
		"false,\"store_secret\":\"json:verification_token\",\"respond\":{\"status\":200}}]}";
	ask a = {.own = own, .body = "{\"verification_token\":\"s3\"}"};
	scheme_verdict v = ask_verdict(a);

	CHECK(v.handshake && v.body_is_credential && bytes_is(v.store_secret, "s3"),
	      "the body of the handshake is a credential");
	a.secrets = "[\"s2\"]";
	v = ask_verdict(a);
	CHECK(!v.handshake && v.body_is_credential, "also when it comes too late");
	a.body = "{}";
	v = ask_verdict(a);
	CHECK(!v.handshake && !v.body_is_credential, "another body is none");
}

static ask slack(const char *body, bool right)
{
	static char headers[300], text[1000];

	snprintf(text, sizeof text, "v0:1700000000:%s", body);
	snprintf(headers, sizeof headers,
	         "X-Slack-Request-Timestamp: 1700000000\nX-Slack-Signature: v0=%s\n",
	         right ? hmac_hex("s", bytes_of(text)) : "00");
	return (ask){.provider = "slack",
	             .secrets = "[\"s\"]",
	             .headers = headers,
	             .body = body,
	             .now_s = 1700000000};
}

static void signed_handshakes(void)
{
	static const char hello[] = "{\"type\":\"url_verification\",\"challenge\":\"a\\\"b\\u00e9\"}";
	scheme_verdict v;

	answered(slack(hello, true), true, 200, OK_JSON, "{\"challenge\":\"a\\\"b\xC3\xA9\"}",
	         "a signed challenge comes back as JSON");
	v = ask_verdict(slack(hello, true));
	CHECK(v.valid && !v.error && bytes_is(v.event_type, "url_verification"),
	      "it is valid and has its type");
	answered(slack(hello, false), false, 401, NULL, NULL, "unsigned it gets nothing");
	answered(slack("{\"type\":\"url_verification\"}", true), false, 204, NULL, NULL,
	         "without a challenge it is an event");
	answered(slack("{\"type\":\"url_verification\",\"challenge\":\"\"}", true), false, 204, NULL,
	         NULL, "nor is an empty one a text");
	answered(slack("{\"type\":\"message\",\"challenge\":\"x\"}", true), false, 204, NULL, NULL,
	         "another type is an event");
	answered(slack("payload=%7B%22type%22%3A%22url_verification%22%2C%22challenge%22%3A%22x%22"
	               "%7D",
	               true),
	         false, 204, NULL, NULL, "the form's field is read for ids, not for handshakes");
}

/* Numbers, null and absent, texts with an HMAC in them. */
static void conditions(void)
{
	static const char own[] =
		"{\"extends\":\"github\",\"handshake\":["
		"{\"when\":{\"json:type\":1,\"json:event\":null},\"signed\":false,\"respond\":{\"statu"
		"s\":200,\"body\":{\"type\":1}}},"
		"{\"when\":{\"query:c\":{\"chars\":\"abc\",\"min\":2,\"max\":3}},\"signed\":false,\"re"
		"spond\":{\"status\":201,\"type\":"
		"\"text/x\",\"body\":\"{query:c}|{hmac:query:c}\"}},"
		"{\"when\":{\"header:h\":\"*\"},\"signed\":false,\"respond\":{\"status\":202,\"header"
		"s\":{\"X-H\":\"{query:h}\"}}}]}";
	char body[100];
	ask a = {.own = own, .secrets = "[\"k\",\"l\"]"};

	a.body = "{\"type\":1}";
	answered(a, true, 200, OK_JSON, "{\"type\":1}",
	         "a number is compared by its text, and null is absent");
	a.body = "{\"type\":1,\"event\":null}";
	answered(a, true, 200, OK_JSON, "{\"type\":1}", "or null");
	a.body = "{\"type\":1,\"event\":{}}";
	answered(a, false, 401, NULL, NULL, "an object is not null");
	a.body = "{\"type\":1,\"event\":[]}";
	answered(a, false, 401, NULL, NULL, "nor is an array");
	a.body = "{\"type\":1,\"event\":\"\\ud800\"}";
	answered(a, false, 401, NULL, NULL, "nor is a text that cannot be read");
	a.body = "{\"type\":1.0}";
	answered(a, false, 401, NULL, NULL, "1.0 is not 1");
	a.body = "{\"type\":1";
	answered(a, false, 401, NULL, NULL, "a body that is cut has no members");
	a.body = NULL;
	a.query = "c=abc";
	snprintf(body, sizeof body, "abc|%s", hmac_hex("k", bytes_of("abc")));
	answered(a, true, 201, "Content-Type: text/x\nX-Content-Type-Options: nosniff\n", body,
	         "the first key signs an answer");
	a.query = "c=a";
	answered(a, false, 401, NULL, NULL, "too few characters do not match");
	a.query = "c=abca";
	answered(a, false, 401, NULL, NULL, "nor do too many");
	a.query = "c=abd";
	answered(a, false, 401, NULL, NULL, "nor do others");
	a.headers = "h: 1\n";
	a.query = "h=x%0d%0ay:z";
	answered(a, false, 401, NULL, NULL, "no control character gets into a header");
	a.query = "h=x";
	answered(a, true, 202, "X-H: x\n", NULL, "a plain text does");
}

static void other_answers(void)
{
	static const char own[] =
		"{\"extends\":\"token-header\",\"accept\":{\"status\":200,\"type\":\"text/plain\",\"bo"
		"dy\":\"[ok] "
		"{json:n}\"},\"reject\":{\"status\":498,\"headers\":{\"X-Why\":\"no\"}}}";
	ask a = {.own = own,
	         .secrets = "[\"s\"]",
	         .headers = "x-knocker-token: s\n",
	         .body = "{\"n\":5}"};

	answered(a, false, 200, OK_TEXT, "[ok] 5", "accept says what a sender wants to hear");
	a.body = "{}";
	answered(a, false, 200, NULL, NULL, "at least its status");
	a.headers = "x-knocker-token: t\n";
	answered(a, false, 498, "X-Why: no\n", NULL, "reject does likewise");
}

int main(void)
{
	unsigned_handshakes();
	bounds_of_what_is_reflected();
	the_secret_is_handed_over_once();
	a_body_that_hands_over_a_secret_is_told();
	signed_handshakes();
	conditions();
	other_answers();
	arena_free(&ask_memory);
	return check_end("test_scheme_answers");
}
