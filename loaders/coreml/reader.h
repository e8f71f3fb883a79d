// Inside of the Core ML reader.
#ifndef RML_LOADERS_COREML_READER_H
#define RML_LOADERS_COREML_READER_H

#include "loaders/coreml/file.h"

static inline rml_message_reader rml_coreml_messages(rml_coreml *file, rml_error *err)
{
    return (rml_message_reader){&file->arena, "a Core ML model", err};
}

// The path of the message in a package, or `path` itself where that is one; the caller's to
// rml_free.
rml_status rml_coreml_find_model(const char *path, const rml_allocator *allocator, char **out,
                                 rml_error *err);

// The model's path below a package's folder, as its manifest in [data, data + size) says; the
// caller's to rml_free.
rml_status rml_coreml_root_of(const uint8_t *data, size_t size, const rml_allocator *allocator,
                              char **out, rml_error *err);

// Whether the bytes are a zip archive with a package in it. Opening one sets file->zip, ->path and
// ->message; what a package's `folder` (with "/" at its end) has at `location` lies in its entry.
bool rml_coreml_is_archive(const uint8_t *data, size_t size);
rml_status rml_coreml_open_archive(rml_coreml *file, rml_error *err);
// A package's manifest, and whether the package has a file or folder at `location`.
rml_status rml_coreml_archive_manifest(rml_coreml *file, rml_mapfile *out, rml_error *err);
bool rml_coreml_has_entry(const rml_coreml *file, const char *location);
rml_status rml_coreml_entry(rml_coreml *file, const char *folder, size_t folder_bytes,
                            const char *location, rml_mapfile *out, rml_error *err);

// As rml_coreml_open_map, and nothing more: `file->model` is not read.
rml_status rml_coreml_map(rml_coreml **out, const char *path, rml_mapfile *map,
                          const rml_allocator *allocator, rml_error *err);

// Whether a model of this kind (the number of its field) is read, and in a message why not.
rml_status rml_coreml_check_kind(int type, rml_error *err);

// A message Model: its description, and where its network begins.
rml_status rml_coreml_read_model(rml_coreml *file, const rml_protobuf *message,
                                 rml_coreml_model *out, rml_error *err);

// Inputs, outputs and states, of a model or of one of its functions.
rml_status rml_coreml_read_ports(const rml_message_reader *reader, const rml_protobuf *message,
                                 bool is_function, rml_coreml_ports *out);
rml_status rml_coreml_read_feature(const rml_message_reader *reader, const rml_protobuf *message,
                                   bool is_input, rml_coreml_feature *out);

// What the model takes and gives. Of an ML Program that is a function's, `wanted` or by default
// (""), whose name *function is then; other models have none, and *function is "".
rml_status rml_coreml_ports_of(rml_coreml *file, const char *wanted, const rml_coreml_ports **out,
                               const char **function, rml_error *err);

#endif
