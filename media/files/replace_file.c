#define _POSIX_C_SOURCE 200809L
#include "media/files/replace_file.h"

#include "tensor/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

rml_status rml_temporary_name(char **out, const char *path, const rml_allocator *allocator,
                              rml_error *err)
{
    enum { SUFFIX_BYTES = 48, ATTEMPTS = 1000 };
    *out = NULL;
    size_t bytes = strlen(path) + SUFFIX_BYTES;
    char *name = rml_alloc(allocator, bytes);
    if (!name)
        return rml_fail_nomem(err, bytes, "a file name");
    // The process id keeps runs apart, the counter the files of one run.
    int reason = EEXIST;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct stat info;
        snprintf(name, bytes, "%s.%ld-%d.part", path, (long)getpid(), i);
        if (lstat(name, &info) == 0)
            continue;
        if (errno == ENOENT) {
            *out = name;
            return RML_OK;
        }
        reason = errno;
        break;
    }
    rml_status status = rml_fail(err, RML_ERR_IO, "%s: cannot be created: %s", path,
                                 rml_errno_text(reason, (char[RML_ERRNO_BYTES]){0}));
    rml_free(allocator, name);
    return status;
}

rml_status rml_replace_file(const char *temporary, const char *path, rml_error *err)
{
    if (rename(temporary, path) == 0)
        return RML_OK;
    int reason = errno;
    remove(temporary);
    return rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path,
                    rml_errno_text(reason, (char[RML_ERRNO_BYTES]){0}));
}

rml_status rml_check_writable(const char *path, const rml_allocator *allocator, rml_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return rml_fail(err, RML_ERR_IO, "%s: is a folder, not a file to write", path);
    char *folder = rml_alloc_text(allocator, path);
    if (!folder)
        return rml_fail_nomem(err, strlen(path) + 1, "a file name");
    char *slash = strrchr(folder, '/');
    if (slash == folder)
        slash[1] = 0;
    else if (slash)
        *slash = 0;
    const char *where = slash ? folder : ".";
    rml_status status = RML_OK;
    if (stat(where, &info) != 0)
        status = rml_fail(err, RML_ERR_IO, "%s: folder %s does not exist", path, where);
    else if (!S_ISDIR(info.st_mode))
        status = rml_fail(err, RML_ERR_IO, "%s: %s is not a folder", path, where);
    else if (access(where, W_OK | X_OK) != 0)
        status = rml_fail(err, RML_ERR_IO, "%s: cannot write in folder %s: %s", path, where,
                          rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    rml_free(allocator, folder);
    return status;
}
