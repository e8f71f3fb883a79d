// The functions of the C2PA C library (libc2pa_c) that are used. It is not linked but loaded when
// something is to be signed, and its header, which few have, is not needed: what is declared here
// is all there is of it.
#ifndef RML_MEDIA_FILES_C2PA_LIBRARY_H
#define RML_MEDIA_FILES_C2PA_LIBRARY_H

#include "runmodel.h"

typedef struct rml_c2pa_stream rml_c2pa_stream; // of the library, as the next two
typedef struct rml_c2pa_builder rml_c2pa_builder;
typedef struct rml_c2pa_key rml_c2pa_key; // there a signer

// Texts, in PEM but for the first and the last.
typedef struct rml_c2pa_key_info {
    const char *algorithm; // "es256"
    const char *certificates, *private_key;
    const char *time_server; // NULL: none is asked
} rml_c2pa_key_info;

// Pointers to functions of the library; callbacks give bytes, places, or -1.
typedef struct rml_c2pa_library {
    char *(*c2pa_error)(void); // the last one of this thread; to be freed
    void (*c2pa_string_free)(char *text);
    rml_c2pa_stream *(*c2pa_create_stream)(void *user,
                                           intptr_t (*read)(void *user, uint8_t *data, intptr_t n),
                                           intptr_t (*seek)(void *user, intptr_t by, int whence),
                                           intptr_t (*write)(void *user, const uint8_t *data,
                                                             intptr_t n),
                                           intptr_t (*flush)(void *user));
    void (*c2pa_release_stream)(rml_c2pa_stream *stream);
    rml_c2pa_key *(*c2pa_signer_from_info)(const rml_c2pa_key_info *info);
    void (*c2pa_signer_free)(rml_c2pa_key *key);
    rml_c2pa_builder *(*c2pa_builder_from_json)(const char *manifest);
    void (*c2pa_builder_free)(rml_c2pa_builder *builder);
    // Returns the bytes of the manifest, or less than 0, and the manifest to be freed.
    int64_t (*c2pa_builder_sign)(rml_c2pa_builder *builder, const char *format,
                                 rml_c2pa_stream *source, rml_c2pa_stream *result,
                                 rml_c2pa_key *key, const unsigned char **bytes);
    void (*c2pa_manifest_bytes_free)(const unsigned char *bytes);
} rml_c2pa_library;

// Loads it; it stays loaded, for a library of its kind does not survive being unloaded. `path`: the
// file, or NULL for the one that is installed. RML_ERR_UNSUPPORTED, in a sentence, where there is
// none, or one that lacks a function.
rml_status rml_c2pa_library_load(rml_c2pa_library *out, const char *path, rml_error *err);

#endif
