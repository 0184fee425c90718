/* A VFS between SQLite and the disk: it counts writes and syncs, or either, or reads, or locks, or
 * opens, and at the one that is asked for it kills the process, writes half, or fails. While
 * `shadow` is set it keeps beside each file what is durable and what was written since, for a power
 * cut. */
#ifndef HARD_VFS_H
#define HARD_VFS_H

#include "hard_file.h"

typedef enum {
	VFS_PASS,
	VFS_KILL,
	VFS_TEAR,
	VFS_FAIL,
	VFS_FAIL_WRITE,
	VFS_FAIL_SYNC,
	VFS_FULL,
	VFS_FAIL_READ,
	VFS_SHORT_READ, /* as if the file ended in the middle of what was asked for */
	VFS_FAIL_LOCK,
	VFS_BUSY_LOCK,
	VFS_FAIL_OPEN
} vfs_fault;

typedef enum {
	VFS_CHANGES, /* writes and syncs */
	VFS_WRITES,  /* without the syncs */
	VFS_SYNCS,
	VFS_READS,
	VFS_LOCKS,
	VFS_OPENS
} vfs_kind;

typedef struct {
	_Atomic vfs_fault fault;
	_Atomic int64_t at;    /* which call of its kind, from 1 */
	_Atomic bool forever;  /* later ones fail too */
	bool here;             /* counted is only the thread that armed it */
	_Atomic int64_t count; /* calls of its kind since armed */
	bool shadow;
	bool hurried; /* SQLite's naps between tries for a lock take no time */
	_Atomic int64_t fired;
} vfs_state;

static vfs_state vfs;
static _Thread_local bool vfs_armed_here;

typedef struct {
	sqlite3_file base;
	sqlite3_file *real;
	char path[128]; /* "": a file that no power cut asks about */
} vfs_file;

static inline sqlite3_file *vfs_real(sqlite3_file *f)
{
	return ((vfs_file *)f)->real;
}

static inline void vfs_arm(vfs_fault fault, int64_t at)
{
	vfs.fault = fault;
	vfs.at = at;
	vfs_armed_here = true;
	vfs.count = vfs.fired = 0;
	vfs.forever = false;
}

/* Which calls a fault counts, and is one of. */
static inline vfs_kind vfs_kind_of(vfs_fault fault)
{
	switch (fault) {
	case VFS_FAIL_WRITE:
	case VFS_FULL:
		return VFS_WRITES;
	case VFS_FAIL_SYNC:
		return VFS_SYNCS;
	case VFS_FAIL_READ:
	case VFS_SHORT_READ:
		return VFS_READS;
	case VFS_FAIL_LOCK:
	case VFS_BUSY_LOCK:
		return VFS_LOCKS;
	case VFS_FAIL_OPEN:
		return VFS_OPENS;
	default:
		return VFS_CHANGES;
	}
}

static inline bool vfs_counts(vfs_kind kind)
{
	vfs_kind counted = vfs_kind_of(vfs.fault);

	return kind == counted || (counted == VFS_CHANGES && (kind == VFS_WRITES || kind == VFS_SYNCS));
}

/* True when this call is the one. */
static inline bool vfs_now(vfs_kind kind)
{
	if (!vfs_counts(kind) || (vfs.here && !vfs_armed_here))
		return false;
	vfs.count++;
	if (vfs.fault == VFS_PASS || (vfs.count != vfs.at && !(vfs.forever && vfs.count > vfs.at)))
		return false;
	vfs.fired++;
	return true;
}

static inline void vfs_die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* ---- what a power cut leaves ---- */

typedef struct {
	int64_t at, len; /* len -1: the file was cut at `at` */
} vfs_record;

static inline int vfs_beside(const vfs_file *f, const char *ending, int flags)
{
	char path[160];

	snprintf(path, sizeof path, "%s%s", f->path, ending);
	return open(path, flags, 0600);
}

static inline void vfs_note(const vfs_file *f, int64_t at, const void *data, int64_t len)
{
	vfs_record r = {at, len};
	int fd;

	if (!vfs.shadow || !f->path[0])
		return;
	fd = vfs_beside(f, ".lost", O_WRONLY | O_CREAT | O_APPEND);
	if (write(fd, &r, sizeof r) != (ssize_t)sizeof r ||
	    (len > 0 && write(fd, data, (size_t)len) != len))
		exit(2);
	close(fd);
}

static inline void vfs_durable(const vfs_file *f)
{
	char path[160];

	if (!vfs.shadow || !f->path[0])
		return;
	snprintf(path, sizeof path, "%s.durable", f->path);
	file_copy(f->path, path);
	close(vfs_beside(f, ".lost", O_WRONLY | O_CREAT | O_TRUNC));
}

/* One file as the power cut leaves it: what was synced, and of the writes since then some, whole or
 * half, as `seed` has it. */
static inline void vfs_cut_file(const char *path, uint32_t *seed)
{
	static char data[1 << 20];
	char beside[160];
	vfs_record r;
	int out, lost;

	unlink(path);
	snprintf(beside, sizeof beside, "%s.durable", path);
	if (access(beside, F_OK) == 0)
		file_copy(beside, path);
	snprintf(beside, sizeof beside, "%s.lost", path);
	lost = open(beside, O_RDONLY);
	out = open(path, O_WRONLY | O_CREAT, 0600);
	while (lost >= 0 && read(lost, &r, sizeof r) == (ssize_t)sizeof r) {
		uint32_t fate = *seed == 0 ? 0 : (*seed = *seed * 1103515245 + 12345) >> 16 & 3;

		if (r.len > 0 && read(lost, data, (size_t)r.len) != r.len)
			break;
		if (r.len < 0 && fate == 1 && ftruncate(out, r.at) != 0)
			break;
		if (r.len > 0 && fate > 0 &&
		    pwrite(out, data, (size_t)(fate == 1 ? r.len / 2 : r.len), r.at) < 0)
			break;
	}
	if (lost >= 0)
		close(lost);
	close(out);
}

/* Seed 0: nothing that was not synced is there. */
static inline void vfs_cut(const char *path, uint32_t seed)
{
	char beside[160];

	vfs_cut_file(path, &seed);
	snprintf(beside, sizeof beside, "%s-wal", path);
	vfs_cut_file(beside, &seed);
	snprintf(beside, sizeof beside, "%s-shm", path);
	unlink(beside);
}

/* ---- the methods ---- */

static inline int vfs_close(sqlite3_file *f)
{
	int rc = vfs_real(f)->pMethods ? vfs_real(f)->pMethods->xClose(vfs_real(f)) : SQLITE_OK;

	f->pMethods = NULL;
	return rc;
}

static inline int vfs_read(sqlite3_file *f, void *data, int len, sqlite3_int64 at)
{
	if (!vfs_now(VFS_READS))
		return vfs_real(f)->pMethods->xRead(vfs_real(f), data, len, at);
	if (vfs.fault == VFS_FAIL_READ)
		return SQLITE_IOERR_READ;
	memset(data, 0, (size_t)len);
	vfs_real(f)->pMethods->xRead(vfs_real(f), data, len / 2, at);
	return SQLITE_IOERR_SHORT_READ;
}

static inline int vfs_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
	sqlite3_file *real = vfs_real(f);

	if (vfs_now(VFS_WRITES)) {
		if (vfs.fault == VFS_TEAR)
			real->pMethods->xWrite(real, data, len / 2, at);
		if (vfs.fault == VFS_TEAR || vfs.fault == VFS_KILL)
			vfs_die();
		return vfs.fault == VFS_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	}
	vfs_note((vfs_file *)f, at, data, len);
	return real->pMethods->xWrite(real, data, len, at);
}

static inline int vfs_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	vfs_note((vfs_file *)f, len, NULL, -1);
	return vfs_real(f)->pMethods->xTruncate(vfs_real(f), len);
}

static inline int vfs_sync(sqlite3_file *f, int flags)
{
	int rc;

	if (vfs_now(VFS_SYNCS)) {
		if (vfs.fault == VFS_TEAR || vfs.fault == VFS_KILL)
			vfs_die();
		return SQLITE_IOERR_FSYNC;
	}
	rc = vfs_real(f)->pMethods->xSync(vfs_real(f), flags);
	vfs_durable((vfs_file *)f);
	return rc;
}

static inline int vfs_size(sqlite3_file *f, sqlite3_int64 *len)
{
	return vfs_real(f)->pMethods->xFileSize(vfs_real(f), len);
}

static inline int vfs_lock(sqlite3_file *f, int level)
{
	if (vfs_now(VFS_LOCKS))
		return vfs.fault == VFS_BUSY_LOCK ? SQLITE_BUSY : SQLITE_IOERR_LOCK;
	return vfs_real(f)->pMethods->xLock(vfs_real(f), level);
}

static inline int vfs_unlock(sqlite3_file *f, int level)
{
	return vfs_real(f)->pMethods->xUnlock(vfs_real(f), level);
}

static inline int vfs_reserved(sqlite3_file *f, int *out)
{
	return vfs_real(f)->pMethods->xCheckReservedLock(vfs_real(f), out);
}

static inline int vfs_control(sqlite3_file *f, int op, void *argument)
{
	return vfs_real(f)->pMethods->xFileControl(vfs_real(f), op, argument);
}

static inline int vfs_sector(sqlite3_file *f)
{
	return vfs_real(f)->pMethods->xSectorSize(vfs_real(f));
}

static inline int vfs_device(sqlite3_file *f)
{
	return vfs_real(f)->pMethods->xDeviceCharacteristics(vfs_real(f));
}

static inline int vfs_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	if (vfs_now(VFS_OPENS))
		return SQLITE_IOERR_SHMMAP;
	return vfs_real(f)->pMethods->xShmMap(vfs_real(f), page, size, extend, out);
}

static inline int vfs_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	if ((flags & SQLITE_SHM_LOCK) && vfs_now(VFS_LOCKS))
		return vfs.fault == VFS_BUSY_LOCK ? SQLITE_BUSY : SQLITE_IOERR_SHMLOCK;
	return vfs_real(f)->pMethods->xShmLock(vfs_real(f), offset, n, flags);
}

static inline void vfs_shm_barrier(sqlite3_file *f)
{
	vfs_real(f)->pMethods->xShmBarrier(vfs_real(f));
}

static inline int vfs_shm_unmap(sqlite3_file *f, int remove)
{
	return vfs_real(f)->pMethods->xShmUnmap(vfs_real(f), remove);
}

static const sqlite3_io_methods vfs_methods =
	{2,          vfs_close,   vfs_read,     vfs_write,       vfs_truncate,  vfs_sync,
     vfs_size,   vfs_lock,    vfs_unlock,   vfs_reserved,    vfs_control,   vfs_sector,
     vfs_device, vfs_shm_map, vfs_shm_lock, vfs_shm_barrier, vfs_shm_unmap, NULL,
     NULL};

static sqlite3_vfs *vfs_below;
static sqlite3_vfs vfs_shim;

static inline int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
                           int *flags_out)
{
	vfs_file *file = (vfs_file *)f;
	int rc;

	(void)v;
	memset(file, 0, sizeof *file);
	file->real = (sqlite3_file *)(void *)(file + 1);
	if (vfs_now(VFS_OPENS))
		return SQLITE_CANTOPEN;
	if (name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
		snprintf(file->path, sizeof file->path, "%s", name);
	rc = vfs_below->xOpen(vfs_below, name, file->real, flags, flags_out);
	f->pMethods = file->real->pMethods ? &vfs_methods : NULL;
	return rc;
}

static inline int vfs_sleep(sqlite3_vfs *v, int microseconds)
{
	(void)v;
	return vfs.hurried ? microseconds : vfs_below->xSleep(vfs_below, microseconds);
}

/* Every later open goes through it. */
static inline void vfs_install(void)
{
	vfs_below = sqlite3_vfs_find(NULL);
	vfs_shim = *vfs_below;
	vfs_shim.zName = "hard";
	vfs_shim.szOsFile = (int)sizeof(vfs_file) + vfs_below->szOsFile;
	vfs_shim.xOpen = vfs_open;
	vfs_shim.xSleep = vfs_sleep;
	sqlite3_vfs_register(&vfs_shim, 1);
}

#endif
