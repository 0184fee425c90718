/* The file that the options name. Owns where it is looked for, and what is said when it is not
 * there; knows no command. */
#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "print.h"

const char *database_path(const options *o)
{
	const char *path = o->db != NULL ? o->db : getenv("KNOCKER_DB");

	return path == NULL || *path == '\0' ? "knocker.db" : path;
}

void database_wal(const options *o, text *out)
{
	char *file = realpath(database_path(o), NULL); /* SQLite puts it beside the file itself */

	text_puts(out, file != NULL ? file : database_path(o));
	text_puts(out, "-wal");
	free(file);
}

static int database_open_as(const options *o, int64_t synchronous, knocker **out)
{
	const char *path = database_path(o);
	knocker_open_options how = {.size = sizeof how,
	                            .max_readers = 1,
	                            .synchronous = synchronous,
	                            .existing = 1};
	knocker_error error = {0};
	struct stat found;

	if (stat(path, &found) != 0)
		return complain(errno == ENOENT || errno == ENOTDIR ? EXIT_MISSING : EXIT_FAILED,
		                "no database at '%s' (%s); name one with --db FILE or KNOCKER_DB", path,
		                strerror(errno));
	if (!S_ISREG(found.st_mode))
		return complain(EXIT_FAILED, "'%s' is not a file", path);
	if (found.st_size == 0)
		return complain(EXIT_MISSING, "'%s' is empty: there is no database in it", path);
	how.path = bytes_of(path);
	if (knocker_open(&how, out, &error) < 0)
		return complain_error(&error);
	return EXIT_DONE;
}

int database_open(const options *o, knocker **out)
{
	return database_open_as(o, KNOCKER_SYNC_FULL, out);
}

int database_open_quick(const options *o, knocker **out)
{
	return database_open_as(o, KNOCKER_SYNC_NORMAL, out);
}

/* What a checkpoint has moved out of the WAL was synced by it. */
int database_settle(const options *o)
{
	text path = {0};
	int file, code = EXIT_DONE;

	database_wal(o, &path);
	file = open(path.data, O_RDONLY | O_CLOEXEC);
	if (file < 0 ? errno != ENOENT : fsync(file) != 0)
		code = complain(EXIT_FAILED, "'%s' cannot be synced: %s", path.data, strerror(errno));
	if (file >= 0)
		close(file);
	text_free(&path);
	return code;
}

int database_close(knocker *k, int exit_code)
{
	knocker_error error = {0};

	if (knocker_close(k, &error) < 0 && exit_code == EXIT_DONE)
		return complain_error(&error);
	return exit_code;
}

int database_complain(knocker *k, int64_t id, const knocker_error *error)
{
	knocker_rows *rows = NULL;
	knocker_value event;

	if (error->code != KNOCKER_UNKNOWN_EVENT ||
	    knocker_get(k, KNOCKER_DELIVERY, id, &rows, NULL) < 0)
		return complain_error(error);
	knocker_rows_next(rows);
	event = print_value(rows, "event_id");
	knocker_rows_free(rows);
	if (event.type == KNOCKER_NULL)
		return complain(EXIT_MISSING,
		                "%lld is a delivery that became no event: knocker delivery %lld",
		                (long long)id, (long long)id);
	return complain(EXIT_MISSING, "%lld is a delivery, of event %lld", (long long)id,
	                (long long)event.integer);
}
