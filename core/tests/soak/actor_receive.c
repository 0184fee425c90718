/*
 * The senders and the routes of the storm: signed requests, the same event sent again by anybody,
 * forgeries, and the journal of what was answered. Nothing is written down before the answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum { sent_most = 20, body_most = 70000 };

/* A request with room for its texts. */
typedef struct {
	knocker_request q;
	char key[80];
	char headers[300];
	char *body;
	bool forged;
} sent;

static sent *sent_new(size_t count)
{
	sent *all = calloc(count, sizeof *all);
	size_t i;

	if (!all)
		abort();
	for (i = 0; i < count; i++)
		if (!(all[i].body = malloc(body_most)))
			abort();
	return all;
}

/* One in three is an event that all processes send in these two seconds. */
static void sent_name(soak_thread *t, sent *s)
{
	if (s->forged)
		snprintf(s->key, sizeof s->key, "forged-%s-%lld", t->app->name,
		         (long long)atomic_fetch_add(&t->app->numbers, 1));
	else if (soak_below(t, 3) == 0)
		snprintf(s->key, sizeof s->key, "shared-%lld-%lld",
		         (long long)(soak_now_ms() / 100 - soak_below(t, 20)), (long long)soak_below(t, 8));
	else
		snprintf(s->key, sizeof s->key, "own-%s-%lld", t->app->name,
		         (long long)atomic_fetch_add(&t->app->numbers, 1));
}

static knocker_bytes sent_body(soak_thread *t, sent *s)
{
	int pad = (int)(soak_below(t, 100) == 0 ? soak_below(t, 60000) : 200 + soak_below(t, 1300));
	int len = snprintf(s->body, 300,
	                   "{\"id\":\"%s\",\"object\":\"event\",\"type\":\"charge.succeeded\","
	                   "\"n\":%d,\"pad\":\"",
	                   s->key, pad);

	memset(s->body + len, 'x', (size_t)pad);
	memcpy(s->body + len + pad, "\"}", 2);
	return (knocker_bytes){s->body, len + pad + 2};
}

/* A forgery has no signature, that of another secret, or one from an hour ago. */
static void sent_sign(soak_thread *t, sent *s)
{
	int64_t how = s->forged ? soak_below(t, 3) : 3;
	knocker_request q = s->q;
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int32_t rc;
	int len = snprintf(s->headers, sizeof s->headers, "Content-Type: application/json\n");

	if (how > 0) {
		q.provider = soak_text("stripe");
		q.secrets_json = soak_text(how == 1 ? "[\"whsec_other\"]" : "[\"" SOAK_SECRET "\"]");
		rc = knocker_sign(&q, how == 2 ? soak_now_ms() - 3600000 : 0, &rows, &error);
		if (rc < 0)
			journal_failure(t->app, "sign", rc, &error);
		while (rc == 0 && knocker_rows_next(rows) == 0) {
			char name[64], value[160];

			len += snprintf(s->headers + len, sizeof s->headers - (size_t)len, "%s: %s\n",
			                soak_cell(rows, "name", name, sizeof name),
			                soak_cell(rows, "value", value, sizeof value));
		}
		knocker_rows_free(rows);
	}
	s->q.headers = (knocker_bytes){s->headers, len};
}

static void sent_make(soak_thread *t, sent *s)
{
	s->forged = soak_below(t, 12) == 0;
	sent_name(t, s);
	s->q = (knocker_request){.size = sizeof s->q,
	                         .endpoint = soak_text("stripe"),
	                         .method = soak_text("POST"),
	                         .body = sent_body(t, s)};
	sent_sign(t, s);
}

/* ---- answers ---- */

static void answer_journal(const soak_app *app, const char *door, const sent *s,
                           const knocker_rows *rows)
{
	long long status = soak_integer(rows, "status_code"), event = soak_integer(rows, "event_id"),
			  delivery = soak_integer(rows, "delivery_id");

	if (status / 100 == 2 && event > 0 && delivery > 0 && !s->forged)
		journal_line(app, "R %s %s %lld %lld %lld", door, s->key, event, delivery,
		             (long long)soak_integer(rows, "duplicate"));
	else if (status == 401 && event == 0 && delivery > 0 && s->forged)
		journal_line(app, "F %s %lld", door, delivery);
	else
		journal_line(app, "X %s wrong_answer %s: status %lld, event %lld, delivery %lld", door,
		             s->key, status, event, delivery);
}

static void answer_one(soak_thread *t, const char *door, const sent *s, int32_t rc,
                       knocker_rows *rows, const knocker_error *error)
{
	if (rc < 0)
		journal_failure(t->app, door, rc, error);
	else if (knocker_rows_next(rows) == 0)
		answer_journal(t->app, door, s, rows);
	knocker_rows_free(rows);
}

/* Workers keep up: this is a storm of deaths, not a flood. */
static void receive_pause(soak_thread *t)
{
	soak_sleep_ms(soak_below(t, 10));
	if (soak_below(t, 32) == 0)
		while (soak_backlog(t->app) > 1500)
			soak_sleep_ms(50);
}

static void ingest_one(soak_thread *t, sent *s)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int32_t rc;

	s->forged = false;
	sent_name(t, s);
	s->q = (knocker_request){.size = sizeof s->q,
	                         .endpoint = soak_text("stripe"),
	                         .body = sent_body(t, s),
	                         .event_type = soak_text("charge.succeeded"),
	                         .provider_event_id = soak_text(s->key),
	                         .verdict = KNOCKER_VALID};
	rc = knocker_ingest(t->app->k, &s->q, &rows, &error);
	answer_one(t, "ingest", s, rc, rows, &error);
}

void *receive_one_by_one(void *thread)
{
	soak_thread *t = thread;
	sent *s = sent_new(1);

	for (;;) {
		knocker_error error = {0};
		knocker_rows *rows = NULL;
		int32_t rc;

		if (soak_below(t, 6) == 0) {
			ingest_one(t, s);
		} else {
			sent_make(t, s);
			rc = knocker_receive(t->app->k, &s->q, &rows, &error);
			answer_one(t, "receive", s, rc, rows, &error);
		}
		receive_pause(t);
	}
}

/* A batch may hold an event twice. */
void *receive_many_at_once(void *thread)
{
	const knocker_request *requests[sent_most];
	soak_thread *t = thread;
	sent *all = sent_new(sent_most);

	for (;;) {
		int32_t count = (int32_t)(1 + soak_below(t, sent_most)), i, rc;
		const sent *of[sent_most];
		knocker_error error = {0};
		knocker_rows *rows = NULL;

		for (i = 0; i < count; i++) {
			sent_make(t, &all[i]);
			of[i] = i > 0 && soak_below(t, 10) == 0 ? of[i - 1] : &all[i];
			requests[i] = &of[i]->q;
		}
		rc = knocker_receive_many(t->app->k, requests, count, &rows, &error);
		if (rc < 0)
			journal_failure(t->app, "receive_many", rc, &error);
		for (i = 0; rc == 0 && i < count && knocker_rows_next(rows) == 0; i++) {
			error.code = soak_integer(rows, "error_code");
			soak_cell(rows, "error", error.text, sizeof error.text);
			if (error.code == 0)
				answer_journal(t->app, "receive_many", of[i], rows);
			else
				journal_failure(t->app, "receive_many", (int32_t)error.code, &error);
		}
		knocker_rows_free(rows);
		soak_sleep_ms(soak_below(t, 150));
		receive_pause(t);
	}
}
