/*
 * Plays what has a request: receive, ingest, verify, diagnose, sign.
 */
#include <stdlib.h>
#include <string.h>

#include "play.h"

enum {
	receive_most = 100000
}; /* requests of one `many`, so that a limit of the door can be overstepped */

static const char receive_words[] =
	"endpoint body headers query method event_type provider_event_id provider_delivery_id "
	"dedupe_key provider scheme secrets options verdict queue_name max_attempts";
static const char ingest_words[] =
	"endpoint body headers query method signature_valid signature_error event_type "
	"provider_event_id provider_delivery_id dedupe_key queue_name max_attempts";
static const char verify_words[] = "provider scheme secrets options method headers body query";
static const char diagnose_words[] =
	"provider scheme secrets options method headers body query others";
static const char delivery_words[] = "delivery provider scheme secrets options others";
static const char sign_words[] = "provider scheme secret options method headers body query";

/* An absent scheme leaves the provider's name; a given one stands in its place. */
static knocker_bytes request_provider(player *p, const value *with)
{
	knocker_bytes scheme = words_json(p, with, "scheme");

	return scheme.data != NULL ? scheme : words_text(p, with, "provider");
}

/* The words that every kind of request may have; an operation has refused those that it does not
 * know. */
static knocker_request request_read(player *p, const value *with)
{
	knocker_request r = {.size = sizeof r};

	r.endpoint = words_text(p, with, "endpoint");
	r.method = words_text(p, with, "method");
	r.headers = words_headers(p, with);
	r.query = words_query(p, with);
	r.body = words_text(p, with, "body");
	r.event_type = words_text(p, with, "event_type");
	r.provider_event_id = words_text(p, with, "provider_event_id");
	r.provider_delivery_id = words_text(p, with, "provider_delivery_id");
	r.dedupe_key = words_text(p, with, "dedupe_key");
	r.provider = request_provider(p, with);
	r.secrets_json = words_json(p, with, "secrets");
	r.options_json = words_json(p, with, "options");
	r.queue_name = words_text(p, with, "queue_name");
	r.max_attempts = words_integer(p, with, "max_attempts");
	return r;
}

/* What an external endpoint's own verification said. */
static void request_verdict(player *p, const value *with, knocker_request *r)
{
	const value *verdict = value_get(with, "verdict");

	if (verdict == NULL || verdict->kind == VALUE_NULL)
		return;
	if (!words_known(p, verdict, "valid error event_type provider_event_id provider_delivery_id"))
		return;
	r->verdict = words_choice(p, verdict, "valid", KNOCKER_VALID, KNOCKER_INVALID);
	r->verdict_error = words_text(p, verdict, "error");
	r->ids_event_type = words_text(p, verdict, "event_type");
	r->ids_event_id = words_text(p, verdict, "provider_event_id");
	r->ids_delivery_id = words_text(p, verdict, "provider_delivery_id");
}

/* A row of receive_many that tells a failure becomes {"fails": its name}. */
static value *receive_row(arena *a, value *row)
{
	value *code = value_get(row, "error_code");
	value *failed;

	if (code == NULL || code->kind != VALUE_INTEGER || code->integer == 0)
		return row;
	failed = value_new(a, VALUE_OBJECT);
	value_set(a, failed, "fails", value_word(a, knocker_error_name(code->integer)));
	return failed;
}

static void receive_many(player *p, handle *h, const value *many, answer *out)
{
	size_t count = many->kind == VALUE_LIST ? value_count(many) : receive_most + 1;
	knocker_request *requests;
	const knocker_request **pointers;
	knocker_rows *rows = NULL;
	value *list;
	size_t at = 0;

	if (count > receive_most || h->work != NULL) {
		play_break(p, "'many' takes a list of at most %d requests, outside of scripts",
		           receive_most);
		return;
	}
	requests = arena_take(p->a, (count + 1) * sizeof *requests);
	pointers = arena_take(p->a, (count + 1) * sizeof *pointers);
	for (const value *with = many->first; with != NULL && words_known(p, with, receive_words);
	     with = with->next) {
		requests[at] = request_read(p, with);
		request_verdict(p, with, &requests[at]);
		pointers[at] = &requests[at];
		at++;
	}
	if (p->broken != NULL)
		return;
	out->code = knocker_receive_many(h->knocker, pointers, (int32_t)count, &rows, &out->error);
	list = rows_list(p->a, rows);
	out->gives = value_new(p->a, VALUE_LIST);
	for (value *row = list->first, *next; row != NULL; row = next) {
		next = row->next;
		row->next = NULL;
		value_append(out->gives, receive_row(p->a, row));
	}
}

void play_receive(player *p, handle *h, const value *with, answer *out)
{
	const value *many = value_get(with, "many");
	knocker_rows *rows = NULL;
	knocker_request r;

	if (many != NULL) {
		if (words_known(p, with, "many"))
			receive_many(p, h, many, out);
		return;
	}
	if (!words_known(p, with, receive_words))
		return;
	r = request_read(p, with);
	request_verdict(p, with, &r);
	if (p->broken != NULL)
		return;
	if (h->work != NULL)
		out->code = knocker_work_receive(h->work, &r, &rows, &out->error);
	else
		out->code = knocker_receive(h->knocker, &r, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
}

void play_ingest(player *p, handle *h, const value *with, answer *out)
{
	const value *valid = value_get(with, "signature_valid");
	knocker_rows *rows = NULL;
	knocker_request r;

	if (!words_known(p, with, ingest_words))
		return;
	r = request_read(p, with);
	r.verdict = words_choice(p, with, "signature_valid", KNOCKER_VALID, KNOCKER_INVALID);
	if (valid != NULL && valid->kind == VALUE_NULL)
		r.verdict = KNOCKER_UNCHECKED;
	r.verdict_error = words_text(p, with, "signature_error");
	if (p->broken != NULL)
		return;
	if (h->work != NULL)
		out->code = knocker_work_ingest(h->work, &r, &rows, &out->error);
	else
		out->code = knocker_ingest(h->knocker, &r, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
}

void play_verify(player *p, handle *h, const value *with, answer *out)
{
	knocker_rows *rows = NULL;
	knocker_request r;

	(void)h;
	if (!words_known(p, with, verify_words))
		return;
	r = request_read(p, with);
	if (p->broken != NULL)
		return;
	out->code = knocker_verify(&r, p->now_ms, &rows, &out->error);
	out->gives = rows_one(p->a, rows);
}

/* Of a request, or of a stored delivery. */
void play_diagnose(player *p, handle *h, const value *with, answer *out)
{
	bool stored = value_get(with, "delivery") != NULL;
	knocker_bytes others = words_json(p, with, "others");
	knocker_rows *rows = NULL;
	knocker_request r;

	if (!words_known(p, with, stored ? delivery_words : diagnose_words))
		return;
	r = request_read(p, with);
	if (p->broken != NULL)
		return;
	if (stored)
		out->code = knocker_diagnose_delivery(h->knocker, words_integer(p, with, "delivery"), &r,
		                                      others, &rows, &out->error);
	else
		out->code = knocker_diagnose(&r, others, p->now_ms, &rows, &out->error);
	out->gives = rows_list(p->a, rows);
}

/* The C door takes a list of secrets here too, and signs with the first. */
static knocker_bytes sign_secrets(player *p, const value *with)
{
	value *list = value_new(p->a, VALUE_LIST);
	knocker_bytes secret = words_text(p, with, "secret");

	if (secret.data == NULL)
		return secret;
	value_append(list, value_bytes(p->a, VALUE_TEXT, secret.data, (size_t)secret.len));
	return bytes_of(value_json(p->a, list));
}

/* The headers to send, as an object with names in lower case. */
static value *sign_headers(player *p, const value *rows)
{
	value *headers = value_new(p->a, VALUE_OBJECT);

	for (const value *row = rows->first; row != NULL; row = row->next) {
		const value *name = value_get(row, "name");
		const value *text = value_get(row, "value");
		char *lower;

		if (name == NULL || text == NULL || name->kind != VALUE_TEXT || text->kind != VALUE_TEXT) {
			play_break(p, "knocker_sign gave a row without name and value: %s",
			           value_show(p->a, row));
			return headers;
		}
		lower = arena_text(p->a, name->data, name->len);
		for (char *c = lower; *c != '\0'; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
		value_set(p->a, headers, lower, value_bytes(p->a, VALUE_TEXT, text->data, text->len));
	}
	return headers;
}

void play_sign(player *p, handle *h, const value *with, answer *out)
{
	knocker_rows *rows = NULL;
	knocker_request r;

	(void)h;
	if (!words_known(p, with, sign_words))
		return;
	r = request_read(p, with);
	r.secrets_json = sign_secrets(p, with);
	if (p->broken != NULL)
		return;
	out->code = knocker_sign(&r, p->now_ms, &rows, &out->error);
	out->gives = sign_headers(p, rows_list(p->a, rows));
}
