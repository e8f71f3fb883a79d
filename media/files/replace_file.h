// Files that appear under their final name only when they are whole.
#ifndef RML_MEDIA_FILES_REPLACE_FILE_H
#define RML_MEDIA_FILES_REPLACE_FILE_H

#include "tensor/alloc.h"
#include "tensor/status.h"

// A name beside `path` that no file has now, to be freed by the caller: "<path>.<n>.part".
rml_status rml_temporary_name(char **out, const char *path, const rml_allocator *allocator,
                              rml_error *err);

// Moves `temporary` onto `path`, replacing what is there; on failure `temporary` is removed.
rml_status rml_replace_file(const char *temporary, const char *path, rml_error *err);

// RML_OK when a file can be created beside `path` and `path` is not a folder.
rml_status rml_check_writable(const char *path, const rml_allocator *allocator, rml_error *err);

#endif
