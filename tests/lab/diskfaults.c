/* Faults of a disk and of a clock, at an exact call: preloaded into every process of a command under test.
 *
 * It counts the calls that change files below one folder, over all processes together, and at one of them
 * does what the shared page says: fails, kills the command, sets the clock back. diskfaults.py is its
 * other half and describes the page; both must agree.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { NONE, SIGNAL, FAIL };
enum class { CREATE = 1, OPEN = 2, WRITE = 4, SYNC = 8, META = 16, REMOVE = 32 };

struct page {
    uint64_t count;     /* calls so far */
    uint64_t at;        /* the number of the call where it happens; 0: never */
    int32_t kind;       /* what happens */
    int32_t value;      /* a signal, or an errno */
    int32_t classes;    /* to which calls, a sum of enum class */
    int32_t lasts;      /* whether it lasts: 0 no, 1 in the same place, 2 everywhere */
    int32_t command;    /* the process that signals go to */
    int32_t fired;      /* whether it happened */
    int64_t clock;      /* seconds that the clock is wrong */
    int64_t clock_then; /* and from the moment on when it happens */
    char under[512];    /* the folder, with a slash at its end */
    char trace[512];    /* a file that gets a line for each call; empty: none */
    char call[32];      /* at which call it happened */
    char path[1024];    /* and on what */
    char place[512];    /* where it lasts */
};

static struct page *page;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("REPOD_DISKFAULTS");
    if (!name) return;
    int fd = syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) abort();
    page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (page == MAP_FAILED) abort();
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* Where a descriptor leads; an empty text where that is no file. */
static void of_fd(int fd, char *out, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, out, size - 1);
    out[length > 0 ? length : 0] = 0;
}

static void of_path(int dir, const char *path, char *out, size_t size) {
    char base[512];
    if (path[0] == '/') {
        snprintf(out, size, "%s", path);
        return;
    }
    if (dir != AT_FDCWD) of_fd(dir, base, sizeof base);
    else if (syscall(SYS_getcwd, base, sizeof base) < 0) base[0] = 0;
    snprintf(out, size, "%s/%s", base, path);
}

/* The folder right below the one that is watched: as if it were a file system of its own. */
static void place_of(const char *path, char *out, size_t size) {
    const char *rest = path + strlen(page->under);
    const char *slash = strchr(rest, '/');
    size_t length = slash ? (size_t)(slash - path) : strlen(path);
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), path);
}

static void trace(uint64_t number, const char *call, const char *path) {
    char line[1200];
    int length = snprintf(line, sizeof line, "%lu\t%d\t%s\t%s\n", (unsigned long)number, getpid(), call, path);
    int fd = syscall(SYS_openat, AT_FDCWD, page->trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    syscall(SYS_write, fd, line, length);
    syscall(SYS_close, fd);
}

/* What is to become of this call: 0, or the errno that it fails with. `fd` and `data`: of a write, which may be half done. */
static int fate(enum class class, const char *call, const char *path, int fd, const void *data, size_t size, ssize_t *half) {
    if (!page || !page->under[0] || strncmp(path, page->under, strlen(page->under))) return 0;
    uint64_t number = __atomic_add_fetch(&page->count, 1, __ATOMIC_SEQ_CST);
    if (page->trace[0]) trace(number, call, path);
    if (!page->at || number < page->at || page->kind == NONE || !(page->classes & class)) return 0;
    int32_t before = 0;
    int first = __atomic_compare_exchange_n(&page->fired, &before, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (first) {
        snprintf(page->call, sizeof page->call, "%s", call);
        snprintf(page->path, sizeof page->path, "%s", path);
        place_of(path, page->place, sizeof page->place);
        page->clock = page->clock_then;
    }
    if (page->kind == SIGNAL) {
        if (!first || !page->value) return 0;
        /* What a process was writing when it died is there in part. */
        if (page->value == SIGKILL && data && size > 1) syscall(SYS_write, fd, data, size / 2);
        kill(page->command, page->value);
        if (page->value == SIGKILL) kill(getpid(), SIGKILL);
        return 0;
    }
    if (!first && !page->lasts) return 0;
    if (!first && page->lasts == 1 && strncmp(path, page->place, strlen(page->place))) return 0;
    /* A disk becomes full in the middle of a write: what had room is there, and the caller is told how much. */
    if (first && page->value == ENOSPC && half && data && size > 1) {
        *half = syscall(SYS_write, fd, data, size / 2);
        if (*half > 0) return -1;
    }
    return page->value == EACCES && class == META ? EPERM : page->value;
}

static int forbidden(enum class class, const char *call, int dir, const char *name) {
    if (!page || !name) return 0;
    char path[1024];
    of_path(dir, name, path, sizeof path);
    int code = fate(class, call, path, -1, NULL, 0, NULL);
    if (code) errno = code;
    return code;
}

static int forbidden_fd(enum class class, const char *call, int fd) {
    if (!page) return 0;
    int before = errno;
    char path[1024];
    of_fd(fd, path, sizeof path);
    errno = before;
    int code = fate(class, call, path, -1, NULL, 0, NULL);
    if (code) errno = code;
    return code;
}

/* ---- opening */

static int opened(const char *call, int dir, const char *path, int flags) {
    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & (O_CREAT | O_TRUNC))) return 0;
    return forbidden(flags & O_CREAT ? CREATE : OPEN, call, dir, path);
}

#define OPEN_AT(name) \
    int name(int dir, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(int, #name, int, const char *, int, ...); \
        return opened("open", dir, path, flags) ? -1 : real(dir, path, flags, mode); \
    }
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        REAL(int, #name, const char *, int, ...); \
        return opened("open", AT_FDCWD, path, flags) ? -1 : real(path, flags, mode); \
    }
OPEN_AT(openat)
OPEN_AT(openat64)
OPEN(open)
OPEN(open64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(FILE *, #name, const char *, const char *); \
        int writes = strpbrk(mode, "wa+") != NULL; \
        return writes && forbidden(strpbrk(mode, "wa") ? CREATE : OPEN, "open", AT_FDCWD, path) ? NULL : real(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* ---- writing */

static int cut(const char *call, int fd, const void *data, size_t size, ssize_t *half) {
    if (!page) return 0;
    int before = errno;
    char path[1024];
    of_fd(fd, path, sizeof path);
    errno = before;
    int code = fate(WRITE, call, path, fd, data, size, half);
    if (code > 0) errno = code;
    return code;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    ssize_t half = 0;
    int code = cut("write", fd, data, size, &half);
    return code > 0 ? -1 : code < 0 ? half : real(fd, data, size);
}

#define WRITES(name, declared, given) \
    ssize_t name declared { \
        REAL(ssize_t, #name, int, ...); \
        return cut(#name, fd, NULL, 0, NULL) ? -1 : ((ssize_t (*) declared)real) given; \
    }
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRITES(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
WRITES(pwritev, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
WRITES(sendfile, (int fd, int from, off_t *at, size_t size), (fd, from, at, size))
WRITES(sendfile64, (int fd, int from, off64_t *at, size_t size), (fd, from, at, size))

ssize_t copy_file_range(int from, off64_t *at, int fd, off64_t *to, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    return cut("copy_file_range", fd, NULL, 0, NULL) ? -1 : real(from, at, fd, to, size, flags);
}

int ftruncate(int fd, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    return forbidden_fd(META, "ftruncate", fd) ? -1 : real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    return forbidden_fd(META, "ftruncate", fd) ? -1 : real(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    return cut("fallocate", fd, NULL, 0, NULL) ? -1 : real(fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    return cut("fallocate", fd, NULL, 0, NULL) ? -1 : real(fd, mode, at, size);
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    return forbidden_fd(SYNC, "fsync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return forbidden_fd(SYNC, "fsync", fd) ? -1 : real(fd);
}

/* ---- names */

int rename(const char *old, const char *new) {
    REAL(int, "rename", const char *, const char *);
    return forbidden(CREATE, "rename", AT_FDCWD, new) ? -1 : real(old, new);
}

int renameat(int from, const char *old, int to, const char *new) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return forbidden(CREATE, "rename", to, new) ? -1 : real(from, old, to, new);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    return forbidden(CREATE, "rename", to, new) ? -1 : real(from, old, to, new, flags);
}

int link(const char *old, const char *new) {
    REAL(int, "link", const char *, const char *);
    return forbidden(CREATE, "link", AT_FDCWD, new) ? -1 : real(old, new);
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    return forbidden(CREATE, "link", to, new) ? -1 : real(from, old, to, new, flags);
}

int symlinkat(const char *target, int to, const char *new) {
    REAL(int, "symlinkat", const char *, int, const char *);
    return forbidden(CREATE, "symlink", to, new) ? -1 : real(target, to, new);
}

int symlink(const char *target, const char *new) {
    REAL(int, "symlink", const char *, const char *);
    return forbidden(CREATE, "symlink", AT_FDCWD, new) ? -1 : real(target, new);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return forbidden(CREATE, "mkdir", AT_FDCWD, path) ? -1 : real(path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    return forbidden(CREATE, "mkdir", dir, path) ? -1 : real(dir, path, mode);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return forbidden(REMOVE, "unlink", AT_FDCWD, path) ? -1 : real(path);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    return forbidden(REMOVE, flags & AT_REMOVEDIR ? "rmdir" : "unlink", dir, path) ? -1 : real(dir, path, flags);
}

int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    return forbidden(REMOVE, "rmdir", AT_FDCWD, path) ? -1 : real(path);
}

int chmod(const char *path, mode_t mode) {
    REAL(int, "chmod", const char *, mode_t);
    return forbidden(META, "chmod", AT_FDCWD, path) ? -1 : real(path, mode);
}

int fchmod(int fd, mode_t mode) {
    REAL(int, "fchmod", int, mode_t);
    return forbidden_fd(META, "chmod", fd) ? -1 : real(fd, mode);
}

int fchmodat(int dir, const char *path, mode_t mode, int flags) {
    REAL(int, "fchmodat", int, const char *, mode_t, int);
    return forbidden(META, "chmod", dir, path) ? -1 : real(dir, path, mode, flags);
}

int utimensat(int dir, const char *path, const struct timespec times[2], int flags) {
    REAL(int, "utimensat", int, const char *, const struct timespec *, int);
    return forbidden(META, "utime", dir, path) ? -1 : real(dir, path, times, flags);
}

int futimens(int fd, const struct timespec times[2]) {
    REAL(int, "futimens", int, const struct timespec *);
    return forbidden_fd(META, "utime", fd) ? -1 : real(fd, times);
}

/* ---- the clock */

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (!done && page && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += page->clock;
    return done;
}

int gettimeofday(struct timeval *now, void *zone) {
    int done = syscall(SYS_gettimeofday, now, zone);
    if (!done && page) now->tv_sec += page->clock;
    return done;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
