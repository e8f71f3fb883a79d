#define _POSIX_C_SOURCE 200809L
#include "media/video/picture_out.h"

#include "tensor/alloc.h"
#include "tensor/status.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static rml_status fail(const rml_picture_out *o, const char *name, rml_error *err)
{
    return rml_fail(err, RML_ERR_IO, "%s: %s cannot be written: %s", o->path, name,
                    rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    while (dir && count < 3 && readdir(dir))
        count++; // itself and its parent are listed
    if (dir)
        closedir(dir);
    return dir && count < 3;
}

rml_status rml_picture_out_plan(rml_picture_out *out, const char *path,
                                const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_picture_out){.allocator = allocator, .path = path};
    RML_TRY(rml_series_folder(&out->folder, path, allocator, err));
    if (!rml_is_folder(out->folder))
        return rml_check_writable(out->folder, allocator, err);
    if (!is_empty(out->folder))
        return rml_fail(err, RML_ERR_IO,
                        "%s: the folder %s holds something already: name one that is not there or "
                        "empty",
                        path, out->folder);
    return RML_OK;
}

rml_status rml_picture_out_create(rml_picture_out *out, rml_error *err)
{
    RML_TRY(rml_temporary_name(&out->temporary, out->folder, out->allocator, err));
    if (mkdir(out->temporary, 0777) != 0)
        return fail(out, out->temporary, err);
    out->exists = true;
    return RML_OK;
}

// The path of picture `number` below the temporary folder.
static bool place(const rml_picture_out *o, int64_t number, char path[PATH_MAX])
{
    const int length = snprintf(path, PATH_MAX, "%s/", o->temporary);
    return length > 0 && length < PATH_MAX &&
           rml_series_name(o->path, number, path + length, PATH_MAX - (size_t)length);
}

rml_status rml_picture_out_write(rml_picture_out *out, const void *data, size_t bytes,
                                 rml_error *err)
{
    char path[PATH_MAX];
    errno = ENAMETOOLONG;
    FILE *file = place(out, out->count + 1, path) ? fopen(path, "wb") : NULL;
    if (!file)
        return fail(out, "a picture", err);
    out->count++;
    const bool written = fwrite(data, 1, bytes, file) == bytes;
    const int reason = errno;
    const bool closed = fclose(file) == 0;
    out->bytes += (int64_t)bytes;
    if (written && closed)
        return RML_OK;
    if (!written)
        errno = reason;
    return fail(out, path, err);
}

rml_status rml_picture_out_finish(rml_picture_out *out, rml_error *err)
{
    // What is there is an empty folder at most, which gives way.
    if (rename(out->temporary, out->folder) != 0)
        return fail(out, out->folder, err);
    out->exists = false;
    return RML_OK;
}

void rml_picture_out_release(rml_picture_out *out)
{
    char path[PATH_MAX];
    for (int64_t i = out->exists ? out->count : 0; i > 0; i--)
        if (place(out, i, path))
            remove(path);
    if (out->exists)
        rmdir(out->temporary);
    rml_free(out->allocator, out->temporary);
    rml_free(out->allocator, out->folder);
    *out = (rml_picture_out){0};
}
