#define _POSIX_C_SOURCE 200809L
#include "media/files/files.h"

#include "tensor/arena.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct walk {
    rml_file_list *list;
    const char *folder;
    bool has_except;
    dev_t except_device;
    ino_t except_inode;
} walk;

bool rml_is_folder(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *rml_path_join(rml_arena *arena, const char *folder, const char *name)
{
    const size_t folder_bytes = strlen(folder), name_bytes = strlen(name);
    const bool slash = folder_bytes > 0 && folder[folder_bytes - 1] != '/';
    char *path = rml_arena_alloc(arena, folder_bytes + slash + name_bytes + 1, 1);
    if (path) {
        memcpy(path, folder, folder_bytes);
        path[folder_bytes] = '/';
        memcpy(path + folder_bytes + slash, name, name_bytes);
    }
    return path;
}

static rml_status add(rml_file_list *list, const char *path, rml_error *err)
{
    if (list->count == RML_FOLDER_MAX_FILES)
        return rml_fail(err, RML_ERR_LIMIT, "more than %zu files", RML_FOLDER_MAX_FILES);
    RML_TRY(rml_reserve(list->arena.allocator, &list->paths, &list->capacity, list->count + 1,
                        sizeof *list->paths, "a list of files", err));
    list->paths[list->count++] = path;
    return RML_OK;
}

// `below` is the path from the folder that is listed, or "".
static rml_status visit(walk *w, const char *below, int depth, rml_error *err)
{
    rml_arena *arena = &w->list->arena;
    const char *path = *below ? rml_path_join(arena, w->folder, below) : w->folder;
    if (!path)
        return rml_fail_nomem(err, strlen(below), "a path");
    if (depth > RML_FOLDER_MAX_DEPTH)
        return rml_fail(err, RML_ERR_LIMIT, "%s: more than %d folders deep", path,
                        RML_FOLDER_MAX_DEPTH);
    DIR *folder = opendir(path);
    if (!folder)
        return rml_fail(err, RML_ERR_IO, "%s: cannot be read: %s", path,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    rml_status status = RML_OK;
    struct dirent *entry;
    while (status == RML_OK && (entry = readdir(folder)) != NULL) {
        struct stat info, target;
        if (entry->d_name[0] == '.')
            continue;
        const char *name = *below ? rml_path_join(arena, below, entry->d_name)
                                  : rml_arena_text(arena, entry->d_name);
        const char *full = name ? rml_path_join(arena, w->folder, name) : NULL;
        if (!full)
            status = rml_fail_nomem(err, strlen(entry->d_name), "a path");
        else if (lstat(full, &info) != 0 || stat(full, &target) != 0)
            continue; // gone in between, or a link to nothing
        else if (S_ISREG(target.st_mode))
            status = add(w->list, name, err);
        else if (S_ISDIR(info.st_mode) && !(w->has_except && info.st_dev == w->except_device &&
                                            info.st_ino == w->except_inode))
            status = visit(w, name, depth + 1, err);
    }
    closedir(folder);
    return status;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

rml_status rml_folder_list(rml_file_list *out, const char *folder, const char *except,
                           const rml_allocator *allocator, rml_error *err)
{
    struct stat info;
    *out = (rml_file_list){0};
    rml_arena_init(&out->arena, allocator);
    walk w = {.list = out, .folder = folder};
    if (except && stat(except, &info) == 0) {
        w.has_except = true;
        w.except_device = info.st_dev;
        w.except_inode = info.st_ino;
    }
    rml_status status = visit(&w, "", 0, err);
    if (status != RML_OK)
        rml_file_list_release(out);
    else if (out->count > 0)
        qsort(out->paths, out->count, sizeof *out->paths, by_text);
    return status;
}

void rml_file_list_release(rml_file_list *list)
{
    if (list->arena.allocator) {
        rml_free(list->arena.allocator, list->paths);
        rml_arena_release(&list->arena);
    }
    *list = (rml_file_list){0};
}

rml_status rml_make_folders(const char *path, const rml_allocator *allocator, rml_error *err)
{
    char *copy = rml_alloc_text(allocator, path);
    if (!copy)
        return rml_fail_nomem(err, strlen(path) + 1, "a path");
    rml_status status = RML_OK;
    for (char *slash = strchr(copy + 1, '/'); slash && status == RML_OK;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = rml_fail(err, RML_ERR_IO, "%s: the folder cannot be made: %s", copy,
                              rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
        *slash = '/';
    }
    rml_free(allocator, copy);
    return status;
}

// ---- files that appear when they are whole ---------------------------------------------------

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
