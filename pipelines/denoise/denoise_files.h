// Denoises files one after the other; decoding and saving go on beside the computing.
#ifndef RML_PIPELINES_DENOISE_DENOISE_FILES_H
#define RML_PIPELINES_DENOISE_DENOISE_FILES_H

#include "pipelines/denoise/denoise.h"
#include "pipelines/denoise/quality.h"

typedef struct rml_denoise_file {
    const char *in, *out;
    const char *reference; // the clean picture to compare with, or NULL
    rml_image_kind kind;   // that `out` is written as
} rml_denoise_file;

typedef struct rml_denoise_result {
    const rml_denoise_file *file;
    rml_status status;
    rml_error error;
    int width, height;
    int channels, bits;            // that the result holds
    char remark[RML_REMARK_BYTES]; // on the source and on what the result lost, or ""
    double sigma;                  // that was used; of a map the root of the mean square
    double seconds;                // of the computing
    int bands;                     // that the picture was computed in
    bool compared;                 // with the reference
    rml_quality quality;
} rml_denoise_result;

typedef struct rml_denoise_job {
    const rml_denoise_file *files;
    size_t count;
    bool estimate; // each picture's own level; else `noise`
    rml_noise noise;
    // The network for a picture of 1 or 3 colours. Called from the caller's thread; NULL stops the
    // job with `err`.
    rml_denoiser *(*pick)(void *user, int colours, rml_error *err);
    // Called for each file in their order, also those that failed, by one thread at a time.
    void (*done)(void *user, const rml_denoise_result *result);
    void *user;
    const rml_allocator *allocator;
} rml_denoise_job;

// A file that cannot be read or written does not stop the others.
rml_status rml_denoise_files(const rml_denoise_job *job, rml_error *err);

#endif
