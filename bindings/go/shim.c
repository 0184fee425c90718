/* Unpacks what Go packed, and calls the core. It knows the layouts of knocker.h's structs, and no
 * rule. */
#include "shim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* b: a knocker_bytes, i: an integer; each after the struct's size. */
#define OPEN "bbbiiiiiiiiiiiiiii"
#define ENDPOINT "bbbbbbbiiiii"
#define REQUEST "bbbbbbbbbbbbbiibbbb"
#define CLAIM "bbbii"
#define FILTER "iiiibbbiiibi"
#define PRUNE "biii"
#define RETENTION "ibiiii"

#define FITS(type, texts, integers) \
	static_assert(sizeof(type) == 8 + 16 * (texts) + 8 * (integers), "the layout of " #type)
FITS(knocker_open_options, 3, 15);
FITS(knocker_endpoint, 7, 5);
FITS(knocker_request, 17, 2);
FITS(knocker_claim_options, 3, 2);
FITS(knocker_filter, 4, 8);
FITS(knocker_prune, 1, 3);
FITS(knocker_retention, 1, 5);

typedef struct {
	const char *text;
	const int64_t *words;
} packed;

static knocker_bytes take_text(packed *from)
{
	int64_t length = *from->words++;
	if (length < 0)
		return (knocker_bytes){NULL, 0};
	knocker_bytes found = {from->text, length};
	from->text += length;
	return found;
}

static void *take(packed *from, void *into, int64_t size, const char *layout)
{
	char *at = memcpy(into, &size, sizeof size);
	at += sizeof size;
	for (; *layout; layout++) {
		if (*layout == 'i') {
			memcpy(at, from->words++, sizeof(int64_t));
			at += sizeof(int64_t);
		} else {
			knocker_bytes found = take_text(from);
			memcpy(at, &found, sizeof found);
			at += sizeof found;
		}
	}
	return into;
}
#define TAKE(type, layout) ((type *)take(&from, &(type){0}, sizeof(type), layout))

static int32_t ask_request(int32_t what, knocker *k, knocker_work *work, packed from,
                           knocker_rows **out, knocker_error *error)
{
	knocker_request *request = TAKE(knocker_request, REQUEST);
	switch (what) {
	case ASK_RECEIVE:
		return work ? knocker_work_receive(work, request, out, error)
		            : knocker_receive(k, request, out, error);
	case ASK_INGEST:
		return work ? knocker_work_ingest(work, request, out, error)
		            : knocker_ingest(k, request, out, error);
	case ASK_VERIFY:
		return knocker_verify(request, from.words[0], out, error);
	case ASK_SIGN:
		return knocker_sign(request, from.words[0], out, error);
	case ASK_REVERIFY:
		return knocker_reverify(k, request, from.words[0], from.words[1], from.words[2],
		                        (int32_t)from.words[3], out, error);
	default: {
		knocker_bytes others = take_text(&from);
		return what == ASK_DIAGNOSE
		           ? knocker_diagnose(request, others, from.words[0], out, error)
		           : knocker_diagnose_delivery(k, from.words[0], request, others, out, error);
	}
	}
}

int32_t shim_ask(int32_t what, knocker *k, knocker_work *work, const char *text,
                 const int64_t *words, knocker **opened, knocker_rows **out, knocker_error *error)
{
	packed from = {text, words};
	knocker_bytes name;
	switch (what) {
	case ASK_OPEN:
		return knocker_open(TAKE(knocker_open_options, OPEN), opened, error);
	case ASK_ENDPOINT:
		return knocker_endpoint_add(k, TAKE(knocker_endpoint, ENDPOINT), NULL, error);
	case ASK_CLAIM:
		return knocker_claim(k, TAKE(knocker_claim_options, CLAIM), out, error);
	case ASK_WAIT: {
		knocker_claim_options *options = TAKE(knocker_claim_options, CLAIM);
		return knocker_wait(k, options, from.words[0], error);
	}
	case ASK_LIST:
		return knocker_list(k, TAKE(knocker_filter, FILTER), out, error);
	case ASK_PRUNE_EVENTS:
		return knocker_prune_events(k, TAKE(knocker_prune, PRUNE), out, error);
	case ASK_PRUNE_ORPHANS:
		return knocker_prune_orphan_deliveries(k, TAKE(knocker_prune, PRUNE), out, error);
	case ASK_RETAIN:
		return knocker_retain(k, TAKE(knocker_retention, RETENTION), out, error);
	case ASK_PAUSE:
		name = take_text(&from);
		return knocker_endpoint_pause(k, name, (int32_t)from.words[0], error);
	case ASK_IGNORE:
		name = take_text(&from);
		return knocker_ignore(k, from.words[0], name, error);
	case ASK_SETTLE:
		name = take_text(&from);
		return knocker_settle(work, (int32_t)from.words[0], name, from.words[1], out, error);
	default:
		return ask_request(what, k, work, from, out, error);
	}
}

int32_t shim_many(knocker *k, const char *text, const int64_t *words, int32_t count,
                  knocker_rows **out, knocker_error *error)
{
	packed from = {text, words};
	size_t many = count > 0 ? (size_t)count : 1;
	knocker_request *requests = calloc(many, sizeof *requests);
	const knocker_request **pointers = calloc(many, sizeof *pointers);
	int32_t result = KNOCKER_STORAGE;
	error->code = result;
	memcpy(error->text, "no memory", sizeof "no memory");
	if (requests && pointers) {
		for (int32_t i = 0; i < count; i++)
			pointers[i] = take(&from, &requests[i], sizeof *requests, REQUEST);
		result = knocker_receive_many(k, pointers, count, out, error);
	}
	free(pointers);
	free(requests);
	return result;
}

int32_t shim_sql(knocker *k, knocker_work *work, const char *text, const int64_t *words,
                 int32_t count, int64_t *changes, int64_t *last_id, knocker_rows **out,
                 knocker_error *error)
{
	packed from = {text, words};
	knocker_bytes sql = take_text(&from);
	knocker_value *values = calloc(count > 0 ? (size_t)count : 1, sizeof *values);
	if (!values) {
		error->code = KNOCKER_STORAGE;
		memcpy(error->text, "no memory", sizeof "no memory");
		return KNOCKER_STORAGE;
	}
	for (int32_t i = 0; i < count; i++) {
		values[i].type = *from.words++;
		values[i].integer = *from.words;
		memcpy(&values[i].real, from.words, sizeof(double));
		if (values[i].type == KNOCKER_TEXT || values[i].type == KNOCKER_BLOB)
			values[i].bytes = take_text(&from);
		else
			from.words++;
	}
	int32_t result = !out   ? knocker_execute(work, sql, values, count, changes, last_id, error)
	                 : work ? knocker_query(work, sql, values, count, out, error)
	                        : knocker_read(k, sql, values, count, out, error);
	free(values);
	return result;
}

int32_t shim_row(knocker_rows *rows, knocker_value *cells, int32_t count)
{
	if (knocker_rows_next(rows) != 0)
		return 1;
	for (int32_t i = 0; i < count; i++)
		knocker_rows_value(rows, i, &cells[i]);
	return 0;
}
