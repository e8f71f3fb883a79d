// A plan: a graph made concrete for one set of input shapes, one CPU level and one thread count.
#ifndef RML_ENGINE_PLAN_H
#define RML_ENGINE_PLAN_H

#include "engine/memory.h"
#include "engine/model.h"
#include "engine/node_time.h"

// One live node, ready to run once rml_plan_point has set the pointers.
typedef struct rml_step {
    rml_node_id node;
    const rml_algorithm *algorithm;
    rml_op_args args; // in and out point into the plan's arena
    uint64_t macs;
} rml_step;

// Where a value's elements lie.
typedef struct rml_place {
    rml_value_id
        root; // the value whose memory holds it: itself, or a concatenation it is a part of
    int64_t root_offset;  // elements from the root's start
    bool joined;          // parts of it are pixels with gaps: its pitch may not change
    bool rigid;           // what lies in it has no pixels: it cannot become pixels with gaps
    rml_tensor view;      // data is set by rml_plan_point
    size_t buffer;        // of a root
    const void *constant; // of a constant, and of what was computed while planning
    void *bound; // the caller's memory instead of the block's, for graph inputs and outputs
} rml_place;

typedef struct rml_bands rml_bands; // see engine/bands.h

typedef struct rml_plan {
    struct rml_plan *older; // list of a session's plans, latest use first
    rml_arena arena;
    rml_fact *facts;   // of every value
    rml_place *places; // of every value
    rml_step *steps;
    size_t step_count;
    rml_buffer *buffers; // one a root, then one a step that has scratch, then those of bands
    size_t buffer_count;
    size_t *scratch; // buffer of each step, or SIZE_MAX
    size_t bytes;    // of the block
    size_t packed_bytes;
    uint64_t macs;
    rml_bands *bands; // NULL: the steps run one after the other, on whole values
    int64_t band_rows;
    bool concrete; // false: shapes depend on what a run computes; only inputs have places
} rml_plan;

typedef struct rml_plan_settings {
    const rml_kernels *kernels;
    rml_pool *pool;
    rml_precision precision;
    int threads;
    bool no_reuse;
    size_t limit; // bytes of the block; 0: none
} rml_plan_settings;

// `input_shapes`: one a graph input, in its order. Packs weights that are not packed yet. Images
// are computed in bands where the plan would exceed the limit otherwise; RML_ERR_LIMIT when it does
// all the same.
rml_status rml_plan_create(rml_plan **out, rml_model *model, const rml_shape *input_shapes,
                           const rml_plan_settings *settings, const rml_allocator *allocator,
                           rml_error *err);
void rml_plan_destroy(rml_plan **plan);

// Sets every pointer from the start of the block and the bound memory.
void rml_plan_point(rml_plan *plan, const rml_graph *graph, char *block);

#endif
