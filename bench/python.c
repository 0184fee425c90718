/* Python's receipts beside C's. The interpreter runs python_receive.py, which receives for one
 * slice each time that it reads a line, and answers with its rate. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
	pid_t pid;
	FILE *to, *from;
} python_process;

static python_process python_start(const bench_plan *plan)
{
	int up[2], down[2];
	python_process p;

	fflush(NULL);
	if (pipe(up) < 0 || pipe(down) < 0 || (p.pid = fork()) < 0)
		die("a process could not be made: %s", strerror(errno));
	if (p.pid == 0) {
		char slice[32];

		dup2(down[0], 0);
		dup2(up[1], 1);
		close(down[0]);
		close(down[1]);
		close(up[0]);
		close(up[1]);
		snprintf(slice, sizeof slice, "%lld", (long long)plan->slice_ms);
		execl(plan->python, plan->python, plan->python_script, path_of(plan, "python.db"), slice,
		      (char *)NULL);
		die("'%s': %s", plan->python, strerror(errno));
	}
	close(down[0]);
	close(up[1]);
	p.to = fdopen(down[1], "w");
	p.from = fdopen(up[0], "r");
	if (!p.to || !p.from)
		die("no memory for a pipe");
	return p;
}

static double python_rate(const bench_plan *plan, python_process *p)
{
	double rate = 0;

	file_remove(path_of(plan, "python.db"));
	settle_disk(plan);
	fputs("go\n", p->to);
	fflush(p->to);
	if (fscanf(p->from, "%lf", &rate) != 1 || rate <= 0)
		die("python_receive.py failed");
	return rate;
}

static double python_c_rate(const bench_plan *plan, request_pool *pool)
{
	const char *path = path_of(plan, "c.db");
	knocker *k = inbox_new(path, KNOCKER_SYNC_NORMAL);
	double rate;

	pool_fill(pool, pool->capacity);
	settle_disk(plan);
	rate = receive_rate(k, 1, pool, plan->slice_ms).per_s;
	inbox_close(k);
	file_remove(path);
	return rate;
}

void bench_python(const bench_plan *plan)
{
	const char *path = path_of(plan, "python.db");
	python_process p;
	request_pool pool;
	int status = 0;
	int32_t i;

	if (!plan->python || !plan->python_script) {
		figure_missing("python_receive", "no --python and --python-script were given");
		return;
	}
	say("Python");
	pool_new(&pool, 40 * plan->slice_ms);
	p = python_start(plan);
	for (i = 0; i < plan->rounds; i++) {
		double before = python_c_rate(plan, &pool), python = python_rate(plan, &p);

		figure_add("python_receive", python / ((before + python_c_rate(plan, &pool)) / 2));
	}
	fclose(p.to);
	fclose(p.from);
	if (waitpid(p.pid, &status, 0) != p.pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("python_receive.py failed");
	file_remove(path);
	pool_free(&pool);
}
