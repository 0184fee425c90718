/*
 * One play of one scenario: its files, clock, handles, scripts and the words of its steps. Private
 * to the runner.
 */
#ifndef CONFORMANCE_PLAY_H
#define CONFORMANCE_PLAY_H

#include <knocker.h>
#include <sqlite3.h>

#include "match.h"
#include "value.h"

typedef struct handler handler;
typedef struct handle handle;
typedef struct player player;
typedef struct watch watch;

/* What `handle` registered. Its scripts are read anew at each run, since they may name what is
 * bound by then. */
struct handler {
	const char *endpoint;
	const char *event_type; /* NULL: the endpoint's fallback */
	const value *script;    /* played at every run; NULL: `runs` */
	const value *runs;
	int64_t played;
	const char *where; /* the step that registered it */
	handler *next;
	bool replaced; /* registered again since: it takes no more runs */
};

struct handle {
	const char *name;
	knocker *knocker;      /* NULL: closed */
	knocker_work *work;    /* not NULL: a script of this handle is being played */
	handler *handlers;     /* newest first */
	struct noted *pending; /* what the script received: it holds when the handler is settled */
	handle *next;
};

struct player {
	arena *a;
	names *names;
	const char *where;  /* "step 3, script step 1" */
	const char *broken; /* why the play cannot go on; NULL: it can */
	char *directory;
	char *path;
	int64_t now_ms;
	handle *handles;
	sqlite3 *application; /* the application's own plain connection; NULL: not needed yet */
	watch *watch;         /* of a fault run; NULL: none */
};

/* What an operation came to. */
typedef struct {
	int32_t code; /* negative: a KNOCKER_* failure, told in `error` */
	knocker_error error;
	value *gives;
} answer;

/* Stops the play: the scenario does not fit the format or the runner, or something was not as
 * expected. */
void play_break(player *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void play_steps(player *p, const value *steps, handle *default_handle, const char *noun);
handle *play_handle(player *p, const char *name);
/* Plays the scenario that stands in `path`. NULL: it passed; else why it did not, in the arena. */
const char *play_file(arena *a, const char *path);
/* The same under a watch, which holds what it found. */
const char *play_file_watched(arena *a, const char *path, watch *w);

/* Holds a step's answer against what the scenario expects; breaks the play where they differ. */
void play_compare(player *p, const value *step, const answer *got);

/* ---- The words of a step ---- */

/* Breaks the play at a member of `with` that is not among `words`, a text of words between single
 * spaces. */
bool words_known(player *p, const value *with, const char *words);
/* The only member of `with`; breaks the play when there is none or another. */
const value *words_only(player *p, const value *with, const char *words);
/* Absent words give (NULL, 0), 0 and NULL. A word of the wrong kind breaks the play. */
knocker_bytes words_text(player *p, const value *with, const char *word);
knocker_bytes words_json(player *p, const value *with, const char *word);
int64_t words_integer(player *p, const value *with, const char *word);
int64_t words_seconds(player *p, const value *with, const char *word); /* in milliseconds */
bool words_true(player *p, const value *with, const char *word);
/* 0 absent or null, `yes` for true, `no` for false. */
int64_t words_choice(player *p, const value *with, const char *word, int64_t yes, int64_t no);
/* Header lines, and a query string. */
knocker_bytes words_headers(player *p, const value *with);
knocker_bytes words_query(player *p, const value *with);
knocker_bytes bytes_of(const char *text);

/* ---- Rows ---- */

/* The rows as a list of objects, freed; as they are, or with the names and forms that the format
 * has. */
value *rows_plain(arena *a, knocker_rows *rows);
value *rows_list(arena *a, knocker_rows *rows);
value *rows_one(arena *a, knocker_rows *rows); /* of exactly one row; null when there is none */

/* ---- Operations ---- */

typedef struct {
	const char *name;
	void (*play)(player *p, handle *h, const value *with, answer *out);
	bool within; /* is it played on a handle that is in a script? */
} operation;
const operation *operation_find(const char *name, size_t len);

void play_open(player *p, handle *h, const value *with, answer *out);
void play_clock(player *p, handle *h, const value *with, answer *out);
void play_endpoint(player *p, handle *h, const value *with, answer *out);
void play_receive(player *p, handle *h, const value *with, answer *out);
void play_ingest(player *p, handle *h, const value *with, answer *out);
void play_verify(player *p, handle *h, const value *with, answer *out);
void play_sign(player *p, handle *h, const value *with, answer *out);
void play_diagnose(player *p, handle *h, const value *with, answer *out);
void play_handler(player *p, handle *h, const value *with, answer *out);
void play_work(player *p, handle *h, const value *with, answer *out);
void play_get(player *p, handle *h, const value *with, answer *out);
void play_list(player *p, handle *h, const value *with, answer *out);
void play_act(player *p, handle *h, const value *with, answer *out);
void play_why(player *p, handle *h, const value *with, answer *out);
void play_stats(player *p, handle *h, const value *with, answer *out);
void play_prune(player *p, handle *h, const value *with, answer *out);
void play_sql(player *p, handle *h, const value *with, answer *out);

/* Breaks the play when a script of the file was never played, or not as often as its `runs` say. */
void work_all_played(player *p);

#endif
