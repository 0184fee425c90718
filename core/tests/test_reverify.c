/* Orphans verified again after a fix: which become events, once, and what stays of the rest. */
#include <openssl/hmac.h>

#include "hard_file.h"

#define RIGHT "whsec_right"
#define WRONG "[\"whsec_wrong\"]"
#define RIGHT_JSON "[\"" RIGHT "\"]"
#define DAY_MS 86400000LL
/* The rows of a call, in short: "1 event 1, 2 repeat 1". */
typedef char told[2000];

static test_file file;

/* ---- requests, signed with another tool ---- */

static void hex_hmac(const char *text, char out[65])
{
	unsigned char mac[32];
	unsigned len = sizeof mac;
	int i;

	HMAC(EVP_sha256(), RIGHT, (int)strlen(RIGHT), (const unsigned char *)text, strlen(text), mac,
	     &len);
	for (i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

static int64_t put(knocker *k, const knocker_request *q)
{
	knocker_rows *rows;
	knocker_error error = {0};
	int64_t id;

	if (knocker_receive(k, q, &rows, &error) < 0) {
		printf("receive: %s\n", error.text);
		return -1;
	}
	knocker_rows_next(rows);
	id = row_int(rows, "event_id");
	knocker_rows_free(rows);
	return id;
}

/* From Stripe, signed at `at_s`; the event's id, -1 for none. */
static int64_t stripe(knocker *k, const char *id, int64_t at_s)
{
	char body[100], text[160], mac[65], line[200];

	snprintf(body, sizeof body, "{\"id\":\"%s\",\"type\":\"invoice.paid\"}", id);
	snprintf(text, sizeof text, "%lld.%s", (long long)at_s, body);
	hex_hmac(text, mac);
	snprintf(line, sizeof line, "Stripe-Signature: t=%lld,v1=%s\n", (long long)at_s, mac);
	return put(k, &(knocker_request){.size = sizeof(knocker_request),
	                                 .endpoint = T("hook"),
	                                 .headers = T(line),
	                                 .body = T(body)});
}

static knocker_error endpoint_with(knocker *k, knocker_endpoint e)
{
	knocker_error error = {0};

	e.size = sizeof e;
	e.name = T("hook");
	knocker_endpoint_add(k, &e, NULL, &error);
	if (error.code < 0)
		printf("endpoint: %s\n", error.text);
	return error;
}

static knocker *fresh(const char *provider, const char *secrets)
{
	knocker *k;

	file_clear(&file);
	k = open_plain(file.path);
	endpoint_with(k, (knocker_endpoint){.provider = T(provider), .secrets_json = T(secrets)});
	return k;
}

static void mend(knocker *k)
{
	endpoint_with(k, (knocker_endpoint){.provider = T("stripe"), .secrets_json = T(RIGHT_JSON)});
}

/* ---- the call ---- */

typedef struct {
	int64_t since_s, after_id, limit;
	int32_t dry_run;
} how;

static int32_t again(knocker *k, how h, told out, knocker_error *error)
{
	knocker_request by = {.size = sizeof by, .endpoint = T("hook")};
	knocker_rows *rows;
	char outcome[20];
	int32_t rc = knocker_reverify(k, &by, h.since_s, h.after_id, h.limit, h.dry_run, &rows, error);
	size_t at = 0;

	out[0] = '\0';
	while (rc == 0 && knocker_rows_next(rows) == 0 && at < sizeof(told) - 60) {
		at += (size_t)snprintf(out + at, sizeof(told) - at, "%s%lld %s", at ? ", " : "",
		                       (long long)row_int(rows, "delivery_id"),
		                       row_text(rows, "outcome", outcome, sizeof outcome));
		if (row_int(rows, "event_id") > 0)
			at += (size_t)snprintf(out + at, sizeof(told) - at, " %lld",
			                       (long long)row_int(rows, "event_id"));
	}
	knocker_rows_free(rows);
	return rc;
}

static bool tells(knocker *k, how h, const char *expected)
{
	knocker_error error = {0};
	told got;
	int32_t rc = again(k, h, got, &error);

	if (rc == 0 && strcmp(got, expected) == 0)
		return true;
	printf("got %d '%s' %s\n", (int)rc, got, rc < 0 ? error.text : "");
	return false;
}

static bool refused(knocker *k, const char *saying)
{
	knocker_error error = {0};
	told got;

	if (again(k, (how){0}, got, &error) < 0 && strstr(error.text, saying))
		return true;
	printf("got %lld '%s' %s\n", (long long)error.code, got, error.text);
	return false;
}

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

/* ---- what becomes of them ---- */

static void a_wrong_secret(void)
{
	knocker *k = fresh("stripe", WRONG);
	int64_t at_s = START_MS / 1000;

	stripe(k, "evt_1", at_s);
	stripe(k, "evt_1", at_s);
	stripe(k, "evt_2", at_s);
	CHECK(ask("select count(*) from _knocker_delivery where event_id is null") == 3 &&
	          ask("select orphan_rows from _knocker_endpoint") == 3,
	      "under a wrong secret all are orphans");
	CHECK(tells(k, (how){0}, "1 rejected, 2 rejected, 3 rejected"),
	      "and stay orphans while it is wrong");
	mend(k);
	knocker_clock_set(k, START_MS + 2 * DAY_MS, NULL);
	CHECK(tells(k, (how){.dry_run = 1}, "1 event 1, 2 repeat 1, 3 event 3"),
	      "a dry run says what would be");
	CHECK(ask("select count(*) from _knocker_job") == 0 &&
	          ask("select count(*) from _knocker_delivery where event_id is null") == 3,
	      "and writes nothing");
	CHECK(tells(k, (how){0}, "1 event 1, 2 repeat 1, 3 event 3"),
	      "two days later they pass, for they were young when they came");
	CHECK(tells(k, (how){0}, ""), "once");
	CHECK(ask("select count(*) from knocker_events where received_at = 1700000000 and "
	          "event_type = 'invoice.paid' and status = 'received'") == 2,
	      "events of the time when they came");
	CHECK(ask("select count(*) from _knocker_delivery where signature_valid = 1 and "
	          "signature_error is not null") == 3,
	      "what was said to their sender stays");
	CHECK(ask("select orphan_rows + orphan_bytes + orphans_dropped from _knocker_endpoint") == 0,
	      "and they are gone from the budget");
	CHECK(stripe(k, "evt_2", at_s + 2 * DAY_MS / 1000) == 3, "a late retry is a repeat");
	CHECK(stripe(k, "evt_3", at_s + 2 * DAY_MS / 1000) == 5, "and ids go on");
	CHECK(handle_one(k, "w", NULL) == 1 && handle_one(k, "w", NULL) == 3 &&
	          handle_one(k, "w", NULL) == 5,
	      "workers come to all of them");
	knocker_close(k, NULL);
}

static void a_retry_was_faster(void)
{
	knocker *k = fresh("stripe", WRONG);

	stripe(k, "evt_1", START_MS / 1000);
	mend(k);
	CHECK(stripe(k, "evt_1", START_MS / 1000) == 2, "the sender's retry made the event");
	CHECK(tells(k, (how){0}, "1 repeat 2"), "so the orphan is a repeat of it");
	CHECK(ask("select count(*) from _knocker_job") == 1, "and there is one event");
	knocker_close(k, NULL);
}

static void the_rest(void)
{
	knocker *k = fresh("stripe", WRONG);
	int64_t at_s = START_MS / 1000;
	char zeroes[200];

	stripe(k, "evt_stale", at_s - 301);
	snprintf(zeroes, sizeof zeroes, "Stripe-Signature: t=%lld,v1=%064d\n", (long long)at_s, 0);
	put(k, &(knocker_request){.size = sizeof(knocker_request),
	                          .endpoint = T("hook"),
	                          .headers = T(zeroes),
	                          .body = T("{}")});
	put(k, &(knocker_request){.size = sizeof(knocker_request),
	                          .endpoint = T("hook"),
	                          .body = T("{}")});
	mend(k);
	CHECK(tells(k, (how){0}, "1 rejected, 2 rejected, 3 no_body"),
	      "stale when it came, forged, and without a body are no events");
	CHECK(ask("select orphan_rows from _knocker_endpoint") == 3 &&
	          ask("select count(*) from _knocker_delivery where signature_valid = 0") == 3,
	      "and stay what they are");
	knocker_close(k, NULL);
}

static void a_disabled_endpoint(void)
{
	knocker *k = fresh("stripe", RIGHT_JSON);

	endpoint_with(k, (knocker_endpoint){.provider = T("stripe"),
	                                    .secrets_json = T(RIGHT_JSON),
	                                    .disabled = 1});
	stripe(k, "evt_1", START_MS / 1000);
	CHECK(refused(k, "is disabled"), "a disabled endpoint takes no events");
	mend(k);
	CHECK(tells(k, (how){0}, "1 event 1"), "enabled, it takes what came meanwhile");
	knocker_close(k, NULL);
}

static void tokens(void)
{
	knocker *k = fresh("gitlab", "[\"token-wrong\"]");

	put(k, &(knocker_request){.size = sizeof(knocker_request),
	                          .endpoint = T("hook"),
	                          .headers = T("X-Gitlab-Token: token-right\n"),
	                          .body = T("{}")});
	endpoint_with(k, (knocker_endpoint){.provider = T("gitlab"),
	                                    .secrets_json = T("[\"token-right\"]")});
	CHECK(tells(k, (how){0}, "1 redacted"), "a token was not stored, so nobody compares it");
	endpoint_with(k, (knocker_endpoint){.provider = T("gitlab"),
	                                    .secrets_json = T("[\"[redacted]\"]")});
	CHECK(tells(k, (how){0}, "1 redacted"), "and what stands in its place is no token");
	knocker_close(k, NULL);
}

static void handshakes(void)
{
	knocker *k = fresh("slack", RIGHT_JSON);
	const char body[] = "{\"type\":\"url_verification\",\"challenge\":\"c\"}";
	char text[200], mac[65], lines[300];

	snprintf(text, sizeof text, "v0:%lld:%s", (long long)(START_MS / 1000), body);
	hex_hmac(text, mac);
	snprintf(lines, sizeof lines,
	         "X-Slack-Request-Timestamp: %lld\nX-Slack-Signature: v0=%s\n"
	         "Content-Type: application/json\n",
	         (long long)(START_MS / 1000), mac);
	put(k, &(knocker_request){.size = sizeof(knocker_request),
	                          .endpoint = T("hook"),
	                          .headers = T(lines),
	                          .body = T(body)});
	CHECK(ask("select signature_error = 'handshake' from _knocker_delivery") == 1 &&
	          tells(k, (how){0}, "1 rejected"),
	      "a handshake is no event");
	knocker_close(k, NULL);
}

/* ---- queries ---- */

#define BY_URL                                                                           \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:x-sig\"],"        \
	"\"enc\":\"hex\"},\"signed\":[\"{url}{body}\"],\"extract\":{},\"options\":{\"url\":" \
	"{\"type\":\"string\",\"required\":true}}}"

static void signed_queries(void)
{
	static const char *const raw[] = {"a=1&b=x%20y%2Fz", "a=x+y", "to=a/b:c&from=d@e", "a=%2f&b"};
	static const char *const options = "{\"url\":\"https://shop.example/in\"}";
	knocker_endpoint e = {.provider = T("own"),
	                      .scheme_json = T(BY_URL),
	                      .secrets_json = T(WRONG),
	                      .options_json = T(options)};
	char text[200], mac[65], line[100];
	knocker *k;
	size_t i;

	file_clear(&file);
	k = open_plain(file.path);
	endpoint_with(k, e);
	for (i = 0; i < sizeof raw / sizeof *raw; i++) {
		snprintf(text, sizeof text, "https://shop.example/in?%s{}", raw[i]);
		hex_hmac(text, mac);
		snprintf(line, sizeof line, "X-Sig: %s\n", mac);
		put(k, &(knocker_request){.size = sizeof(knocker_request),
		                          .endpoint = T("hook"),
		                          .headers = T(line),
		                          .query = T(raw[i]),
		                          .body = T("{}")});
	}
	e.secrets_json = T(RIGHT_JSON);
	endpoint_with(k, e);
	CHECK(tells(k, (how){0}, "1 event 1, 2 event 2, 3 event 3, 4 rejected"),
	      "a query in a usual form verifies again, one in an unusual form does not");
	knocker_close(k, NULL);
}

/* ---- pages and refusals ---- */

static void pages(void)
{
	knocker *k = fresh("stripe", WRONG);
	int64_t at_s = START_MS / 1000;
	char id[20];
	int i;

	for (i = 0; i < 200; i++) {
		knocker_clock_set(k, START_MS + i * 1000, NULL);
		snprintf(id, sizeof id, "evt_%d", i);
		stripe(k, id, at_s + i);
	}
	CHECK(tells(k, (how){.limit = 2}, "1 rejected, 2 rejected"), "oldest first, up to a limit");
	mend(k);
	CHECK(tells(k, (how){.limit = 2, .after_id = 2}, "3 event 3, 4 event 4"), "above an id");
	CHECK(tells(k, (how){.limit = 1, .since_s = at_s + 100}, "101 event 101"), "since a time");
	CHECK(tells(k, (how){.limit = 1, .since_s = at_s + 100, .after_id = 50}, "102 event 102"),
	      "and both");
	again(k, (how){.limit = 1000}, (told){0}, NULL);
	CHECK(ask("select count(*) from _knocker_job") == 200 &&
	          ask("select count(*) from _knocker_delivery where event_id = id") == 200 &&
	          ask("select orphan_rows + orphan_bytes from _knocker_endpoint") == 0,
	      "many rounds in one call");
	CHECK(
		ask("select count(*) from _knocker_delivery a join _knocker_delivery b on b.id = a.id + 1 "
	        "where b.received_ms < a.received_ms") == 0,
		"and the order of ids is still that of time");
	knocker_close(k, NULL);
}

static void refusals(void)
{
	knocker *k = fresh("stripe", WRONG), *other;
	knocker_request by = {.size = sizeof by, .endpoint = T("nobody")};
	knocker_rows *rows;
	told got;

	stripe(k, "evt_1", START_MS / 1000);
	CHECK(knocker_reverify(k, &by, 0, 0, 0, 0, &rows, NULL) == KNOCKER_UNKNOWN_ENDPOINT,
	      "an unknown endpoint is said to be that");
	CHECK(again(k, (how){.limit = 1001}, got, NULL) == KNOCKER_INVALID_ARGUMENT &&
	          again(k, (how){.limit = -1}, got, NULL) == KNOCKER_INVALID_ARGUMENT &&
	          again(k, (how){.since_s = -1}, got, NULL) == KNOCKER_INVALID_ARGUMENT &&
	          again(k, (how){.after_id = -1}, got, NULL) == KNOCKER_INVALID_ARGUMENT,
	      "a limit, a time and an id have bounds");
	other = open_plain(file.path);
	CHECK(refused(other, "has no secret"), "nobody verifies without a secret");
	by.endpoint = T("hook");
	by.secrets_json = T(RIGHT_JSON);
	CHECK(knocker_reverify(other, &by, 0, 0, 0, 1, &rows, NULL) == 0 &&
	          knocker_rows_next(rows) == 0 && row_int(rows, "event_id") == 1,
	      "a secret can be given with the call");
	knocker_rows_free(rows);
	knocker_close(other, NULL);
	endpoint_with(k, (knocker_endpoint){0});
	CHECK(refused(k, "has no provider"), "where nothing is verified there is no way around it");
	endpoint_with(k, (knocker_endpoint){.provider = T("own"), .external = 1});
	CHECK(refused(k, "application's own 'own'"), "what the application verifies only it verifies");
	CHECK(ask("select count(*) from _knocker_job") == 0, "and none of these made an event");
	knocker_close(k, NULL);
}

/* ---- several at once ---- */

static void *race(void *given)
{
	knocker *k = given;
	told got;
	int i;

	for (i = 0; i < 5; i++)
		again(k, (how){.limit = 1000}, got, NULL);
	return NULL;
}

/* The same events come again meanwhile, as from a sender that retries. */
static void at_once(void)
{
	knocker *k = fresh("stripe", WRONG), *second = open_plain(file.path);
	pthread_t threads[3];
	char id[20];
	int i;

	for (i = 0; i < 300; i++) {
		snprintf(id, sizeof id, "evt_%d", i);
		stripe(k, id, START_MS / 1000);
	}
	mend(k);
	mend(second);
	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, race, i == 2 ? second : k);
	for (i = 299; i >= 0; i--) {
		snprintf(id, sizeof id, "evt_%d", i);
		stripe(second, id, START_MS / 1000);
	}
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(ask("select count(*) from _knocker_job") == 300 &&
	          ask("select count(distinct dedupe_key) from _knocker_delivery where event_id = id") ==
	              300,
	      "each event exists once, whoever was first");
	CHECK(ask("select count(*) from _knocker_delivery where event_id is not null") == 600 &&
	          ask("select orphan_rows + orphan_bytes from _knocker_endpoint") == 0,
	      "no receipt is lost, and the budget counts what is left of the orphans");
	knocker_close(second, NULL);
	knocker_close(k, NULL);
}

int main(void)
{
	file_new(&file);
	a_wrong_secret();
	a_retry_was_faster();
	the_rest();
	a_disabled_endpoint();
	tokens();
	handshakes();
	signed_queries();
	pages();
	refusals();
	at_once();
	file_end(&file);
	return check_end("reverify");
}
