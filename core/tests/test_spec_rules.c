/* The rules that hold for every sender, A.1 to A.10: a request that keeps each and one that breaks
 * it, asked through knocker.h as an application does. Signatures stand here as the openssl command
 * makes them, under the key "k" unless said otherwise, or as a sender published them; refuses to
 * make any with the core's own code. */
#include "spec_help.h"

/* ---- A.1 ---- */

#define GITHUB(hex) "X-Hub-Signature-256: sha256=" hex "\n"
#define GITHUB_EMPTY_OBJECT "add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4fff"
#define MISMATCH "signature does not match"

static void a1_bytes(void)
{
	spec_request r = {.provider = "github",
	                  .headers = GITHUB(
						  "1331ca86c2e70fc314da44caa4244e917feba1ec4b93c8bc74e493155b90acfe"),
	                  .body = "{ \"a\" : 1 }\r\n"};

	accepted(r, "blanks and the line's end are hashed as they came");
	r.body = "{ \"a\" : 1 }";
	refused(r, MISMATCH, "a body that was trimmed is another");
	r.body = "{\"a\":1}";
	refused(r, MISMATCH, "and so is one that was serialised again");
	r.headers = GITHUB("58a42da9219c0df27111012ec5b8175fb80f0e4e815e45edd6b6f04e717117ee");
	r.body = "{\"a\":\"\\u00e9\"}";
	accepted(r, "an escaped letter stays escaped");
	r.body = "{\"a\":\"\xC3\xA9\"}";
	refused(r, MISMATCH, "the letter itself is another body");
	r.headers = GITHUB("dc6279e883af856b0e866aa12ea910fe93cdcccdfeb82a64293aff7318b82787");
	r.body = "\xFF\x00\xFE";
	r.body_len = 3;
	accepted(r, "bytes that are no text are hashed too, beyond a NUL");
	r.body_len = 1;
	refused(r, MISMATCH, "all of them");
}

/* ---- A.2 ---- */

#define SLACK_OF(time, hex) "X-Slack-Request-Timestamp: " time "\nX-Slack-Signature: v0=" hex "\n"
#define SLACK_HEX "4d1ef9dc58210a288bb6450caca892dd965babccd8da5c4357f3c01e8fe6ecad"
#define SLACK SLACK_OF("1700000000", SLACK_HEX)
#define DOCUSIGN_RIGHT "rdhTsQP7zJNqGU+esV4pxP8Ir25H1dG8pPICGOMeT/8="
#define DOCUSIGN_WRONG "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void a2_headers(void)
{
	spec_request r = {.provider = "github",
	                  .headers = "x-hUB-signature-256: \t sha256=" GITHUB_EMPTY_OBJECT " \t\n"};

	accepted(r, "names have no case, and blanks around a value are no part of it");
	r.headers = "X-Hub-Signature-256: sha256= " GITHUB_EMPTY_OBJECT "\n";
	refused(r, "no usable signature", "a blank within is one");
	r.headers = GITHUB(GITHUB_EMPTY_OBJECT) GITHUB(GITHUB_EMPTY_OBJECT);
	accepted(r, "a header twice with one value is one");
	r.headers = GITHUB(GITHUB_EMPTY_OBJECT) GITHUB("00");
	refused(r, "different values of header", "with two values it is none, the right one first");
	r.headers = GITHUB("00") GITHUB(GITHUB_EMPTY_OBJECT);
	refused(r, "different values of header", "or last");
	r.provider = "slack";
	r.headers = SLACK "X-SLACK-REQUEST-TIMESTAMP: 1700000001\n";
	refused(r, "different values of header", "and so is a timestamp's");
	r.provider = "docusign";
	r.headers = "X-DocuSign-Signature-1: " DOCUSIGN_WRONG
				"\nX-DocuSign-Signature-2: " DOCUSIGN_RIGHT "\n";
	accepted(r, "where a sender has several headers one may be right");
	r.headers = "X-DocuSign-Signature-1: " DOCUSIGN_WRONG "\n";
	refused(r, MISMATCH, "and one must be");
}

/* ---- A.3 ---- */

#define SW_KEY "[\"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"]"
#define SW_BODY "{\"type\":\"email.sent\",\"data\":{\"email_id\":\"e1\"}}"
#define SW_M1 "lhE9XcUoPYECWqI2LdrgvPTMgyHBrLoOJGEEYOCyszQ="
#define SW_M2 "1yibbh4iYPEj91v2pIWXbS/gdG8WKk8jRf4C8rDuD08="
#define SVIX(id, signature) \
	"svix-id: " id "\nsvix-timestamp: 1700000000\nsvix-signature: v1," signature "\n"

static void a3_verbatim(void)
{
	spec_request r =
		{.provider = "slack",
	     .headers = SLACK_OF("0000001700000000",
	                         "b804e4ed512bd95d0a1909095c55763d1ad7894eeb5cc8c39bc81193975f61c0")};

	accepted(r, "zeros before a timestamp are signed with it, and mean nothing to its age");
	r.headers = SLACK_OF("01700000000", SLACK_HEX);
	refused(r, MISMATCH, "a number that is equal is not the text that was signed");
	r = (spec_request){.provider = "resend",
	                   .secrets = SW_KEY,
	                   .headers = SVIX("m1", SW_M1),
	                   .body = SW_BODY};
	accepted(r, "an id is signed as it came");
	r.headers = SVIX("M1", SW_M1);
	refused(r, MISMATCH, "in its own case");
}

/* ---- A.4 ---- */

/* Each is signed, so only its form can refuse it. */
static const struct {
	const char *time, *hex, *why;
} spec_times[] = {
	{"1700000000", SLACK_HEX, NULL},
	{"001700000000", "37f31625bd2b4955f0a904b73dc3565f07bac829480ab86c50086931f44f161b", NULL},
	{"+1700000000", "92b34ba14b3fd8bd4cf20bdc6370f160fb7b8826fcaf9eebf7e4b1399dafe4f6",
     "timestamp"},
	{"-1700000000", "def41d44c682cfb8b77e3ede0831df51d4e615ce5019c589c0948fecc33619bb",
     "timestamp"},
	{"1_700_000_000", "f817a4efcee87137260cf429817cba81312a07a18d6a5ff889e332ca4f45462a",
     "timestamp"},
	{"1700000000.0", "30f3e8c98c749bf4d718271cb24951c36086ebd730363e215b53918b3fe0999a",
     "timestamp"},
	{"1.7e9", "0368f48b61f23823eb76e3c9d23e629a07e493bedf60481a85e00bde4637e3c0", "timestamp"},
	{"\u0661\u0667\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660",
     "8edd37efd87cf389d97367920c2ebda2aa374d387c555c2feaa02fd1b1153532", "timestamp"},
	{"1700 000000", "391d3f77171de9004f5ec3562612aa31dad599dc52f46cd15404563872780c1e",
     "timestamp"},
	{"0x6553f100", "fd88499ac66bbfca30af9e6dbad957fcfefb23bed2ee7a9cc551b04a621af5e9", "timestamp"},
	{"170000000a", "4d6b0309963d1563730607da254bfca3726227112dbe27635bd157d392e0e20b", "timestamp"},
	{"00000001700000000", "5d616003cd3c04d358496365ee3893fa691a0ee776ce4adbc838bef860191e87",
     "timestamp"},
	{"9999999999999999", "a9a3844f34bcab0dc89dcfa04598f994a13dd4d5ce5df8e1c89b926ba7486e11",
     "over the window"},
};

#define ZENDESK(time, signature)                        \
	"X-Zendesk-Webhook-Signature-Timestamp: " time "\n" \
	"X-Zendesk-Webhook-Signature: " signature "\n"

static void a4_dates(void)
{
	spec_request r = {.provider = "zendesk",
	                  .headers = ZENDESK("2023-11-14T22:13:20Z",
	                                     "QTbFyoe3hjvWp5n2mavhOCX5cH/Xz6E7yK+pTplpeXI=")};

	accepted(r, "a date of RFC 3339 is one");
	r.headers = ZENDESK("2023-11-14T23:13:20+01:00",
	                    "ILSGlzuAHtnAz1Ne8cOwU+kf9CiiFZMnHb9+7mjbObo=");
	accepted(r, "in its own zone");
	r.headers = ZENDESK("2023-11-14T22:18:21Z", "bsryHwLUD+503btV+wRcpKnh8Z1K+tj3hGfMvq2dAlo=");
	refused(r, "over the window", "and has an age");
	r.headers = ZENDESK("2023-11-14 22:13:20", "jIDPSZpXIML6t4fzbDhv59gcS+lecYmkcK6NpPiXSfI=");
	refused(r, "timestamp", "one without a zone is none");
	r.headers = ZENDESK("2023-13-14T22:13:20Z", "6xFsOGfxDgPNVuskn6+PBPt/lKtU15bDiXg/dTH1lho=");
	refused(r, "timestamp", "nor is one in a thirteenth month");
	r.headers = ZENDESK("yesterday", "mtSXL9473LaFwT4XfNy5ZIY7ePYS8H26sXWi4i8YfB0=");
	refused(r, "timestamp", "nor a word");
}

static void a4_windows(void)
{
	static const struct {
		const char *options;
		int64_t off_s;
		bool good;
	} cases[] = {{NULL, 300, true},
	             {NULL, -300, true},
	             {NULL, 301, false},
	             {NULL, -301, false},
	             {"{\"tolerance_s\":0}", 0, true},
	             {"{\"tolerance_s\":0}", 1, false},
	             {"{\"tolerance_s\":0}", -1, false}};
	spec_request r = {.provider = "slack", .headers = SLACK};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		r.options = cases[i].options;
		r.now_s = NOW + cases[i].off_s;
		if (cases[i].good)
			accepted(r, "within the window, ends included, past and future alike");
		else
			refused(r, "over the window", "one second past it; 0 is the same second");
	}
	r.now_s = NOW;
	r.options = "{\"tolerance_s\":-1}";
	CHECK(judged(r).status == -1, "a window is not negative");
	r.options = "{\"tolerance_s\":1.5}";
	CHECK(judged(r).status == -1, "and whole");
}

#define STRIPE_HEX "c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146"

static void a4_timestamps(void)
{
	char headers[300];
	spec_request r = {.provider = "slack", .headers = headers};
	size_t i;

	for (i = 0; i < sizeof spec_times / sizeof spec_times[0]; i++) {
		snprintf(headers, sizeof headers, SLACK_OF("%s", "%s"), spec_times[i].time,
		         spec_times[i].hex);
		if (spec_times[i].why)
			refused(r, spec_times[i].why, "what is not one to sixteen digits is no timestamp");
		else
			accepted(r, "digits are one");
	}
	a4_dates();
	a4_windows();
	r = (spec_request){.provider = "linear",
	                   .headers =
	                       "Linear-Signature: "
	                       "0f76d840d7597eb0fa55c4491ca73174dca1d6fca76cc059e8c413f2d805124b\n",
	                   .body = "{\"webhookTimestamp\":1700000000999}"};
	r.now_s = NOW + 60;
	accepted(r, "milliseconds are floored");
	r.now_s = NOW - 60;
	accepted(r, "and not rounded up");
	r.now_s = NOW + 61;
	refused(r, "over the window", "to the second");
	r = (spec_request){.provider = "stripe",
	                   .headers = "Stripe-Signature: t=1700000000,t=1700000000,v1=" STRIPE_HEX
	                              "\n"};
	accepted(r, "an element twice with one value is one");
	r.headers = "Stripe-Signature: t=1700000000,t=1700000001,v1=" STRIPE_HEX "\n";
	refused(r, "different values of element 't'", "with two it is none");
}

/* ---- A.5 ---- */

#define SHOPIFY(signature) "X-Shopify-Hmac-Sha256: " signature "\n"
#define UNUSABLE "no usable signature"

static void a5_signatures(void)
{
	spec_request r = {.provider = "stripe", .secrets = "[\"a\",\"b\",\"k\"]"};

	r.headers = "Stripe-Signature: t=1700000000,v1=0,v1=\xC3\xA9,v1=00,v1=" STRIPE_HEX ",v1=x\n";
	accepted(r, "any candidate under any secret, and those that cannot be read are passed over");
	r.headers = "Stripe-Signature: t=1700000000,v1=0,v1=\xC3\xA9,v1=x\n";
	refused(r, UNUSABLE, "with none that can be read there is none");
	r = (spec_request){.provider = "github",
	                   .headers = GITHUB(
						   "ADD853B103FBCC936A194F9EB15E29C4FF08AF6E47D5D1BCA4F20218E31E4FFF")};
	accepted(r, "hexadecimal has both cases");
	r.headers = GITHUB("add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4ff");
	refused(r, UNUSABLE, "and an even length");
	r.headers = GITHUB("add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4ffg");
	refused(r, UNUSABLE, "of its own digits");
	r.headers = GITHUB("add8");
	refused(r, MISMATCH, "and a part of a digest is no digest");
	r = (spec_request){.provider = "shopify", .headers = SHOPIFY(DOCUSIGN_RIGHT)};
	accepted(r, "base64 in the standard alphabet, padded");
	r.headers = SHOPIFY("rdhTsQP7zJNqGU-esV4pxP8Ir25H1dG8pPICGOMeT_8=");
	refused(r, UNUSABLE, "not in another alphabet");
	r.headers = SHOPIFY("rdhTsQP7zJNqGU+esV4pxP8Ir25H1dG8pPICGOMeT/8");
	refused(r, UNUSABLE, "not without padding");
	r.headers = SHOPIFY("rdhTsQP7zJNqGU+esV4pxP8Ir25H1dG8pPICGOMeT/9=");
	refused(r, UNUSABLE, "not with a last letter whose spare bits are set");
	r = (spec_request){.provider = "sanity",
	                   .secrets = "[\"test\"]",
	                   .headers = "sanity-webhook-signature: t=1633519811129,v1=tLa470fx7qkLLEcMOc"
	                              "EUFuBbRSkGujyskxrNXcoh0N0\n",
	                   .body = "{\"_id\":\"resume\"}"};
	accepted(r, "as Sanity's own tests have it");
	r.headers = "sanity-webhook-signature: t=1633519811129,v1=tLa470fx7qkLLEcMOcEUFuBbRSkGujyskxrN"
				"Xcoh0N1\n";
	refused(r, UNUSABLE, "and refuse it");
}

/* ---- A.6 ---- */

static void a6_secrets(void)
{
	spec_request r = {.provider = "github",
	                  .secrets = "[\"s\u00e9cret\"]",
	                  .headers = GITHUB(
						  "6bdc600d7060e2255d31249ba5148f3467e62926a37d87eeb622e2332f1ca7e7")};
	spec_verdict v;

	accepted(r, "a secret is text, and its UTF-8 the key");
	r.headers = GITHUB("4484ec1e24629607ac13eaa6d90123525b5cdfd61c5ea6a1e46926b49e3fff96");
	refused(r, MISMATCH, "not its Latin-1");
	r.headers = GITHUB(GITHUB_EMPTY_OBJECT);
	r.secrets = "[\"new\",\"k\"]";
	accepted(r, "any of several may be the one");
	r.secrets = "[\"new\",\"old-and-private\"]";
	r.body = "{ }";
	v = refused(r, MISMATCH, "and one must be");
	CHECK(!strstr(v.error, "old-and-private") && !strstr(v.error, r.body) &&
	          !strstr(v.error, "add853"),
	      "the error holds no secret, no body and no digest");
	r.secrets = "[]";
	CHECK(judged(r).status == -1, "no secret is a mistake of the call");
	r.secrets = "[\"old-and-private\",\"\"]";
	v = judged(r);
	CHECK(v.status == -1 && *v.error && !strstr(v.error, "old-and-private"),
	      "an empty one too, and the error does not hold the others");
}

/* ---- A.7 ---- */

#define STRIPE(hex) "Stripe-Signature: t=1700000000,v1=" hex "\n"

static void a7_order(void)
{
	static const struct {
		const char *hex_headers, *body, *id, *type;
	} cases[] = {
		{STRIPE("44cddf4fa3e72c83597e305d89cdfd9adf7b9fa53374846758ae34e8d2aacf9e"), "{", "", ""},
		{STRIPE("0c2cbb4921a5fced37e51ffaa9fe279b74889b53a75e062c19e905d804ed2bd2"),
	     "{\"id\":\xFF}", "", ""},
		{STRIPE("e187e0cc44db6fb2387bd5824a3ce76c08329290c7aef1f563d05c789d5d85a0"), "[]", "", ""},
		{STRIPE("32078116f967c1228f8edbfe42f959189314709a05eee316c53ac1c3aad32421"),
	     "{\"id\":12.50,\"type\":true}", "12.50", "true"},
		{STRIPE("af9c151cee477e5a60ace55216b64ef67a2f4d05f6b9743c06e06088dc636546"),
	     "{\"id\":[1],\"type\":{\"a\":1}}", "", ""},
		{STRIPE("17a9a292b0364d9d26b9dc1f5329074abd392dd86bf735b8fb9eee74ce400d9b"),
	     "{\"id\":null,\"type\":false}", "", "false"},
	};
	spec_request r = {.provider = "stripe"};
	spec_verdict v;
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		r.headers = cases[i].hex_headers;
		r.body = cases[i].body;
		v = accepted(r, "what is read of a body fails no request");
		CHECK(!strcmp(v.event_id, cases[i].id) && !strcmp(v.event_type, cases[i].type),
		      "numbers and booleans are their JSON text, all else is none");
	}
	r.now_s = NOW + 1000;
	r.body = "{\"id\":\"evt_1\",\"type\":\"t\"}";
	r.headers = "";
	v = refused(r, "is missing", "first the headers are looked for");
	CHECK(!strcmp(v.event_id, "evt_1") && !strcmp(v.event_type, "t"), "and what it is is read");
	r.headers = STRIPE(STRIPE_HEX);
	refused(r, MISMATCH, "then the signature is judged");
	r.body = "{}";
	refused(r, "over the window", "and the age last");
}

/* ---- A.8 and A.10: with a file ---- */

static test_file spec_file;
static knocker *spec_inbox;

static int64_t count(const char *sql)
{
	return raw_int(spec_file.path, sql);
}

static spec_verdict received(const char *endpoint, spec_request r)
{
	knocker_request q = asked(&r);
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	spec_verdict v = {.status = -1};

	q.endpoint = T(endpoint);
	q.provider = q.secrets_json = (knocker_bytes){0};
	if (knocker_receive(spec_inbox, &q, &rows, &error) < 0) {
		printf("  %s\n", error.text);
		return v;
	}
	knocker_rows_next(rows);
	v.valid = row_int(rows, "event_id") > 0;
	v.status = row_int(rows, "status_code");
	row_text(rows, "response_headers", v.response_headers, sizeof v.response_headers);
	row_text(rows, "response_body", v.response_body, sizeof v.response_body);
	knocker_rows_free(rows);
	return v;
}

static void endpoint_of(const char *provider, const char *options)
{
	knocker_endpoint e = {.size = sizeof e,
	                      .name = T(provider),
	                      .provider = T(provider),
	                      .secrets_json = T("[\"k\"]"),
	                      .options_json = text_or_none(options)};
	knocker_error error = {0};

	CHECK(knocker_endpoint_add(spec_inbox, &e, NULL, &error) == 0, "an endpoint is added");
}

static void a8_missing(void)
{
	static const char *const headers[] = {"X-GitHub-Delivery: d1\nX-GitHub-Event: push\n",
	                                      "X-GitHub-Delivery: d2\nX-Hub-Signature-256: nonsense\n"};
	spec_verdict v;
	size_t i;

	endpoint_of("github", NULL);
	for (i = 0; i < 2; i++) {
		v = received("github", (spec_request){.headers = headers[i]});
		CHECK(v.status == 401 && !v.valid, "a header that is missing or malformed is answered 401");
	}
	CHECK(count("select count(*) from knocker_deliveries where event_id is null and "
	            "signature_valid = 0 and provider_delivery_id in ('d1', 'd2')") == 2,
	      "each is kept as an orphan, with what was read of it");
	CHECK(count("select count(*) from knocker_events") == 0, "and is no event");
	v = received("github",
	             (spec_request){.headers = "X-GitHub-Delivery: d3\n" GITHUB(GITHUB_EMPTY_OBJECT)});
	CHECK(v.status == 204 && v.valid && count("select count(*) from knocker_events") == 1,
	      "one that has it is");
}

/* ---- A.9 ---- */

#define POSTMARK(type, now)                                                      \
	((spec_request){.provider = "postmark",                                      \
	                .secrets = "[\"u:p\"]",                                      \
	                .headers = "Authorization: Basic dTpw\n",                    \
	                .body = "{\"RecordType\":\"" type "\",\"MessageID\":\"m\"}", \
	                .now_s = (now)})

static void a9_identity(void)
{
	spec_request r = {.provider = "resend",
	                  .secrets = SW_KEY,
	                  .headers = SVIX("m1", SW_M1),
	                  .body = SW_BODY};
	spec_verdict one = accepted(r, "an e-mail's first webhook"), two;

	r.headers = SVIX("m2", SW_M2);
	two = accepted(r, "and its second");
	CHECK(!strcmp(one.event_id, "e1") && !strcmp(two.event_id, "e1"), "both name the e-mail");
	CHECK(!strcmp(one.dedupe, "m1") && !strcmp(two.dedupe, "m2"), "and are two nevertheless");
	one = accepted(POSTMARK("Open", NOW), "a mail was opened");
	two = accepted(POSTMARK("Click", NOW), "and clicked");
	CHECK(!strcmp(one.event_id, "m") && !strcmp(two.event_id, "m"), "both name the mail");
	CHECK(!strcmp(one.dedupe,
	              "sha256:b7d28c0a94e3ab097e8b5333410ec036b64317cdfef96aa0daf3d88255a15997") &&
	          !strcmp(two.dedupe,
	                  "sha256:d42266298eed7c9488157478d5d4dbe176c218b92f6ab38d50855ee773568e57"),
	      "and what tells them apart is their body");
	two = accepted(POSTMARK("Open", NOW + 9), "a retry");
	CHECK(!strcmp(one.dedupe, two.dedupe), "is the same as the first try");
}

/* ---- A.10 ---- */

#define CHALLENGE "{\"type\":\"url_verification\",\"challenge\":\"c1\"}"
#define HANDSHAKE_HEX "f2d13f6f1a88eec6bc97199ce172c68097b2ada389a15e8bcf5a5f1ff4037a0e"
#define SUBSCRIBE "hub.mode=subscribe&hub.verify_token=v&hub.challenge="

static void a10_handshakes(void)
{
	spec_request r = {.headers = SLACK_OF("1700000000", HANDSHAKE_HEX), .body = CHALLENGE};
	int64_t events = count("select count(*) from knocker_events");
	char query[700];
	spec_verdict v;

	endpoint_of("slack", NULL);
	endpoint_of("meta", "{\"verify_token\":\"v\"}");
	v = received("slack", r);
	CHECK(v.status == 200 && !strcmp(v.response_body, "{\"challenge\":\"c1\"}"),
	      "a signed handshake is answered");
	r.headers = SLACK;
	v = received("slack", r);
	CHECK(v.status == 401 && !*v.response_body, "a forged one is not");
	r = (spec_request){.method = "GET", .query = SUBSCRIBE "<b>1"};
	v = received("meta", r);
	CHECK(v.status == 200 && !strcmp(v.response_body, "<b>1"), "an unsigned one reflects a token");
	CHECK(strstr(v.response_headers, "Content-Type: text/plain\n") &&
	          strstr(v.response_headers, "X-Content-Type-Options: nosniff\n"),
	      "as text, which no browser takes for a page");
	snprintf(query, sizeof query, SUBSCRIBE "%0600d", 1);
	r.query = query;
	v = received("meta", r);
	CHECK(v.status == 403 && !*v.response_body, "and a long one is not reflected");
	r.query = "hub.mode=subscribe&hub.verify_token=x&hub.challenge=1";
	v = received("meta", r);
	CHECK(v.status == 403 && !*v.response_body, "nor one under another token");
	CHECK(count("select sum(endpoint = 'slack') * 10 + sum(endpoint = 'meta') from "
	            "knocker_deliveries where event_id is null and signature_valid is null and "
	            "signature_error = 'handshake'") == 13 &&
	          count("select count(*) from knocker_events") == events,
	      "handshakes are deliveries and no events");
}

static void rule(const char *name, void (*holds)(void))
{
	int passed = check_passed, failed = check_failed;

	holds();
	printf("%s: %d passed, %d failed\n", name, check_passed - passed, check_failed - failed);
}

int main(void)
{
	file_new(&spec_file);
	spec_inbox = open_plain(spec_file.path);
	rule("A.1 the bytes that came are hashed", a1_bytes);
	rule("A.2 headers have no case, and one value", a2_headers);
	rule("A.3 text is signed verbatim", a3_verbatim);
	rule("A.4 timestamps are digits or dates, in a window", a4_timestamps);
	rule("A.5 signatures are decoded strictly, and all are tried", a5_signatures);
	rule("A.6 secrets are a list, and never told", a6_secrets);
	rule("A.7 ids, headers, signature, age", a7_order);
	rule("A.8 a missing header is a refusal, and kept", a8_missing);
	rule("A.9 what tells events apart is not their id", a9_identity);
	rule("A.10 handshakes are answered, and are no events", a10_handshakes);
	knocker_close(spec_inbox, NULL);
	file_end(&spec_file);
	return check_end("test_spec_rules");
}
