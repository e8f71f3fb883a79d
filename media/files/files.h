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

typedef struct rml_folder_rules {
    const char *except; // a folder that is left out, or NULL
    bool skip_results;  // leave out folders that rml_results_note was called for
    // Told of what is left out all the same, in a sentence that begins with its path; `failed` when
    // it should have been read.
    void (*tell)(void *user, const rml_error *why, bool failed);
    void *user;
} rml_folder_rules;

// Lists the regular files below `folder`, however deep, and links that lead nowhere, so that who
// opens them tells. Left out without a word: names that begin with a dot, links to folders, and
// `except`. A folder below that cannot be read is told and does not stop the rest.
rml_status rml_folder_list(rml_file_list *out, const char *folder, const rml_folder_rules *rules,
                           const rml_allocator *allocator, rml_error *err);
void rml_file_list_release(rml_file_list *list);

bool rml_is_folder(const char *path);

// Whether `path` lies below the folder, or is it; both must exist.
bool rml_is_below(const char *path, const char *folder);

// Notes beside the folder `path` (in the hidden file RML_RESULTS_FILE) that it holds results, which
// are no sources of another run. Where that cannot be noted it is not.
#define RML_RESULTS_FILE ".run-model-results"
void rml_results_note(const char *path, const rml_allocator *allocator);

// "folder/name" in the arena; NULL when memory is out.
char *rml_path_join(rml_arena *arena, const char *folder, const char *name);

// Makes the folders that `path` lies in.
rml_status rml_make_folders(const char *path, const rml_allocator *allocator, rml_error *err);

// What a link leads to, whether it is there or not; other paths as they are. To be freed by the
// caller.
rml_status rml_follow_links(char **out, const char *path, const rml_allocator *allocator,
                            rml_error *err);

// A name beside the file `path`, or beside what it links to, that no file has now, to be freed by
// the caller: "<path>.<n>.part", of a name that would be too long its beginning only.
rml_status rml_temporary_name(char **out, const char *path, const rml_allocator *allocator,
                              rml_error *err);

// Moves `temporary` onto `path`, replacing what is there, or what a link there leads to; on failure
// `temporary` is removed.
rml_status rml_replace_file(const char *temporary, const char *path, const rml_allocator *allocator,
                            rml_error *err);

// RML_OK when a file can be created beside `path`, or beside what it links to, and `path` is a
// regular file or nothing.
rml_status rml_check_writable(const char *path, const rml_allocator *allocator, rml_error *err);

#endif
