/* Lists scenarios, counts their calls, and numbers the plays. */
#include "plan.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- Scenarios ---- */

static void *plan_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "faults: no memory can be shared\n");
		exit(2);
	}
	return memory;
}

static int plan_is_scenario(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static bool plan_wants(const char *name, const char *only)
{
	size_t len = strlen(name) - 5;

	return only == NULL || strcmp(only, name) == 0 ||
	       (strlen(only) == len && strncmp(only, name, len) == 0);
}

void plan_list(plan *p, arena *a, const plan_wish *wish)
{
	struct dirent **entries = NULL;
	int found = scandir(wish->scenarios, &entries, plan_is_scenario, alphasort);

	*p = (plan){.wish = wish};
	for (int i = 0; i < found; i++) {
		const char *name = entries[i]->d_name;

		if (plan_wants(name, wish->only) && p->count < PLAN_SCENARIOS)
			p->paths[p->count++] = arena_print(a, "%s/%s", wish->scenarios, name);
		free(entries[i]);
	}
	free(entries);
	p->clean = plan_shared(PLAN_SCENARIOS * FAULT_KINDS * sizeof *p->clean);
	p->places = plan_shared(PLAN_SCENARIOS * sizeof *p->places);
}

/* ---- Calls ---- */

static bool plan_wants_kind(const plan *p, fault_kind kind)
{
	return p->wish->kind == FAULT_KINDS || p->wish->kind == kind;
}

static trial_result *plan_slot(const plan *p, size_t scenario, fault_kind kind)
{
	return &p->clean[scenario * FAULT_KINDS + kind];
}

const trial_result *plan_clean(const plan *p, size_t scenario, fault_kind kind)
{
	return plan_slot(p, scenario, kind);
}

/* There are ten times as many of SQLite's allocations as of all other calls, and most come from a
 * place from which others came before. */
static bool plan_by_place(const plan *p, fault_kind kind)
{
	return kind == FAULT_SQLITE && !p->wish->every && p->wish->at == 0;
}

void plan_learn(plan *p, size_t at)
{
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		const trial t = {p->paths[at], (fault_kind)kind, 0, false};

		if (plan_wants_kind(p, t.kind))
			trial_learn(&t, plan_by_place(p, t.kind) ? &p->places[at] : NULL,
			            plan_slot(p, at, t.kind));
	}
}

enum { PLAN_LONG = 2500 }; /* no scenario asks the disk for so much, but those with 5 MiB */

/* Opening a new file with the same words is the same calls: they are failed in the first scenario
 * that begins so. */
static bool plan_opens_alike(const plan *p, size_t at, fault_kind kind)
{
	const trial_result *own = plan_clean(p, at, kind);

	for (size_t i = 0; i < at; i++) {
		const trial_result *other = plan_clean(p, i, kind);

		if (other->found[0] == '\0' && other->opened == own->opened &&
		    strcmp(other->opening, own->opening) == 0)
			return true;
	}
	return false;
}

static void plan_pick(plan *p, arena *a, plan_line *line)
{
	const uint8_t *bits = p->places[line->scenario].bits;
	int32_t *picks = arena_take(a, (size_t)line->count * sizeof *picks);
	int64_t count = 0;

	for (int64_t call = line->from; call < line->from + line->count; call++) {
		if (call >= TRIAL_PLACES || (bits[call / 8] & 1 << call % 8) != 0)
			picks[count++] = (int32_t)call;
	}
	p->alike += line->count - count;
	line->picks = picks;
	line->count = count;
}

/* The pages of a body of 5 MiB are written by thousands of calls that are alike: of so many the
 * first and the last are failed, and of those between them each sixteenth. */
static void plan_thin(plan *p, arena *a, plan_line *line)
{
	enum { edge = 512, step = 16 };
	int32_t *picks = arena_take(a, (size_t)line->count * sizeof *picks);
	int64_t count = 0;

	for (int64_t i = 0; i < line->count; i++) {
		if (i < edge || i >= line->count - edge || i % step == 0)
			picks[count++] = (int32_t)(line->from + i);
	}
	p->alike += line->count - count;
	line->picks = picks;
	line->count = count;
}

static void plan_line_add(plan *p, arena *a, size_t at, fault_kind kind, bool forever)
{
	const trial_result *clean = plan_clean(p, at, kind);
	plan_line line = {at, kind, forever, 1, clean->calls, NULL, p->plays};

	if (clean->found[0] != '\0' || !plan_wants_kind(p, kind))
		return;
	if (p->wish->at > 0) {
		line.from = p->wish->at;
		line.count = 1;
	} else if (!p->wish->every && plan_opens_alike(p, at, kind)) {
		p->alike += clean->opened;
		line.from += clean->opened;
		line.count -= clean->opened;
	}
	if (line.count > 0 && plan_by_place(p, kind))
		plan_pick(p, a, &line);
	else if (line.count > PLAN_LONG && !p->wish->every)
		plan_thin(p, a, &line);
	if (line.count <= 0)
		return;
	p->plays += line.count;
	p->lines[p->line_count++] = line;
}

void plan_write(plan *p, arena *a)
{
	p->lines = arena_take(a, PLAN_LINES * sizeof *p->lines);
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		for (size_t at = 0; at < p->count; at++) {
			if (!p->wish->forever)
				plan_line_add(p, a, at, (fault_kind)kind, false);
			if (!p->wish->once)
				plan_line_add(p, a, at, (fault_kind)kind, true);
		}
	}
}

/* ---- Plays ---- */

static void plan_trial(const plan *p, const plan_line *line, int64_t number, trial *out)
{
	*out = (trial){p->paths[line->scenario], line->kind,
	               line->picks != NULL ? line->picks[number] : line->from + number, line->forever};
}

const plan_line *plan_play(const plan *p, int64_t number, trial *out)
{
	size_t low = 0;
	size_t high = p->line_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (p->lines[middle].before <= number)
			low = middle;
		else
			high = middle;
	}
	plan_trial(p, &p->lines[low], number - p->lines[low].before, out);
	return &p->lines[low];
}

uint64_t plan_chance(uint64_t *state, uint64_t below)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}
