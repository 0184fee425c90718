/* The command reverify: an endpoint's orphans once more, some at a time. Which of them become
 * events is the library's rule; here is how many there are, the question, and what is said of
 * them. */
#include <string.h>

#include "commands.h"
#include "database.h"
#include "print.h"
#include "progress.h"
#include "request.h"

#define REVERIFY_PAGE 256 /* looked at by one call: at a dry run, and for the progress */

enum { AS_EVENT, AS_REPEAT, AS_REJECTED, AS_REDACTED, AS_NO_BODY, OUTCOMES };
static const char *const outcomes[OUTCOMES] = {"event", "repeat", "rejected", "redacted",
                                               "no_body"};

typedef struct {
	const options *o;
	knocker *k;
	const signed_request *by;
	int64_t looked_at, counts[OUTCOMES];
	text why; /* the first one that stays, and what is wrong with it */
} reverifier;

static void reverify_why(reverifier *v, knocker_rows *rows)
{
	knocker_value error = print_value(rows, "error");

	text_print(&v->why, "delivery %lld: ", (long long)print_value(rows, "delivery_id").integer);
	text_show(&v->why, error.bytes.data, (size_t)error.bytes.len, false);
}

static void reverify_count(reverifier *v, knocker_rows *rows)
{
	knocker_value outcome = print_value(rows, "outcome");
	int i;

	for (i = 0; i < OUTCOMES; i++) {
		if ((size_t)outcome.bytes.len == strlen(outcomes[i]) &&
		    memcmp(outcome.bytes.data, outcomes[i], strlen(outcomes[i])) == 0)
			v->counts[i]++;
	}
	if (print_value(rows, "event_id").type == KNOCKER_NULL && v->why.len == 0)
		reverify_why(v, rows);
	v->looked_at++;
}

/* Page by page until one is empty. */
static int reverify_pass(reverifier *v, bool dry_run, int64_t total)
{
	progress far = {.doing = dry_run ? "verifying:" : "taken in:", .total = total};
	knocker_error error = {0};
	int64_t after = 0, before, limit = REVERIFY_PAGE;
	int32_t rc;

	v->looked_at = 0;
	memset(v->counts, 0, sizeof v->counts);
	do {
		knocker_rows *rows = NULL;

		before = v->looked_at;
		if (v->o->limit > 0 && v->o->limit - before < limit)
			limit = v->o->limit - before;
		if (limit == 0)
			break;
		rc = knocker_reverify(v->k, &v->by->request, v->o->since_s, after, limit, dry_run, &rows,
		                      &error);
		while (rc == 0 && knocker_rows_next(rows) == 0) {
			after = print_value(rows, "delivery_id").integer;
			reverify_count(v, rows);
		}
		knocker_rows_free(rows);
		progress_show(&far, v->looked_at);
	} while (rc == 0 && v->looked_at > before);
	progress_end(&far);
	return error.code < 0 ? complain_error(&error) : EXIT_DONE;
}

/* ---- what is said ---- */

static int64_t reverify_passed(const reverifier *v)
{
	return v->counts[AS_EVENT] + v->counts[AS_REPEAT];
}

/* A dry run does not tell events from repeats: of two orphans of one event the first may stand on
 * another page. */
static void reverify_json(const reverifier *v, bool dry_run)
{
	printf("{\"dry_run\":%s,\"looked_at\":%lld,\"passed\":%lld,", dry_run ? "true" : "false",
	       (long long)v->looked_at, (long long)reverify_passed(v));
	if (!dry_run)
		printf("\"events\":%lld,\"repeats\":%lld,", (long long)v->counts[AS_EVENT],
		       (long long)v->counts[AS_REPEAT]);
	printf("\"rejected\":%lld,\"redacted\":%lld,\"no_body\":%lld}\n",
	       (long long)v->counts[AS_REJECTED], (long long)v->counts[AS_REDACTED],
	       (long long)v->counts[AS_NO_BODY]);
}

static void reverify_would(const reverifier *v, text *out)
{
	text_print(out, "%lld of %lld orphans would become events, or repeats of one",
	           (long long)reverify_passed(v), (long long)v->looked_at);
}

static void reverify_say(const reverifier *v, bool dry_run)
{
	static const char *const stay[OUTCOMES] = {NULL, NULL, "not valid",
	                                           "redacted, as credentials are not stored",
	                                           "without a body, which was not kept"};
	text line = {0};
	int i;

	if (v->o->json == 1) {
		reverify_json(v, dry_run);
		return;
	}
	if (dry_run)
		reverify_would(v, &line);
	else
		text_print(&line, "%lld of %lld orphans became events, %lld repeats of one",
		           (long long)v->counts[AS_EVENT], (long long)v->looked_at,
		           (long long)v->counts[AS_REPEAT]);
	for (i = AS_REJECTED; i < OUTCOMES; i++) {
		if (v->counts[i] > 0)
			text_print(&line, "\n%lld stay as they are: %s", (long long)v->counts[i], stay[i]);
	}
	if (v->why.len > 0)
		text_print(&line, "\nthe first: %.*s", (int)v->why.len, v->why.data);
	print_line(&line);
}

/* ---- the order of things ---- */

static int reverify_ask(reverifier *v)
{
	text question = {0};
	int code;

	reverify_would(v, &question);
	text_puts(&question, ".");
	code = progress_ask(v->o->yes == 1, question.data);
	text_free(&question);
	return code;
}

static int reverify_go(reverifier *v)
{
	int64_t passed;
	int code = reverify_pass(v, true, 0);
	bool dry_run = v->o->dry_run == 1;

	if (code != EXIT_DONE)
		return code;
	passed = reverify_passed(v);
	if (passed > 0 && !dry_run) {
		code = reverify_ask(v);
		if (code != EXIT_DONE)
			return code;
		text_free(&v->why);
		code = reverify_pass(v, false, v->looked_at);
	}
	reverify_say(v, dry_run);
	return code != EXIT_DONE ? code : passed == 0 && v->looked_at > 0 ? EXIT_NO : EXIT_DONE;
}

int reverify_run(const options *o)
{
	signed_request by = {0};
	reverifier v = {.o = o, .by = &by};
	int code;

	if (o->endpoint == NULL)
		return complain(EXIT_USAGE, "which endpoint's? --endpoint NAME");
	code = request_begin(o, &by);
	if (code == EXIT_DONE && by.secrets.len == 0)
		code = complain(EXIT_USAGE, "give the endpoint's secret: --secret-env NAME or "
		                            "--secret-file FILE; it is not in the database");
	if (code == EXIT_DONE)
		code = database_open(o, &v.k);
	if (code == EXIT_DONE)
		code = database_close(v.k, reverify_go(&v));
	text_free(&v.why);
	request_end(&by);
	return code;
}
