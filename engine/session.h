// A session inside the engine: what its files share.
#ifndef RML_ENGINE_SESSION_H
#define RML_ENGINE_SESSION_H

#include "engine/observe.h"
#include "engine/plan.h"

// The caller's memory of an input or output.
typedef struct rml_binding {
    rml_tensor_view view;
    bool direct;     // the plan uses it as it is; otherwise it is copied by every run
    float factors[]; // the scale of each channel, then the bias of each
} rml_binding;

struct rml_session {
    const rml_allocator *allocator;
    rml_model *model;
    rml_session_settings settings;
    rml_kernels kernels;
    rml_pool *pool;
    rml_shape *shapes;    // of each input, as set
    rml_node_time *times; // of each node, when profiling
    rml_tensor *results;  // of a run without a plan: one an output, owned; rank -1 before
    rml_binding **bound;  // of each input, then of each output; NULL: the session's memory
    bool pointed;         // the plan has the pointers; they tell what follows
    size_t unfit;         // the first port that what is bound to it does not fit, or SIZE_MAX
    size_t copied;        // ports that every run copies
    rml_plan *plans;      // plans->..., the first is current once `ready`
    bool ready;
    char *block;
    size_t block_bytes;
    bool block_owned;
};

const rml_graph *rml_session_graph(const rml_session *session);

// Whether the block that plans point into is there: one that is shared moves when it grows.
bool rml_session_has_block(const rml_session *session);

// Whether the plan is for the shapes set.
bool rml_session_plan_fits(const rml_session *session, const rml_plan *plan);

// Sets the pointers of the current plan, unless it has them.
void rml_session_point(rml_session *session);

// Frees the outputs of the last run without a plan.
void rml_session_forget_results(rml_session *session);

// Once the pointers are set: why what is bound does not fit.
rml_status rml_session_check_unfit(const rml_session *session, rml_error *err);

// Copies between views that the plan cannot use and the block, before and after a run.
void rml_session_load_inputs(const rml_session *session);
void rml_session_store_outputs(const rml_session *session);

// The same of an output whose size the run told. Fails where what is bound to it does not fit.
rml_status rml_session_store_result(const rml_session *session, size_t output,
                                    const rml_tensor *result, rml_error *err);

#endif
