/* What would have made a request valid, as lines for people or as JSON. */
#ifndef DIAGNOSE_H
#define DIAGNOSE_H

#include "request.h"

/* Of a request that was refused: appended to `line`, which is the verdict, as the member "causes"
 * of its JSON, or printed after it. */
int diagnose_refused(const options *o, const signed_request *r, text *line);
/* Of the stored delivery that --delivery names. */
int diagnose_delivery(const options *o);

#endif
