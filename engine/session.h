// A session inside the engine: what its files share.
#ifndef RML_ENGINE_SESSION_H
#define RML_ENGINE_SESSION_H

#include "engine/observe.h"
#include "engine/plan.h"

// The caller's memory of an input or output; data NULL: the session's own.
typedef struct rml_binding {
    void *data;
    size_t bytes;
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
    rml_binding *bound;   // of each input, then of each output
    size_t unfit;         // the first port whose memory is too small for the plan, or SIZE_MAX
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

// Sets the pointers of the current plan.
void rml_session_point(rml_session *session);

// Frees the outputs of the last run without a plan.
void rml_session_forget_results(rml_session *session);

// Index of an input or output; their number where there is none of this name.
size_t rml_session_find_input(const rml_session *session, const char *name);
size_t rml_session_find_output(const rml_session *session, const char *name);

// That the memory bound to a port is too small.
rml_status rml_session_fail_small(const rml_session *session, size_t port, size_t bytes,
                                  size_t needed, rml_error *err);

// Bytes that the plan gives a port; 0 where only a run tells. Ports count the inputs first, then
// the outputs.
size_t rml_session_port_bytes(const rml_session *session, size_t port);

#endif
