/* What takes long, on standard error: how far it is, and whether to begin at all. Owns the
 * terminal's line and the question; knows no command. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "app.h"

typedef struct {
	const char *doing; /* "events pruned:" */
	int64_t total;     /* 0: not known yet */
	int64_t next_ms;   /* when it is written again */
	bool written;
} progress;

int64_t progress_clock_ms(void); /* monotonic */
/* Says how far it is, at first and then now and then, where standard error is a terminal; `done`
 * below 0: how far is not known. */
void progress_show(progress *p, int64_t done);
void progress_end(progress *p);

/* Asks on the terminal: EXIT_DONE for yes, EXIT_NO for no. Where there is nobody to ask and no
 * `yes`, EXIT_USAGE after saying so. */
int progress_ask(bool yes, const char *question);

#endif
