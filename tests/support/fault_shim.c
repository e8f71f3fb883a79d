// For LD_PRELOAD: the n-th call that reads, writes, opens, maps, renames, syncs or closes a file in
// one folder fails, or is short. test_faults.py builds it and says which:
//   FAULT_FOLDER  whose files count
//   FAULT_CALL    from 1; 0: none
//   FAULT_KIND    EIO; ENOSPC, in calls that write; SHORT: reads and writes do half
//   FAULT_COUNT   a file that tells at the end how many calls there were, and whether the one
//                 that failed reads or writes
//
// The C library's streams do not call what stands here: they are opened as streams of our own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES 1024

enum use { READS, WRITES };
enum { NO_FAULT, FAIL, SHORT };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls;
static char failed = '-';        // what the call that failed does: 'R' or 'W'
static char watched[MOST_FILES]; // by descriptor: 1 it reads, 2 it writes

// What the C library calls by this name.
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (!real)                                                                                     \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

static int fault(enum use use)
{
    const char *kind = getenv("FAULT_KIND"), *at = getenv("FAULT_CALL");
    pthread_mutex_lock(&lock);
    const long call = ++calls;
    pthread_mutex_unlock(&lock);
    if (!kind || !at || call != atol(at) || (strcmp(kind, "ENOSPC") == 0 && use == READS))
        return NO_FAULT;
    failed = use == READS ? 'R' : 'W';
    errno = strcmp(kind, "ENOSPC") == 0 ? ENOSPC : EIO;
    return strcmp(kind, "SHORT") == 0 ? SHORT : FAIL;
}

static int counts(const char *path)
{
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_watched(int fd)
{
    return fd >= 0 && fd < MOST_FILES && watched[fd];
}

static enum use use_of(int fd)
{
    return watched[fd] == 2 ? WRITES : READS;
}

__attribute__((destructor)) static void tell(void)
{
    REAL(open);
    const char *path = getenv("FAULT_COUNT");
    const int fd = path ? real(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (fd >= 0)
        dprintf(fd, "%ld %c", calls, failed);
}

// ---- descriptors --------------------------------------------------------------------------------

static int open_file(const char *path, int flags, mode_t mode)
{
    REAL(open);
    const int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (counts(path) && fault(writes ? WRITES : READS) == FAIL)
        return -1;
    const int fd = real(path, flags, mode);
    if (fd >= 0 && fd < MOST_FILES)
        watched[fd] = (char)(counts(path) ? 1 + writes : 0);
    return fd;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                            \
        va_end(more);                                                                              \
        return open_file(path, flags, mode);                                                       \
    }
OPEN(open)
OPEN(open64)
OPEN(__open_2)
OPEN(__open64_2)

int close(int fd)
{
    REAL(close);
    const int failed = is_watched(fd) && fault(use_of(fd)) == FAIL;
    if (fd >= 0 && fd < MOST_FILES)
        watched[fd] = 0;
    const int code = real(fd);
    if (failed)
        errno = EIO;
    return failed ? -1 : code;
}

#define TRANSFER(name, use, parameters, half, whole)                                               \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        REAL(name);                                                                                \
        const int how = is_watched(fd) ? fault(use) : NO_FAULT;                                    \
        if (how == FAIL)                                                                           \
            return -1;                                                                             \
        return how == SHORT && count > 1 ? half : whole;                                           \
    }
TRANSFER(read, READS, (int fd, void *data, size_t count), real(fd, data, count / 2),
         real(fd, data, count))
TRANSFER(pread, READS, (int fd, void *data, size_t count, off_t at), real(fd, data, count / 2, at),
         real(fd, data, count, at))
TRANSFER(pread64, READS, (int fd, void *data, size_t count, off_t at),
         real(fd, data, count / 2, at), real(fd, data, count, at))
TRANSFER(__read_chk, READS, (int fd, void *data, size_t count, size_t room),
         real(fd, data, count / 2, room), real(fd, data, count, room))
TRANSFER(write, WRITES, (int fd, const void *data, size_t count), real(fd, data, count / 2),
         real(fd, data, count))
TRANSFER(pwrite, WRITES, (int fd, const void *data, size_t count, off_t at),
         real(fd, data, count / 2, at), real(fd, data, count, at))

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap);
    if (is_watched(fd) && fault(READS) == FAIL)
        return MAP_FAILED;
    return real(address, bytes, protection, flags, fd, offset);
}

int fstat(int fd, struct stat *info)
{
    REAL(fstat);
    if (is_watched(fd) && fault(READS) == FAIL)
        return -1;
    return real(fd, info);
}

int fsync(int fd)
{
    REAL(fsync);
    return is_watched(fd) && fault(WRITES) == FAIL ? -1 : real(fd);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return counts(to) && fault(WRITES) == FAIL ? -1 : real(from, to);
}

// ---- streams ------------------------------------------------------------------------------------

static ssize_t read_stream(void *cookie, char *data, size_t count)
{
    return read(*(int *)cookie, data, count);
}

// Writes all of it, as the C library's own streams do; less is a failure to it.
static ssize_t write_stream(void *cookie, const char *data, size_t count)
{
    size_t done = 0;
    while (done < count) {
        const ssize_t now = write(*(int *)cookie, data + done, count - done);
        if (now <= 0)
            break;
        done += (size_t)now;
    }
    return (ssize_t)done;
}

static int seek_stream(void *cookie, off64_t *offset, int whence)
{
    *offset = lseek(*(int *)cookie, *offset, whence);
    return *offset < 0 ? -1 : 0;
}

static int close_stream(void *cookie)
{
    const int code = close(*(int *)cookie);
    free(cookie);
    return code;
}

static FILE *open_stream(const char *path, const char *mode)
{
    REAL(fopen);
    const cookie_io_functions_t functions = {read_stream, write_stream, seek_stream, close_stream};
    if (!counts(path))
        return real(path, mode);
    int *cookie = malloc(sizeof *cookie);
    const int both = strchr(mode, '+') != NULL, fresh = mode[0] != 'r';
    *cookie = open_file(path,
                        (both    ? O_RDWR
                         : fresh ? O_WRONLY
                                 : O_RDONLY) |
                            (fresh ? O_CREAT | O_TRUNC : 0),
                        0666);
    if (*cookie < 0) {
        free(cookie);
        return NULL;
    }
    return fopencookie(cookie, mode, functions);
}

FILE *fopen(const char *path, const char *mode)
{
    return open_stream(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return open_stream(path, mode);
}
