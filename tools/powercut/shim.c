/*
 * Records what a process does to one SQLite database, and breaks its disk on demand.
 * Linux, glibc: gcc -O2 -shared -fPIC -o shim.so shim.c -ldl, then LD_PRELOAD=shim.so.
 *
 *   POWERCUT_DB    path of the database; its -wal and its .acks belong to it
 *   POWERCUT_LOG   where operations are recorded
 *   POWERCUT_FAULT file that, while it exists, breaks the disk: its first letter says how
 *                  (f: writes fail with ENOSPC, e: syncs fail with EIO)
 *
 * A record: u8 operation (W write, T truncate, S sync, U unlink), u8 file (1 database, 2 log, 3 acks),
 * u64 offset, u32 length, then the bytes of a write. Writes are recorded before they are made, syncs
 * after they have returned: so whatever follows a sync record in the file may be lost in a power cut,
 * and nothing before it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FD 4096
enum { NONE, DATABASE, WAL, ACKS };

static unsigned char file_of[MAX_FD];
static int log_fd = -2;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int classify(const char *path) {
  const char *db = getenv("POWERCUT_DB");
  if (db == NULL || path == NULL) return NONE;
  size_t n = strlen(db);
  if (strncmp(path, db, n) != 0) return NONE;
  if (path[n] == 0) return DATABASE;
  if (strcmp(path + n, "-wal") == 0) return WAL;
  if (strcmp(path + n, ".acks") == 0) return ACKS;
  return NONE;
}

static void record(char op, int file, uint64_t offset, const void *data, uint32_t length) {
  unsigned char head[14];
  pthread_mutex_lock(&lock);
  if (log_fd == -2) {
    const char *path = getenv("POWERCUT_LOG");
    log_fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND, 0600);
  }
  if (log_fd >= 0) {
    head[0] = (unsigned char)op;
    head[1] = (unsigned char)file;
    memcpy(head + 2, &offset, 8);
    memcpy(head + 10, &length, 4);
    syscall(SYS_write, log_fd, head, sizeof head);
    if (data != NULL && length > 0) syscall(SYS_write, log_fd, data, length);
  }
  pthread_mutex_unlock(&lock);
}

/* The fault that is asked for at this moment: 'f', 'e' or 0. */
static char fault(void) {
  const char *path = getenv("POWERCUT_FAULT");
  char kind = 0;
  if (path == NULL) return 0;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
  if (fd < 0) return 0;
  if (syscall(SYS_read, fd, &kind, 1) != 1) kind = 0;
  syscall(SYS_close, fd);
  return kind;
}

static int watched(int fd) { return fd >= 0 && fd < MAX_FD ? file_of[fd] : NONE; }
static int database_file(int file) { return file == DATABASE || file == WAL; }

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(int, #name, const char *, int, ...); \
    va_list rest; \
    va_start(rest, flags); \
    int mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, int) : 0; \
    va_end(rest); \
    int fd = real(path, flags, mode); \
    if (fd >= 0 && fd < MAX_FD) file_of[fd] = (unsigned char)classify(path); \
    return fd; \
  }
OPEN(open)
OPEN(open64)

#define PWRITE(name, offset_type) \
  ssize_t name(int fd, const void *data, size_t n, offset_type offset) { \
    REAL(ssize_t, #name, int, const void *, size_t, offset_type); \
    int file = watched(fd); \
    if (database_file(file) && fault() == 'f') { errno = ENOSPC; return -1; } \
    if (file != NONE) record('W', file, (uint64_t)offset, data, (uint32_t)n); \
    return real(fd, data, n, offset); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t n) {
  REAL(ssize_t, "write", int, const void *, size_t);
  int file = watched(fd);
  if (database_file(file) && fault() == 'f') { errno = ENOSPC; return -1; }
  if (file != NONE) record('W', file, (uint64_t)lseek(fd, 0, SEEK_CUR), data, (uint32_t)n);
  return real(fd, data, n);
}

#define TRUNCATE(name, length_type) \
  int name(int fd, length_type length) { \
    REAL(int, #name, int, length_type); \
    int file = watched(fd); \
    if (file != NONE) record('T', file, (uint64_t)length, NULL, 0); \
    return real(fd, length); \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name) \
  int name(int fd) { \
    REAL(int, #name, int); \
    int file = watched(fd); \
    if (database_file(file) && fault() == 'e') { errno = EIO; return -1; } \
    int result = real(fd); \
    if (file != NONE && result == 0) record('S', file, 0, NULL, 0); \
    return result; \
  }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  int file = classify(path);
  if (file != NONE) record('U', file, 0, NULL, 0);
  return real(path);
}

int close(int fd) {
  REAL(int, "close", int);
  if (fd >= 0 && fd < MAX_FD) file_of[fd] = NONE;
  return real(fd);
}
