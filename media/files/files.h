// Files below a folder, folders for files to come, and files that appear when they are whole.
#ifndef RML_MEDIA_FILES_FILES_H
#define RML_MEDIA_FILES_FILES_H

#include "tensor/arena.h"

#define RML_FOLDER_MAX_FILES ((size_t)1 << 20)
#define RML_FOLDER_MAX_DEPTH 64

// A zeroed list is empty and valid.
typedef struct rml_file_list {
    const char **paths; // without the folder in front, sorted
    size_t count, capacity;
    rml_arena arena; // owns the texts
} rml_file_list;

// Lists the regular files below `folder`, however deep. Left out: names that begin with a dot,
// links to folders, and the folder `except` (NULL: none), which may lie below.
rml_status rml_folder_list(rml_file_list *out, const char *folder, const char *except,
                           const rml_allocator *allocator, rml_error *err);
void rml_file_list_release(rml_file_list *list);

bool rml_is_folder(const char *path);

// "folder/name" in the arena; NULL when memory is out.
char *rml_path_join(rml_arena *arena, const char *folder, const char *name);

// Makes the folders that `path` lies in.
rml_status rml_make_folders(const char *path, const rml_allocator *allocator, rml_error *err);

// A name beside `path` that no file has now, to be freed by the caller: "<path>.<n>.part".
rml_status rml_temporary_name(char **out, const char *path, const rml_allocator *allocator,
                              rml_error *err);

// Moves `temporary` onto `path`, replacing what is there; on failure `temporary` is removed.
rml_status rml_replace_file(const char *temporary, const char *path, rml_error *err);

// RML_OK when a file can be created beside `path` and `path` is not a folder.
rml_status rml_check_writable(const char *path, const rml_allocator *allocator, rml_error *err);

#endif
