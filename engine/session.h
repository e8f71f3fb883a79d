// A session inside the engine: what its files share.
#ifndef RML_ENGINE_SESSION_H
#define RML_ENGINE_SESSION_H

#include "engine/planner.h"

struct rml_session {
    rml_context context;
    atomic_bool cancelled; // by any thread
    rml_session_settings settings;
    rml_kernels kernels;
    rml_fact *inputs;    // types and shapes, as set
    rml_binding **bound; // of each input, then of each output; NULL: the session's memory
    bool pointed;        // the plan has the pointers; they tell what follows
    size_t unfit;        // the first port that what is bound to it does not fit, or SIZE_MAX
    size_t copied;       // ports that every run copies
    rml_plan *plans;     // plans->..., the first is current once `ready`
    bool ready;
    size_t wanted;      // bytes of the last plan that did not keep the limit
    size_t crop_output; // of which only this region is wanted; all where it is empty
    rml_region crop;
    bool ran; // the outputs whose shape only a run tells are there
    char *block;
    size_t block_bytes;
    bool block_owned;
    char *states; // memory of the graph's states, each twice: a run reads one and writes the other
    size_t state_bytes;
};

const rml_graph *rml_session_graph(const rml_session *session);

// Into how many bands the plan cuts an image, 1 where it is whole.
size_t rml_session_bands(const rml_session *session);

// From the next run on, only a region of output `output` (its rows and columns are 2 and 3 of
// N,C,H,W) is wanted, with the bits of a whole run, and all of other outputs; what else the output
// holds, is not said. NULL or empty: all of it, as at first. Whether that takes less time depends
// on the graph; results do not. With a memory limit that makes bands, an observer, or shapes that
// only a run tells all is computed.
void rml_session_crop(rml_session *session, size_t output, const rml_region *region);

// Bytes of the plan that last failed to keep the memory limit.
size_t rml_session_wanted_bytes(const rml_session *session);

// Whether the block that plans point into is there: one that is shared moves when it grows.
bool rml_session_has_block(const rml_session *session);

// Sets the pointers of the current plan, unless it has them.
void rml_session_point(rml_session *session);

// Once the pointers are set: why what is bound does not fit.
rml_status rml_session_check_unfit(const rml_session *session, rml_error *err);

// Binds any port; inputs are counted first, then the outputs.
rml_status rml_session_bind_port(rml_session *session, size_t port, const rml_tensor_view *view,
                                 rml_error *err);

// ---- states (states.c) --------------------------------------------------------------------------

rml_status rml_session_make_states(rml_session *session, rml_error *err);
// After a run: what it wrote is what the next one reads.
void rml_session_swap_states(rml_session *session);

// Copies between views that the plan cannot use and the session's memory,
// before and after a run. Fails where an output turned out larger than what is bound to it.
void rml_session_load_inputs(const rml_session *session);
rml_status rml_session_store_outputs(const rml_session *session, rml_error *err);

// ---- the memory of sessions that take turns (shared_block.c) ------------------------------------

struct rml_shared_block {
    const rml_allocator *allocator;
    char *data; // NULL: nothing has been planned yet
    size_t bytes;
};

// Makes the block at least so large. Then data moves and holds nothing; otherwise it stays, as it
// does on failure.
rml_status rml_shared_block_reserve(rml_shared_block *block, size_t bytes, rml_error *err);

#endif
