/*
 * How values, options, rows and errors cross between the BEAM and knocker.h. It owns conversions;
 * it refuses to know what they mean, and which function they are for.
 */
#ifndef TERMS_H
#define TERMS_H

#include <erl_nif.h>

#include "knocker.h"

struct handle;
struct work;

/* One call from the BEAM: who makes it, what it uses, and what came of it. */
struct call {
	ErlNifEnv *env;
	knocker *k;
	struct work *work; /* entered, and to be left */
	knocker_rows *rows;
	int32_t rc;
	knocker_error error;
};

/* The options structs, each filled from a map of atoms by a table of its members. */
struct members;
extern struct members OPEN_OPTIONS, ENDPOINT, REQUEST, CLAIM_OPTIONS, FILTER, PRUNE, RETENTION;

void terms_load(ErlNifEnv *env);

/* Arguments. Each returns 0 after it has noted in the call what is wrong, and lends bytes that live
 * as long as the call. */
int terms_refuse(struct call *c, int32_t code, const char *text);
int terms_bytes(struct call *c, ERL_NIF_TERM term, const char *name, knocker_bytes *out);
int terms_integer(struct call *c, ERL_NIF_TERM term, const char *name, int64_t *out);
int terms_members(struct call *c, ERL_NIF_TERM map, const struct members *table, void *into);
/* Both give one allocation, to be freed. */
int terms_requests(struct call *c, ERL_NIF_TERM list, knocker_request ***out, int32_t *count);
int terms_values(struct call *c, ERL_NIF_TERM list, knocker_value **out, int32_t *count);

/* Results: {:ok, value}, or {:error, name, code, text} of a call that failed. */
ERL_NIF_TERM terms_rows(ErlNifEnv *env, knocker_rows *rows);
ERL_NIF_TERM terms_ok(ErlNifEnv *env, ERL_NIF_TERM value);
ERL_NIF_TERM terms_error(const struct call *c);

#endif
