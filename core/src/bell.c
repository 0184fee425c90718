/* Waking other processes: a commit that made work due touches the file's `-shm`, and whoever waits
 * watches its folder for that. Knows files and descriptors, nothing of SQLite.
 *
 * The WAL would do as well, but for one thing: a touched file has a time to write, so that its next
 * sync takes half as long again, and the WAL is synced by each receipt. The `-shm` never is. */
#include "bell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"

struct bell {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int64_t generation, stops;
	bool listening; /* one of the waiters polls the descriptors */
	bool watched;   /* the watch was asked for */
	int watch_fd; /* inotify; -1: not yet, or the system has none left: looks each second suffice */
	int stop_fd;
	char folder[PATH_MAX];
	char name[NAME_MAX + 1]; /* of the touched file in its folder */
};

/* By its path: to open and close it would drop the locks that SQLite has on it. */
void bell_ring(const char *database)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s-shm", database) < (int)sizeof path)
		utimensat(AT_FDCWD, path, NULL, 0);
}

/* The folder is watched, not the file: one that is made anew needs no new watch. Watched from the
 * first wait on: a system has few watches to give, and takes 10 ms to end one. The lock is held. */
static void bell_watch(bell *b)
{
	if (b->watched)
		return;
	b->watched = true;
	b->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (b->watch_fd >= 0 && inotify_add_watch(b->watch_fd, b->folder, IN_ATTRIB) < 0) {
		close(b->watch_fd);
		b->watch_fd = -1;
	}
}

int32_t bell_open(const char *database, bell **out, knocker_error *error)
{
	const char *slash = strrchr(database, '/');
	pthread_condattr_t monotonic;
	bell *b = memory_get(sizeof *b);

	*out = NULL;
	if (!b)
		return fail_memory(error);
	memset(b, 0, sizeof *b);
	b->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (b->stop_fd < 0) {
		memory_free(b);
		return fail(error, KNOCKER_STORAGE, "no file descriptor is left: %s", strerror(errno));
	}
	b->watch_fd = -1;
	snprintf(b->folder, sizeof b->folder, "%.*s", slash ? (int)(slash - database + 1) : 1,
	         slash ? database : ".");
	snprintf(b->name, sizeof b->name, "%s-shm", slash ? slash + 1 : database);
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = b;
	return 0;
}

void bell_close(bell *b)
{
	if (!b)
		return;
	if (b->watch_fd >= 0)
		close(b->watch_fd);
	close(b->stop_fd);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	memory_free(b);
}

/* Reads all events; true when one is about that file, or when some were lost. */
static bool bell_drain(const bell *b)
{
	_Alignas(struct inotify_event) char events[4096];
	bool rang = false;
	ssize_t size, at;

	while ((size = read(b->watch_fd, events, sizeof events)) > 0)
		for (at = 0; at < size;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)(events +
			                                                                             at);

			rang = rang || (e->mask & IN_Q_OVERFLOW) ||
			       (e->len > 0 && strcmp(e->name, b->name) == 0);
			at += (ssize_t)(sizeof *e + e->len);
		}
	return rang;
}

/* A ring that nobody listened to is taken note of here, so that the descriptor is quiet again. */
int64_t bell_generation(bell *b)
{
	int64_t generation;

	pthread_mutex_lock(&b->lock);
	bell_watch(b);
	if (b->watch_fd >= 0 && bell_drain(b))
		b->generation++;
	generation = b->generation;
	pthread_mutex_unlock(&b->lock);
	return generation;
}

int bell_fd(bell *b)
{
	pthread_mutex_lock(&b->lock);
	bell_watch(b);
	pthread_mutex_unlock(&b->lock);
	return b->watch_fd;
}

static void bell_until(struct timespec *t, int64_t monotonic_ms)
{
	t->tv_sec = monotonic_ms / 1000;
	t->tv_nsec = monotonic_ms % 1000 * 1000000;
}

/* Polls in the name of all waiters; the lock is held on entry and on return. */
static void bell_listen(bell *b, int64_t left_ms)
{
	struct pollfd fds[2] = {{.fd = b->stop_fd, .events = POLLIN},
	                        {.fd = b->watch_fd, .events = POLLIN}};
	uint64_t token;
	bool rang;

	b->listening = true;
	pthread_mutex_unlock(&b->lock);
	poll(fds, b->watch_fd < 0 ? 1 : 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
	rang = b->watch_fd >= 0 && bell_drain(b);
	pthread_mutex_lock(&b->lock);
	if (read(b->stop_fd, &token, sizeof token) < 0 && errno != EAGAIN)
		rang = true;
	b->generation += rang;
	b->listening = false;
	pthread_cond_broadcast(&b->changed);
}

int32_t bell_wait(bell *b, int64_t generation, int64_t timeout_ms)
{
	int64_t end = clock_monotonic_ms() + timeout_ms, stops, left;
	struct timespec until;
	int32_t rc;

	bell_until(&until, end);
	pthread_mutex_lock(&b->lock);
	stops = b->stops;
	while (b->generation == generation && b->stops == stops &&
	       (left = end - clock_monotonic_ms()) > 0) {
		if (b->listening)
			pthread_cond_timedwait(&b->changed, &b->lock, &until);
		else
			bell_listen(b, left);
	}
	rc = b->stops != stops ? 2 : b->generation != generation ? 0 : 1;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void bell_stop(bell *b)
{
	uint64_t one = 1;

	pthread_mutex_lock(&b->lock);
	b->stops++;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	if (write(b->stop_fd, &one, sizeof one) < 0)
		return;
}
