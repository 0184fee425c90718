/*
 * Makes one call of the process fail, or all from one on. Calls are made by one thread, so plain
 * numbers count them.
 */
#include "inject.h"

#include <execinfo.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bytes.h"
#include "hard_vfs.h"

typedef struct {
	fault_kind kind;
	int64_t at, calls, fired;
	bool forever, armed, paused;
	int64_t core_base; /* the core's own count, when armed */
	int64_t vfs_calls; /* the VFS's, while paused */
} injection;

static injection inject;

static const char *const fault_names[FAULT_KINDS] = {"memory", "crypto", "write", "sync",
                                                     "full",   "read",   "short", "lock",
                                                     "busy",   "open",   "sqlite"};

static const vfs_fault fault_vfs[FAULT_KINDS] = {
	[FAULT_WRITE] = VFS_FAIL_WRITE, [FAULT_SYNC] = VFS_FAIL_SYNC,   [FAULT_FULL] = VFS_FULL,
	[FAULT_READ] = VFS_FAIL_READ,   [FAULT_SHORT] = VFS_SHORT_READ, [FAULT_LOCK] = VFS_FAIL_LOCK,
	[FAULT_BUSY] = VFS_BUSY_LOCK,   [FAULT_OPEN] = VFS_FAIL_OPEN,
};

const char *fault_name(fault_kind kind)
{
	return fault_names[kind];
}

fault_kind fault_named(const char *name)
{
	int kind = 0;

	while (kind < FAULT_KINDS && strcmp(fault_names[kind], name) != 0)
		kind++;
	return (fault_kind)kind;
}

/* ---- Places ---- */

enum { inject_frames = 100, inject_stacks = 1 << 15, inject_shared = 1 << 18, inject_enough = 3 };

static uint8_t *inject_bits;
static int64_t inject_bit_count;
static uint64_t inject_seen[inject_stacks]; /* hashes of call stacks; 0: free */
/* The same of all processes, and in how many scenarios each place was marked. */
static struct {
	_Atomic uint64_t hash;
	_Atomic int scenarios;
} * inject_places_known;

void inject_places(uint8_t *bits, int64_t bit_count)
{
	inject_bits = bits;
	inject_bit_count = bit_count;
	memset(inject_seen, 0, sizeof inject_seen);
}

static uint64_t inject_stack(void)
{
	void *frames[inject_frames];
	int count = backtrace(frames, inject_frames);
	uint64_t hash = 0xcbf29ce484222325u;

	for (int i = 0; i < count; i++)
		hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * 0x100000001b3u;
	return hash | 1;
}

/* Whether the place was marked in few scenarios as yet; counts this one. */
static bool inject_rare(uint64_t hash)
{
	for (size_t i = 0, at = (size_t)(hash >> 20); i < 64; i++, at++) {
		_Atomic uint64_t *slot = &inject_places_known[at % inject_shared].hash;
		uint64_t known = 0;

		if (atomic_compare_exchange_strong(slot, &known, hash) || known == hash)
			return atomic_fetch_add(&inject_places_known[at % inject_shared].scenarios, 1) <
			       inject_enough;
	}
	return true;
}

/* More places than there is room for are all new. */
static void inject_note(int64_t call)
{
	uint64_t hash = inject_stack();
	size_t at = (size_t)(hash >> 20) % inject_stacks;

	for (int tries = 0; tries < 64 && inject_seen[at] != 0 && inject_seen[at] != hash; tries++)
		at = (at + 1) % inject_stacks;
	if (inject_seen[at] == hash || call >= inject_bit_count)
		return;
	if (inject_seen[at] == 0)
		inject_seen[at] = hash;
	if (inject_rare(hash))
		inject_bits[call / 8] = (uint8_t)(inject_bits[call / 8] | 1 << call % 8);
}

/* ---- Allocations of the two libraries ---- */

static bool inject_refuses(fault_kind kind)
{
	if (!inject.armed || inject.paused || inject.kind != kind)
		return false;
	inject.calls++;
	if (inject_bits != NULL && kind == FAULT_SQLITE)
		inject_note(inject.calls);
	if (inject.calls != inject.at && !(inject.forever && inject.at > 0 && inject.calls > inject.at))
		return false;
	inject.fired++;
	return true;
}

static sqlite3_mem_methods inject_sqlite;

static void *inject_sqlite_get(int size)
{
	return inject_refuses(FAULT_SQLITE) ? NULL : inject_sqlite.xMalloc(size);
}

static void *inject_sqlite_resize(void *old, int size)
{
	return inject_refuses(FAULT_SQLITE) ? NULL : inject_sqlite.xRealloc(old, size);
}

static void *inject_crypto_get(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size == 0 || inject_refuses(FAULT_CRYPTO) ? NULL : malloc(size);
}

static void *inject_crypto_resize(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size == 0) {
		free(old);
		return NULL;
	}
	return inject_refuses(FAULT_CRYPTO) ? NULL : realloc(old, size);
}

static void inject_crypto_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	free(memory);
}

/* What libcrypto sets up once in a process is not tried: it never recovers from a failure there. */
static void inject_warm_crypto(void)
{
	static const char *const names[] = {"SHA1", "SHA256", "SHA384", "SHA512"};
	static const uint8_t nothing[64];
	EVP_PKEY *key;
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_DIGESTS, NULL);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		EVP_MD_free(EVP_MD_fetch(NULL, names[i], NULL));
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, nothing, 32);
	if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1)
		EVP_DigestVerify(context, nothing, 64, nothing, 0);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
}

void inject_install(void)
{
	sqlite3_mem_methods own;

	inject_stack(); /* the first one loads what it needs */
	inject_places_known = mmap(NULL, inject_shared * sizeof *inject_places_known,
	                           PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (inject_places_known == MAP_FAILED)
		exit(2);
	if (!CRYPTO_set_mem_functions(inject_crypto_get, inject_crypto_resize, inject_crypto_free))
		exit(2);
	inject_warm_crypto();
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &inject_sqlite);
	own = inject_sqlite;
	own.xMalloc = inject_sqlite_get;
	own.xRealloc = inject_sqlite_resize;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &own) != SQLITE_OK || sqlite3_initialize())
		exit(2);
	vfs_install();
	vfs.hurried = true;
}

/* ---- Arming ---- */

void inject_arm(fault_kind kind, int64_t at, bool forever)
{
	inject = (injection){.kind = kind, .at = at, .forever = forever, .armed = true};
	inject.core_base = memory_count();
	if (kind == FAULT_MEMORY && at > 0)
		memory_fail_after(at - 1, forever);
	vfs_arm(fault_vfs[kind], at > 0 ? at : -1);
	vfs.forever = forever && at > 0;
}

/* The core counts what it asks for, and the VFS what it is asked. */
static void inject_count(void)
{
	if (!inject.armed)
		return;
	if (inject.kind == FAULT_MEMORY) {
		inject.calls = memory_count() - inject.core_base;
		if (inject.at > 0 && inject.calls >= inject.at)
			inject.fired = inject.forever ? inject.calls - inject.at + 1 : 1;
	} else if (fault_vfs[inject.kind] != VFS_PASS) {
		inject.calls = vfs.count;
		inject.fired = vfs.fired;
	}
}

void inject_disarm(void)
{
	inject_count();
	inject.armed = false;
	memory_fail_after(-1, false);
	vfs_arm(VFS_PASS, 0);
}

void inject_pause(bool paused)
{
	if (inject.armed && paused && !inject.paused) {
		inject.vfs_calls = vfs.count;
		vfs.fault = VFS_PASS;
	} else if (inject.armed && !paused && inject.paused) {
		vfs.count = inject.vfs_calls;
		vfs.fault = fault_vfs[inject.kind];
	}
	inject.paused = paused;
}

int64_t inject_fired(void)
{
	inject_count();
	return inject.fired;
}

int64_t inject_calls(void)
{
	inject_count();
	return inject.calls;
}
