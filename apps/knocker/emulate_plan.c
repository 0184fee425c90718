/* What a run sends and in which order. All of it follows from the seed, so that a run can be had
 * again. Knows no provider and no network. */
#include <stdlib.h>
#include <string.h>

#include "emulate.h"

#define REORDER_SPAN 50  /* how far a request may be moved */
#define REPEAT_SPAN 1000 /* how long after its event a repeat may come, in events */
#define LATE_SHARE 100   /* in hundredths of a per cent, as all shares */
#define OVERSIZE_EVERY 1000

uint64_t plan_mix(uint64_t number)
{
	number += UINT64_C(0x9e3779b97f4a7c15);
	number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
	return number ^ number >> 31;
}

uint64_t plan_hash(uint64_t seed, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	uint64_t hash = plan_mix(seed);
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return plan_mix(hash ^ len);
}

static size_t plan_draw(uint64_t *state, size_t below)
{
	*state = plan_mix(*state);
	return (size_t)(*state % below);
}

static void plan_swap(sent_request *a, sent_request *b)
{
	sent_request kept = *a;

	*a = *b;
	*b = kept;
}

/* Rounded, but what was asked for comes at least once. */
static size_t plan_share(size_t count, int64_t hundredths)
{
	size_t share = (size_t)((int64_t)count * hundredths / 10000);

	return hundredths > 0 && share == 0 ? 1 : share;
}

/* How many there are of each kind; the rest are events of their own, and where there are repeats
 * one is left for them. */
static int plan_kinds(emulation *e)
{
	const options *o = e->o;
	size_t counts[SENT_KINDS] = {0}, others = 0, at = 0;
	int kind;

	counts[SENT_REPEAT] = plan_share(e->count, o->duplicates);
	counts[SENT_FORGED] = plan_share(e->count, o->forged);
	counts[SENT_LATE] = o->stale == 1 ? plan_share(e->count, LATE_SHARE) : 0;
	counts[SENT_OVERSIZE] = o->oversize == 1 ? e->count / OVERSIZE_EVERY + 1 : 0;
	for (kind = SENT_REPEAT; kind < SENT_KINDS; kind++)
		others += counts[kind];
	if (others > e->count || (others == e->count && counts[SENT_REPEAT] > 0))
		return complain(EXIT_USAGE,
		                "of %lld requests none would be left that is an event: give a larger "
		                "--count or smaller shares",
		                (long long)e->count);
	for (kind = SENT_REPEAT; kind < SENT_KINDS; kind++)
		for (; counts[kind] > 0; counts[kind]--)
			e->requests[at++].kind = (uint8_t)kind;
	return EXIT_DONE;
}

/* The first request stays an event where there is one, so that each repeat has one before it. */
static void plan_shuffle(emulation *e, uint64_t *state)
{
	size_t i;

	plan_swap(&e->requests[0], &e->requests[e->count - 1]);
	for (i = e->count - 1; i > 1; i--)
		plan_swap(&e->requests[i], &e->requests[1 + plan_draw(state, i)]);
}

static void plan_number(emulation *e, uint64_t *state)
{
	uint32_t *firsts = memory_new(e->count * sizeof *firsts);
	size_t i, count = 0;

	for (i = 0; i < e->count; i++) {
		sent_request *r = &e->requests[i];

		if (r->kind == SENT_REPEAT) {
			r->event =
				firsts[count - 1 - plan_draw(state, count < REPEAT_SPAN ? count : REPEAT_SPAN)];
			continue;
		}
		r->event = (uint32_t)e->event_count++;
		if (r->kind == SENT_FIRST)
			firsts[count++] = r->event;
	}
	free(firsts);
}

static void plan_reorder(emulation *e, uint64_t *state)
{
	size_t i;

	for (i = 0; i + 1 < e->count; i++) {
		size_t left = e->count - i;

		plan_swap(&e->requests[i],
		          &e->requests[i + plan_draw(state, left < REORDER_SPAN ? left : REORDER_SPAN)]);
	}
}

int plan_make(emulation *e)
{
	uint64_t state = plan_mix(e->seed);
	int code;

	e->requests = memory_new(e->count * sizeof *e->requests);
	code = plan_kinds(e);
	if (code != EXIT_DONE)
		return code;
	plan_shuffle(e, &state);
	plan_number(e, &state);
	if (e->o->reorder == 1)
		plan_reorder(e, &state);
	e->events = memory_new(e->event_count * sizeof *e->events);
	return EXIT_DONE;
}

void plan_free(emulation *e)
{
	size_t i;

	for (i = 0; e->events != NULL && i < e->event_count; i++)
		free(e->events[i].key);
	free(e->events);
	free(e->requests);
}
