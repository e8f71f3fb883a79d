// A network written to a file, read again from there, and shown to compute the same. Nothing lies
// under the file's name, nor over what lay there, unless that went well.
#ifndef RML_PIPELINES_CONVERT_CONVERT_H
#define RML_PIPELINES_CONVERT_CONVERT_H

#include "pipelines/compare/layers.h"

// An input's numbers, as the file takes them (pixels are 0 to 255).
typedef struct rml_check_input {
    const char *name; // of the network
    const char *path; // of a .npy file; NULL: floats are made up, from `low` to below `high`
    float low, high;
} rml_check_input;

typedef struct rml_conversion {
    const char *path;      // of the file to be
    rml_model *as_written; // the network, made to be written
    rml_model *source;     // and made to be run, with keep_types
    const char *network;   // built-in one that .safetensors are read as again; NULL: the numbers
                           // themselves are compared
    const char *weights;   // file or folder that it comes from
    const char *config;    // its settings; NULL: the config.json with the weights, if there is one
    const char *from;      // what messages call the source: "lstm.pth"
    const rml_write_settings *write;
    const rml_session_settings *session; // of both runs
    const rml_check_input *inputs;       // others are made up from 0 to 1
    size_t input_count;
    rml_log_fn log; // hears what who uses the file should know; may be NULL
    void *log_user;
} rml_conversion;

typedef struct rml_conversion_result {
    uint64_t bytes;      // of the file or folder, and of a file with weights beside it
    double error, bound; // the largest difference, as a part of the largest value; most allowed
    char output[256];    // where it is: an output, or of weights alone a tensor
    int64_t version;     // of the format: specification of Core ML, opset of ONNX; 0: neither
    size_t tensors;      // of a file of weights
} rml_conversion_result;

// RML_ERR_FORMAT where the file computes something else than its source.
rml_status rml_convert(const rml_conversion *conversion, rml_conversion_result *out,
                       rml_error *err);

// ---- its parts ----------------------------------------------------------------------------------

// Whether the name `path` ends in `ending`, which has its dot.
bool rml_ends_in(const char *path, const char *ending);

// Runs source and `again`, the model that was read from the file, on the same inputs, and fails
// where an output differs by more than out->bound; then the message names the first layer that
// does. Fills out->error and out->output.
// `inputs` are those of rml_check_inputs_make.
rml_status rml_prove_run(const rml_conversion *conversion, const rml_layers *inputs,
                         rml_model *again, rml_conversion_result *out, rml_error *err);

// The same of a file of weights alone, number by number.
rml_status rml_prove_weights(const rml_conversion *conversion, const rml_weights *again,
                             rml_conversion_result *out, rml_error *err);

// What is wanted of the port `name` of the network; NULL: nothing.
const rml_write_port *rml_conversion_port(const rml_conversion *conversion, const char *name);

// What the network calls the sizes of an input, those of one name being one size; NULL: nothing.
const char *const *rml_size_names(const rml_model *model, const char *input);

// Numbers for every input of the source, as the file takes them; made-up ones are the same every
// time. `inputs` has room for all of them, and is released by its owner.
rml_status rml_check_inputs_make(const rml_conversion *conversion, rml_layers *inputs,
                                 rml_error *err);

// Other numbers for those of `inputs` that were made up: of both signs where the range is that of
// no network, and dark pixels, of which few networks are too sure. Empty where none was.
rml_status rml_check_inputs_other(const rml_conversion *conversion, const rml_layers *inputs,
                                  rml_layers *others, rml_error *err);

// A folder for files to be, beside the place they are for.
typedef struct rml_staging {
    const rml_allocator *allocator;
    char *target; // where the file is to lie: the path, or where a link there leads
    char *folder;
    char *file; // in it, with the last part of the path as its name
} rml_staging;

// RML_ERR_IO where `path` cannot be written: it is a folder, and no package, or no file at all.
rml_status rml_staging_open(rml_staging *staging, const char *path, const rml_allocator *allocator,
                            rml_error *err);
// Moves all that lies in the folder to the target's, replacing what has its name.
rml_status rml_staging_place(rml_staging *staging, rml_error *err);
uint64_t rml_staging_bytes(const rml_staging *staging);
// Removes the folder with what it holds.
void rml_staging_close(rml_staging *staging);

#endif
