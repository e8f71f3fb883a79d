// Classifies picture files in batches; decoding and scaling go on beside the network.
#ifndef RML_PIPELINES_CLASSIFY_CLASSIFY_FILES_H
#define RML_PIPELINES_CLASSIFY_CLASSIFY_FILES_H

#include "media/image/picture.h"
#include "pipelines/classify/classify.h"
#include "pipelines/classify/labels.h"

// A zeroed list is empty and valid.
typedef struct rml_picture_list {
    const char **paths;
    size_t count, capacity;
    struct rml_arena *arena; // owns the texts
} rml_picture_list;

// Adds a file, whatever its name, or all images below a folder, in the order of their names. A
// folder without any is RML_ERR_ARG, and the list stays as it was. `tell` gets what of a folder is
// left out, as rml_folder_rules says.
rml_status rml_picture_list_add(rml_picture_list *list, const char *path,
                                void (*tell)(void *user, const rml_error *why, bool failed),
                                void *user, const rml_allocator *allocator, rml_error *err);
void rml_picture_list_release(rml_picture_list *list);

typedef struct rml_classify_result {
    const char *path;
    rml_status status;
    rml_error error;
    int width, height;             // of the picture, upright
    char remark[RML_REMARK_BYTES]; // on the file, or ""
    const rml_top_class *top;
    int top_count;
} rml_classify_result;

typedef struct rml_classify_job {
    const char *const *paths;
    size_t count;
    rml_classifier *classifier;
    rml_view view; // of the classifier's side
    int batch;     // most pictures in one run of the network; no influence on the result
    int top;       // classes wanted of each, at least 1
    // Called for each file in their order, also those that failed, from the caller's thread.
    void (*done)(void *user, const rml_classify_result *result);
    void *user;
    const rml_allocator *allocator;
} rml_classify_job;

#define RML_CLASSIFY_MAX_BATCH 256

// A file that cannot be read does not stop the others; a network that fails does.
rml_status rml_classify_files(const rml_classify_job *job, rml_error *err);

#endif
