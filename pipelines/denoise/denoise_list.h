// Which files a denoising job reads and writes.
#ifndef RML_PIPELINES_DENOISE_DENOISE_LIST_H
#define RML_PIPELINES_DENOISE_DENOISE_LIST_H

#include "pipelines/denoise/denoise_files.h"

typedef struct rml_denoise_wish {
    const char *in;        // an image or a folder
    const char *out;       // NULL: `in` with "_denoised.png" for the ending, a folder "_denoised"
    const char *reference; // NULL, an image, or a folder with the same names
    bool overwrite;
    // Of a folder, told of what is left out as rml_folder_rules says.
    void (*tell)(void *user, const rml_error *why, bool failed);
    void *user;
} rml_denoise_wish;

// A zeroed list is empty and valid.
typedef struct rml_denoise_list {
    rml_denoise_file *files;
    size_t count, capacity;
    size_t there_already;       // results of a folder that were left out
    const char *folder, *below; // of the results and of the sources, NULL without
    struct rml_arena *arena;    // owns the paths
} rml_denoise_list;

// An image to another, or all images below a folder to a folder. Names below a folder are kept, and
// so is what kind of image their content is; what this build does not write gets ".png" behind its
// name. Of a folder, what is there already is left out unless `overwrite`, and so are folders of
// results of earlier runs. The texts of the wish must outlive the list.
rml_status rml_denoise_list_make(rml_denoise_list *list, const rml_denoise_wish *wish,
                                 const rml_allocator *allocator, rml_error *err);
void rml_denoise_list_release(rml_denoise_list *list);

// Once the folder of results is there: notes it for later runs when it lies among the sources.
void rml_denoise_list_note(const rml_denoise_list *list);

#endif
