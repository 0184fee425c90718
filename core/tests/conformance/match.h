/*
 * The names of one play, and the two ways a scenario's values are read: to hand them to a door, and
 * to compare them with what it gave. It knows nothing of operations.
 */
#ifndef CONFORMANCE_MATCH_H
#define CONFORMANCE_MATCH_H

#include "value.h"

typedef struct names names;
names *names_new(arena *a);
/* A name that was met only once in the whole play, with its "$"; NULL: none. */
const char *names_lonely(const names *all);

/* The value a door is to be given: names replaced, value words decoded. NULL: it cannot be, and
 * `*why` says so. */
value *names_resolve(names *all, const value *from, const char **why);
/* Is `got` what `expected` asks for? NULL when it is, else a sentence about the first difference.
 * Binds new names. */
const char *names_differ(names *all, const value *expected, const value *got);

#endif
