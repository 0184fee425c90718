/* What this process has registered of endpoints: shared, immutable, replaced as a whole. Secrets
 * live here, and those of calls without an endpoint in receipt_pure.c. Knows nothing of the
 * endpoints' rows. */
#ifndef KNOCKER_REGISTRATION_H
#define KNOCKER_REGISTRATION_H

#include <pthread.h>
#include <stdatomic.h>

#include "bounds.h"
#include "scheme.h"

#define REGISTRATION_BUCKETS 256

/* An endpoint as this process registered it. Shared and immutable: replaced as a whole, freed with
 * its last user. */
typedef struct registration registration;
struct registration {
	registration *next;
	_Atomic int32_t users;
	knocker_bytes name, provider, queue; /* provider absent: not verified */
	const scheme *scheme;                /* NULL: not verified, or by the application */
	scheme *own_scheme;                  /* what is freed with it */
	scheme_keys *keys;
	bool external; /* the application verifies and passes a verdict */
};

typedef struct {
	pthread_mutex_t lock;
	registration *buckets[REGISTRATION_BUCKETS];
} registrations;

void registrations_init(registrations *all);
void registrations_end(registrations *all);

registration *registration_new(knocker_bytes name, knocker_bytes provider, knocker_bytes queue);
void registration_put(registrations *all,
                      registration *r); /* takes it over, in place of an older */
registration *registration_find(registrations *all,
                                knocker_bytes name); /* NULL: none; left again */
void registration_leave(registration *r);            /* the last user frees it; NULL is fine */
/* The registrations one by one: leaves `*r`, which starts as NULL, and holds the next one. `*at`
 * starts at 0. False: there is no more, and nothing is held. */
bool registration_next(registrations *all, int32_t *at, registration **r);
/* The queues that registrations have of their own, one by one, into `out`; `*at` starts at 0. */
bool registration_queue_next(registrations *all, int32_t *at, char out[LIMIT_NAME + 1]);

#endif
