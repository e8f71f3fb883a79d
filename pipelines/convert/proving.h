// Parts of the proof: the runs of a source and of the file that was made of it.
#ifndef RML_PIPELINES_CONVERT_PROVING_H
#define RML_PIPELINES_CONVERT_PROVING_H

#include "pipelines/convert/convert.h"

typedef struct rml_proving {
    const rml_conversion *conversion;
    rml_model *again;
    const rml_layers *inputs; // as the file takes them, in the order of the source
    bool other;               // they are those of rml_check_inputs_other
    rml_layers outputs;       // of the source, as the file gives them
    struct {
        bool *is;
        size_t count;
    } mute; // outputs that told little so far
    rml_conversion_result *result;
} rml_proving;

// A session of one of the two models, whose layers `observe` hears unless it is NULL.
rml_status rml_proving_begin(const rml_proving *p, rml_session **session, rml_model *model,
                             rml_observe_fn observe, void *user, rml_error *err);
// Runs the source, and keeps its outputs as the file is to give them.
rml_status rml_proving_run_source(rml_proving *p, rml_session *session, rml_error *err);
rml_status rml_proving_run_again(rml_proving *p, rml_session *session, rml_error *err);

// RML_ERR_FORMAT where a node of the file has other weights than that of its name in the source:
// what stands behind an input that is 0 gives the same whatever it is.
rml_status rml_prove_same_weights(const rml_proving *p, rml_error *err);

// RML_ERR_FORMAT: the sentence for a file that computes something else, with the first layer that
// does.
rml_status rml_prove_fail(rml_proving *p, rml_error *err);

#endif
