/* What knocker_verify keeps between calls: it never answers with another call's secrets or options,
 * nor waits where it was forked. The MACs are those of the openssl command line. */
#include <knocker.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* The sanitizers' own allocators do not survive a fork beside threads that allocate. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define FORKS_BESIDE_THREADS 0
#else
#define FORKS_BESIDE_THREADS 1
#endif
#define NOW_MS 1700000000000
#define MAC_ONE "f8f6a80cb7a725cfcceeb5ea969e7af33bc5132688989bf99eafe19c14706c64"
#define MAC_TWO "d4c1f79f381bf83f00028d0f28740e691add3ef132e93b248a6068d3a4f8e282"
#define OWN                                                                                \
	"{\"kind\":\"hmac\",\"alg\":\"sha256\",\"key\":{\"decode\":\"%s\"},\"sig\":{\"from\":" \
	"[\"header:x-hub-signature-256\"],\"enc\":\"hex\",\"prefix\":\"sha256=\"},"            \
	"\"signed\":[\"{body}\"],\"extract\":{}}"

/* 1: valid, 0: not, negative: refused. */
static int64_t verified(const char *provider, const char *secrets, const char *options,
                        const char *mac)
{
	knocker_request q = {.size = sizeof q};
	knocker_rows *rows = NULL;
	knocker_value valid = {0};
	char headers[200];
	int32_t rc;

	snprintf(headers, sizeof headers, "x-hub-signature-256: sha256=%s\n", mac);
	q.provider = (knocker_bytes){provider, -1};
	q.secrets_json = (knocker_bytes){secrets, -1};
	q.options_json = (knocker_bytes){options, -1};
	q.headers = (knocker_bytes){headers, -1};
	q.body = (knocker_bytes){"{}", 2};
	rc = knocker_verify(&q, NOW_MS, &rows, NULL);
	if (rc < 0)
		return rc;
	knocker_rows_next(rows);
	knocker_rows_value(rows, 0, &valid);
	knocker_rows_free(rows);
	return valid.integer;
}

/* Each under its own secret only, asked in turn and again. */
static bool apart(void)
{
	return verified("github", "[\"alpha-one\"]", NULL, MAC_ONE) == 1 &&
	       verified("github", "[\"alpha-two\"]", NULL, MAC_ONE) == 0 &&
	       verified("github", "[\"alpha-two\"]", NULL, MAC_TWO) == 1 &&
	       verified("github", "[\"alpha-one\"]", NULL, MAC_TWO) == 0;
}

static void refused_after_right(void)
{
	CHECK(apart() && apart(), "a secret verifies what it signed and nothing else, kept or not");
	CHECK(verified("github", NULL, NULL, MAC_ONE) < 0, "no secret is no kept one");
	CHECK(verified("github", "[]", NULL, MAC_ONE) < 0, "an empty list is no kept one");
	CHECK(verified("github", "[\"alpha-one\"]", "{\"no_such\":1}", MAC_ONE) < 0,
	      "options are read though the secrets are kept");
	CHECK(verified("github", "[\"alpha-one\"]", NULL, MAC_ONE) == 1,
	      "what was refused left nothing");
}

/* The same secrets under two schemes that decode them differently. */
static void schemes_apart(void)
{
	char utf8[400], hex[400];

	snprintf(utf8, sizeof utf8, OWN, "utf8");
	snprintf(hex, sizeof hex, OWN, "hex");
	CHECK(verified(utf8, "[\"alpha-one\"]", NULL, MAC_ONE) == 1, "an own scheme verifies");
	CHECK(verified(utf8, "[\"alpha-one\"]", NULL, MAC_ONE) == 1, "and again");
	CHECK(verified(hex, "[\"alpha-one\"]", NULL, MAC_ONE) < 0,
	      "another scheme asks what the same secret is");
	CHECK(verified(hex, "[\"616c7068612d6f6e65\"]", NULL, MAC_ONE) == 1,
	      "and reads its digits as bytes");
}

/* Three times as many as are kept, so that each is dropped and made again. */
static bool many(void)
{
	bool good = true;
	char secrets[60];
	int i;

	for (i = 0; i < 48; i++) {
		snprintf(secrets, sizeof secrets, "[\"other-%02d\",\"alpha-one\"]", i);
		good &= verified("github", secrets, NULL, MAC_ONE) == 1;
		good &= verified("github", secrets, NULL, MAC_TWO) == 0;
	}
	return good;
}

static void *many_thread(void *result)
{
	int round;

	for (round = 0; round < 20; round++)
		*(bool *)result &= many() && apart();
	return NULL;
}

/* Children, forked while threads are busy where that can be: one that waited for a lock that
 * nobody holds would not end. */
static void forked(void)
{
	int i, status, ended = 0;

	for (i = 0; i < 20; i++) {
		pid_t child = fork();

		if (child == 0) {
			alarm(20);
			_exit(apart() ? 0 : 1);
		}
		ended += child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
		         WEXITSTATUS(status) == 0;
	}
	CHECK(ended == 20, "a forked child verifies");
}

int main(void)
{
	pthread_t threads[4];
	bool good[4] = {true, true, true, true};
	int i;

	refused_after_right();
	schemes_apart();
	CHECK(many() && apart(), "more than are kept are each right");
	if (!FORKS_BESIDE_THREADS)
		forked();
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, many_thread, &good[i]);
	if (FORKS_BESIDE_THREADS)
		forked();
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK(good[0] && good[1] && good[2] && good[3], "threads do not mix each other's secrets");
	return check_end("test_kept_keys");
}
