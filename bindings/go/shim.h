/* What Go asks of the core: one function, so that a call crosses the border once and with memory
 * that holds no pointers. It knows the layouts of knocker.h's structs, and no rule. */
#ifndef KNOCKER_SHIM_H
#define KNOCKER_SHIM_H

#include "knocker.h"

enum {
	ASK_OPEN,
	ASK_ENDPOINT,
	ASK_RECEIVE,
	ASK_INGEST,
	ASK_VERIFY,
	ASK_SIGN,
	ASK_DIAGNOSE,
	ASK_DIAGNOSE_DELIVERY,
	ASK_REVERIFY,
	ASK_CLAIM,
	ASK_WAIT,
	ASK_LIST,
	ASK_PRUNE_EVENTS,
	ASK_PRUNE_ORPHANS,
	ASK_RETAIN,
	ASK_PAUSE,
	ASK_IGNORE,
	ASK_SETTLE
};

/* `text` holds all texts one after another; `words` has, in the order of the struct's members, a
 * text's length (-1: not given) or an integer, and then the further arguments in the same way.
 * `work` is NULL outside of a handler. ASK_OPEN gives its handle in `opened`. */
int32_t shim_ask(int32_t what, knocker *k, knocker_work *work, const char *text,
                 const int64_t *words, knocker **opened, knocker_rows **out, knocker_error *error);
/* `count` requests, one after another. */
int32_t shim_many(knocker *k, const char *text, const int64_t *words, int32_t count,
                  knocker_rows **out, knocker_error *error);
/* A statement: its own length comes first in `words`, then a type and a number for each value: a
 * real's bits, or a length. `k` reads where `work` is NULL; `out` NULL executes. */
int32_t shim_sql(knocker *k, knocker_work *work, const char *text, const int64_t *words,
                 int32_t count, int64_t *changes, int64_t *last_id, knocker_rows **out,
                 knocker_error *error);
/* Steps to the next row and gives its cells. */
int32_t shim_row(knocker_rows *rows, knocker_value *cells, int32_t count);

#endif
