/* A request that names its digest is signed with that one, and is valid then. The signatures stand
 * here as the openssl command makes them, of the signed text under the same key. */
#include "scheme_help.h"

#define URL "{\"url\":\"https://mycompany.com/myapp.php?foo=1&bar=2\"}"
#define SETTINGS "X-Twilio-Webhooks-Signature-Settings: "
#define SHA1_LINE "x-twilio-signature: dQhmfUwK0jYV2c79WK7qbkC265s=\n"
#define SHA256_LINE "x-twilio-signature: xxDVFAvAa283TFvPdc8XaBCAlPvkpTsoaqldBZn70DU=\n"
/* The digest is all that the header holds, one has two names, and there is no other for none. */
#define NAMED                                                                            \
	"{\"kind\":\"hmac\",\"alg\":{\"from\":[\"header:x-alg\"],\"map\":{\"one\":\"sha1\"," \
	"\"two\":\"sha256\",\"2\":\"sha256\"}},\"sig\":{\"from\":[\"header:x-sig\"],"        \
	"\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{}}"
#define ABC_SHA1 "x-sig: 78e4f5a90d20e9ed3bd48dee54621bcaef5e2647\n"
#define ABC_SHA256 "x-sig: 23b0431cd43544fc9ed7e686011d7ea2d80cbd17af43df970bd389e385fefbc0\n"

typedef struct {
	const char *own; /* NULL: twilio */
	const char *headers, *lines, *error;
} sign_case;

static const sign_case sign_cases[] = {
	{NULL, "", SHA1_LINE, NULL},
	{NULL, SETTINGS "key=AK1\n", SHA1_LINE, NULL},
	{NULL, SETTINGS "key=AK1,algorithm=HMAC_SHA1\n", SHA1_LINE, NULL},
	{NULL, SETTINGS "key=AK1,algorithm=HMAC_SHA256\n", SHA256_LINE, NULL},
	{NULL, SETTINGS "key=AK1, algorithm=HMAC_SHA256\n", SHA256_LINE, NULL},
	{NULL, SETTINGS "algorithm=HMAC_MD5\n", NULL, "no algorithm is named 'HMAC_MD5'"},
	{NULL, SETTINGS "algorithm=\n", NULL, "no algorithm is named ''"},
	{NULL, SETTINGS "algorithm=HMAC_SHA1,algorithm=HMAC_SHA256\n", NULL,
     "different algorithms are named"},
	{NAMED, "", "x-alg: two\n" ABC_SHA256, NULL},
	{NAMED, "X-Alg: one\n", "x-alg: one\n" ABC_SHA1, NULL},
	{NAMED, "X-Alg: two\n", "x-alg: two\n" ABC_SHA256, NULL},
	{NAMED, "X-Alg: 2\n", "x-alg: 2\n" ABC_SHA256, NULL},
	{NAMED, "X-Alg: three\n", NULL, "no algorithm is named 'three'"},
};

static int32_t signed_lines(const sign_case *c, const char *body, buffer *lines)
{
	ask a = {.provider = "twilio", .own = c->own};
	scheme_request request = {.headers = bytes_of(c->headers), .body = bytes_of(body)};
	scheme_keys *keys = NULL;
	scheme *own;
	const scheme *s = ask_scheme(&a, &own);
	int32_t rc = -1;

	if (s)
		rc = scheme_keys_new(s, bytes_of("[\"12345\"]"), bytes_of(c->own ? NULL : URL), &keys,
		                     &ask_error);
	if (rc == 0)
		rc = scheme_sign(s, keys, &request, 1700000000, lines, &ask_error);
	scheme_keys_free(keys);
	scheme_free(own);
	return rc;
}

static void case_holds(const sign_case *c)
{
	const char *body = c->own ? "abc" : "CallSid=CA1";
	char headers[400];
	buffer lines;
	int32_t rc;
	bool right;

	buffer_init(&lines, 10000);
	rc = signed_lines(c, body, &lines);
	right = c->error ? rc == KNOCKER_INVALID_ARGUMENT && strstr(ask_error.text, c->error)
	                 : rc == 0 && bytes_is(buffer_view(&lines), c->lines);
	CHECK(right, c->headers);
	if (!right)
		printf("  got %.*s%s\n", (int)lines.len, lines.len ? lines.data : "", ask_error.text);
	if (rc == 0) {
		snprintf(headers, sizeof headers, "%s%.*s", c->headers, (int)lines.len, lines.data);
		CHECK(ask_verdict((ask){.provider = "twilio",
		                        .own = c->own,
		                        .secrets = "[\"12345\"]",
		                        .options = c->own ? NULL : URL,
		                        .headers = headers,
		                        .body = body})
		          .valid,
		      "with what was signed the request is valid");
	}
	buffer_free(&lines);
}

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof sign_cases / sizeof sign_cases[0]; i++)
		case_holds(&sign_cases[i]);
	arena_free(&ask_memory);
	return check_end("test_sign_algorithm");
}
