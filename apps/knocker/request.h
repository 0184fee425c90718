/* A request as the options describe it, with the secrets that sign or verify it. Owns files,
 * standard input and the secrets' memory; knows no provider. */
#ifndef REQUEST_H
#define REQUEST_H

#include "options.h"

typedef struct {
	knocker_request request; /* lent by the texts below */
	text provider, secrets_json, options_json, headers, body;
	text others_json; /* secrets of others, by name */
	text secrets;     /* each secret, ended by NUL: what must never be printed */
	int64_t now_ms;   /* 0: the clock's */
} signed_request;

/* 0, or an exit code after saying what is wrong; request_end in both cases. */
int request_begin(const options *o, signed_request *out);
void request_end(signed_request *r);
/* The header lines of the options and those that sign them, appended to `lines` ("name: value\n").
 * `forge`: the signature is damaged. */
int request_sign_lines(const signed_request *r, bool forge, text *lines);
/* Appends `value` with every secret, plain or as a password in base64, replaced by "[secret]"; true
 * when it held one. */
bool request_conceal(const signed_request *r, const char *value, size_t len, text *out);

#endif
