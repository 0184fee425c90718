/*
 * An application in C of the storm: it opens the file, registers its endpoints, and lets threads
 * receive, work and operate until it is killed or nobody holds its standard input any more.
 *
 *   soak_actor FILE JOURNAL NAME SEED [calm]
 *
 * A calm one works the queue through and ends. The tables that it writes are made by the storm.
 */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- small things ---- */

knocker_bytes soak_text(const char *text)
{
	return (knocker_bytes){text, -1};
}

int64_t soak_below(soak_thread *t, int64_t limit)
{
	uint64_t z = (t->random += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return (int64_t)((z ^ (z >> 31)) % (uint64_t)limit);
}

int64_t soak_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void soak_sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

int64_t soak_integer(const knocker_rows *rows, const char *name)
{
	knocker_value v;

	knocker_rows_value(rows, knocker_rows_find(rows, name), &v);
	return v.type == KNOCKER_INTEGER ? v.integer : 0;
}

const char *soak_cell(const knocker_rows *rows, const char *name, char *out, size_t size)
{
	knocker_value v;
	int len = 0;

	knocker_rows_value(rows, knocker_rows_find(rows, name), &v);
	if (v.type == KNOCKER_TEXT)
		len = (int)v.bytes.len;
	snprintf(out, size, "%.*s", len, len ? (const char *)v.bytes.data : "");
	return out;
}

int64_t soak_backlog(soak_app *app)
{
	knocker_error error = {0};
	knocker_rows *rows = NULL;
	int64_t count = -1;
	int32_t rc = knocker_read(app->k, soak_text("select count(*) as n from knocker_jobs"), NULL, 0,
	                          &rows, &error);

	if (rc < 0)
		journal_failure(app, "backlog", rc, &error);
	else if (knocker_rows_next(rows) == 0)
		count = soak_integer(rows, "n");
	knocker_rows_free(rows);
	return count;
}

/* ---- the journal ---- */

static _Noreturn void actor_fail(const char *what, const char *why)
{
	fprintf(stderr, "soak_actor: %s: %s\n", what, why);
	exit(2);
}

/* The file is opened to append, so that lines of several threads stand one after the other. */
void journal_line(const soak_app *app, const char *format, ...)
{
	char line[600];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	if (len < 0 || len >= (int)sizeof line - 1)
		len = (int)sizeof line - 2;
	line[len++] = '\n';
	if (write(app->journal, line, (size_t)len) != len)
		actor_fail("journal", strerror(errno));
}

void journal_failure(const soak_app *app, const char *what, int32_t rc, const knocker_error *error)
{
	if (rc == KNOCKER_BUSY)
		journal_line(app, "B %s", what);
	else if (rc == KNOCKER_LEASE_LOST)
		journal_line(app, "L %s", what);
	else
		journal_line(app, "X %s %s %s", what, knocker_error_name(rc), error->text);
}

/* ---- the application ---- */

/* Many start at once, so that this too may find the file busy. */
static void actor_open(soak_app *app, const char *path, uint64_t seed)
{
	knocker_open_options o = {.size = sizeof o,
	                          .path = soak_text(path),
	                          .visibility_ms = 600,
	                          .backoff_base_ms = 50,
	                          .backoff_cap_ms = 400,
	                          .orphan_rows = 300,
	                          .seed = (int64_t)(seed >> 2) + 1};
	knocker_endpoint stripe = {.size = sizeof stripe,
	                           .name = soak_text("stripe"),
	                           .provider = soak_text("stripe"),
	                           .secrets_json = soak_text("[\"" SOAK_SECRET "\"]")};
	knocker_endpoint inner = {.size = sizeof inner, .name = soak_text("inner")};
	knocker_error error = {0};
	int32_t rc;

	while ((rc = knocker_open(&o, &app->k, &error)) == KNOCKER_BUSY)
		journal_failure(app, "open", rc, &error);
	if (rc < 0)
		actor_fail("open", error.text);
	while ((rc = knocker_endpoint_add(app->k, &stripe, NULL, &error)) == KNOCKER_BUSY ||
	       (rc == 0 && (rc = knocker_endpoint_add(app->k, &inner, NULL, &error)) == KNOCKER_BUSY))
		journal_failure(app, "endpoint", rc, &error);
	if (rc < 0)
		actor_fail("endpoint", error.text);
}

static void actor_storm(soak_app *app, uint64_t seed)
{
	static void *(*const acts[])(
		void *) = {receive_one_by_one, receive_one_by_one, receive_many_at_once,
	               work_jobs,          work_jobs,          operate};
	static soak_thread threads[sizeof acts / sizeof *acts];
	pthread_t id;
	char byte;
	size_t i;

	for (i = 0; i < sizeof acts / sizeof *acts; i++) {
		threads[i] = (soak_thread){app, seed + i * 0x632BE59BD9B4E019u};
		if (pthread_create(&id, NULL, acts[i], &threads[i]) != 0)
			actor_fail("a thread could not be made", strerror(errno));
	}
	while (read(STDIN_FILENO, &byte, 1) > 0 || errno == EINTR)
		;
	_exit(0);
}

int main(int count, char **words)
{
	soak_app app = {0};
	uint64_t seed;

	if (count < 5) {
		fprintf(stderr, "usage: soak_actor FILE JOURNAL NAME SEED [calm]\n");
		return 2;
	}
	app.name = words[3];
	app.calm = count > 5 && strcmp(words[5], "calm") == 0;
	app.journal = open(words[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (app.journal < 0)
		actor_fail(words[2], strerror(errno));
	seed = strtoull(words[4], NULL, 10);
	actor_open(&app, words[1], seed);
	if (app.calm) {
		knocker_error error = {0};

		work_jobs(&(soak_thread){&app, seed});
		if (knocker_close(app.k, &error) < 0)
			actor_fail("close", error.text);
		return 0;
	}
	actor_storm(&app, seed);
}
