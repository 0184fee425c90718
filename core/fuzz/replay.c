/* Plays the inputs of FOLDER/TARGET/ once each, without libFuzzer: what once went wrong does not
 * again. Usage: fuzz_replay FOLDER... */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static const struct {
	const char *name;
	int (*run)(const uint8_t *data, size_t len);
} replay_targets[] = {
	{"body", fuzz_body},       {"codec", fuzz_codec}, {"form", fuzz_form},
	{"headers", fuzz_headers}, {"jwt", fuzz_jwt},     {"scheme", fuzz_scheme},
	{"verify", fuzz_verify},
};
#define REPLAY_TARGETS (sizeof replay_targets / sizeof replay_targets[0])

static void replay_file(size_t target, const char *path)
{
	FILE *file = fopen(path, "rb");
	char chunk[4096];
	buffer input;
	size_t len;

	FUZZ_MUST(file != NULL, path);
	buffer_init(&input, 16 * 1024 * 1024);
	while ((len = fread(chunk, 1, sizeof chunk, file)) > 0)
		buffer_add(&input, chunk, len);
	FUZZ_MUST(!ferror(file) && !input.failed, path);
	fclose(file);
	replay_targets[target].run((const uint8_t *)(input.data ? input.data : ""), input.len);
	buffer_free(&input);
}

/* How many inputs of the target the folder has. */
static size_t replay_folder(size_t target, const char *folder)
{
	char pattern[4096];
	glob_t found = {0};
	size_t i, count;

	snprintf(pattern, sizeof pattern, "%s/%s/*", folder, replay_targets[target].name);
	glob(pattern, 0, NULL, &found);
	for (i = 0; i < found.gl_pathc; i++) {
		/* Told before, since a target that goes wrong ends the process. */
		fprintf(stderr, "%s\n", found.gl_pathv[i]);
		replay_file(target, found.gl_pathv[i]);
	}
	count = found.gl_pathc;
	globfree(&found);
	return count;
}

int main(int argc, char **argv)
{
	size_t i, all = 0;

	for (i = 0; i < REPLAY_TARGETS; i++) {
		size_t played = 0;
		int k;

		for (k = 1; k < argc; k++)
			played += replay_folder(i, argv[k]);
		if (played == 0) {
			printf("fuzz_replay: there is no input for %s\n", replay_targets[i].name);
			return 1;
		}
		all += played;
	}
	printf("fuzz_replay: %zu inputs of %zu targets, 0 crashes\n", all, REPLAY_TARGETS);
	return 0;
}
