// Signing a file with a C2PA manifest: who says how it was made, in a way that a change of the file
// breaks. Done by the C2PA C library, where it is installed.
#ifndef RML_MEDIA_FILES_C2PA_H
#define RML_MEDIA_FILES_C2PA_H

#include "runmodel.h"

// Names of files. The certificate comes first, those that vouch for it behind; the key is not
// encrypted.
typedef struct rml_c2pa_settings {
    const char *library;            // NULL: libc2pa_c.so, where the system finds it
    const char *certificates, *key; // PEM
} rml_c2pa_settings;

typedef struct rml_c2pa rml_c2pa;

// Loads the library, reads certificates and key, and signs a picture of one pixel for a trial, so
// that what does not fit shows before the work. RML_ERR_UNSUPPORTED without the library, and where
// the name `result` is of no format that is signed here; RML_ERR_FORMAT where the library refuses.
rml_status rml_c2pa_open(rml_c2pa **out, const rml_c2pa_settings *settings, const char *result,
                         const rml_allocator *allocator, rml_error *err);
void rml_c2pa_close(rml_c2pa **c2pa); // *c2pa may be NULL

// The file `source` once more as `result`, with `manifest`, JSON as the library defines it, signed.
// On failure there is no `result`.
rml_status rml_c2pa_sign(rml_c2pa *c2pa, const char *manifest, const char *source,
                         const char *result, rml_error *err);

#endif
