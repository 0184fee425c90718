/* Bad input at every member of every struct: a clear error that names the value, or what was asked
 * for; nothing half done, nothing crashes. And good input of the odd kind, which comes back as it
 * went in. */
#include <stddef.h>

#include "hard_file.h"

static test_file file;
static knocker *k;

static int64_t ask(const char *sql)
{
	return raw_int(file.path, sql);
}

/* Fills `to` with `len` bytes of `fill` in JSON's or nobody's form. */
static char *repeated(char fill, size_t len)
{
	char *text = malloc(len + 1);

	memset(text, fill, len);
	text[len] = '\0';
	return text;
}

/* ---- texts ---- */

typedef struct {
	const char *name;
	size_t at;
	bool refuses_nul, refuses_long; /* what is no text, or 64 KiB of it, is an error */
} member;

#define OF(type, name) #name, offsetof(type, name)

static const member of_request[] = {
	{OF(knocker_request, endpoint), true, true},
	{OF(knocker_request, method), true, true},
	{OF(knocker_request, headers), true, true},
	{OF(knocker_request, query), false, false},
	{OF(knocker_request, body), false, false},
	{OF(knocker_request, event_type), true, true},
	{OF(knocker_request, provider_event_id), true, true},
	{OF(knocker_request, provider_delivery_id), true, true},
	{OF(knocker_request, dedupe_key), true, false},
	{OF(knocker_request, provider), true, true},
	{OF(knocker_request, secrets_json), true, true},
	{OF(knocker_request, options_json), false, false},
	{OF(knocker_request, queue_name), true, true},
	{OF(knocker_request, verdict_error), false, false},
	{OF(knocker_request, ids_event_type), true, true},
	{OF(knocker_request, ids_event_id), true, true},
	{OF(knocker_request, ids_delivery_id), true, true},
};

static const member of_endpoint[] = {
	{OF(knocker_endpoint, name), true, true},
	{OF(knocker_endpoint, path), true, true},
	{OF(knocker_endpoint, provider), true, true},
	{OF(knocker_endpoint, scheme_json), true, true},
	{OF(knocker_endpoint, secrets_json), true, true},
	{OF(knocker_endpoint, options_json), false, false},
	{OF(knocker_endpoint, queue_name), true, true},
};

static const member of_claim[] = {
	{OF(knocker_claim_options, worker_id), true, true},
	{OF(knocker_claim_options, queues_json), true, true},
	{OF(knocker_claim_options, endpoints_json), true, true},
};

static const member of_filter[] = {
	{OF(knocker_filter, endpoint), true, true},
	{OF(knocker_filter, status), true, true},
	{OF(knocker_filter, event_type), true, true},
	{OF(knocker_filter, audit_kind), true, true},
};

/* A call with a struct that is in order but for one member. */
typedef struct {
	const char *name;
	const member *members;
	size_t count, size;
	int32_t (*call)(const void *options, knocker_error *error);
} text_case;

static int32_t do_receive(const void *options, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = knocker_receive(k, options, &rows, error);

	knocker_rows_free(rows);
	return rc;
}

static int32_t do_ingest(const void *options, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = knocker_ingest(k, options, &rows, error);

	knocker_rows_free(rows);
	return rc;
}

static int32_t do_verify(const void *options, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = knocker_verify(options, START_MS, &rows, error);

	knocker_rows_free(rows);
	return rc;
}

static int32_t do_endpoint(const void *options, knocker_error *error)
{
	return knocker_endpoint_add(k, options, NULL, error);
}

static int32_t do_claim(const void *options, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = knocker_claim(k, options, &rows, error);

	knocker_rows_free(rows);
	return rc;
}

static int32_t do_list(const void *options, knocker_error *error)
{
	knocker_rows *rows;
	int32_t rc = knocker_list(k, options, &rows, error);

	knocker_rows_free(rows);
	return rc;
}

/* The struct in order, in a block of its own. */
static void *in_order(const text_case *c)
{
	char *o = calloc(1, 512);

	memcpy(o, &(int64_t){(int64_t)c->size}, 8);
	if (c->members == of_request) {
		((knocker_request *)(void *)o)->endpoint = T("plain");
		((knocker_request *)(void *)o)->verdict = c->call == do_ingest ? KNOCKER_VALID : 0;
		if (c->call == do_verify)
			((knocker_request *)(void *)o)->provider = T("stripe");
		if (c->call == do_verify)
			((knocker_request *)(void *)o)->secrets_json = T("[\"a secret of the test\"]");
	}
	if (c->members == of_endpoint)
		((knocker_endpoint *)(void *)o)->name = T("again");
	if (c->members == of_claim)
		((knocker_claim_options *)(void *)o)->worker_id = T("w");
	if (c->members == of_filter)
		((knocker_filter *)(void *)o)->kind = KNOCKER_EVENT;
	return o;
}

static bool refused(int32_t rc, const knocker_error *error)
{
	return (rc == KNOCKER_INVALID_ARGUMENT || rc == KNOCKER_UNKNOWN_ENDPOINT) && error->text[0];
}

/* A member that this call looks at: verify has no endpoint, events have no audit kind. */
static bool looked_at(const text_case *c, const member *m)
{
	static const char *const of_verify[] = {"headers", "provider", "secrets_json", "options_json",
	                                        NULL};
	size_t i;

	if (c->call == do_ingest)
		return strcmp(m->name, "provider") != 0 && strcmp(m->name, "secrets_json") != 0;
	if (c->call == do_list)
		return strcmp(m->name, "audit_kind") != 0;
	for (i = 0; c->call == do_verify && of_verify[i]; i++)
		if (strcmp(of_verify[i], m->name) == 0)
			return true;
	return c->call != do_verify;
}

static void bad_texts(const text_case *c)
{
	char *large = repeated('x', 65536), *deep = repeated('[', 300000);
	const knocker_bytes bad[] = {{"a\0b", 3},    {"\xFF\xFE", 2}, {"\xED\xA0\x80", 3},
	                             {large, 65536}, {deep, 300000},  {"{\"a\":", 5}};
	size_t m, b;

	for (m = 0; m < c->count; m++)
		for (b = 0; b < sizeof bad / sizeof *bad; b++) {
			char *o = in_order(c), said[120];
			knocker_error error = {0};
			bool must = b < 3 ? c->members[m].refuses_nul : b == 3 && c->members[m].refuses_long;
			int32_t rc;

			memcpy(o + c->members[m].at, &bad[b], sizeof bad[b]);
			rc = c->call(o, &error);
			snprintf(said, sizeof said, "%s, %s, text %zu", c->name, c->members[m].name, b);
			CHECK(rc >= 0 || refused(rc, &error), said);
			CHECK(!must || !looked_at(c, &c->members[m]) || refused(rc, &error), said);
			free(o);
		}
	free(large);
	free(deep);
}

static void bad_sizes(const text_case *c)
{
	const int64_t sizes[] = {0, -1, 7, 4097, INT64_MAX, INT64_MIN};
	size_t i;

	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *o = in_order(c);
		knocker_error error = {0};

		memcpy(o, &sizes[i], 8);
		CHECK(c->call(o, &error) == KNOCKER_INVALID_ARGUMENT && strstr(error.text, "size"),
		      "a struct without its size is refused");
		free(o);
	}
}

/* ---- numbers ---- */

typedef struct {
	const char *name;
	size_t at;
	bool low, high; /* a negative, a huge number is an error */
} number;

static const number open_numbers[] = {
	{OF(knocker_open_options, visibility_ms), true, true},
	{OF(knocker_open_options, max_attempts), true, true},
	{OF(knocker_open_options, backoff_base_ms), true, true},
	{OF(knocker_open_options, backoff_cap_ms), true, true},
	{OF(knocker_open_options, max_readers), true, true},
	{OF(knocker_open_options, busy_timeout_ms), true, true},
	{OF(knocker_open_options, max_body_bytes), true, true},
	{OF(knocker_open_options, synchronous), true, true},
	{OF(knocker_open_options, settle_full), false, false},
	{OF(knocker_open_options, orphan_bytes), true, true},
	{OF(knocker_open_options, orphan_rows), true, true},
	{OF(knocker_open_options, thread_bound), false, false},
	{OF(knocker_open_options, clock_ms), true, true},
	{OF(knocker_open_options, seed), false, false},
};

static const number endpoint_numbers[] = {
	{OF(knocker_endpoint, disabled), true, true},
	{OF(knocker_endpoint, max_attempts), true, true},
	{OF(knocker_endpoint, backoff_base_ms), true, true},
	{OF(knocker_endpoint, backoff_cap_ms), true, true},
};

static const number request_numbers[] = {
	{OF(knocker_request, max_attempts), true, true},
	{OF(knocker_request, verdict), true, true},
};

static const number claim_numbers[] = {
	{OF(knocker_claim_options, count), true, true},
	{OF(knocker_claim_options, lease_ms), true, true},
};

static const number filter_numbers[] = {
	{OF(knocker_filter, kind), true, true},       {OF(knocker_filter, limit), true, true},
	{OF(knocker_filter, before_id), true, false}, {OF(knocker_filter, since_s), true, true},
	{OF(knocker_filter, event_id), true, true},   {OF(knocker_filter, signature_valid), true, true},
	{OF(knocker_filter, orphaned), true, true},   {OF(knocker_filter, without_body), false, false},
};

static int32_t do_open(const void *options, knocker_error *error)
{
	knocker_open_options o;
	knocker *other;
	int32_t rc;

	memcpy(&o, options, sizeof o);
	o.path = T(file.path);
	rc = knocker_open(&o, &other, error);
	if (rc == 0) {
		endpoint_named(other, "numbers");
		knocker_close(other, NULL);
	}
	return rc;
}

static void bad_numbers(const text_case *c, const number *numbers, size_t count)
{
	const int64_t bad[] = {-2, INT64_MIN, INT64_MAX, INT64_MAX / 2};
	size_t n, b;

	for (n = 0; n < count; n++)
		for (b = 0; b < 4; b++) {
			char *o = in_order(c), said[120];
			knocker_error error = {0};
			bool must = b < 2 ? numbers[n].low : numbers[n].high;
			int32_t rc;

			memcpy(o + numbers[n].at, &bad[b], 8);
			rc = c->call(o, &error);
			snprintf(said, sizeof said, "%s, %s, number %zu", c->name, numbers[n].name, b);
			CHECK(must ? rc == KNOCKER_INVALID_ARGUMENT && error.text[0] : rc >= 0, said);
			free(o);
		}
}

static void every_struct(void)
{
	const text_case cases[] = {
		{"receive", of_request, 17, sizeof(knocker_request), do_receive},
		{"ingest", of_request, 17, sizeof(knocker_request), do_ingest},
		{"verify", of_request, 17, sizeof(knocker_request), do_verify},
		{"endpoint", of_endpoint, 7, sizeof(knocker_endpoint), do_endpoint},
		{"claim", of_claim, 3, sizeof(knocker_claim_options), do_claim},
		{"list", of_filter, 4, sizeof(knocker_filter), do_list},
	};
	const text_case opening = {"open", NULL, 0, sizeof(knocker_open_options), do_open};
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		bad_texts(&cases[i]);
		bad_sizes(&cases[i]);
	}
	bad_numbers(&opening, open_numbers, sizeof open_numbers / sizeof *open_numbers);
	bad_numbers(&cases[0], request_numbers, 2);
	bad_numbers(&cases[1], request_numbers, 2);
	bad_numbers(&cases[3], endpoint_numbers, sizeof endpoint_numbers / sizeof *endpoint_numbers);
	bad_numbers(&cases[4], claim_numbers, sizeof claim_numbers / sizeof *claim_numbers);
	bad_numbers(&cases[5], filter_numbers, sizeof filter_numbers / sizeof *filter_numbers);
}

/* A list that ignored a member would hold what was not asked for. */
static void members_of_other_kinds(void)
{
	const struct {
		knocker_filter filter;
		const char *kinds; /* that have it, by number */
	} members[] = {
		{{.before_id = 5}, "1236"},
		{{.since_s = 5}, "126"},
		{{.endpoint = T("plain")}, "1245"},
		{{.status = T("dead")}, "1"},
		{{.event_type = T("t")}, "12"},
		{{.event_id = 1}, "23"},
		{{.signature_valid = 1}, "2"},
		{{.orphaned = 2}, "2"},
		{{.audit_kind = T("prune_events")}, "6"},
	};
	size_t i;
	int kind;

	for (i = 0; i < sizeof members / sizeof *members; i++)
		for (kind = KNOCKER_EVENT; kind <= KNOCKER_AUDIT; kind++) {
			knocker_filter f = members[i].filter;
			knocker_rows *rows;
			char said[40];
			int32_t rc;

			f.size = sizeof f;
			f.kind = kind;
			rc = knocker_list(k, &f, &rows, NULL);
			knocker_rows_free(rows);
			snprintf(said, sizeof said, "kind %d, member %zu", kind, i);
			CHECK(rc == (strchr(members[i].kinds, '0' + kind) ? 0 : KNOCKER_INVALID_ARGUMENT),
			      said);
		}
}

int main(void)
{
	file_new(&file);
	k = open_plain(file.path);
	endpoint_named(k, "plain");
	every_struct();
	members_of_other_kinds();
	CHECK(raw_is_whole(file.path), "after all of that the file is whole");
	CHECK(ask("select count(*) from _knocker_endpoint where length(name) = 0 "
	          "or instr(name, char(0)) > 0") == 0,
	      "and holds no bad name");
	knocker_close(k, NULL);
	file_end(&file);
	return check_end("input");
}
