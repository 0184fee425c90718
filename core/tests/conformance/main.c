/*
 * The C door's conformance runner: which files are played, how many at a time, and what is printed.
 * It knows no scenario.
 *
 *   conformance SCENARIO_DIR [SELF_DIR] [--only NAME] [--threads N]
 *
 * SELF_DIR is SCENARIO_DIR/../self unless it is given. Its files must fail.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

enum { threads_most = 64 };

typedef struct {
	const char *scenarios;
	const char *self;
	const char *only; /* a file's name, with or without ".json"; NULL: all */
	int threads;
} settings;

/* The files of one directory, by name, and how each play ended. */
typedef struct {
	arena *a;
	char **paths;
	char **failures; /* NULL: it passed; freed with free */
	size_t count;
	atomic_size_t next;
} batch;

static bool batch_wants(const char *name, const char *only)
{
	size_t len = strlen(name);
	size_t only_len = only == NULL ? 0 : strlen(only);

	if (len < 6 || strcmp(name + len - 5, ".json") != 0)
		return false;
	return only == NULL || strcmp(name, only) == 0 ||
	       (only_len == len - 5 && strncmp(name, only, only_len) == 0);
}

static int batch_wants_all(const struct dirent *entry)
{
	return batch_wants(entry->d_name, NULL);
}

static void batch_list(batch *b, const char *directory, const char *only)
{
	struct dirent **entries = NULL;
	int found = scandir(directory, &entries, batch_wants_all, alphasort);

	b->a = arena_new();
	b->paths = arena_take(b->a, (size_t)(found < 0 ? 1 : found + 1) * sizeof *b->paths);
	b->failures = arena_take(b->a, (size_t)(found < 0 ? 1 : found + 1) * sizeof *b->failures);
	for (int i = 0; i < found; i++) {
		if (batch_wants(entries[i]->d_name, only))
			b->paths[b->count++] = arena_print(b->a, "%s/%s", directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void *batch_play(void *pointer)
{
	batch *b = pointer;
	size_t at;

	while ((at = atomic_fetch_add(&b->next, 1)) < b->count) {
		arena *a = arena_new();
		const char *why = play_file(a, b->paths[at]);

		b->failures[at] = why == NULL ? NULL : strdup(why);
		if (why != NULL && b->failures[at] == NULL)
			abort();
		arena_free(a);
	}
	return NULL;
}

static void batch_run(batch *b, int threads)
{
	pthread_t ids[threads_most];
	int started = 0;

	while (started < threads - 1 && pthread_create(&ids[started], NULL, batch_play, b) == 0)
		started++;
	batch_play(b);
	while (started > 0)
		pthread_join(ids[--started], NULL);
}

static void batch_free(batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->failures[i]);
	arena_free(b->a);
}

/* Is every file of the self test refused? A runner that cannot fail proves nothing. */
static bool run_self(const settings *s)
{
	batch b = {0};
	size_t passed = 0;

	batch_list(&b, s->self, NULL);
	batch_run(&b, s->threads);
	for (size_t i = 0; i < b.count; i++) {
		if (b.failures[i] != NULL)
			continue;
		printf("c: %s passed, and must fail\n", b.paths[i]);
		passed++;
	}
	if (b.count == 0)
		printf("c: no file is in %s: the runner cannot be tested\n", s->self);
	passed += b.count == 0;
	batch_free(&b);
	return passed == 0;
}

static bool run_scenarios(const settings *s)
{
	batch b = {0};
	size_t played;
	size_t failed = 0;

	batch_list(&b, s->scenarios, s->only);
	batch_run(&b, s->threads);
	for (size_t i = 0; i < b.count; i++) {
		if (b.failures[i] == NULL)
			continue;
		printf("c: %s: %s\n", b.paths[i], b.failures[i]);
		failed++;
	}
	played = b.count;
	printf("c: %zu played, %zu passed, %zu failed\n", played, played - failed, failed);
	batch_free(&b);
	return failed == 0 && played > 0;
}

static bool settings_read(settings *s, int count, char **words)
{
	for (int i = 1; i < count; i++) {
		const char *word = words[i];
		bool more = i + 1 < count;

		if (strcmp(word, "--only") == 0 && more)
			s->only = words[++i];
		else if (strcmp(word, "--threads") == 0 && more)
			s->threads = (int)strtol(words[++i], NULL, 10);
		else if (word[0] == '-')
			return false;
		else if (s->scenarios == NULL)
			s->scenarios = word;
		else if (s->self == NULL)
			s->self = word;
		else
			return false;
	}
	return s->scenarios != NULL && s->threads >= 1 && s->threads <= threads_most;
}

int main(int count, char **words)
{
	settings s = {NULL, NULL, NULL, 1};
	arena *a = arena_new();
	bool good = settings_read(&s, count, words);

	if (!good) {
		fprintf(stderr,
		        "usage: conformance SCENARIO_DIR [SELF_DIR] [--only NAME] [--threads 1..%d]\n",
		        threads_most);
		arena_free(a);
		return 2;
	}
	if (s.self == NULL)
		s.self = arena_print(a, "%s/../self", s.scenarios);
	if (s.only == NULL)
		good = run_self(&s);
	good = run_scenarios(&s) && good;
	arena_free(a);
	return good ? 0 : 1;
}
