/* The command doctor: what is healthy and what is not, one finding a line, as soon as it is known.
 * Owns the measures of illness; reads through the library's views. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "commands.h"
#include "database.h"
#include "diagnose.h"
#include "print.h"
#include "progress.h"

#define LATE_DEFAULT_S 300
#define WAL_MOST ((int64_t)64 << 20)        /* of a WAL; a checkpoint keeps it near 4 MiB */
#define INTEGRITY_MOST ((int64_t)256 << 20) /* a file so large is read in less than half a second */

typedef enum { FINE, NOTE, BAD } verdict;

typedef struct {
	const options *o;
	knocker *k;
	progress far; /* of what takes long; a finding ends it */
	int64_t now_s, late_s;
	bool healthy;
} doctor;

static void finding_print(doctor *d, verdict v, const char *check, text *found)
{
	static const char *const words[] = {[FINE] = "ok", [NOTE] = "note", [BAD] = "bad"};
	static const char *const colours[] =
		{[FINE] = "valid", [NOTE] = "unchecked", [BAD] = "invalid"};
	text line = {0};

	progress_end(&d->far);
	d->healthy = d->healthy && v != BAD;
	if (d->o->json == 1) {
		text_print(&line, "{\"check\":\"%s\",\"verdict\":\"%s\",\"found\":", check, words[v]);
		text_json(&line, found->data, found->len);
		text_puts(&line, "}");
	} else {
		text_print(&line, "%s%-4s%s  %-9s  ", print_colour(SHOW_SIGNATURE, colours[v]), words[v],
		           print_plain(), check);
		text_show(&line, found->data, found->len, false);
	}
	print_line(&line);
	fflush(stdout);
	text_free(found);
}

/* One row, with `now` as ?1 where the statement has it; false after a finding that it cannot be
 * read. */
static bool doctor_read(doctor *d, const char *check, const char *sql, knocker_rows **rows)
{
	knocker_value now = {.type = KNOCKER_INTEGER, .integer = d->now_s};
	knocker_error error = {0};
	text found = {0};

	*rows = NULL;
	if (knocker_read(d->k, bytes_of(sql), &now, strstr(sql, "?1") != NULL ? 1 : 0, rows, &error) ==
	        0 &&
	    knocker_rows_next(*rows) == 0)
		return true;
	text_puts(&found, error.code != 0 ? error.text : "nothing to read");
	finding_print(d, BAD, check, &found);
	knocker_rows_free(*rows);
	return false;
}

static void check_schema(doctor *d)
{
	knocker_rows *rows;
	text found = {0};

	if (!doctor_read(d, "schema", "select value from _knocker_meta where key = 'schema'", &rows))
		return;
	text_print(&found, "version %lld, knocker %s", (long long)print_value(rows, "value").integer,
	           knocker_version());
	finding_print(d, FINE, "schema", &found);
	knocker_rows_free(rows);
}

static void check_wal(doctor *d)
{
	struct stat file = {0};
	text path = {0}, found = {0};

	database_wal(d->o, &path);
	if (stat(path.data, &file) != 0)
		file.st_size = 0;
	print_bytes(&found, file.st_size);
	if (file.st_size > WAL_MOST)
		text_puts(&found, ": somebody reads an old snapshot and holds the checkpoint, or did");
	finding_print(d, file.st_size > WAL_MOST ? BAD : FINE, "wal", &found);
	text_free(&path);
}

static void check_due(doctor *d, const knocker_rows *rows)
{
	int64_t due = print_value(rows, "due").integer, since = print_value(rows, "due_since").integer;
	bool late = due > 0 && d->now_s - since > d->late_s;
	text found = {0};

	text_print(&found, "%lld due", (long long)due);
	if (due > 0) {
		text_puts(&found, ", the oldest for ");
		print_span(&found, d->now_s - since);
	}
	if (late)
		text_puts(&found, ": no worker serves its queue, or all are slow");
	finding_print(d, late ? BAD : FINE, "jobs", &found);
}

static void check_leases(doctor *d, const knocker_rows *rows)
{
	int64_t over = print_value(rows, "expired").integer;
	int64_t since = print_value(rows, "expired_since").integer;
	bool stuck = over > 0 && d->now_s - since > d->late_s;
	text found = {0};

	text_print(&found, "%lld held, %lld of them past their time",
	           (long long)print_value(rows, "held").integer, (long long)over);
	if (over > 0) {
		text_puts(&found, ", the oldest for ");
		print_span(&found, d->now_s - since);
	}
	if (stuck)
		text_puts(&found, ": their workers are gone, and no other came");
	finding_print(d, stuck ? BAD : FINE, "leases", &found);
}

/* Jobs of paused endpoints wait because somebody said so. */
static void check_queue(doctor *d)
{
	static const char sql[] =
		"select coalesce(sum(worker_id is null and due_at <= ?1), 0) as due, "
		"min(case when worker_id is null and due_at <= ?1 then due_at end) as due_since, "
		"coalesce(sum(worker_id is not null), 0) as held, "
		"coalesce(sum(worker_id is not null and due_at <= ?1), 0) as expired, "
		"min(case when worker_id is not null and due_at <= ?1 then due_at end) as expired_since "
		"from knocker_jobs where endpoint is null or endpoint not in "
		"(select name from knocker_endpoints where paused = 1)";
	knocker_rows *rows;

	if (!doctor_read(d, "jobs", sql, &rows))
		return;
	check_due(d, rows);
	check_leases(d, rows);
	knocker_rows_free(rows);
}

static void check_paused(doctor *d)
{
	static const char sql[] = "select count(*) as count, group_concat(name, ', ') as names "
							  "from knocker_endpoints where paused = 1";
	knocker_rows *rows;
	text found = {0};

	if (!doctor_read(d, "endpoints", sql, &rows))
		return;
	if (print_value(rows, "count").integer > 0) {
		text_puts(&found, "paused, their events wait: ");
		print_shown(&found, print_value(rows, "names"), SHOW_TEXT);
		finding_print(d, NOTE, "endpoints", &found);
	} else {
		text_puts(&found, "none is paused");
		finding_print(d, FINE, "endpoints", &found);
	}
	knocker_rows_free(rows);
}

static void check_dead(doctor *d, const knocker_rows *sum)
{
	int64_t dead = print_value(sum, "dead").integer;
	text found = {0};

	text_print(&found, "%lld dead, %lld failed and to be tried again", (long long)dead,
	           (long long)print_value(sum, "failed").integer);
	if (dead > 0)
		text_puts(&found, ": knocker events --status dead");
	finding_print(d, dead > 0 ? NOTE : FINE, "events", &found);
}

static void check_orphans(doctor *d, const knocker_rows *sum)
{
	int64_t dropped = print_value(sum, "orphans_dropped").integer;
	text found = {0};

	text_print(&found, "%lld refused deliveries kept, ",
	           (long long)print_value(sum, "orphans").integer);
	print_bytes(&found, print_value(sum, "orphan_bytes").integer);
	text_print(&found, "; %lld dropped%s", (long long)dropped,
	           dropped > 0 ? ": the budget was full" : "");
	finding_print(d, dropped > 0 ? NOTE : FINE, "orphans", &found);
}

static void check_clock(doctor *d, const knocker_rows *sum)
{
	int64_t redated = print_value(sum, "redated").integer;
	text found = {0};

	if (redated > 0)
		text_print(&found, "%lld deliveries came from the future and were dated back",
		           (long long)redated);
	else
		text_puts(&found, "it never went backwards");
	finding_print(d, redated > 0 ? NOTE : FINE, "clock", &found);
}

static void check_stats(doctor *d)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	text found = {0};

	if (knocker_stats(d->k, &rows, &error) == 0 && knocker_rows_next(rows) == 0) {
		check_dead(d, rows);
		check_orphans(d, rows);
		check_clock(d, rows);
	} else {
		text_puts(&found, error.text);
		finding_print(d, BAD, "events", &found);
	}
	knocker_rows_free(rows);
}

/* The last, for it reads the whole file. */
static void check_integrity(doctor *d)
{
	struct stat file = {0};
	knocker_rows *rows;
	knocker_value said;
	text found = {0};
	bool sound;

	stat(database_path(d->o), &file);
	print_bytes(&found, file.st_size);
	if (d->o->full == 0 && file.st_size > INTEGRITY_MOST) {
		text_puts(&found, ", too much to check each time: --full does");
		finding_print(d, NOTE, "integrity", &found);
		return;
	}
	progress_show(&d->far, -1);
	if (!doctor_read(d, "integrity", "pragma integrity_check(1)", &rows)) {
		text_free(&found);
		return;
	}
	said = print_value(rows, "integrity_check");
	sound = said.bytes.len == 2 && memcmp(said.bytes.data, "ok", 2) == 0;
	text_puts(&found, sound ? ", all of it sound" : ", and damaged: ");
	if (!sound)
		print_shown(&found, said, SHOW_TEXT);
	finding_print(d, sound ? FINE : BAD, "integrity", &found);
	knocker_rows_free(rows);
}

int doctor_run(const options *o)
{
	doctor d = {.o = o,
	            .far = {.doing = "reading all of the file"},
	            .now_s = (int64_t)time(NULL),
	            .healthy = true};
	int code;

	if (o->delivery > 0)
		return diagnose_delivery(o);
	if (o->given_count > 0 || o->provider != NULL || o->scheme != NULL || o->url != NULL)
		return complain(EXIT_USAGE,
		                "doctor: secrets, a provider and its options need --delivery ID");
	code = database_open(o, &d.k);
	if (code != EXIT_DONE)
		return code;
	d.late_s = o->late_s > 0 ? o->late_s : LATE_DEFAULT_S;
	check_schema(&d);
	check_wal(&d);
	check_queue(&d);
	check_paused(&d);
	check_stats(&d);
	check_integrity(&d);
	return database_close(d.k, d.healthy ? EXIT_DONE : EXIT_NO);
}
