// What the caller hears of a run, and how it stops one.
#ifndef RML_ENGINE_WATCH_H
#define RML_ENGINE_WATCH_H

#include "graph/graph.h"

#include <stdatomic.h>

typedef struct rml_watch {
    const atomic_bool *cancelled; // of the session
    rml_progress_fn progress;     // may be NULL
    void *user;
    size_t done, total; // parts of the run: steps, or bands of a sweep
    int depth;          // of the graph inside nodes that runs now, whose steps are not counted
} rml_watch;

// Before a step or band: whether the run may go on.
static inline rml_status rml_watch_go_on(const rml_watch *watch, rml_error *err)
{
    if (!atomic_load_explicit(watch->cancelled, memory_order_relaxed))
        return RML_OK;
    return rml_fail(err, RML_ERR_CANCELLED, "the run was cancelled after %zu of %zu parts",
                    watch->done, watch->total);
}

static inline void rml_watch_done(rml_watch *watch)
{
    if (watch->depth)
        return;
    watch->done++;
    if (watch->progress)
        watch->progress(watch->user, watch->done, watch->total);
}

// ---- observers ---------------------------------------------------------------------------------

typedef struct rml_observer {
    rml_observe_fn fn; // NULL: nobody listens
    void *user;
} rml_observer;

// `out` views the node's outputs.
rml_status rml_observe(const rml_observer *observer, const rml_graph *graph, const rml_node *node,
                       const rml_tensor *out, const rml_allocator *allocator, rml_error *err);

#endif
