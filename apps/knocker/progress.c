/* What takes long, on standard error: how far it is, and whether to begin at all. */
#include "progress.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_EVERY_MS 100

int64_t progress_clock_ms(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_show(progress *p, int64_t done)
{
	int64_t now_ms;

	if (isatty(STDERR_FILENO) != 1)
		return;
	now_ms = progress_clock_ms();
	if (now_ms < p->next_ms)
		return;
	p->next_ms = now_ms + PROGRESS_EVERY_MS;
	p->written = true;
	fprintf(stderr, "\r%s", p->doing);
	if (done >= 0)
		fprintf(stderr, " %lld", (long long)done);
	if (p->total > 0)
		fprintf(stderr, " of %lld", (long long)p->total);
	fflush(stderr);
}

/* The line is taken back: what was done is said on standard output. */
void progress_end(progress *p)
{
	if (p->written)
		fprintf(stderr, "\r\033[K");
	p->written = false;
}

int progress_ask(bool yes, const char *question)
{
	char answer[16];
	text shown = {0};

	if (yes)
		return EXIT_DONE;
	if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1)
		return complain(EXIT_USAGE, "%s Nobody can be asked here: give --yes, or --dry-run",
		                question);
	text_show(&shown, question, strlen(question), false);
	fprintf(stderr, "%s Go on? [y/N] ", shown.data);
	fflush(stderr);
	text_free(&shown);
	if (fgets(answer, sizeof answer, stdin) != NULL &&
	    (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0))
		return EXIT_DONE;
	fprintf(stderr, "nothing was changed\n");
	return EXIT_NO;
}
