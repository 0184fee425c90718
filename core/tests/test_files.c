/* Files that are no inbox, not ours to write, newer, older, damaged, or opened by two at once: a
 * clear error, or a whole inbox, and never harm to what stands there. */
#include "hard_file.h"

static test_file file;

static int32_t try_open(const char *path, knocker_error *error)
{
	knocker_open_options o = {.size = sizeof o, .path = T(path), .busy_timeout_ms = 300};
	knocker *k;
	int32_t rc = knocker_open(&o, &k, error);

	if (rc == 0)
		knocker_close(k, NULL);
	else if (k)
		return 1;
	return rc;
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (write(fd, data, len) != (ssize_t)len)
		exit(2);
	close(fd);
}

static uint32_t checksum(const char *path)
{
	unsigned char part[65536];
	int fd = open(path, O_RDONLY);
	uint32_t sum = 1;
	ssize_t len, i;

	while ((len = read(fd, part, sizeof part)) > 0)
		for (i = 0; i < len; i++)
			sum = sum * 16777619u + part[i];
	close(fd);
	return sum;
}

/* ---- paths ---- */

static void paths(void)
{
	static char long_path[6000];
	knocker_open_options o = {.size = sizeof o};
	knocker_error error = {0};
	knocker *k;

	CHECK(knocker_open(&o, &k, &error) == KNOCKER_INVALID_ARGUMENT && strstr(error.text, "path"),
	      "a path is required");
	CHECK(try_open("", &error) == KNOCKER_INVALID_ARGUMENT, "and is not empty");
	o.path = (knocker_bytes){"/dev/shm/x\0y", 12};
	CHECK(knocker_open(&o, &k, &error) == KNOCKER_INVALID_ARGUMENT && !k, "nor holds a NUL");
	memset(long_path, 'x', sizeof long_path - 1);
	CHECK(try_open(long_path, &error) == KNOCKER_INVALID_ARGUMENT, "nor is endless");
	CHECK(try_open("/nowhere/inbox.db", &error) == KNOCKER_STORAGE &&
	          strstr(error.text, "/nowhere/inbox.db"),
	      "a folder that is missing is an error that names the path");
	CHECK(try_open("/", &error) == KNOCKER_STORAGE, "a folder is no file");
	CHECK(try_open(":memory:", &error) == KNOCKER_STORAGE && strstr(error.text, "memory"),
	      "memory is no file either");
	o = (knocker_open_options){.size = sizeof o, .path = T(file.path), .existing = 1};
	CHECK(knocker_open(&o, &k, &error) == KNOCKER_STORAGE && access(file.path, F_OK) != 0,
	      "an inbox that must exist is not created");
	o = (knocker_open_options){.size = sizeof o,
	                           .path = T(file.path),
	                           .init_sql = T("select nonsense")};
	CHECK(knocker_open(&o, &k, &error) < 0 && strstr(error.text, "nonsense"),
	      "an init_sql that fails says why");
	o.init_sql = T("begin");
	CHECK(knocker_open(&o, &k, &error) == KNOCKER_INVALID_ARGUMENT &&
	          strstr(error.text, "init_sql leaves a transaction open"),
	      "so does one that does not end what it begins");
}

/* ---- what stands there already ---- */

static void no_database(void)
{
	static const char text[] =
		"This is a letter, not a database, and it is longer than the first hundred bytes, so that "
		"nobody takes it for an empty file that could be written.";
	knocker_error error = {0};
	uint32_t before;

	file_clear(&file);
	write_file(file.path, text, sizeof text);
	before = checksum(file.path);
	CHECK(try_open(file.path, &error) == KNOCKER_STORAGE && strstr(error.text, "not a database"),
	      "a file that is no database is refused");
	CHECK(checksum(file.path) == before, "and left as it is");
	file_clear(&file);
	write_file(file.path, "", 0);
	CHECK(try_open(file.path, &error) == 0, "an empty file becomes an inbox");
}

static void make_database(const char *sql)
{
	sqlite3 *h = NULL;

	file_clear(&file);
	sqlite3_open(file.path, &h);
	sqlite3_exec(h, sql, NULL, NULL, NULL);
	sqlite3_close(h);
}

static void somebody_elses_database(void)
{
	knocker *k;

	make_database(
		"pragma journal_mode = delete; pragma user_version = 42; pragma application_id = 77; create table mine(x);"
		"insert into mine values('kept'); create view v as select x from mine");
	k = open_plain(file.path);
	CHECK(k && endpoint_named(k, "a") > 0 && ingest(k, "a", "one") > 0,
	      "an application's database takes an inbox in");
	knocker_close(k, NULL);
	CHECK(raw_int(file.path, "select journal_mode = 'wal' from pragma_journal_mode") == 1,
	      "and is in WAL mode then");
	CHECK(raw_int(file.path, "select user_version from pragma_user_version") == 42 &&
	          raw_int(file.path, "select application_id from pragma_application_id") == 77,
	      "its own numbers stay");
	CHECK(raw_int(file.path, "select x = 'kept' from v") == 1, "and so does its data");
}

static void newer_schema(void)
{
	knocker_error error = {0};
	uint32_t before;

	file_clear(&file);
	try_open(file.path, NULL);
	raw_do(file.path, "update _knocker_meta set value = 4711 where key = 'schema'");
	before = checksum(file.path);
	CHECK(try_open(file.path, &error) == KNOCKER_STORAGE && strstr(error.text, "4711") &&
	          strstr(error.text, "upgrade"),
	      "a newer schema is refused, with a sentence");
	CHECK(checksum(file.path) == before, "and left as it is");
	make_database(
		"pragma journal_mode = delete; create table _knocker_meta(key text primary key not null, value) without rowid;"
		"insert into _knocker_meta values('schema', 4711)");
	CHECK(try_open(file.path, &error) == KNOCKER_STORAGE,
	      "also in a database in rollback-journal mode");
	CHECK(raw_int(file.path, "select journal_mode = 'delete' from pragma_journal_mode") == 1,
	      "whose mode stays");
}

static void locked_database(void)
{
	knocker_error error = {0};
	sqlite3 *h;
	int64_t began;

	make_database("pragma journal_mode = delete; create table mine(x)");
	h = raw_open(file.path);
	sqlite3_exec(h, "begin exclusive", NULL, NULL, NULL);
	began = now_us();
	CHECK(try_open(file.path, &error) == KNOCKER_BUSY && now_us() - began < 3000000,
	      "a database that somebody has for himself is busy");
	sqlite3_close(h);
	CHECK(try_open(file.path, &error) == 0, "and opens afterwards");
}

/* ---- without the right to write ---- */

static int as_nobody(void *context)
{
	knocker_error error = {0};
	int32_t rc;

	(void)context;
	if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return 9;
	rc = try_open(file.path, &error);
	if (rc != KNOCKER_STORAGE || !error.text[0])
		printf("%d: %s\n", rc, error.text);
	fflush(stdout);
	return rc == KNOCKER_STORAGE && error.text[0] ? 0 : 1;
}

static void no_right_to_write(void)
{
	file_clear(&file);
	try_open(file.path, NULL);
	chmod(file.folder, 0755);
	chmod(file.path, 0444);
	CHECK(child_run(as_nobody, NULL) == 0, "a file that may only be read is refused");
	chmod(file.path, 0000);
	CHECK(child_run(as_nobody, NULL) == 0, "so is one that may not be read");
	file_clear(&file);
	chmod(file.folder, 0555);
	CHECK(child_run(as_nobody, NULL) == 0, "and a folder in which none may be made");
	chmod(file.folder, 0700);
	try_open(file.path, NULL);
	chmod(file.path, 0666);
	chmod(file.folder, 0555);
	CHECK(child_run(as_nobody, NULL) == 0, "and a file whose folder takes no WAL");
	chmod(file.folder, 0700);
}

/* ---- two at once ---- */

typedef struct {
	_Atomic int there;
	int count;
} gate;

static int open_at_once(void *context)
{
	gate *g = context;
	knocker *k;
	bool fine;

	g->there++;
	while (g->there < g->count)
		;
	k = open_with(file.path, NULL);
	fine = k && endpoint_named(k, "a") == 1 && ingest(k, "a", "same key") > 0;
	return fine && knocker_close(k, NULL) == 0 ? 0 : 1;
}

static void opened_at_once(void)
{
	gate *g = shared_memory(sizeof *g);
	int round, i, failed = 0;
	pid_t pids[3];

	for (round = 0; round < 50; round++) {
		file_clear(&file);
		if (round % 2)
			make_database("pragma journal_mode = delete; create table mine(x)");
		g->there = 0;
		g->count = 2 + round % 2;
		for (i = 0; i < g->count; i++)
			pids[i] = child_start(open_at_once, g);
		for (i = 0; i < g->count; i++)
			failed += child_end(pids[i]) != 0;
		failed += raw_int(file.path, "select count(*) from _knocker_job") != 1 ||
		          !raw_is_whole(file.path);
	}
	CHECK(failed == 0,
	      "processes that open a fresh file at once all succeed, 50 times, and make one inbox");
}

/* ---- damage ---- */

static void use_everything(knocker *k)
{
	knocker_filter f = {.size = sizeof f};
	knocker_prune p = {.size = sizeof p, .older_than_s = START_MS / 1000 + 9};
	knocker_rows *rows;
	int i;

	for (f.kind = KNOCKER_EVENT; f.kind <= KNOCKER_AUDIT; f.kind++)
		if (knocker_list(k, &f, &rows, NULL) == 0)
			knocker_rows_free(rows);
	endpoint_named(k, "b");
	ingest(k, "a", "again");
	ingest(k, "a", "key3");
	for (i = 0; i < 4; i++)
		handle_one(k, "w", "insert into app values(1)");
	if (knocker_stats(k, &rows, NULL) == 0)
		knocker_rows_free(rows);
	for (i = 1; i < 12; i++) {
		if (knocker_why(k, i, &rows, NULL) == 0)
			knocker_rows_free(rows);
		knocker_replay(k, i, NULL);
		knocker_ignore(k, i, T("x"), NULL);
	}
	if (knocker_prune_events(k, &p, &rows, NULL) == 0)
		knocker_rows_free(rows);
}

static void damaged(void)
{
	char made[120], key[20];
	uint32_t seed = 99;
	int i, round, refused = 0, opened = 0;
	knocker_open_options o = {.size = sizeof o, .path = T(file.path), .clock_ms = START_MS};
	struct stat st;
	knocker *k;

	file_clear(&file);
	k = open_plain(file.path);
	endpoint_named(k, "a");
	for (i = 0; i < 30; i++) {
		snprintf(key, sizeof key, "key%d", i);
		ingest(k, "a", key);
	}
	knocker_close(k, NULL);
	raw_do(file.path, "create table app(x)");
	snprintf(made, sizeof made, "%s.made", file.path);
	file_copy(file.path, made);
	stat(made, &st);
	for (round = 0; round < 150; round++) {
		unsigned char junk[64];
		int fd;

		file_remove(&file, "-wal");
		file_remove(&file, "-shm");
		file_copy(made, file.path);
		fd = open(file.path, O_WRONLY);
		for (i = 0; i < 64; i++)
			junk[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
		seed = seed * 1103515245 + 12345;
		if (pwrite(fd, junk, (size_t)(1 + round % 64), (off_t)(seed % (uint32_t)st.st_size)) < 0)
			exit(2);
		close(fd);
		knocker_open(&o, &k, NULL);
		refused += !k;
		opened += k != NULL;
		if (k)
			use_everything(k);
		knocker_close(k, NULL);
	}
	CHECK(refused + opened == 150 && opened > 20, "no damage crashes anything");
}

static void truncated(void)
{
	char made[120];
	knocker_open_options o = {.size = sizeof o, .path = T(file.path)};
	struct stat st;
	knocker_error error = {0};
	knocker_rows *rows;
	int32_t rc;
	knocker *k;

	snprintf(made, sizeof made, "%s.made", file.path);
	stat(made, &st);
	file_copy(made, file.path);
	file_remove(&file, "-wal");
	file_remove(&file, "-shm");
	CHECK(truncate(file.path, st.st_size / 2) == 0, "a file is cut in half");
	knocker_open(&o, &k, NULL);
	rc = k ? knocker_list(k,
	                      &(knocker_filter){.size = sizeof(knocker_filter), .kind = KNOCKER_EVENT},
	                      &rows, &error)
	       : KNOCKER_CORRUPT;
	if (rc == 0)
		knocker_rows_free(rows);
	CHECK(rc == KNOCKER_CORRUPT || ingest_bytes(k, "a", "x", T("{}"), &error) == KNOCKER_CORRUPT,
	      "and is said to be damaged");
	knocker_close(k, NULL);
}

int main(void)
{
	file_new(&file);
	paths();
	no_database();
	somebody_elses_database();
	newer_schema();
	locked_database();
	no_right_to_write();
	opened_at_once();
	damaged();
	truncated();
	file_end(&file);
	return check_end("files");
}
