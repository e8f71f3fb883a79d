// The folder in which a file is written and checked before it has its name.
#define _XOPEN_SOURCE 700 // nftw
#include "media/files/files.h"
#include "pipelines/convert/convert.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FOLDERS 16 // at a time, of those that are removed

static rml_status fail_write(const char *path, rml_error *err)
{
    return rml_fail(err, RML_ERR_IO, "%s: cannot be written: %s", path,
                    rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// "folder/name", to be freed; NULL when memory is out.
static char *join(const rml_allocator *allocator, const char *folder, size_t folder_bytes,
                  const char *name)
{
    const size_t bytes = folder_bytes + strlen(name) + 2;
    char *path = rml_alloc(allocator, bytes);
    if (path)
        snprintf(path, bytes, "%.*s/%s", (int)folder_bytes, folder, name);
    return path;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    remove(path);
    return 0;
}

// A package replaces a package; other folders stay.
static rml_status check_target(const rml_staging *s, const char *path, rml_error *err)
{
    if (!rml_ends_in(path, ".mlpackage") || !rml_is_folder(path))
        return rml_check_writable(path, s->allocator, err);
    char *manifest = join(s->allocator, path, strlen(path), "Manifest.json");
    if (!manifest)
        return rml_fail_nomem(err, strlen(path), "a file name");
    const bool is_package = access(manifest, F_OK) == 0;
    rml_free(s->allocator, manifest);
    if (!is_package)
        return rml_fail(err, RML_ERR_IO, "%s: is a folder, and no package to write anew", path);
    return RML_OK;
}

rml_status rml_staging_open(rml_staging *s, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    *s = (rml_staging){.allocator = allocator};
    RML_TRY(check_target(s, path, err));
    RML_TRY(rml_follow_links(&s->target, path, allocator, err));
    rml_status status = rml_temporary_name(&s->folder, path, allocator, err);
    if (status == RML_OK && mkdir(s->folder, 0777) != 0) {
        status = fail_write(path, err);
        rml_free(allocator, s->folder);
        s->folder = NULL;
    }
    if (status == RML_OK) {
        s->file = join(allocator, s->folder, strlen(s->folder), last_part(path));
        if (!s->file)
            status = rml_fail_nomem(err, strlen(path), "a file name");
    }
    if (status != RML_OK)
        rml_staging_close(s);
    return status;
}

// A folder is no more replaced by renaming than a file is not: what lies there goes into ours,
// which is removed, and comes back where the new one cannot be moved.
static bool move_over(const rml_staging *s, const char *from, const char *to)
{
    if (!rml_is_folder(to))
        return rename(from, to) == 0;
    char *old = join(s->allocator, s->folder, strlen(s->folder), "replaced");
    bool moved = old && rename(to, old) == 0;
    if (moved && rename(from, to) != 0) {
        const int reason = errno;
        rename(old, to);
        errno = reason;
        moved = false;
    }
    rml_free(s->allocator, old);
    return moved;
}

// What lies beside the file has its name in the folder of the target; the file itself goes last.
static bool place_others(const rml_staging *s)
{
    const char *own = last_part(s->file);
    const size_t folder = (size_t)(last_part(s->target) - s->target);
    DIR *dir = opendir(s->folder);
    bool ok = dir != NULL;
    for (struct dirent *entry; ok && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, own) == 0)
            continue;
        char *from = join(s->allocator, s->folder, strlen(s->folder), name);
        char *to = join(s->allocator, folder ? s->target : ".", folder ? folder - 1 : 1, name);
        ok = from && to && move_over(s, from, to);
        rml_free(s->allocator, from);
        rml_free(s->allocator, to);
    }
    if (dir)
        closedir(dir);
    return ok;
}

rml_status rml_staging_place(rml_staging *s, rml_error *err)
{
    if (place_others(s) && move_over(s, s->file, s->target))
        return RML_OK;
    return fail_write(s->target, err);
}

static uint64_t bytes_below(const char *path)
{
    struct stat info;
    uint64_t bytes = 0;
    if (lstat(path, &info) != 0)
        return 0;
    if (!S_ISDIR(info.st_mode))
        return (uint64_t)info.st_size;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        char below[4096];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below)
            bytes += bytes_below(below);
    }
    if (dir)
        closedir(dir);
    return bytes;
}

uint64_t rml_staging_bytes(const rml_staging *s)
{
    return bytes_below(s->folder);
}

void rml_staging_close(rml_staging *s)
{
    if (s->folder)
        nftw(s->folder, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    rml_free(s->allocator, s->folder);
    rml_free(s->allocator, s->file);
    rml_free(s->allocator, s->target);
    *s = (rml_staging){.allocator = s->allocator};
}
