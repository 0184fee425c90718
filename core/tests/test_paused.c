/* Very many paused endpoints: no worker claims their events, every other endpoint is served, and
 * each resumes by itself. */
#include "hard_file.h"

enum { endpoints = 2500 };

static test_file file;

static const char *named(int i)
{
	static char name[16];

	snprintf(name, sizeof name, "e%04d", i);
	return name;
}

int main(void)
{
	int32_t refused = 0, i;
	knocker *k;
	held h;

	file_new(&file);
	k = open_plain(file.path);
	for (i = 0; i < endpoints; i++) {
		endpoint_named(k, named(i));
		refused += ingest(k, named(i), NULL) <= 0;
		refused += knocker_endpoint_pause(k, T(named(i)), 1, NULL) != 0;
	}
	CHECK(refused == 0, "a paused endpoint receives");
	CHECK(claim_one(k, "w", &h) == 1, "nothing of a paused endpoint is due");
	endpoint_named(k, "busy");
	ingest(k, "busy", NULL);
	CHECK(claim_one(k, "w", &h) == 0 && h.job == endpoints + 1, "the one that is not is served");
	CHECK(claim_one(k, "w", &h) == 1, "and it alone");
	knocker_endpoint_pause(k, T(named(endpoints - 1)), 0, NULL);
	CHECK(claim_one(k, "w", &h) == 0 && h.job == endpoints, "the last is resumed by itself");
	knocker_close(k, NULL);
	file_end(&file);
	return check_end("paused");
}
