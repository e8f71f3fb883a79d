// Which files a denoising job reads and writes.
#ifndef RML_PIPELINES_DENOISE_DENOISE_LIST_H
#define RML_PIPELINES_DENOISE_DENOISE_LIST_H

#include "pipelines/denoise/denoise_files.h"

// A zeroed list is empty and valid.
typedef struct rml_denoise_list {
    rml_denoise_file *files;
    size_t count, capacity;
    size_t there_already;    // results of a folder that were left out
    struct rml_arena *arena; // owns the paths
} rml_denoise_list;

// An image to `out` (NULL: its name with "_denoised.png" for the ending), or all images below a
// folder to the folder `out` (NULL: its name with "_denoised"). Names below a folder are kept; what
// cannot be written in its own format gets ".png" behind its name; what is there already is left
// out unless `overwrite`. `reference` (may be NULL) is an image, or a folder with the same names.
rml_status rml_denoise_list_make(rml_denoise_list *list, const char *in, const char *out,
                                 const char *reference, bool overwrite,
                                 const rml_allocator *allocator, rml_error *err);
void rml_denoise_list_release(rml_denoise_list *list);

#endif
