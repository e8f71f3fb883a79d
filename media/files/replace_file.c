// Files that appear when they are whole.
#define _POSIX_C_SOURCE 200809L
#include "media/files/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_LINKS 40 // as Linux follows

rml_status rml_follow_links(char **out, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    *out = rml_alloc_text(allocator, path);
    for (int i = 0; *out && i < MOST_LINKS; i++) {
        char link[PATH_MAX];
        const ssize_t length = readlink(*out, link, sizeof link - 1);
        if (length < 0)
            return RML_OK; // no link; what else is wrong shows when it is opened
        link[length] = 0;
        const char *slash = link[0] == '/' ? NULL : strrchr(*out, '/');
        const size_t folder = slash ? (size_t)(slash - *out) + 1 : 0;
        char *next = rml_alloc(allocator, folder + (size_t)length + 1);
        if (next) {
            memcpy(next, *out, folder);
            memcpy(next + folder, link, (size_t)length + 1);
        }
        rml_free(allocator, *out);
        *out = next;
    }
    if (!*out)
        return rml_fail_nomem(err, strlen(path) + 1, "a file name");
    rml_free(allocator, *out);
    *out = NULL;
    return rml_fail(err, RML_ERR_IO, "%s: cannot be created: %s", path,
                    rml_errno_text(ELOOP, (char[RML_ERRNO_BYTES]){0}));
}

// "FOLDER/" of a path, "." where it has none; NULL when memory is out.
static char *folder_of(const char *path, const rml_allocator *allocator)
{
    const char *slash = strrchr(path, '/');
    char *folder = rml_alloc_text(allocator, slash ? path : ".");
    if (folder && slash)
        folder[slash - path + 1] = 0;
    return folder;
}

// Most bytes that a name in the folder of `path` can have.
static rml_status longest_name(size_t *out, const char *path, const rml_allocator *allocator,
                               rml_error *err)
{
    char *folder = folder_of(path, allocator);
    if (!folder)
        return rml_fail_nomem(err, strlen(path) + 1, "a file name");
    const long most = pathconf(folder, _PC_NAME_MAX);
    *out = most > 0 ? (size_t)most : 255;
    rml_free(allocator, folder);
    return RML_OK;
}

// The first bytes of a name of which `most` are kept, whole characters of UTF-8.
static size_t keep(const char *name, size_t most)
{
    size_t kept = strlen(name);
    if (kept > most)
        for (kept = most; kept > 0 && ((unsigned char)name[kept] & 0xC0) == 0x80;)
            kept--;
    return kept;
}

// `path` is no link.
static rml_status free_name(char **out, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    enum { SUFFIX_BYTES = 48, ATTEMPTS = 1000 };
    const size_t bytes = strlen(path) + SUFFIX_BYTES;
    size_t most = 0;
    RML_TRY(longest_name(&most, path, allocator, err));
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char *name = rml_alloc(allocator, bytes);
    if (!name)
        return rml_fail_nomem(err, bytes, "a file name");
    // The process id keeps runs apart, the counter the files of one run.
    int reason = EEXIST;
    for (int i = 0; i < ATTEMPTS; i++) {
        struct stat info;
        char suffix[SUFFIX_BYTES];
        const size_t length =
            (size_t)snprintf(suffix, sizeof suffix, ".%ld-%d.part", (long)getpid(), i);
        const size_t kept = keep(base, most > length ? most - length : 1);
        memcpy(name, path, (size_t)(base - path) + kept);
        memcpy(name + (base - path) + kept, suffix, length + 1);
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

rml_status rml_temporary_name(char **out, const char *path, const rml_allocator *allocator,
                              rml_error *err)
{
    char *target;
    *out = NULL;
    RML_TRY(rml_follow_links(&target, path, allocator, err));
    const rml_status status = free_name(out, target, allocator, err);
    rml_free(allocator, target);
    return status;
}

rml_status rml_replace_file(const char *temporary, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    char *target;
    rml_status status = rml_follow_links(&target, path, allocator, err);
    if (status == RML_OK && rename(temporary, target) != 0)
        status = rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path,
                          rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    if (status != RML_OK)
        remove(temporary);
    rml_free(allocator, target);
    return status;
}

static rml_status check_folder(const char *path, const char *where, rml_error *err)
{
    struct stat info;
    if (stat(where, &info) != 0)
        return rml_fail(err, RML_ERR_IO, "%s: folder %s does not exist", path, where);
    if (!S_ISDIR(info.st_mode))
        return rml_fail(err, RML_ERR_IO, "%s: %s is not a folder", path, where);
    if (access(where, W_OK | X_OK) != 0)
        return rml_fail(err, RML_ERR_IO, "%s: cannot write in folder %s: %s", path, where,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    return RML_OK;
}

rml_status rml_check_writable(const char *path, const rml_allocator *allocator, rml_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return rml_fail(err, RML_ERR_IO, "%s: is a %s, not a file to write", path,
                        S_ISDIR(info.st_mode) ? "folder" : "device or pipe");
    char *target;
    RML_TRY(rml_follow_links(&target, path, allocator, err));
    char *folder = folder_of(target, allocator);
    const size_t length = folder ? strlen(folder) : 0;
    if (length > 1 && folder[length - 1] == '/')
        folder[length - 1] = 0;
    const rml_status status = folder ? check_folder(path, folder, err)
                                     : rml_fail_nomem(err, strlen(path) + 1, "a file name");
    rml_free(allocator, folder);
    rml_free(allocator, target);
    return status;
}
