/* No way around verification: every mixture of what the row says, what this process registered,
 * what the call brings and what the request carries. Where the row has a provider only a request
 * that it signed becomes an event. */
#include <openssl/hmac.h>

#include "hard_file.h"

#define SECRET "whsec_of_the_test"
#define ACME                                                                       \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"sig\":{\"from\":[\"header:x-acme\"]," \
	"\"enc\":\"hex\"},\"signed\":[\"{body}\"],\"extract\":{\"event_id\":[\"json:id\"]}}"

typedef enum { ROW_NONE, ROW_STRIPE, ROW_ACME, ROW_EXTERNAL, ROWS } row_kind;
typedef enum { HERE_NOT, HERE_TOO, HERE_AS_NONE, HERES } here_kind;
typedef enum { CALL_NOTHING, CALL_NONE, CALL_SAME, CALL_GITHUB, CALL_SCHEME, CALLS } call_kind;
typedef enum {
	SECRETS_ABSENT,
	SECRETS_RIGHT,
	SECRETS_WRONG,
	SECRETS_EMPTY,
	SECRETSES
} secrets_kind;
typedef enum { DOOR_RECEIVE, DOOR_MANY, DOOR_WORK, DOORS } door;

typedef struct {
	row_kind row;
	here_kind here;
	call_kind call;
	secrets_kind secrets;
	int verdict; /* KNOCKER_BY_SCHEME ... KNOCKER_UNCHECKED */
	bool forged;
} cell;

typedef struct {
	int32_t code;
	bool event;
	int64_t status;
	char said[250];
} answer;

static test_file file;
static char headers[2][600]; /* signed, forged */
static const char body[] = "{\"id\":\"evt_1\"}";

/* ---- requests that are signed with another tool ---- */

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

static void make_headers(void)
{
	char with_time[100], of_time[65], of_body[65];

	snprintf(with_time, sizeof with_time, "%lld.%s", (long long)(START_MS / 1000), body);
	hex_hmac(with_time, of_time);
	hex_hmac(body, of_body);
	snprintf(headers[0], sizeof headers[0],
	         "Stripe-Signature: t=%lld,v1=%s\nX-Acme: %s\nX-Hub-Signature-256: sha256=%s\n",
	         (long long)(START_MS / 1000), of_time, of_body, of_body);
	snprintf(
		headers[1], sizeof headers[1],
		"Stripe-Signature: t=%lld,v1=%064d\nX-Acme: %064d\nX-Hub-Signature-256: sha256=%064d\n",
		(long long)(START_MS / 1000), 0, 0, 0);
}

/* ---- one cell ---- */

static knocker_endpoint endpoint_of(row_kind row)
{
	knocker_endpoint e = {.size = sizeof e, .name = T("hook")};

	if (row == ROW_STRIPE)
		e.provider = T("stripe");
	if (row == ROW_ACME || row == ROW_EXTERNAL)
		e.provider = T("acme");
	if (row == ROW_ACME)
		e.scheme_json = T(ACME);
	if (row == ROW_STRIPE || row == ROW_ACME)
		e.secrets_json = T("[\"" SECRET "\"]");
	e.external = row == ROW_EXTERNAL;
	return e;
}

static knocker_request request_of(const cell *c)
{
	static const char *const secrets[] = {NULL, "[\"" SECRET "\"]", "[\"whsec_of_nobody\"]", "[]"};
	const char *calls[] = {NULL, "none",
	                       c->row == ROW_STRIPE || c->row == ROW_NONE ? "stripe" : "acme", "github",
	                       ACME};
	knocker_request q = {.size = sizeof q,
	                     .endpoint = T("hook"),
	                     .body = T(body),
	                     .verdict = c->verdict};

	q.headers = T(headers[c->forged]);
	if (calls[c->call])
		q.provider = T(calls[c->call]);
	if (secrets[c->secrets])
		q.secrets_json = T(secrets[c->secrets]);
	return q;
}

static int32_t through(door d, knocker *k, const knocker_request *q, knocker_rows **rows,
                       knocker_error *error)
{
	const knocker_request *one[] = {q};
	knocker_work *w = NULL;
	held h;
	int32_t rc;

	if (d == DOOR_RECEIVE)
		return knocker_receive(k, q, rows, error);
	if (d == DOOR_MANY)
		return knocker_receive_many(k, one, 1, rows, error);
	claim_one(k, "w", &h);
	knocker_work_begin(k, h.job, h.claim, &w, NULL);
	rc = knocker_work_receive(w, q, rows, error);
	knocker_settle(w, KNOCKER_RETRY_AFTER, T(""), 0, NULL, NULL);
	return rc;
}

static answer ask_cell(knocker *k, const cell *c, door d)
{
	knocker_request q = request_of(c);
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	answer a = {0};

	a.code = through(d, k, &q, &rows, &error);
	snprintf(a.said, sizeof a.said, "%s", error.text);
	if (a.code == 0) {
		knocker_rows_next(rows);
		a.event = row_int(rows, "event_id") > 0;
		a.status = row_int(rows, "status_code");
		if (d == DOOR_MANY && row_int(rows, "error_code") != 0) {
			a.code = (int32_t)row_int(rows, "error_code");
			row_text(rows, "error", a.said, sizeof a.said);
		}
		knocker_rows_free(rows);
	}
	return a;
}

/* ---- what must hold in every cell ---- */

/* The call's provider where the row has none: it may add verification. */
static bool adds_verification(const cell *c)
{
	return c->call == CALL_SAME || c->call == CALL_GITHUB || c->call == CALL_SCHEME;
}

/* May this cell become an event? An application's word counts for its own provider only. */
static bool may_be_event(const cell *c)
{
	bool signed_right = !c->forged && c->secrets != SECRETS_WRONG && c->secrets != SECRETS_EMPTY;
	bool by_word = c->verdict == KNOCKER_VALID;

	switch (c->row) {
	case ROW_NONE:
		if (c->verdict != KNOCKER_BY_SCHEME)
			return by_word && !adds_verification(c);
		return adds_verification(c) ? signed_right : true;
	case ROW_STRIPE:
		return signed_right && c->call != CALL_GITHUB && c->call != CALL_SCHEME;
	case ROW_ACME:
		return (signed_right && c->call != CALL_GITHUB) ||
		       (by_word && c->here != HERE_TOO && c->call == CALL_SAME);
	default:
		return by_word || (c->here != HERE_TOO && c->call == CALL_SCHEME && signed_right);
	}
}

static int cells_seen, cells_events, cells_refused, cells_orphans;

static void judge(const cell *c, door d, const answer *a)
{
	bool clear = a->code == KNOCKER_INVALID_ARGUMENT && a->said[0] && !strstr(a->said, SECRET);
	bool right = a->code < 0 ? clear : a->event ? may_be_event(c) : a->status == 401;

	cells_seen++;
	cells_events += a->event;
	cells_refused += a->code < 0;
	cells_orphans += a->code == 0 && !a->event;
	CHECK(right, "an event was verified, all else is 401 or a named error without a secret");
	if (!right)
		printf(
			"row %d here %d call %d secrets %d verdict %d forged %d door %d: code %d event %d status %lld: %s\n",
			c->row, c->here, c->call, c->secrets, c->verdict, c->forged, d, a->code, a->event,
			(long long)a->status, a->said);
}

/* The file as another process made it, and a handle of this process with its own registration. */
static knocker *make(row_kind row, here_kind here)
{
	knocker_endpoint of_row = endpoint_of(row), none = endpoint_of(ROW_NONE);
	knocker *k, *other;

	file_clear(&file);
	k = open_plain(file.path);
	other = open_plain(file.path);
	if (here == HERE_AS_NONE)
		knocker_endpoint_add(k, &none, NULL, NULL);
	if (here == HERE_TOO)
		knocker_endpoint_add(k, &of_row, NULL, NULL);
	CHECK(knocker_endpoint_add(other, &of_row, NULL, NULL) == 0, "the endpoint is registered");
	endpoint_named(other, "worker");
	ingest(other, "worker", "for the handler");
	knocker_close(other, NULL);
	return k;
}

static void every_cell(row_kind row, here_kind here)
{
	knocker *k = make(row, here);
	int i;

	for (i = 0; i < CALLS * SECRETSES * 4 * 2 * DOORS; i++) {
		cell c = {row,
		          here,
		          (call_kind)(i % CALLS),
		          (secrets_kind)(i / CALLS % SECRETSES),
		          i / CALLS / SECRETSES % 4,
		          i / CALLS / SECRETSES / 4 % 2};
		door d = (door)(i / CALLS / SECRETSES / 8);
		answer a = ask_cell(k, &c, d);

		judge(&c, d, &a);
	}
	knocker_close(k, NULL);
}

/* ---- cells of which we say exactly what they give ---- */

#define BAD KNOCKER_INVALID_ARGUMENT

static const struct {
	const char *sentence;
	cell cell;
	int32_t code;
	bool event;
	const char *saying;
} named_cells[] = {
	{"a registered endpoint takes what is signed",
     {ROW_STRIPE, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, 0, false},
     0,
     true,
     ""},
	{"a registered endpoint rejects a forgery",
     {ROW_STRIPE, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, 0, true},
     0,
     false,
     ""},
	{"'none' never lowers",
     {ROW_STRIPE, HERE_TOO, CALL_NONE, SECRETS_ABSENT, 0, true},
     0,
     false,
     ""},
	{"the same provider may be named",
     {ROW_STRIPE, HERE_TOO, CALL_SAME, SECRETS_ABSENT, 0, false},
     0,
     true,
     ""},
	{"another provider may not",
     {ROW_STRIPE, HERE_TOO, CALL_GITHUB, SECRETS_RIGHT, 0, false},
     BAD,
     false,
     "stripe"},
	{"nor a scheme",
     {ROW_STRIPE, HERE_TOO, CALL_SCHEME, SECRETS_RIGHT, 0, false},
     BAD,
     false,
     "stripe"},
	{"a verdict is not for built-ins",
     {ROW_STRIPE, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, KNOCKER_VALID, false},
     BAD,
     false,
     "verdict"},
	{"also where this process knows nothing",
     {ROW_STRIPE, HERE_NOT, CALL_SAME, SECRETS_ABSENT, KNOCKER_VALID, true},
     BAD,
     false,
     "stripe"},
	{"or nothing is named",
     {ROW_STRIPE, HERE_NOT, CALL_NOTHING, SECRETS_ABSENT, KNOCKER_VALID, true},
     BAD,
     false,
     "stripe"},
	{"no secret here is an error",
     {ROW_STRIPE, HERE_NOT, CALL_NOTHING, SECRETS_ABSENT, 0, true},
     BAD,
     false,
     "no secret"},
	{"'none' does not help",
     {ROW_STRIPE, HERE_NOT, CALL_NONE, SECRETS_ABSENT, 0, true},
     BAD,
     false,
     "no secret"},
	{"secrets of the call do",
     {ROW_STRIPE, HERE_NOT, CALL_NOTHING, SECRETS_RIGHT, 0, false},
     0,
     true,
     ""},
	{"and find the forgery",
     {ROW_STRIPE, HERE_NOT, CALL_NOTHING, SECRETS_RIGHT, 0, true},
     0,
     false,
     ""},
	{"provider and secrets too",
     {ROW_STRIPE, HERE_NOT, CALL_SAME, SECRETS_RIGHT, 0, false},
     0,
     true,
     ""},
	{"a wrong secret rejects",
     {ROW_STRIPE, HERE_NOT, CALL_SAME, SECRETS_WRONG, 0, false},
     0,
     false,
     ""},
	{"no secrets at all are an error",
     {ROW_STRIPE, HERE_NOT, CALL_SAME, SECRETS_EMPTY, 0, false},
     BAD,
     false,
     "secret"},
	{"a registration from before the row changed",
     {ROW_STRIPE, HERE_AS_NONE, CALL_NOTHING, SECRETS_ABSENT, 0, true},
     BAD,
     false,
     "stripe"},
	{"an own scheme takes what is signed",
     {ROW_ACME, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, 0, false},
     0,
     true,
     ""},
	{"an own scheme rejects a forgery",
     {ROW_ACME, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, 0, true},
     0,
     false,
     ""},
	{"an own scheme takes no verdict",
     {ROW_ACME, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, KNOCKER_VALID, true},
     BAD,
     false,
     "acme"},
	{"an own scheme's registration is needed",
     {ROW_ACME, HERE_NOT, CALL_NOTHING, SECRETS_RIGHT, 0, true},
     BAD,
     false,
     "acme"},
	{"or its JSON", {ROW_ACME, HERE_NOT, CALL_SCHEME, SECRETS_RIGHT, 0, false}, 0, true, ""},
	{"an external provider needs a verdict",
     {ROW_EXTERNAL, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, 0, false},
     BAD,
     false,
     "acme"},
	{"and it decides",
     {ROW_EXTERNAL, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, KNOCKER_VALID, true},
     0,
     true,
     ""},
	{"both ways",
     {ROW_EXTERNAL, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, KNOCKER_INVALID, false},
     0,
     false,
     ""},
	{"'unchecked' is none",
     {ROW_EXTERNAL, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, KNOCKER_UNCHECKED, false},
     BAD,
     false,
     "unchecked"},
	{"without a provider nothing is verified",
     {ROW_NONE, HERE_TOO, CALL_NOTHING, SECRETS_ABSENT, 0, true},
     0,
     true,
     ""},
	{"a call may add verification",
     {ROW_NONE, HERE_TOO, CALL_SAME, SECRETS_RIGHT, 0, true},
     0,
     false,
     ""},
	{"by a scheme of its own too",
     {ROW_NONE, HERE_TOO, CALL_SCHEME, SECRETS_RIGHT, 0, true},
     0,
     false,
     ""},
	{"secrets without a provider are a mistake",
     {ROW_NONE, HERE_TOO, CALL_NOTHING, SECRETS_RIGHT, 0, false},
     BAD,
     false,
     "provider"},
};

static void named_cell(size_t i)
{
	knocker *k = make(named_cells[i].cell.row, named_cells[i].cell.here);
	answer a = ask_cell(k, &named_cells[i].cell, DOOR_RECEIVE);
	bool right = a.code == named_cells[i].code && a.event == named_cells[i].event &&
	             strstr(a.said, named_cells[i].saying);

	CHECK(right, named_cells[i].sentence);
	if (!right)
		printf("code %d, event %d: %s\n", a.code, a.event, a.said);
	knocker_close(k, NULL);
}

static void no_secret_in_the_file(void)
{
	char part[65536], *at;
	int fd = open(file.path, O_RDONLY), found = 0;
	ssize_t len;

	while ((len = read(fd, part, sizeof part)) > 0)
		for (at = memchr(part, 'w', (size_t)len); at;
		     at = memchr(at + 1, 'w', (size_t)(part + len - at - 1)))
			found += (size_t)(part + len - at) >= strlen(SECRET) &&
			         memcmp(at, SECRET, strlen(SECRET)) == 0;
	close(fd);
	CHECK(found == 0, "no secret is in the file");
}

int main(void)
{
	int row, here;
	size_t i;

	make_headers();
	file_new(&file);
	for (i = 0; i < sizeof named_cells / sizeof *named_cells; i++)
		named_cell(i);
	for (row = 0; row < ROWS; row++)
		for (here = 0; here < HERES; here++) {
			every_cell((row_kind)row, (here_kind)here);
			no_secret_in_the_file();
		}
	CHECK(cells_seen == ROWS * HERES * CALLS * SECRETSES * 8 * DOORS,
	      "every cell was asked at every door");
	CHECK(cells_events > 100 && cells_refused > 100 && cells_orphans > 100,
	      "there are cells of every kind");
	file_end(&file);
	return check_end("verification");
}
