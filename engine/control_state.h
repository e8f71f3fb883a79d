// A control step while it runs: what its files share.
#ifndef RML_ENGINE_CONTROL_STATE_H
#define RML_ENGINE_CONTROL_STATE_H

#include "engine/plan.h"

// A value and the pool's memory it lies in; memory NULL: somebody else's.
typedef struct rml_held {
    rml_tensor view;
    void *memory;
} rml_held;

// What each turn adds a slice to. Outer and inner: elements before and behind the axis.
typedef struct rml_stack {
    rml_shape part;
    rml_dtype dtype;
    int axis;
    size_t outer, inner_bytes;
    int64_t room; // slices that fit, 0 before the first
    char *data;
    void *part_memory; // for a slice that is not in one piece
} rml_stack;

// A scanned input.
typedef struct rml_scanned {
    const rml_tensor *from;
    rml_tensor part;
    size_t outer, inner_bytes;
    void *memory; // for a slice that is not in one piece
} rml_scanned;

// A control step while it runs.
typedef struct rml_control {
    const rml_graph *graph; // that runs
    rml_plan **plans;       // of it
    rml_plan *body;         // that ran last, or NULL
    void *block;            // of the body
    int first_in, states;   // inputs: states from here on, then slices, then what is read outside
    int first_out;
    int scanned_count, stack_count;
    int64_t turn, limit; // turns done, and at most
    uint8_t go, go_on;   // condition of a loop: as its input, and as the body tells
    rml_tensor scalar[2];
    rml_fact *facts, *wider; // of the body's inputs; and of those of a plan for any sizes
    const rml_tensor **in;   // views of the body's inputs
    rml_held *state, *next;
    rml_scanned *slice;
    rml_stack *stacks;
} rml_control;

// ---- control_slices.c ---------------------------------------------------------------------------

// What is scanned, `from` on: its length to at->limit, and room for slices.
rml_status rml_control_begin_slices(rml_control *at, const rml_node *node, const rml_tensor *from,
                                    rml_context *context, rml_error *err);

// Sets the slice of input k for the turn at hand.
void rml_control_take_slice(const rml_control *at, const rml_node *node, int k);

// Room for the turn at hand, whose slice must be as large as the former ones. A scan knows how many
// there are; a loop doubles the room where it is used up.
rml_status rml_control_make_room(rml_control *at, const rml_node *node, int k,
                                 const rml_shape *part, rml_dtype dtype, rml_context *context,
                                 rml_error *err);

// Where the turn at hand may write its slice.
void *rml_control_slot(const rml_control *at, const rml_node *node, int k);

// Puts a slice that was written elsewhere in its place.
void rml_control_put_slice(const rml_control *at, const rml_node *node, int k, const void *part);

// Says what slices would be like where there was no turn; sizes that nobody knows are 0.
rml_status rml_control_describe_unrun(rml_control *at, const rml_node *node, rml_context *context,
                                      rml_error *err);

// Makes the slices of all turns the output of the node.
rml_status rml_control_give_stack(rml_plan *plan, const rml_step *step, int k, rml_context *context,
                                  rml_error *err);

#endif
