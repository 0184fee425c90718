/* Lists scenarios, counts their calls, and numbers the plays. */
#include "plan.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- Scenarios ---- */

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
	p->clean = mmap(NULL, PLAN_SCENARIOS * FAULT_KINDS * sizeof *p->clean, PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->clean == MAP_FAILED) {
		fprintf(stderr, "faults: no memory can be shared\n");
		exit(2);
	}
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

void plan_learn(plan *p, size_t at)
{
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		const trial t = {p->paths[at], (fault_kind)kind, 0, false};

		if (plan_wants_kind(p, t.kind))
			trial_run(&t, NULL, plan_slot(p, at, t.kind));
	}
}

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

static void plan_line_add(plan *p, size_t at, fault_kind kind, bool forever)
{
	const trial_result *clean = plan_clean(p, at, kind);
	plan_line line = {at, kind, forever, 1, clean->calls + 1, p->plays};

	if (clean->found[0] != '\0' || !plan_wants_kind(p, kind))
		return;
	if (!p->wish->openings && plan_opens_alike(p, at, kind)) {
		p->alike += clean->opened;
		line.from += clean->opened;
	}
	if (p->wish->at > 0) {
		line.from = p->wish->at;
		line.end = line.from + 1;
	}
	if (line.from >= line.end)
		return;
	p->plays += line.end - line.from;
	p->lines[p->line_count++] = line;
}

void plan_write(plan *p, arena *a)
{
	p->lines = arena_take(a, PLAN_LINES * sizeof *p->lines);
	for (size_t at = 0; at < p->count; at++) {
		for (int kind = 0; kind < FAULT_KINDS; kind++) {
			if (!p->wish->forever)
				plan_line_add(p, at, (fault_kind)kind, false);
			if (!p->wish->once)
				plan_line_add(p, at, (fault_kind)kind, true);
		}
	}
}

/* ---- Plays ---- */

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
	*out = (trial){p->paths[p->lines[low].scenario], p->lines[low].kind,
	               p->lines[low].from + (number - p->lines[low].before), p->lines[low].forever};
	return &p->lines[low];
}

static uint64_t plan_chance(uint64_t *state, uint64_t below)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

const plan_line *plan_draw(const plan *p, uint64_t seed, int64_t number, trial *out)
{
	uint64_t state = seed ^ ((uint64_t)number << 32);
	size_t scenario = (size_t)((uint64_t)number + seed) % p->count;
	const plan_line *line = NULL;
	uint64_t seen = 0;

	for (size_t i = 0; i < p->line_count; i++) {
		if (p->lines[i].scenario == scenario && plan_chance(&state, ++seen) == 0)
			line = &p->lines[i];
	}
	if (line == NULL)
		return NULL;
	*out = (trial){p->paths[scenario], line->kind,
	               line->from + (int64_t)plan_chance(&state, (uint64_t)(line->end - line->from)),
	               line->forever};
	return line;
}
