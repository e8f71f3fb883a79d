// Rewrites: what the library has in one operator, in others that more kinds of files have. Each is
// exact, but for rounding. They know no target: a rewrite applies where the target lacks the node,
// and what it is made of is rewritten again where it must be.
#ifndef RML_WRITERS_REWRITE_H
#define RML_WRITERS_REWRITE_H

#include "writers/writing.h"

// A rewrite: makes the node's outputs to out[out_count] and returns true, or returns false without
// having made anything where it does not apply. `node` is as a target sees it. The node that
// computes an output has the name of the node, others have names of parts.
typedef bool rml_rewrite_fn(rml_lowering *l, const rml_node *node, rml_value_id *out);

rml_rewrite_fn rml_rewrite_fused; // any with `act`
rml_rewrite_fn rml_rewrite_glu;
rml_rewrite_fn rml_rewrite_unary;
rml_rewrite_fn rml_rewrite_binary;
rml_rewrite_fn rml_rewrite_matmul;
rml_rewrite_fn rml_rewrite_attention;
rml_rewrite_fn rml_rewrite_group_norm;
rml_rewrite_fn rml_rewrite_layer_norm; // and channel_norm
rml_rewrite_fn rml_rewrite_l2norm;
rml_rewrite_fn rml_rewrite_wave_norm;
rml_rewrite_fn rml_rewrite_wave_conv;
rml_rewrite_fn rml_rewrite_softmax;
rml_rewrite_fn rml_rewrite_space_to_depth;
rml_rewrite_fn rml_rewrite_depth_to_space;
rml_rewrite_fn rml_rewrite_pixels_to_rows;
rml_rewrite_fn rml_rewrite_rows_to_pixels;
rml_rewrite_fn rml_rewrite_resize;
rml_rewrite_fn rml_rewrite_directions;
rml_rewrite_fn rml_rewrite_gru;
rml_rewrite_fn rml_rewrite_rnn;
rml_rewrite_fn rml_rewrite_affine_grid;
rml_rewrite_fn rml_rewrite_scan;
rml_rewrite_fn rml_rewrite_loop;
rml_rewrite_fn rml_rewrite_stacks;
rml_rewrite_fn rml_rewrite_einsum;
rml_rewrite_fn rml_rewrite_signals;
rml_rewrite_fn rml_rewrite_quantize; // both ways
rml_rewrite_fn rml_rewrite_integer;  // products of codes
rml_rewrite_fn rml_rewrite_dynamic_quantize;
rml_rewrite_fn rml_rewrite_requantize;

// Notes a node that a rewrite knows and the target cannot hold; it is made all the same, so that
// the rest is looked at.
void rml_lower_refuse(rml_lowering *l, const rml_node *node, const char *why);

// Which narrow integers nothing computes with, so that they may be floats: codes that are moved,
// made numbers again, taken and given. Those that a graph `inside` a node takes and gives stay what
// they are. To codes[value_count].
void rml_find_codes(const rml_graph *graph, bool inside, bool *codes);

// Whether a condition can end a loop: the one given at first, or that of a turn.
bool rml_loop_asks(const rml_graph *graph, const rml_node *node);

// Another input of the graph of a loop, in front of what it captures.
rml_value_id rml_loop_add_input(rml_graph *body, const char *name, rml_dtype dtype,
                                const rml_shape *shape, size_t place);

// What a loop lacks that has states alone and comes to an end; NULL: nothing.
const char *rml_loop_lacks(const rml_graph *graph, const rml_node *node);

// ---- what they make nodes with ------------------------------------------------------------------

// "<name>_<part>" in the graph's arena.
const char *rml_part_name(rml_lowering *l, const rml_node *node, const char *part);

rml_value_id rml_lower_unary(rml_lowering *l, rml_unary kind, rml_value_id x, const char *name);
rml_value_id rml_lower_binary(rml_lowering *l, rml_binary kind, rml_value_id a, rml_value_id b,
                              const char *name);
// A constant () of the type of `like`.
rml_value_id rml_lower_number(rml_lowering *l, rml_value_id like, double number, const char *name);
// A constant (n) of i64; the numbers are copied.
rml_value_id rml_lower_ints(rml_lowering *l, const int64_t *values, size_t count, const char *name);
// `a` by a number.
rml_value_id rml_lower_by_number(rml_lowering *l, rml_binary kind, rml_value_id a, double number,
                                 const char *name);
// To the sizes of `shape`: 0 as in x at this place, one -1.
rml_value_id rml_lower_reshape(rml_lowering *l, rml_value_id x, const rml_shape *shape,
                               const char *name);
// To the shape that `like` has when it runs; `name` also names what is made on the way.
rml_value_id rml_lower_reshape_like(rml_lowering *l, rml_value_id x, rml_value_id like,
                                    const char *name);
rml_value_id rml_lower_transpose(rml_lowering *l, rml_value_id x, const int *order, int rank,
                                 const char *name);
// Over `count` axes, which stay with size 1.
rml_value_id rml_lower_reduce(rml_lowering *l, rml_reduce_kind kind, rml_value_id x,
                              const int *axes, int count, const char *name);
rml_value_id rml_lower_slice(rml_lowering *l, rml_value_id x, int axis, int64_t start, int64_t stop,
                             const char *name);
// The sizes of x from dimension `start` to `stop`, i64.
rml_value_id rml_lower_sizes(rml_lowering *l, rml_value_id x, int start, int stop,
                             const char *name);
// Numbers by channel (C) as (C,1,..), to go with values [N,C,..] of `rank` dimensions.
rml_value_id rml_lower_by_channel(rml_lowering *l, rml_value_id x, int rank, const char *name);

// The shape of a value of the lowered graph.
rml_shape rml_lowered_shape(const rml_lowering *l, rml_value_id id);

// What another form of a value is called: a weight is called as it was, others `name`.
const char *rml_lowered_name(const rml_lowering *l, rml_value_id id, const char *name);

#endif
