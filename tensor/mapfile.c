#define _DEFAULT_SOURCE
#include "tensor/mapfile.h"

#include "tensor/status.h"
#include "tensor/size.h"

#include <errno.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_PIECE_BYTES ((size_t)1 << 20)

rml_status rml_mapfile_open(rml_mapfile *out, const char *path, rml_error *err)
{
    *out = (rml_mapfile){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe must not block
    if (fd < 0)
        return rml_fail(err, RML_ERR_IO, "%s: cannot open: %s", path,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    rml_status status = RML_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = rml_fail(err, RML_ERR_IO, "%s: cannot read its size: %s", path,
                          rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    } else if (S_ISDIR(info.st_mode)) {
        status = rml_fail(err, RML_ERR_IO, "%s: is a folder, not a file", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = rml_fail(err, RML_ERR_IO, "%s: is not a regular file", path);
    } else if ((uint64_t)info.st_size > SIZE_MAX) {
        status = rml_fail(err, RML_ERR_LIMIT, "%s: %lld bytes do not fit the address space", path,
                          (long long)info.st_size);
    } else if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = rml_fail(err, RML_ERR_IO, "%s: cannot map: %s", path,
                              rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
        } else {
            out->data = data;
            out->size = (size_t)info.st_size;
        }
    }
    close(fd);
    return status;
}

void rml_mapfile_expect(const rml_mapfile *file, rml_access access)
{
    static const int advice[] = {
        [RML_ACCESS_NORMAL] = MADV_NORMAL, [RML_ACCESS_SCATTERED] = MADV_RANDOM};
    if (file->data)
        madvise((void *)(uintptr_t)file->data, file->size, advice[access]);
}

void rml_mapfile_drop_pages(const rml_mapfile *file)
{
    if (file->data)
        madvise((void *)(uintptr_t)file->data, file->size, MADV_DONTNEED);
}

void rml_mapfile_close(rml_mapfile *file)
{
    if (file->data)
        munmap((void *)(uintptr_t)file->data, file->size);
    *file = (rml_mapfile){NULL, 0};
}

rml_status rml_source_read(const rml_source *source, const rml_allocator *allocator,
                           rml_mapfile *out, rml_error *err)
{
    *out = (rml_mapfile){NULL, 0};
    if (!source || !source->read_at)
        return rml_fail(err, RML_ERR_ARG, "the source has no read_at");
    if (source->size > SIZE_MAX - 1)
        return rml_fail(err, RML_ERR_LIMIT, "%llu bytes do not fit the address space",
                        (unsigned long long)source->size);
    const size_t size = (size_t)source->size;
    uint8_t *data = rml_alloc(allocator, size ? size : 1);
    if (!data)
        return rml_fail_nomem(err, size, "the contents of a source");
    for (size_t at = 0; at < size; at += SOURCE_PIECE_BYTES) {
        const size_t bytes = rml_min_size(SOURCE_PIECE_BYTES, size - at);
        if (!source->read_at(source->user, at, data + at, bytes)) {
            rml_free(allocator, data);
            return rml_fail(err, RML_ERR_IO, "%zu bytes at byte %zu of the source cannot be read",
                            bytes, at);
        }
    }
    *out = (rml_mapfile){data, size};
    return RML_OK;
}
