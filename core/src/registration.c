/* What this process has registered of endpoints: shared, immutable, replaced as a whole. Knows
 * nothing of their rows. */
#include "registration.h"

#include <string.h>

static uint32_t registration_bucket(knocker_bytes name)
{
	const uint8_t *s = name.data;
	uint32_t hash = 2166136261u; /* FNV-1a */
	int64_t i;

	for (i = 0; i < name.len; i++)
		hash = (hash ^ s[i]) * 16777619u;
	return hash % REGISTRATION_BUCKETS;
}

void registration_leave(registration *r)
{
	if (!r || atomic_fetch_sub(&r->users, 1) > 1)
		return;
	scheme_keys_free(r->keys);
	scheme_free(r->own_scheme);
	memory_free(r);
}

registration *registration_find(registrations *all, knocker_bytes name)
{
	registration *r;

	pthread_mutex_lock(&all->lock);
	r = all->buckets[registration_bucket(name)];
	while (r && !bytes_equal(r->name, name))
		r = r->next;
	if (r)
		atomic_fetch_add(&r->users, 1);
	pthread_mutex_unlock(&all->lock);
	return r;
}

void registration_put(registrations *all, registration *r)
{
	registration **at = &all->buckets[registration_bucket(r->name)], *old = NULL;

	pthread_mutex_lock(&all->lock);
	while (*at && !bytes_equal((*at)->name, r->name))
		at = &(*at)->next;
	old = *at;
	r->next = old ? old->next : NULL;
	*at = r;
	pthread_mutex_unlock(&all->lock);
	registration_leave(old);
}

bool registration_next(registrations *all, int32_t *at, registration **r)
{
	registration *before = *r, *found = NULL;
	int32_t seen = 0, i;

	pthread_mutex_lock(&all->lock);
	for (i = 0; i < REGISTRATION_BUCKETS && !found; i++)
		for (found = all->buckets[i]; found && seen < *at; found = found->next)
			seen++;
	if (found)
		atomic_fetch_add(&found->users, 1);
	pthread_mutex_unlock(&all->lock);
	++*at;
	*r = found;
	registration_leave(before);
	return found != NULL;
}

bool registration_queue_next(registrations *all, int32_t *at, char out[LIMIT_NAME + 1])
{
	bool found = false;
	int32_t seen = 0, i;
	registration *r;

	pthread_mutex_lock(&all->lock);
	for (i = 0; i < REGISTRATION_BUCKETS && !found; i++)
		for (r = all->buckets[i]; r && !found; r = r->next) {
			if (!r->queue.data || seen++ < *at)
				continue;
			memcpy(out, r->queue.data, (size_t)r->queue.len);
			out[r->queue.len] = '\0';
			found = true;
		}
	pthread_mutex_unlock(&all->lock);
	*at = seen;
	return found;
}

/* One block holds the struct and its texts. */
registration *registration_new(knocker_bytes name, knocker_bytes provider, knocker_bytes queue)
{
	size_t size = (size_t)(name.len + provider.len + queue.len);
	registration *r = memory_get(sizeof *r + size);
	const knocker_bytes from[3] = {name, provider, queue};
	knocker_bytes *to[3];
	char *at;
	int i;

	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	atomic_init(&r->users, 1);
	to[0] = &r->name;
	to[1] = &r->provider;
	to[2] = &r->queue;
	at = (char *)(r + 1);
	for (i = 0; i < 3; i++) {
		if (!from[i].data)
			continue;
		memcpy(at, from[i].data, (size_t)from[i].len);
		*to[i] = (knocker_bytes){at, from[i].len};
		at += from[i].len;
	}
	return r;
}

void registrations_init(registrations *all)
{
	memset(all, 0, sizeof *all);
	pthread_mutex_init(&all->lock, NULL);
}

void registrations_end(registrations *all)
{
	int32_t i;

	for (i = 0; i < REGISTRATION_BUCKETS; i++)
		while (all->buckets[i]) {
			registration *r = all->buckets[i];

			all->buckets[i] = r->next;
			registration_leave(r);
		}
	pthread_mutex_destroy(&all->lock);
}
