// Running a graph node by node, for graphs whose shapes only a run tells (the number of elements
// that are not zero, the turns of a loop). Memory is allocated on the way; everything else, and
// every bit of the results, is as in a plan.
#ifndef RML_ENGINE_EAGER_H
#define RML_ENGINE_EAGER_H

#include "engine/model.h"
#include "engine/observe.h"

typedef struct rml_eager {
    rml_model *model;
    const rml_allocator *allocator;
    const rml_kernels *kernels;
    rml_pool *pool;
    int threads;
    rml_observer observer;
} rml_eager;

// `graph` is the model's or one inside it. `in` holds plain views, one a graph input; `out` gets
// one view a graph output, whose memory is the caller's to rml_free from `allocator`.
rml_status rml_eager_run(const rml_eager *eager, const rml_graph *graph, const rml_tensor *in,
                         rml_tensor *out, rml_error *err);

// Takes memory for a plain tensor; view->raw is the caller's.
rml_status rml_eager_take(const rml_eager *eager, rml_dtype dtype, const rml_shape *shape,
                          rml_tensor *view, rml_error *err);

// A node that runs graphs inside it (if, loop, scan): as an algorithm, but it may fail and it takes
// the memory of its outputs.
rml_status rml_eager_control(const rml_eager *eager, const rml_node *node, const rml_tensor *in,
                             rml_tensor *out, rml_error *err);

#endif
