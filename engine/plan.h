// A plan: a graph made concrete for one set of input shapes, one CPU level and one thread count.
//
// Nodes whose shapes all follow from the inputs' are static steps: their values have places in one
// block, their algorithms are chosen and their weights packed. The others are dynamic: a shape that
// only a run tells, or graphs inside. A run infers them from what is there by then and takes their
// memory from the context's pool; a value of known shape has its place in the block all the same.
#ifndef RML_ENGINE_PLAN_H
#define RML_ENGINE_PLAN_H

#include "engine/context.h"
#include "engine/memory.h"

#define RML_NO_BUFFER SIZE_MAX

typedef struct rml_plan rml_plan;

// One live node. A static one is ready to run once rml_plan_point has set the pointers.
typedef struct rml_step {
    rml_node_id node;
    bool dynamic;
    bool checked; // its elements that inference refuses or not are constants, and were not refused
    const rml_algorithm *algorithm; // of a dynamic step: the last run's, or NULL
    rml_op_args args;               // in and out point into the plan's arena
    uint64_t macs;
    rml_plan *bodies[2];         // of the graphs inside, each a list as a session's
    struct rml_control *control; // see engine/control.h
} rml_step;

// Where a value's elements lie.
typedef struct rml_place {
    rml_value_id
        root; // the value whose memory holds it: itself, or a concatenation it is a part of
    int64_t root_offset;  // elements from the root's start
    bool joined;          // parts of it are pixels with gaps: its pitch may not change
    bool rigid;           // what lies in it has no pixels: it cannot become pixels with gaps
    bool streamed;        // copied to or from what is bound, band by band
    bool dynamic;         // only a run tells its shape: the view is the last run's
    rml_tensor view;      // data is set by rml_plan_point
    size_t buffer;        // of a root
    const void *constant; // of a constant, and of what was computed while planning
    void
        *bound; // the caller's memory instead of the block's, for inputs and outputs of known shape
    void *memory; // of the pool, while a dynamic value holds something
} rml_place;

// A pointer that follows what an input or output is bound to.
typedef struct rml_follower {
    void **raw;
    int64_t offset; // bytes
} rml_follower;

typedef struct rml_bands rml_bands; // see engine/bands.h

// Rows or columns of an image.
typedef struct rml_range {
    int64_t low, high;
} rml_range;

enum { RML_ROWS, RML_COLUMNS, RML_AXES };

// A part of an image: a range along each axis.
typedef struct rml_region {
    rml_range axis[RML_AXES];
} rml_region;

struct rml_plan {
    rml_plan *older; // list of plans of one graph, latest use first
    const rml_graph *graph;
    rml_arena arena;
    rml_fact *facts;   // of every value
    rml_place *places; // of every value
    size_t *last;      // node that reads it last, of every value; the number of nodes for outputs,
                       // SIZE_MAX where nobody does
    rml_step *steps;
    size_t step_count;
    rml_buffer *buffers; // one a root, then one a step that has scratch, then those of bands
    size_t buffer_count;
    size_t *scratch; // buffer of each step, or RML_NO_BUFFER
    size_t bytes;    // of the block
    size_t packed_bytes;
    uint64_t macs;    // of static steps
    rml_bands *bands; // NULL: the steps run one after the other, on whole values
    int64_t band_rows;
    rml_region *crop; // of each value, what a run computes of it (see engine/crop.h); or NULL
    bool cropped;     // the run at hand goes by it
    rml_binding *const *bound; // as the context has it, of plans that are not nested
    rml_pool *pool;
    bool grows;                     // there are dynamic steps
    bool nested;                    // inputs and outputs are always bound and have no buffers
    rml_fact *in_facts, *out_facts; // of the step at hand
    rml_follower *followers;        // nested: of each input, then of each output
    size_t *first_follower;         // of each of them, and the end
    char *block;                    // that the pointers point into
    rml_node_time *times;           // of its nodes, or NULL
};

// ---- pointers -----------------------------------------------------------------------------------

// Sets every pointer from the start of the block and the bound memory.
void rml_plan_point(rml_plan *plan, char *block);

// Ports count the inputs first, then the outputs. Nested plans have their followers found once;
// then a port is made to lie at `memory`. An input whose shape is not planned takes the whole view;
// an output of that kind is never bound.
rml_value_id rml_port_value(const rml_graph *graph, size_t port);
rml_status rml_plan_find_followers(rml_plan *plan, rml_error *err);
void rml_plan_bind(rml_plan *plan, size_t port, void *memory);
void rml_plan_bind_view(rml_plan *plan, size_t input, const rml_tensor *view);

// ---- where values lie (places.c) ----------------------------------------------------------------

// Sets last, places and views. `apart`: every value has a place of its own.
void rml_places_choose(rml_plan *plan, bool apart);
rml_status rml_places_buffers(rml_plan *plan, bool no_reuse, rml_error *err);

// ---- running (executor.c) ----------------------------------------------------------------------

// The plan's pointers are set. Dynamic outputs lie in their places until the pool is reset, as does
// what a run that failed had taken.
rml_status rml_plan_run(rml_plan *plan, rml_context *context, rml_error *err);

// What a run's watch counts: steps, and the bands of sweeps.
size_t rml_plan_parts(const rml_plan *plan, const rml_kit *kit);

// ---- outputs of dynamic steps (values.c) --------------------------------------------------------

// Makes room for a value: where it is planned, otherwise from the pool. Sets its view.
rml_status rml_value_take(rml_plan *plan, rml_value_id id, rml_dtype dtype, const rml_shape *shape,
                          rml_context *context, rml_error *err);

// Gives back what a dynamic value has of the pool.
void rml_value_give(rml_plan *plan, rml_value_id id, rml_context *context);

// Makes the elements of a plain view the value's. `memory`, of the pool, holds them and goes over
// to the value; NULL: they are copied.
rml_status rml_value_set(rml_plan *plan, rml_value_id id, const rml_tensor *view, void *memory,
                         rml_context *context, rml_error *err);

#endif
