/* Odd requests and values that are in order: what comes back is what went in, ids are read as they
 * stand, limits are kept, and nobody's trick makes a second meaning. */
#include <math.h>
#include <openssl/hmac.h>

#include "hard_file.h"

static test_file file;
static knocker *k;

#define SECRET "secret of the test"

/* ---- bodies ---- */

typedef struct {
	int64_t event, delivery, status;
} receipt_row;

static receipt_row receive(const knocker_request *given, int32_t *code)
{
	receipt_row r = {-1, -1, -1};
	knocker_request q = *given;
	knocker_rows *rows;

	q.size = sizeof q;
	*code = knocker_receive(k, &q, &rows, NULL);
	if (*code == 0) {
		knocker_rows_next(rows);
		r = (receipt_row){row_int(rows, "event_id"), row_int(rows, "delivery_id"),
		                  row_int(rows, "status_code")};
		knocker_rows_free(rows);
	}
	return r;
}

static bool body_is(int64_t event, const void *bytes, size_t len)
{
	knocker_rows *rows;
	knocker_value v;
	bool same;

	if (knocker_get(k, KNOCKER_EVENT, event, &rows, NULL) < 0)
		return false;
	knocker_rows_next(rows);
	knocker_rows_value(rows, knocker_rows_find(rows, "body"), &v);
	same = v.type == KNOCKER_BLOB && v.bytes.len == (int64_t)len &&
	       memcmp(v.bytes.data, bytes, len) == 0;
	knocker_rows_free(rows);
	return same;
}

static void bodies(void)
{
	static unsigned char large[5 * 1024 * 1024 + 1];
	const size_t lengths[] = {0, 1, 255, 256, 4096, 65536, 5 * 1024 * 1024};
	knocker_request q = {.endpoint = T("plain")};
	receipt_row r;
	int32_t code;
	size_t i;

	for (i = 0; i < sizeof large; i++)
		large[i] = (unsigned char)(i * 7 + i / 256);
	for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		q.body = (knocker_bytes){large, (int64_t)lengths[i]};
		r = receive(&q, &code);
		CHECK(code == 0 && r.status == 204 && body_is(r.event, large, lengths[i]),
		      "a body of any bytes comes back as it went in");
	}
	q.body.len++;
	r = receive(&q, &code);
	CHECK(code == 0 && r.status == 413 && r.event == -1, "one byte over the limit is 413");
	q.body = (knocker_bytes){NULL, 77};
	r = receive(&q, &code);
	CHECK(code == 0 && body_is(r.event, "", 0),
	      "no body is an empty one, whatever its length says");
}

/* ---- ids ---- */

static void read_id(const char *body, int64_t len, const char *id)
{
	knocker_request q = {.endpoint = T("token"),
	                     .headers = T("X-Knocker-Token: " SECRET "\n"),
	                     .body = {body, len}};
	char text[600];
	knocker_rows *rows;
	int32_t code;
	receipt_row r = receive(&q, &code);

	CHECK(code == 0 && r.status == 204 && r.event > 0,
	      "a request with a right token is an event, whatever its body");
	if (code < 0 || knocker_get(k, KNOCKER_EVENT, r.event, &rows, NULL) < 0)
		return;
	knocker_rows_next(rows);
	CHECK(strcmp(row_text(rows, "provider_event_id", text, sizeof text), id) == 0,
	      *id ? id : "an id that is none reads as null");
	knocker_rows_free(rows);
}

static void ids(void)
{
	char *long_id = malloc(70000), *deep = malloc(300001), *flat = malloc(5 * 1024 * 1024);
	int i;

	read_id("{\"id\":9007199254740993}", -1, "9007199254740993");
	read_id("{\"id\":123456789012345678901234567890}", -1, "123456789012345678901234567890");
	read_id("{\"ID\":\"upper\",\"id\":\"first\",\"id\":\"last\",\"Id\":\"mixed\"}", -1, "last");
	read_id("{\"id\":\"ab\\u0000cd\"}", -1, "");
	read_id("{\"id\":\"\"}", -1, "");
	read_id("{\"id\":{\"id\":\"inner\"}}", -1, "");
	read_id("{\"id\":\"cut", -1, "");
	read_id("{\"id\":\"\xFF\xFE\"}", -1, "");
	read_id("\xEF\xBB\xBF{\"id\":\"bom\"}", -1, "");
	read_id("{\"id\":\"a\"}\0{\"id\":\"b\"}", 21, "");
	snprintf(long_id, 70000, "{\"id\":\"");
	memset(long_id + 7, 'x', 65536);
	memcpy(long_id + 7 + 65536, "\"}", 3);
	read_id(long_id, -1, "");
	memset(deep, '[', 300000);
	deep[300000] = '\0';
	read_id(deep, -1, "");
	for (i = 0; i < 5 * 1024 * 1024; i++)
		flat[i] = i == 0 ? '[' : i % 2 ? '0' : ',';
	read_id(flat, 5 * 1024 * 1024, "");
	free(long_id);
	free(deep);
	free(flat);
}

/* ---- headers and signatures ---- */

static void headers(void)
{
	char *lines = malloc(600000), *at = lines;
	knocker_request q = {.endpoint = T("plain")};
	receipt_row r;
	int32_t code;
	int i;

	for (i = 0; i < 1000; i++)
		at += snprintf(at, 40, "x-header-%d: value %d\n", i, i);
	q.headers = T(lines);
	r = receive(&q, &code);
	CHECK(code == 0 && r.event > 0, "a thousand headers are received");
	CHECK(raw_int(file.path,
	              "select count(*) = 1000 from _knocker_delivery d, json_each(d.headers) "
	              "where d.id = (select max(id) from _knocker_delivery)") == 1,
	      "and all are stored");
	snprintf(at, 40, "x-one-more: 1\n");
	receive(&q, &code);
	CHECK(code == KNOCKER_INVALID_ARGUMENT, "a thousand and one are an error");
	memset(lines, 'x', 599999);
	memcpy(lines, "x-long: ", 8);
	lines[599999] = '\0';
	receive(&q, &code);
	CHECK(code == KNOCKER_INVALID_ARGUMENT, "so is a header of 600 KB");
	q.headers = T("X-A: one\nx-a: two\nHTTP_X_RACK: three\nx-bytes: \xFF\xFE\nempty:\n");
	r = receive(&q, &code);
	CHECK(code == 0 && r.event > 0,
	      "a header twice, Rack's form, odd bytes and an empty value are received");
	CHECK(raw_int(file.path,
	              "select json_valid(headers) from _knocker_delivery order by id desc limit 1") ==
	          1,
	      "and stored as JSON");
	free(lines);
}

static void hex_hmac(const char *text, char out[65])
{
	unsigned char mac[32];
	unsigned len = sizeof mac;
	int i;

	HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (const unsigned char *)text, strlen(text), mac,
	     &len);
	for (i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

static void candidates(void)
{
	char *header = malloc(100000), *at, mac[65];
	knocker_request q = {.endpoint = T("stripe"), .body = T("{\"id\":\"evt_many\"}")};
	receipt_row r;
	int32_t code;
	int i, place;

	hex_hmac("1700000000.{\"id\":\"evt_many\"}", mac);
	for (place = 0; place < 1000; place += 333) {
		at = header + snprintf(header, 40, "Stripe-Signature: t=1700000000");
		for (i = 0; i < 1000; i++)
			at += i == place ? snprintf(at, 80, ",v1=%s", mac) : snprintf(at, 80, ",v1=%064d", i);
		snprintf(at, 2, "\n");
		q.headers = T(header);
		r = receive(&q, &code);
		CHECK(code == 0 && (place == 0 ? r.event > 0 : r.status == 401 || r.status == 204),
		      "of a thousand signatures the first ones are tried, and the others do no harm");
	}
	free(header);
}

/* ---- registrations ---- */

static void registers(const char *what, knocker_endpoint e, const char *saying)
{
	knocker_error error = {0};

	e.size = sizeof e;
	CHECK(knocker_endpoint_add(k, &e, NULL, &error) == KNOCKER_INVALID_ARGUMENT &&
	          strstr(error.text, saying) && !strstr(error.text, SECRET),
	      what);
}

static void registrations(void)
{
	knocker_endpoint e = {.size = sizeof e, .name = T("with path"), .path = T("/hook")};

	CHECK(knocker_endpoint_add(k, &e, NULL, NULL) == 0, "an endpoint has a path");
	registers("a path is one endpoint's",
	          (knocker_endpoint){.name = T("other"), .path = T("/hook")}, "with path");
	registers("a name is needed", (knocker_endpoint){.path = T("/x")}, "name");
	registers("an unknown provider is named",
	          (knocker_endpoint){.name = T("x"), .provider = T("strip")}, "strip");
	registers("a secret is needed", (knocker_endpoint){.name = T("x"), .provider = T("stripe")},
	          "secret");
	registers("an empty one is none",
	          (knocker_endpoint){.name = T("x"),
	                             .provider = T("stripe"),
	                             .secrets_json = T("[\"\"]")},
	          "secret");
	registers("no list of them neither",
	          (knocker_endpoint){.name = T("x"), .provider = T("stripe"), .secrets_json = T("[]")},
	          "secret");
	registers("nor what is no list",
	          (knocker_endpoint){.name = T("x"),
	                             .provider = T("stripe"),
	                             .secrets_json = T("{\"a\":1}")},
	          "secrets");
	registers("secrets need a provider",
	          (knocker_endpoint){.name = T("x"), .secrets_json = T("[\"" SECRET "\"]")},
	          "provider");
	registers("an unknown option is named",
	          (knocker_endpoint){.name = T("x"),
	                             .provider = T("stripe"),
	                             .secrets_json = T("[\"s\"]"),
	                             .options_json = T("{\"tolerance\":3}")},
	          "tolerance");
	registers("a wrong value is named",
	          (knocker_endpoint){.name = T("x"),
	                             .provider = T("stripe"),
	                             .secrets_json = T("[\"s\"]"),
	                             .options_json = T("{\"tolerance_s\":\"soon\"}")},
	          "tolerance_s");
	registers("a built-in's name is taken",
	          (knocker_endpoint){.name = T("x"), .provider = T("stripe"), .external = 1}, "stripe");
	registers("two verifiers are one too many",
	          (knocker_endpoint){.name = T("x"),
	                             .provider = T("mine"),
	                             .scheme_json = T("{}"),
	                             .external = 1},
	          "external");
	CHECK(raw_int(file.path, "select count(*) from _knocker_endpoint where name = 'x'") == 0,
	      "and none of them left a row");
}

/* ---- values of a handler's SQL ---- */

static void value_trip(knocker_work *w, knocker_value given, int64_t type, knocker_bytes text)
{
	knocker_rows *rows = NULL;
	knocker_value back = {0};

	CHECK(knocker_query(w, T("select ?1"), &given, 1, &rows, NULL) == 0 &&
	          knocker_rows_next(rows) == 0,
	      "a value is selected");
	knocker_rows_value(rows, 0, &back);
	CHECK(back.type == type, "it keeps its type");
	if (type == KNOCKER_INTEGER)
		CHECK(back.integer == given.integer, "and its number");
	if (type == KNOCKER_REAL)
		CHECK(memcmp(&back.real, &given.real, sizeof back.real) == 0, "and its real number");
	if (type == KNOCKER_TEXT || type == KNOCKER_BLOB)
		CHECK(back.bytes.len == text.len &&
		          memcmp(back.bytes.data, text.data, (size_t)text.len) == 0,
		      "and its bytes");
	CHECK(knocker_rows_next(rows) == 1 && knocker_rows_value(rows, 0, &back) < 0,
	      "past the last row there is nothing");
	knocker_rows_free(rows);
}

static void values(void)
{
	const knocker_value one = {.type = KNOCKER_INTEGER, .integer = 1}, odd = {.type = 77};
	knocker_error error = {0};
	knocker_work *w = NULL;
	held h;

	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	value_trip(w, (knocker_value){.type = KNOCKER_INTEGER, .integer = INT64_MIN}, KNOCKER_INTEGER,
	           (knocker_bytes){0});
	value_trip(w, (knocker_value){.type = KNOCKER_INTEGER, .integer = INT64_MAX}, KNOCKER_INTEGER,
	           (knocker_bytes){0});
	value_trip(w, (knocker_value){.type = KNOCKER_REAL, .real = -0.1}, KNOCKER_REAL,
	           (knocker_bytes){0});
	value_trip(w, (knocker_value){.type = KNOCKER_REAL, .real = (double)INFINITY}, KNOCKER_REAL,
	           (knocker_bytes){0});
	value_trip(w, (knocker_value){.type = KNOCKER_REAL, .real = (double)NAN}, KNOCKER_NULL,
	           (knocker_bytes){0});
	value_trip(w, (knocker_value){.type = KNOCKER_NULL}, KNOCKER_NULL, (knocker_bytes){0});
	value_trip(w, (knocker_value){.type = KNOCKER_TEXT, .bytes = T("to its NUL")}, KNOCKER_TEXT,
	           (knocker_bytes){"to its NUL", 10});
	value_trip(w, (knocker_value){.type = KNOCKER_BLOB, .bytes = T("blob")}, KNOCKER_BLOB,
	           (knocker_bytes){"blob", 4});
	value_trip(w, (knocker_value){.type = KNOCKER_TEXT, .bytes = {"a\0b", 3}}, KNOCKER_TEXT,
	           (knocker_bytes){"a\0b", 3});
	value_trip(w, (knocker_value){.type = KNOCKER_BLOB, .bytes = {"", 0}}, KNOCKER_BLOB,
	           (knocker_bytes){"", 0});
	value_trip(w, (knocker_value){.type = KNOCKER_TEXT, .bytes = {NULL, 9}}, KNOCKER_TEXT,
	           (knocker_bytes){"", 0});
	CHECK(knocker_execute(w, T("select ?1"), &odd, 1, NULL, NULL, &error) ==
	              KNOCKER_INVALID_ARGUMENT &&
	          strstr(error.text, "77"),
	      "a value of no type is an error");
	CHECK(knocker_execute(w, T("select ?1"), NULL, 1, NULL, NULL, &error) ==
	          KNOCKER_INVALID_ARGUMENT,
	      "so are values that are not there");
	CHECK(knocker_execute(w, T("select ?1, ?2"), &one, 1, NULL, NULL, &error) ==
	              KNOCKER_INVALID_ARGUMENT &&
	          strstr(error.text, "2"),
	      "and too few");
	CHECK(knocker_execute(w, T("select 1"), &one, 1, NULL, NULL, &error) ==
	          KNOCKER_INVALID_ARGUMENT,
	      "and too many");
	CHECK(knocker_execute(w, T("select 1"), &one, -1, NULL, NULL, &error) ==
	          KNOCKER_INVALID_ARGUMENT,
	      "and less than none");
	CHECK(settle(w, 99, &error) == KNOCKER_INVALID_ARGUMENT && strstr(error.text, "99"),
	      "an outcome of no name is an error");
	CHECK(knocker_read(k, T("select ?1"), NULL, 1, &(knocker_rows *){NULL}, &error) ==
	          KNOCKER_INVALID_ARGUMENT,
	      "readers take no less care");
	CHECK(knocker_read(k, T("insert into _knocker_meta values('x', 1)"), NULL, 0,
	                   &(knocker_rows *){NULL}, &error) < 0,
	      "and do not write");
}

/* A reader that stayed in a transaction would show its snapshot to every later call. */
static void savepoints(void)
{
	static const char *const begins[] = {"savepoint s", "begin", "begin immediate"};
	knocker_error error;
	size_t i;

	for (i = 0; i < sizeof begins / sizeof *begins; i++)
		CHECK(knocker_read(k, T(begins[i]), NULL, 0, &(knocker_rows *){NULL}, &error) ==
		              KNOCKER_SQL &&
		          strstr(error.text, "refused here"),
		      "a query cannot leave a transaction open");
}

/* ---- errors ---- */

static void long_errors(void)
{
	char name[201], *end;
	knocker_error error;
	int i;

	for (i = 0; i < 100; i++)
		memcpy(name + 2 * i, "\xC3\xA9", 2);
	name[200] = '\0';
	memset(&error, 'x', sizeof error);
	CHECK(ingest_bytes(k, name, NULL, T("{}"), &error) == KNOCKER_UNKNOWN_ENDPOINT,
	      "a long name is not known");
	end = memchr(error.text, '\0', sizeof error.text);
	CHECK(end && error.code == KNOCKER_UNKNOWN_ENDPOINT, "its error ends within its bounds");
	for (i = 0; end && i < end - error.text; i++)
		if ((error.text[i] & 0xE0) == 0xC0 && (error.text[i + 1] & 0xC0) != 0x80)
			break;
	CHECK(end && i == end - error.text, "and is cut between characters");
}

int main(void)
{
	knocker_endpoint token = {.size = sizeof token,
	                          .name = T("token"),
	                          .provider = T("token-header"),
	                          .secrets_json = T("[\"" SECRET "\"]")};
	knocker_endpoint stripe = {.size = sizeof stripe,
	                           .name = T("stripe"),
	                           .provider = T("stripe"),
	                           .secrets_json = T("[\"" SECRET "\"]")};

	file_new(&file);
	k = open_plain(file.path);
	endpoint_named(k, "plain");
	CHECK(knocker_endpoint_add(k, &token, NULL, NULL) == 0 &&
	          knocker_endpoint_add(k, &stripe, NULL, NULL) == 0,
	      "endpoints are registered");
	bodies();
	ids();
	headers();
	candidates();
	registrations();
	values();
	savepoints();
	long_errors();
	CHECK(raw_is_whole(file.path) && knocker_close(k, NULL) == 0,
	      "after all of that the file is whole");
	file_end(&file);
	return check_end("odd");
}
