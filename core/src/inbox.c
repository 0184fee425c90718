/* What a process knows of its inbox: defaults, clock, and how its arguments are checked. */
#include "inbox.h"

#include <string.h>

#include "clock.h"
#include "error.h"

#define INBOX_QUEUE "knocker.events"

void inbox_init(inbox *in)
{
	memset(in, 0, sizeof *in);
	pthread_mutex_init(&in->lock, NULL);
	registrations_init(&in->registrations);
	in->known.version = -1;
	memcpy(in->queue_name, INBOX_QUEUE, sizeof INBOX_QUEUE);
	in->visibility_ms = 60000;
	in->max_attempts = 3;
	in->backoff_base_ms = 10000;
	in->backoff_cap_ms = 3600000;
	in->max_body_bytes = LIMIT_BODY;
	in->orphan_bytes = 64 * 1024 * 1024;
	in->orphan_rows = 10000;
}

void inbox_end(inbox *in)
{
	registrations_end(&in->registrations);
	pthread_mutex_destroy(&in->lock);
}

int64_t inbox_now_ms(const inbox *in)
{
	int64_t set = atomic_load_explicit(&in->clock_ms, memory_order_relaxed);

	return set ? set : clock_wall_ms();
}

uint64_t inbox_chance(inbox *in)
{
	uint64_t chance;

	pthread_mutex_lock(&in->lock);
	chance = chance_next(&in->chance);
	pthread_mutex_unlock(&in->lock);
	return chance;
}

/* The lock is held; NULL: this worker has not claimed here, or long ago. */
static inbox_lease *inbox_lease_of(inbox *in, knocker_bytes worker)
{
	int32_t i;

	for (i = 0; i < INBOX_LEASES; i++)
		if (bytes_is(worker, in->leases[i].worker))
			return &in->leases[i];
	return NULL;
}

void inbox_lease_set(inbox *in, knocker_bytes worker, int64_t lease_ms)
{
	inbox_lease *lease;

	pthread_mutex_lock(&in->lock);
	lease = inbox_lease_of(in, worker);
	if (!lease) {
		lease = &in->leases[in->lease_next++ % INBOX_LEASES];
		memcpy(lease->worker, worker.data, (size_t)worker.len);
		lease->worker[worker.len] = '\0';
	}
	lease->lease_ms = lease_ms;
	pthread_mutex_unlock(&in->lock);
}

int64_t inbox_lease_ms(inbox *in, const char *worker)
{
	const inbox_lease *lease;
	int64_t lease_ms;

	pthread_mutex_lock(&in->lock);
	lease = inbox_lease_of(in, bytes_of(worker));
	lease_ms = lease ? lease->lease_ms : in->visibility_ms;
	pthread_mutex_unlock(&in->lock);
	return lease_ms;
}

int32_t inbox_text_check(const char *what, knocker_bytes *text, int64_t max, knocker_error *error)
{
	if (text->data && text->len == 0)
		*text = (knocker_bytes){0};
	if (!text->data)
		return 0;
	if (text->len > max)
		return fail(error, KNOCKER_INVALID_ARGUMENT,
		            "%s '%.*s...' is %lld bytes long, over the limit of %lld", what, QUOTED(*text),
		            (long long)text->len, (long long)max);
	if (!bytes_utf8(*text) || bytes_find(*text, '\0') >= 0)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is not UTF-8 text without NUL", what);
	return 0;
}

int32_t inbox_name_check(const char *what, knocker_bytes name, knocker_error *error)
{
	knocker_bytes text = name;
	int32_t rc = inbox_text_check(what, &text, LIMIT_NAME, error);

	if (rc == 0 && !text.data)
		rc = fail(error, KNOCKER_INVALID_ARGUMENT, "%s is missing or empty", what);
	return rc;
}

int32_t inbox_range_check(const char *what, int64_t value, int64_t low, int64_t high,
                          knocker_error *error)
{
	if (value < low || value > high)
		return fail(error, KNOCKER_INVALID_ARGUMENT, "%s is %lld: not between %lld and %lld", what,
		            (long long)value, (long long)low, (long long)high);
	return 0;
}
