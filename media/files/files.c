#define _XOPEN_SOURCE 700 // realpath
#include "media/files/files.h"

#include "tensor/arena.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct walk {
    rml_file_list *list;
    const char *folder;
    const rml_folder_rules *rules;
    rml_error why; // of what is told; here because it is large
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

// ---- folders of results -----------------------------------------------------------------------

static bool holds_line(const char *text, const char *line)
{
    const size_t length = strlen(line);
    for (const char *at = text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        if (strncmp(at, line, length) == 0 && at[length] == '\n')
            return true;
    return false;
}

// What RML_RESULTS_FILE in the folder says, or NULL; to be freed by the caller.
static rml_status read_results(char **out, const char *folder, const rml_allocator *allocator,
                               rml_error *err)
{
    enum { MOST_BYTES = 1 << 20 };
    *out = NULL;
    const size_t bytes = strlen(folder) + sizeof "/" RML_RESULTS_FILE;
    char *path = rml_alloc(allocator, bytes);
    if (!path)
        return rml_fail_nomem(err, bytes, "a path");
    snprintf(path, bytes, "%s/" RML_RESULTS_FILE, folder);
    FILE *file = fopen(path, "rb");
    rml_free(allocator, path);
    if (!file)
        return RML_OK;
    struct stat info;
    const bool usable =
        fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= MOST_BYTES;
    char *text = usable ? rml_alloc_zero(allocator, (size_t)info.st_size + 1, 1) : NULL;
    if (text)
        text[fread(text, 1, (size_t)info.st_size, file)] = 0;
    fclose(file);
    *out = text;
    return usable && !text ? rml_fail_nomem(err, (size_t)info.st_size, "a list of folders")
                           : RML_OK;
}

void rml_results_note(const char *path, const rml_allocator *allocator)
{
    char parent[PATH_MAX + sizeof RML_RESULTS_FILE], *known = NULL;
    char *slash = realpath(path, parent) ? strrchr(parent, '/') : NULL;
    char *name = slash ? rml_alloc_text(allocator, slash + 1) : NULL;
    if (slash)
        *slash = 0;
    if (name && *name && !strchr(name, '\n') &&
        read_results(&known, parent, allocator, NULL) == RML_OK && !holds_line(known, name)) {
        strcpy(slash, "/" RML_RESULTS_FILE);
        FILE *file = fopen(parent, "ab");
        if (file) {
            fprintf(file, "%s\n", name);
            fclose(file);
        }
    }
    rml_free(allocator, known);
    rml_free(allocator, name);
}

bool rml_is_below(const char *path, const char *folder)
{
    char a[PATH_MAX], b[PATH_MAX];
    if (!realpath(path, a) || !realpath(folder, b))
        return false;
    const size_t length = strcmp(b, "/") == 0 ? 0 : strlen(b);
    return strncmp(a, b, length) == 0 && (a[length] == '/' || !a[length]);
}

// ---- folders of sources -------------------------------------------------------------------------

static rml_status add(rml_file_list *list, const char *path, rml_error *err)
{
    if (list->count == RML_FOLDER_MAX_FILES)
        return rml_fail(err, RML_ERR_LIMIT, "more than %zu files", RML_FOLDER_MAX_FILES);
    RML_TRY(rml_reserve(list->arena.allocator, &list->paths, &list->capacity, list->count + 1,
                        sizeof *list->paths, "a list of files", err));
    list->paths[list->count++] = path;
    return RML_OK;
}

static rml_status visit(walk *w, const char *below, int depth, rml_error *err);

// What lies at `name`, seen from the folder that is listed.
static rml_status visit_entry(walk *w, const char *name, int depth, const char *results,
                              rml_error *err)
{
    struct stat info, target;
    const char *full = rml_path_join(&w->list->arena, w->folder, name);
    if (!full)
        return rml_fail_nomem(err, strlen(name), "a path");
    if (lstat(full, &info) != 0) {
        if (errno == ENOENT)
            return RML_OK; // gone in between
        rml_fail(&w->why, RML_ERR_IO, "%s: cannot be read: %s", full,
                 rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
        w->rules->tell(w->rules->user, &w->why, true);
        return RML_OK;
    }
    const bool leads_nowhere = stat(full, &target) != 0;
    if (leads_nowhere || S_ISREG(target.st_mode))
        return add(w->list, name, err);
    if (!S_ISDIR(info.st_mode) ||
        (w->has_except && info.st_dev == w->except_device && info.st_ino == w->except_inode))
        return RML_OK;
    if (holds_line(results, strrchr(full, '/') + 1)) {
        rml_fail(&w->why, RML_OK, "%s: left out, it holds results of an earlier run", full);
        w->rules->tell(w->rules->user, &w->why, false);
        return RML_OK;
    }
    return visit(w, name, depth + 1, err);
}

// `below` is the path from the folder that is listed, or "". Only that folder has to be readable.
static rml_status visit(walk *w, const char *below, int depth, rml_error *err)
{
    rml_arena *arena = &w->list->arena;
    const char *path = *below ? rml_path_join(arena, w->folder, below) : w->folder;
    if (!path)
        return rml_fail_nomem(err, strlen(below), "a path");
    if (depth > RML_FOLDER_MAX_DEPTH) {
        rml_fail(&w->why, RML_ERR_LIMIT, "%s: more than %d folders deep", path,
                 RML_FOLDER_MAX_DEPTH);
        w->rules->tell(w->rules->user, &w->why, true);
        return RML_OK;
    }
    DIR *folder = opendir(path);
    char *results = NULL;
    rml_status status = RML_OK;
    if (folder && w->rules->skip_results)
        status = read_results(&results, path, arena->allocator, err);
    for (struct dirent *entry; folder && status == RML_OK;) {
        errno = 0;
        entry = readdir(folder);
        if (!entry)
            break;
        if (entry->d_name[0] == '.')
            continue;
        const char *name = *below ? rml_path_join(arena, below, entry->d_name)
                                  : rml_arena_text(arena, entry->d_name);
        status = name ? visit_entry(w, name, depth, results, err)
                      : rml_fail_nomem(err, strlen(entry->d_name), "a path");
    }
    const int reason = errno;
    rml_free(arena->allocator, results);
    if (folder)
        closedir(folder);
    if (status != RML_OK || (folder && reason == 0))
        return status;
    status = rml_fail(*below ? &w->why : err, RML_ERR_IO, "%s: cannot be read: %s", path,
                      rml_errno_text(reason, (char[RML_ERRNO_BYTES]){0}));
    if (*below)
        w->rules->tell(w->rules->user, &w->why, true);
    return *below ? RML_OK : status;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

rml_status rml_folder_list(rml_file_list *out, const char *folder, const rml_folder_rules *rules,
                           const rml_allocator *allocator, rml_error *err)
{
    struct stat info;
    *out = (rml_file_list){0};
    rml_arena_init(&out->arena, allocator);
    walk w = {.list = out, .folder = folder, .rules = rules};
    if (rules->except && stat(rules->except, &info) == 0) {
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
