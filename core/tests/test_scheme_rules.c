/* The rules of docs/schemes.md, each as a request that keeps it and one that breaks it. Signatures
 * are made here with crypto_hmac, which test_crypto holds against the standards. */
#include "scheme_help.h"

#define NOW 1700000000
#define BODY "{\"id\":\"evt_1\",\"type\":\"a.b\"}"

/* Replaces each "@" by the signature. */
static const char *with(const char *text, const char *signature)
{
	static char out[4000];
	size_t len = 0;

	out[0] = '\0';
	for (; *text && len < sizeof out - 200; text++)
		len += (size_t)(*text == '@' ? snprintf(out + len, sizeof out - len, "%s", signature)
		                             : snprintf(out + len, 2, "%c", *text));
	return out;
}

/* ---- stripe: elements, times, windows ---- */

typedef struct {
	const char *headers; /* "@" is the right signature of t = 1700000000 */
	int64_t now_s;
	const char *error; /* NULL: valid */
	const char *options;
} stripe_case;

static const stripe_case stripe_cases[] = {
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW, NULL, NULL},
	{"stripe-signature:t=1700000000,v1=@", NOW, NULL, NULL},
	{"HTTP_STRIPE_SIGNATURE: t=1700000000,v1=@\n", NOW, NULL, NULL},
	{"Stripe-Signature: \t t=1700000000,v1=@ \t\n", NOW, NULL, NULL},
	{"Stripe-Signature: t=1700000000 ,\tv1=@\n", NOW, NULL, NULL},
	{"Stripe-Signature: ,,t=1700000000,,v1=@,\n", NOW, NULL, NULL},
	{"Stripe-Signature: v1=@,t=1700000000,v9=x,y,=z\n", NOW, NULL, NULL},
	{"Stripe-Signature: t=1700000000,v1=00,v1=@,v1=zz\n", NOW, NULL, NULL},
	{"Stripe-Signature: t=1700000000,t=1700000000,v1=@\n", NOW, NULL, NULL},
	{"Stripe-Signature: t=1700000000,v1=@\nSTRIPE-SIGNATURE: t=1700000000,v1="
     "@\n",
     NOW, NULL, NULL},
	{"Stripe-Signature: t=1700000000,v1=@\nSTRIPE-SIGNATURE: t=1700000000,v1=00\n", NOW,
     "different values of header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,v1=@\nHTTP_STRIPE_SIGNATURE: x\n", NOW,
     "different values of header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,v1=@\nstripe-signature:\n", NOW,
     "different values of header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,t=1700000001,v1=@\n", NOW, "different values of element 't'",
     NULL},
	{"", NOW, "no signature: header 'stripe-signature' is missing", NULL},
	{"Stripe-Signature:\n", NOW, "no signature: header 'stripe-signature' is missing", NULL},
	{"Stripe-Signature: t=1700000000,v0=@\n", NOW,
     "no usable signature in header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,v1 =@\n", NOW,
     "no usable signature in header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,V1=@\n", NOW,
     "no usable signature in header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,v1=0@\n", NOW,
     "no usable signature in header 'stripe-signature'", NULL},
	{"Stripe-Signature: t=1700000000,v1=@00\n", NOW, "signature does not match", NULL},
	{"Stripe-Signature: t=1700000000,v1=00\n", NOW, "signature does not match", NULL},
	{"Stripe-Signature: t=01700000000,v1=@\n", NOW, "signature does not match", NULL},
	{"Stripe-Signature: v1=@\n", NOW, "element 't' is missing", NULL},
	{"Stripe-Signature: t=,v1=@\n", NOW, "element 't' is missing", NULL},
	{"Stripe-Signature: t=12x,v1=@\n", NOW, "timestamp '12x' is not a number of seconds", NULL},
	{"Stripe-Signature: t=+1700000000,v1=@\n", NOW,
     "timestamp '+1700000000' is not a number of seconds", NULL},
	{"Stripe-Signature: t=1_700_000_000,v1=@\n", NOW,
     "timestamp '1_700_000_000' is not a number of seconds", NULL},
	{"Stripe-Signature: t=-1,v1=@\n", NOW, "timestamp '-1' is not a number of seconds", NULL},
	{"Stripe-Signature: t=1.7e9,v1=@\n", NOW,
     "timestamp '1.7e9' is not a number of second"
     "s",
     NULL},
	{"Stripe-Signature: t= 1700000000,v1=@\n", NOW,
     "timestamp ' 1700000000' is not a number of seconds", NULL},
	{"Stripe-Signature: t=\xD9\xA1,v1=@\n", NOW, "timestamp '?\?' is not a number of seconds",
     NULL},
	{"Stripe-Signature: t=99999999999999999,v1=@\n", NOW,
     "timestamp '99999999999999999' is not a number of seconds", NULL},
	{"Stripe-Signature: t=9999999999999999,v1=@\n", NOW, "signature does not match", NULL},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW + 300, NULL, NULL},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW - 300, NULL, NULL},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW + 301,
     "timestamp is 301 s off, over the window of 300 s", NULL},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW - 301,
     "timestamp is 301 s off, over the window of 300 s", NULL},
	{"Stripe-Signature: t=1700000000,v1=00\n", NOW + 301, "signature does not match", NULL},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW, NULL, "{\"tolerance_s\":0}"},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW + 1,
     "timestamp is 1 s off, over the window of 0 s", "{\"tolerance_s\":0}"},
	{"Stripe-Signature: t=1700000000,v1=@\n", NOW - 1,
     "timestamp is 1 s off, over the window of 0 s", "{\"tolerance_s\":0}"},
	{"Stripe-Signature: t=1700000000,v1=@\n", 0, NULL, "{\"tolerance_s\":9007199254740991}"},
	{"Stripe-Signature: t=1700000000,v1=@\n", -9000000000000000, NULL,
     "{\"tolerance_s\":9007199254740991}"},
};

static void judged(ask a, const char *error)
{
	scheme_verdict v = ask_verdict(a);
	bool right = error ? !v.valid && v.error && strcmp(v.error, error) == 0 : v.valid && !v.error;

	CHECK(right, error ? error : a.headers);
	if (!right)
		printf("  got %s for %s\n", v.error ? v.error : "valid", a.headers);
}

static void stripe_rules(void)
{
	const char *signature = hmac_hex("whsec_one", bytes_of("1700000000." BODY));
	size_t i;

	for (i = 0; i < sizeof stripe_cases / sizeof stripe_cases[0]; i++) {
		const stripe_case *c = &stripe_cases[i];

		judged((ask){.provider = "stripe",
		             .secrets = "[\"other\",\"whsec_one\"]",
		             .options = c->options,
		             .headers = with(c->headers, signature),
		             .body = BODY,
		             .now_s = c->now_s},
		       c->error);
	}
}

/* ---- the ways to cut a signature ---- */

#define CUT(sig)                                          \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{" sig \
	"},\"signed\":[\"{body}\"],\"extract\":{}}"
#define VAR(sig)                                                 \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{" sig        \
	"},\"vars\":{\"v\":{\"from\":[\"sigitem:0\"]}},\"signed\":[" \
	"\"{v}{body}\"],\"extract\":{\"event_id\":[\"sigitem:0\"]}}"
#define FROM "\"from\":[\"header:s\",\"header:s2\"],\"enc\":\"hex\""

static const struct {
	const char *own, *headers, *error;
} cut_cases[] = {
	{CUT(FROM), "s: @\n", NULL},
	{CUT(FROM), "s2: @\n", NULL},
	{CUT(FROM), "s: 00\ns2: @\n", NULL},
	{CUT(FROM), "s: @\ns: 00\ns2: @\n", "different values of header 's'"},
	{CUT(FROM ",\"prefix\":\"sha256=\""), "s: sha256=@\n", NULL},
	{CUT(FROM ",\"prefix\":\"sha256=\""), "s: SHA256=@\n", "no usable signature in header 's'"},
	{CUT(FROM ",\"prefix\":\"sha256=\""), "s: @\n", "no usable signature in header 's'"},
	{CUT(FROM ",\"prefix\":\"sha256=\",\"prefix_optional\":true"), "s: @\n", NULL},
	{CUT(FROM ",\"scheme\":\"HMAC\""), "s: hmac \t @\n", NULL},
	{CUT(FROM ",\"scheme\":\"HMAC\""), "s: hmac\t@\n", NULL},
	{CUT(FROM ",\"scheme\":\"HMAC\""), "s: hmac@\n", "no usable signature in header 's'"},
	{CUT(FROM ",\"scheme\":\"HMAC\""), "s: hmac\n", "no usable signature in header 's'"},
	{CUT(FROM ",\"scheme\":\"HMAC\""), "s: hma @\n", "no usable signature in header 's'"},
	{CUT(FROM ",\"items\":\",;\""), "s: 00,11;@\n", NULL},
	{CUT(FROM ",\"items\":\" \""), "s: 00\t@\n", NULL},
	{CUT(FROM ",\"items\":\",\""), "s: 00, @\n", "signature does not match"},
	{CUT(FROM ",\"items\":\",\",\"trim\":true"), "s: 00, @ ,\n", NULL},
	{CUT(FROM ",\"items\":\",\",\"skip\":1"), "s: @,00\n", "signature does not match"},
	{CUT(FROM ",\"items\":\",\",\"skip\":1"), "s: 00,@\n", NULL},
	{CUT(FROM ",\"items\":\",\",\"kv\":\"=>\",\"pick\":[\"a\",\"b\"]"), "s: x=>1,b=>@\n", NULL},
	{CUT(FROM ",\"items\":\",\",\"kv\":\"=>\",\"pick\":[\"a\",\"b\"]"), "s: c=>@\n",
     "no usable signature in header 's'"},
	{CUT(FROM ",\"items\":\",\",\"kv\":\"=\",\"pick\":[\"a\"]"), "s: a==@\n",
     "no usable signature in header 's'"},
	{CUT("\"from\":[\"header*:x-sig-\"],\"enc\":\"hex\""), "X-Sig-1: 00\nX-SIG-2: @\n", NULL},
	{CUT("\"from\":[\"header*:x-sig-\"],\"enc\":\"hex\""), "HTTP_X_SIG_2: @\n", NULL},
	{CUT("\"from\":[\"header*:x-sig-\"],\"enc\":\"hex\""), "X-Sig: @\n",
     "no signature: headers 'x-sig-' is missing"},
	{CUT("\"from\":[\"query:s\"],\"enc\":\"hex\""), "",
     "no signature: query member 's' is missing"},
	{VAR(FROM ",\"items\":\",\",\"skip\":1,\"sets\":\" \""), "s: 5,00 ,@ \t,00\n",
     "signature does not match"},
};

static void cutting_rules(void)
{
	const char *signature = hmac_hex("k", bytes_of(BODY));
	size_t i;

	for (i = 0; i < sizeof cut_cases / sizeof cut_cases[0]; i++)
		judged((ask){.own = cut_cases[i].own,
		             .secrets = "[\"k\"]",
		             .headers = with(cut_cases[i].headers, signature),
		             .body = BODY},
		       cut_cases[i].error);
}

/* Of several sets only the one that was signed may be read from. */
static void sets_do_not_mix(void)
{
	static const char own[] = VAR(
		"\"from\":[\"header:s\"],\"enc\":\"hex\",\"items\":\",\",\"skip\":1,\"sets\":\" \"");
	const char *signature = hmac_hex("k", bytes_of("7" BODY));
	scheme_verdict v = ask_verdict((ask){.own = own,
	                                     .secrets = "[\"k\"]",
	                                     .headers = with("s: 6,00 7,@ 8,00", signature),
	                                     .body = BODY});

	CHECK(v.valid && bytes_is(v.provider_event_id, "7"),
	      "the id is that of the set that was signed, not of the last");
	judged((ask){.own = own,
	             .secrets = "[\"k\"]",
	             .headers = with("s: 6,@ 7,00", signature),
	             .body = BODY},
	       "signature does not match");
}

/* ---- base64, tokens, passwords ---- */

static const struct {
	const char *provider, *secrets, *headers, *error;
} word_cases[] = {
	{"bearer-token", "[\"tok\"]", "Authorization: BEARER  tok \n", NULL},
	{"bearer-token", "[\"tok\"]", "HTTP_AUTHORIZATION: Bearer tok\n", NULL},
	{"bearer-token", "[\"tok\"]", "Authorization: Bearertok\n",
     "no usable signature in header 'authorization'"},
	{"bearer-token", "[\"tok\"]", "Authorization: tok\n",
     "no usable signature in header 'authorization'"},
	{"bearer-token", "[\"tok\"]", "Authorization: Bearer tok tok\n", "signature does not match"},
	{"bearer-token", "[\"tok\"]", "Authorization: Bearer TOK\n", "signature does not match"},
	{"bearer-token", "[\"tok\"]", "Authorization: Bearer tok\nAuthorization: Bearer x\n",
     "different values of header 'authorization'"},
	{"token-header", "[\"a\",\"b\"]", "x-knocker-token: b\n", NULL},
	{"token-header", "[\"a\",\"b\"]", "x-knocker-token: ab\n", "signature does not match"},
	{"token-header", "[\"a\"]", "x-knocker-token:\n",
     "no signature: header 'x-knocker-token' is missing"},
	{"basic-auth", "[\"u:p\"]", "Authorization: bAsIc dTpw\n", NULL},
	{"basic-auth", "[\"nocolon\"]", "Authorization: Basic bm9jb2xvbg==\n", NULL},
	{"basic-auth", "[\"u:p\"]", "Authorization: Basic dTpx\n", "signature does not match"},
	{"basic-auth", "[\"u:p\"]", "Authorization: Basic dTp\n",
     "no usable signature in header 'authorization'"},
	{"basic-auth", "[\"u:p\"]", "Authorization: dTpw\n",
     "no usable signature in header 'authorization'"},
	{"basic-auth", "[\"nocolon\"]", "Authorization: Basic bm9jb2xvbg=\n",
     "no usable signature in header 'authorization'"},
	{"basic-auth", "[\"nocolon\"]", "Authorization: Basic bm9jb2xvbh==\n",
     "no usable signature in header 'authorization'"},
	{"basic-auth", "[\"nocolon\"]", "Authorization: Basic bm9jb2xvbg\n",
     "no usable signature in header 'authorization'"},
	{"basic-auth", "[\"u:p\"]", "Authorization: Basic dT pw\n",
     "no usable signature in header 'authorization'"},
};

static void credential_rules(void)
{
	scheme_verdict v;
	size_t i;

	for (i = 0; i < sizeof word_cases / sizeof word_cases[0]; i++)
		judged((ask){.provider = word_cases[i].provider,
		             .secrets = word_cases[i].secrets,
		             .headers = word_cases[i].headers,
		             .body = "{}"},
		       word_cases[i].error);
	v = ask_verdict((ask){.provider = "basic-auth", .secrets = "[\"u:p\"]", .body = "{}"});
	CHECK(v.status == 401 &&
	          bytes_is(v.response_headers, "WWW-Authenticate: Basic realm=\"webhooks\"\n"),
	      "a password is asked for");
	v = ask_verdict(
		(ask){.own = "{\"kind\":\"token\",\"sig\":{\"from\":[\"json:passcode\"]},\"extract\":{}}",
	          .secrets = "[\"p\"]",
	          .body = "{\"passcode\":\"q\"}"});
	CHECK(!v.valid && v.body_is_credential && v.has_signature,
	      "a body that holds the credential is said to");
	v = ask_verdict((ask){.provider = "github", .secrets = "[\"p\"]", .body = "{}"});
	CHECK(!v.valid && !v.body_is_credential && !v.has_signature, "and one that does not is not");
}

/* ---- families ---- */

static void family_rules(void)
{
	static const struct {
		const char *headers;
		int64_t now_s;
		const char *error, *delivery;
	} cases[] = {
		{"webhook-id: m\nwebhook-timestamp: 1700000000\nwebhook-signature: v1,"
	     "@\n",
	     NOW, NULL, "m"},
		{"svix-id: m\nsvix-timestamp: 1700000000\nsvix-signature: v1,@\n", NOW, NULL, "m"},
		{"webhook-id: m\nsvix-timestamp: 1700000000\nsvix-signature: v1,@\n", NOW,
	     "header 'svix-id' is missing", NULL},
		{"webhook-id: m\nwebhook-timestamp: 1700000000\nsvix-signature: v1,@\n", NOW,
	     "header 'svix-id' is missing", NULL},
		{"webhook-id: n\nsvix-id: m\nsvix-timestamp: 1700000000\nsvix-signature: v1,"
	     "@\n",
	     NOW, NULL, "m"},
		{"webhook-id: n\nwebhook-timestamp: 1700000000\nwebhook-signature: v1,@\nsvix-id: m\ns"
	     "vix-timestamp: 1700000000\n"
	     "svix-signature: v1,@\n",
	     NOW, NULL, "m"},
		{"webhook-id: n\nsvix-id: m\nsvix-timestamp: 1700000000\nsvix-signature: v1,"
	     "@\n",
	     NOW + 301, "timestamp is 301 s off, over the window of 300 s", "m"},
		{"webhook-id: m\nwebhook-timestamp: 1700000000\nwebhook-signature: v2,@\n", NOW,
	     "no usable signature in header 'webhook-signature'", "m"},
		{"webhook-id: m\nwebhook-timestamp: 1700000000\nwebhook-signature: @\n", NOW,
	     "no usable signature in header 'webhook-signature'", "m"},
		{"webhook-id: n\n", NOW, "no signature: header 'webhook-signature' is missing", "n"},
	};
	static const char key[] = "a secret that is text";
	knocker_bytes text = bytes_of("m.1700000000." BODY);
	uint8_t mac[DIGEST_MAX];
	char signature[64];
	size_t i;

	crypto_hmac(DIGEST_SHA256, bytes_of(key), &text, 1, mac);
	base64_write(mac, 32, signature);
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		scheme_verdict v = ask_verdict((ask){.provider = "standard-webhooks",
		                                     .secrets = "[\"a secret that is text\"]",
		                                     .headers = with(cases[i].headers, signature),
		                                     .body = BODY,
		                                     .now_s = cases[i].now_s});

		CHECK(v.valid == !cases[i].error && (v.valid || strcmp(v.error, cases[i].error) == 0),
		      cases[i].headers);
		CHECK(cases[i].delivery ? bytes_is(v.provider_delivery_id, cases[i].delivery)
		                        : !bytes_given(v.provider_delivery_id),
		      "ids are read by the family that passed, or that had a signature");
		CHECK(v.valid ? bytes_is(v.dedupe_key, "m") : !bytes_given(v.dedupe_key),
		      "a refused request has no dedupe key");
	}
}

/* ---- ids and identity ---- */

#define TOKEN(extract) \
	"{\"kind\":\"token\",\"sig\":{\"from\":[\"header:t\"]},\"extract\":{" extract "}}"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X512 X64 X64 X64 X64 X64 X64 X64 X64

static const struct {
	const char *extract, *headers, *query, *body;
	const char *id, *dedupe; /* NULL: absent */
} id_cases[] = {
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "",
     "{\"i"
     "d\":\"a\"}",
     "a", "a"},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "",
     "{\"id\":12345678901234567890}", "12345678901234567890", "12345678901234567890"},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "", "{\"id\":true}",
     "true", "true"},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "",
     "{\"id\":null"
     "}",
     NULL, NULL},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "",
     "{\"i"
     "d\":\"\"}",
     NULL, NULL},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "",
     "{\"id\":[1]"
     "}",
     NULL, NULL},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "", "{\"id\":\"a\"} ",
     "a", "a"},
	{TOKEN("\"event_id\":[\"json:id\"],\"dedupe\":[\"{event_id}\"]"), "", "", "{\"id\":\"a\"}x",
     NULL, NULL},
	{TOKEN("\"event_id\":[\"json:id\"]"), "", "", "{\"id\":\"" X512 "\"}", X512, NULL},
	{TOKEN("\"event_id\":[\"json:id\"]"), "", "", "{\"id\":\"x" X512 "\"}", NULL, NULL},
	{TOKEN("\"event_id\":[\"json:id\",\"json:b\"]"), "", "", "{\"id\":\"\",\"b\":\"c\"}", "c",
     NULL},
	{TOKEN("\"event_id\":[\"header:i\",\"json:b\"]"), "i: 1\ni: 2\n", "", "{\"b\":\"c\"}", "c",
     NULL},
	{TOKEN("\"event_id\":[\"header:i\"]"), "i: 1\nI: 1\n", "", "", "1", NULL},
	{TOKEN("\"event_id\":[\"header:i\"]"), "i: \xFF\n", "", "", NULL, NULL},
	{TOKEN("\"event_id\":[\"query:i\"]"), "", "a=b&i=%41+b%zz", "", "A b%zz", NULL},
	{TOKEN("\"event_id\":[\"query:i\"]"), "", "i=1&i=2", "", NULL, NULL},
	{TOKEN("\"event_id\":[\"query:i\"]"), "", "i=A&i=%41", "", "A", NULL},
	{TOKEN("\"event_id\":[\"query:i\"]"), "", "i=a%00b", "", NULL, NULL},
	{TOKEN("\"event_id\":[\"form:i\"]"), "", "", "x=1&i=a%20b", "a b", NULL},
	{TOKEN("\"event_id\":[\"form:i\"]"), "", "", "{\"x\":\"&i=a\"}", NULL, NULL},
	{TOKEN("\"event_id\":[\"json:a.b\"],\"form_json_field\":\"p\""), "", "",
     "p=%7B%22a%22%3A%7B%22b%22%3A7%7D%7D", "7", NULL},
	{TOKEN("\"event_id\":[\"json:a\"],\"form_json_field\":\"p\""), "", "", "p=%7B", NULL, NULL},
	{TOKEN("\"event_id\":[\"join:-:json:a:json:b\"]"), "", "", "{\"a\":1,\"b\":2}", "1-2", NULL},
	{TOKEN("\"event_id\":[\"join:-:json:a:json:b\"]"), "", "", "{\"a\":1}", NULL, NULL},
	{TOKEN("\"dedupe\":[\"{json:a}:{json:b}\",\"{json:b}\"]"), "", "", "{\"b\":2}", NULL, "2"},
	{TOKEN("\"dedupe\":[\"{json:a}:{json:b}\"]"), "", "", "{\"a\":1,\"b\":2}", NULL, "1:2"},
	{TOKEN("\"dedupe\":[\"sha256:{body}\"]"), "", "", "abc", NULL,
     "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{TOKEN("\"dedupe\":[\"sha256:{body}\"]"), "", "", "", NULL, NULL},
	{TOKEN("\"dedupe\":[\"{json:a}\"]"), "", "", "{\"a\":\"" X64 X64 X64 "12345678\"}", NULL,
     X64 X64 X64 "12345678"},
	{TOKEN("\"dedupe\":[\"{json:a}\"]"), "", "", "{\"a\":\"" X64 X64 X64 "123456789\"}", NULL,
     "sha256:a3b02d00510f3ddcee48df3bffac26555ffd78ef30d0ad5e2476ab07f1d873f8"},
	{TOKEN("\"dedupe\":[\"each:$:{a}-{b.c}\",\"sha256:{body}\"]"), "", "",
     "[{\"a\":2,\"b\":{\"c\":1}},{\"a\":1,\"b\":{\"c\":2}}]", NULL,
     "sha256:7ff14d78646b6adfc728772f83361e5d0ef274ce7d095864154e1f20450683b5"},
	{TOKEN("\"dedupe\":[\"each:$:{a}\"]"), "", "", "[{\"a\":2},{}]", NULL, NULL},
	{TOKEN("\"dedupe\":[\"each:$:{a}\"]"), "", "", "[]", NULL, NULL},
	{TOKEN("\"dedupe\":[\"each:x:{a}\"]"), "", "", "{\"x\":{\"a\":1}}", NULL, NULL},
};

static void id_rules(void)
{
	size_t i;

	for (i = 0; i < sizeof id_cases / sizeof id_cases[0]; i++) {
		static char headers[200];
		scheme_verdict v;

		snprintf(headers, sizeof headers, "t: s\n%s", id_cases[i].headers);
		v = ask_verdict((ask){.own = id_cases[i].extract,
		                      .secrets = "[\"s\"]",
		                      .headers = headers,
		                      .query = id_cases[i].query,
		                      .body = id_cases[i].body});
		CHECK(v.valid && (id_cases[i].id ? bytes_is(v.provider_event_id, id_cases[i].id)
		                                 : !bytes_given(v.provider_event_id)),
		      id_cases[i].body);
		CHECK(id_cases[i].dedupe ? bytes_is(v.dedupe_key, id_cases[i].dedupe)
		                         : !bytes_given(v.dedupe_key),
		      id_cases[i].extract);
		if (id_cases[i].dedupe && !bytes_is(v.dedupe_key, id_cases[i].dedupe))
			printf("  got %.*s\n", (int)v.dedupe_key.len, (const char *)v.dedupe_key.data);
	}
}

int main(void)
{
	stripe_rules();
	cutting_rules();
	sets_do_not_mix();
	credential_rules();
	family_rules();
	id_rules();
	arena_free(&ask_memory);
	return check_end("test_scheme_rules");
}
