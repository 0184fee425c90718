/* An allocator of SQLite's that fails: at the n-th call, or from then on. Installed before anything
 * of SQLite is used. Refuses to know what is tested. */
#ifndef HARD_MEMORY_H
#define HARD_MEMORY_H

#include <stdatomic.h>

#include "hard_file.h"

typedef struct {
	sqlite3_mem_methods real;
	_Atomic int64_t count; /* since armed */
	_Atomic int64_t at;    /* which call fails, from 1; 0: none */
	_Atomic bool forever;  /* later ones fail too */
	_Atomic bool here;     /* counted is only the thread that armed it */
} lite_state;

static lite_state lite;
static _Thread_local bool lite_armed_here;

static inline bool lite_fails(void)
{
	int64_t n, at = lite.at;

	if (lite.here && !lite_armed_here)
		return false;
	n = ++lite.count;
	return at > 0 && (n == at || (lite.forever && n > at));
}

static inline void *lite_get(int size)
{
	return lite_fails() ? NULL : lite.real.xMalloc(size);
}

static inline void *lite_resize(void *old, int size)
{
	return lite_fails() ? NULL : lite.real.xRealloc(old, size);
}

static inline void lite_arm(int64_t at, bool forever)
{
	lite.count = 0;
	lite.forever = forever;
	lite_armed_here = true;
	lite.at = at;
}

static inline void lite_install(void)
{
	sqlite3_mem_methods failing;

	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &lite.real);
	failing = lite.real;
	failing.xMalloc = lite_get;
	failing.xRealloc = lite_resize;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

#endif
