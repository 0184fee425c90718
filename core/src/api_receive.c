/* The C door for requests: receive, ingest, verify, diagnose, sign. No rule stands here. */
#include <string.h>

#include "batch.h"
#include "clock.h"
#include "diagnose.h"
#include "error.h"
#include "handle.h"

static int32_t api_prepare(knocker *k, const knocker_request *request, bool ingest, receipt *r,
                           knocker_error *error)
{
	db *reader = NULL;
	int32_t rc = 0;

	memset(r, 0, sizeof *r);
	r->request = request;
	if (receipt_needs_row(&k->inbox, request, ingest))
		rc = store_reader(k->store, &reader, error);
	if (rc == 0)
		rc = receipt_prepare(&k->inbox, reader, request, ingest, r, error);
	store_reader_leave(k->store, reader);
	return rc;
}

static int32_t api_receive_one(knocker *k, const knocker_request *request, bool ingest,
                               knocker_rows **out, knocker_error *error)
{
	receipt r, *one = &r;
	batch b = {&one, 1};
	int32_t rc = api_prepare(k, request, ingest, &r, error);

	if (rc == 0)
		rc = batch_receive(&k->inbox, k->store, &b, k->full, error);
	if (rc == 0 && r.rc < 0)
		rc = fail(error, r.rc, "%s", r.error.text);
	if (rc == 0)
		rc = rows_new(RECEIPT_COLUMNS, out, error);
	if (rc == 0)
		rc = receipt_row(&r, false, *out, error);
	receipt_free(&r);
	return rc;
}

static int32_t api_receive(knocker *k, const knocker_request *request, bool ingest,
                           knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_request(request, &q, error);
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_receive_one(k, &q, ingest, out, error);
	handle_leave(k);
	return rows_or_none(rc, out);
}

int32_t knocker_receive(knocker *k, const knocker_request *request, knocker_rows **out,
                        knocker_error *error)
{
	return api_receive(k, request, false, out, error);
}

int32_t knocker_ingest(knocker *k, const knocker_request *request, knocker_rows **out,
                       knocker_error *error)
{
	return api_receive(k, request, true, out, error);
}

/* What receive_many holds for its requests, as one block. */
typedef struct {
	knocker_request *requests;
	receipt *receipts;
	receipt **pointers;
	int32_t count;
} api_many;

static int32_t api_many_new(api_many *m, int32_t count, knocker_error *error)
{
	*m = (api_many){.count = count,
	                .requests = memory_get((size_t)count * sizeof *m->requests),
	                .receipts = memory_get((size_t)count * sizeof *m->receipts),
	                .pointers = memory_get((size_t)count * sizeof *m->pointers)};
	if (m->requests)
		memset(m->requests, 0, (size_t)count * sizeof *m->requests);
	if (m->receipts) /* they are freed, also where the others are missing */
		memset(m->receipts, 0, (size_t)count * sizeof *m->receipts);
	return m->requests && m->receipts && m->pointers ? 0 : fail_memory(error);
}

static void api_many_free(api_many *m)
{
	int32_t i;

	for (i = 0; m->receipts && i < m->count; i++)
		receipt_free(&m->receipts[i]);
	memory_free(m->requests);
	memory_free(m->receipts);
	memory_free(m->pointers);
}

static int32_t api_many_run(knocker *k, api_many *m, const knocker_request *const *requests,
                            knocker_rows **out, knocker_error *error)
{
	batch b = {m->pointers, m->count};
	int32_t rc, i;

	for (i = 0; i < m->count; i++) {
		receipt *r = m->pointers[i] = &m->receipts[i];
		knocker_error said = {0};

		rc = handle_request(requests[i], &m->requests[i], &said);
		r->request = &m->requests[i];
		if (rc == 0)
			rc = api_prepare(k, &m->requests[i], false, r, &said);
		r->rc = rc;
		r->error = said;
	}
	rc = batch_receive(&k->inbox, k->store, &b, k->full, error);
	if (rc == 0)
		rc = rows_new(RECEIPT_MANY_COLUMNS, out, error);
	for (i = 0; rc == 0 && i < m->count; i++)
		rc = receipt_row(&m->receipts[i], true, *out, error);
	return rc;
}

int32_t knocker_receive_many(knocker *k, const knocker_request *const *requests, int32_t count,
                             knocker_rows **out, knocker_error *error)
{
	api_many m = {0};
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = inbox_range_check("count", count, 1, LIMIT_BATCH_COUNT, error);
	if (rc == 0 && !requests)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "requests is NULL");
	if (rc == 0)
		rc = handle_enter_writing(k, error);
	if (rc < 0)
		return rc;
	rc = api_many_new(&m, count, error);
	if (rc == 0)
		rc = api_many_run(k, &m, requests, out, error);
	api_many_free(&m);
	handle_leave(k);
	return rows_or_none(rc, out);
}

/* ---- pure ---- */

/* `now_ms` 0 becomes the system's clock. */
static int32_t api_pure_begin(const knocker_request *request, int64_t *now_ms, knocker_request *q,
                              knocker_rows **out, knocker_error *error)
{
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_request(request, q, error);
	if (rc == 0)
		rc = inbox_range_check("now_ms", *now_ms, 0, INT64_MAX / 4, error);
	*now_ms = *now_ms ? *now_ms : clock_wall_ms();
	return rc;
}

int32_t knocker_verify(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                       knocker_error *error)
{
	knocker_request q;
	int32_t rc = api_pure_begin(request, &now_ms, &q, out, error);

	return rc < 0 ? rc : rows_or_none(receipt_verify(&q, now_ms, out, error), out);
}

int32_t knocker_sign(const knocker_request *request, int64_t now_ms, knocker_rows **out,
                     knocker_error *error)
{
	knocker_request q;
	int32_t rc = api_pure_begin(request, &now_ms, &q, out, error);

	return rc < 0 ? rc : rows_or_none(receipt_sign(&q, now_ms, out, error), out);
}

int32_t knocker_diagnose(const knocker_request *request, knocker_bytes others_json, int64_t now_ms,
                         knocker_rows **out, knocker_error *error)
{
	knocker_request q;
	int32_t rc = api_pure_begin(request, &now_ms, &q, out, error);
	diagnose_place place = {.others_json = handle_bytes(others_json), .now_ms = now_ms};

	return rc < 0 ? rc : diagnose_request(&place, &q, out, error);
}

int32_t knocker_diagnose_delivery(knocker *k, int64_t delivery_id, const knocker_request *request,
                                  knocker_bytes others_json, knocker_rows **out,
                                  knocker_error *error)
{
	knocker_request q;
	diagnose_place place = {.others_json = handle_bytes(others_json), .delivery_id = delivery_id};
	int32_t rc;

	if (!out)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "out is NULL");
	*out = NULL;
	rc = handle_request(request, &q, error);
	if (rc == 0)
		rc = inbox_range_check("delivery_id", delivery_id, 1, INT64_MAX, error);
	if (rc == 0)
		rc = handle_enter(k, error);
	if (rc < 0)
		return rc;
	place.known = &k->inbox.registrations;
	rc = store_reader(k->store, &place.reader, error);
	if (rc == 0)
		rc = diagnose_request(&place, &q, out, error);
	store_reader_leave(k->store, place.reader);
	handle_leave(k);
	return rc;
}
