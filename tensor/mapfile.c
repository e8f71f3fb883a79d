#define _DEFAULT_SOURCE
#include "tensor/mapfile.h"

#include <errno.h>
#include <string.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

rml_status rml_mapfile_open(rml_mapfile *out, const char *path, rml_error *err)
{
    *out = (rml_mapfile){NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe must not block
    if (fd < 0)
        return rml_fail(err, RML_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    rml_status status = RML_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = rml_fail(err, RML_ERR_IO, "%s: cannot read its size: %s", path, strerror(errno));
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
            status = rml_fail(err, RML_ERR_IO, "%s: cannot map: %s", path, strerror(errno));
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
