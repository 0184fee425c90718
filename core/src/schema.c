/* The file's schema: numbered migrations, applied once each. Knows nothing of what the tables mean.
 */
#include "schema.h"

#include "clock.h"
#include "error.h"
#include "inbox.h"

static int32_t schema_version(db *d, int64_t *version, knocker_error *error)
{
	*version = 0;
	if (!db_table_exists(d, "_knocker_meta"))
		return 0;
	return db_int_of(d, STMT_meta_get, VALUES(TEXT(bytes_of("schema"))), 0, version, error);
}

static int32_t schema_too_new(int64_t version, knocker_error *error)
{
	return fail(
		error, KNOCKER_STORAGE,
		"the file has schema %lld, and this version of Knocker knows %d at most: upgrade it",
		(long long)version, SCHEMA_VERSION);
}

int32_t schema_known(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);

	return rc == 0 && version > SCHEMA_VERSION ? schema_too_new(version, error) : rc;
}

int32_t schema_apply(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);
	size_t i;

	if (rc == 0 && version > SCHEMA_VERSION)
		rc = schema_too_new(version, error);
	for (i = 0; rc == 0 && i < sizeof schema_migrations / sizeof *schema_migrations; i++)
		if (schema_migrations[i].version > version)
			rc = db_script(d, schema_migrations[i].text, error);
	if (rc == 0 && version < SCHEMA_VERSION)
		rc = db_run(d, STMT_meta_set, VALUES(TEXT(bytes_of("schema")), INT(SCHEMA_VERSION)), NULL,
		            error);
	return rc;
}

int32_t schema_migrate(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);

	if (rc < 0 || version == SCHEMA_VERSION)
		return rc;
	rc = db_begin(d, error);
	/* Reads the version anew: another process may have been first. */
	if (rc == 0)
		rc = schema_apply(d, error);
	if (rc == 0)
		rc = db_commit(d, error);
	db_rollback(d);
	return rc;
}

int32_t schema_check(db *d, knocker_error *error)
{
	int64_t version;
	int32_t rc = schema_version(d, &version, error);

	if (rc == 0 && version > SCHEMA_VERSION)
		return schema_too_new(version, error);
	if (rc == 0 && version < SCHEMA_VERSION)
		return fail(error, KNOCKER_STORAGE,
		            "this database has no inbox yet: call knocker_bootstrap() first");
	return rc;
}
