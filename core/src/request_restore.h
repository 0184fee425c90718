/* A request as it is stored, read back to be verified again. Knows not what for. */
#ifndef KNOCKER_REQUEST_RESTORE_H
#define KNOCKER_REQUEST_RESTORE_H

#include "scheme.h"

/* What was stored, as lines and as a raw query again. KNOCKER_INVALID_ARGUMENT: it cannot be read
 * back. How a query was escaped is not stored, so there are several forms of it, the likeliest
 * first. */
#define REQUEST_QUERY_FORMS 3
int32_t request_headers_restore(knocker_bytes stored, buffer *out, knocker_error *error);
int32_t request_query_restore(knocker_bytes stored, int32_t form, buffer *out,
                              knocker_error *error);
/* A value that this scheme compares is "[redacted]": what was stored cannot be verified again.
 * KNOCKER_STORAGE: there was no memory to tell. */
int32_t scheme_was_redacted(const scheme *s, const scheme_keys *keys, const scheme_request *stored);

#endif
