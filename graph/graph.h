// The one graph: values, nodes, ids. Built-in networks and imported files make the same builder
// calls.
//
// A graph lives in an arena; names and attributes are copied into it. Builder calls infer the shape
// at once and keep the first error, so that model code reads straight through and checks once at
// the end:
//
//   x = rml_graph_conv(g, x, w, b, &(rml_conv_attr){...}, "conv1_1");
//   ...
//   RML_TRY(rml_graph_finish(g, err));
//
// After an error every builder call returns RML_NO_VALUE and does nothing.
#ifndef RML_GRAPH_GRAPH_H
#define RML_GRAPH_GRAPH_H

#include "ops/conv/window.h"
#include "ops/op.h"
#include "tensor/arena.h"
#include "tensor/names.h"

typedef uint32_t rml_value_id;
typedef uint32_t rml_node_id;
#define RML_NO_VALUE UINT32_MAX // also: an absent optional input
#define RML_NO_NODE UINT32_MAX

#define RML_MAX_NODES ((size_t)1 << 20)
#define RML_KNOWN_ELEMENTS 4096 // of a value that is computed while planning

typedef enum rml_value_kind {
    RML_VALUE_INPUT,
    RML_VALUE_CONSTANT,
    RML_VALUE_ACTIVATION
} rml_value_kind;

// What passes/round_f16.c makes of a value.
typedef enum rml_rounding {
    RML_ROUNDING_ALL,     // f32 is rounded
    RML_ROUNDING_NONE,    // it stays as it is
    RML_ROUNDING_TRAINED, // rounded, also where what an operator is made of is not
} rml_rounding;

typedef struct rml_value {
    rml_value_kind kind;
    const char *name;  // of the input, the weight or the producing node (a later output: "node:2")
    rml_dtype dtype;   // of the elements in memory
    rml_shape shape;   // -1: not known before the inputs' sizes are; or RML_RANK_UNKNOWN
    rml_layout layout; // set by the layout pass; PLAIN before
    rml_node_id producer; // RML_NO_NODE for inputs and constants
    bool output;          // of the graph
    rml_rounding rounding;
    uint32_t uses; // see rml_graph_count_uses
    const rml_constant *constant;
    const char *const *dim_names; // of an input's dimensions, or NULL; see rml_graph_name_dims
    const rml_limits *limits;     // of an input, or NULL; see rml_graph_limit
} rml_value;

typedef struct rml_node {
    rml_op_id op; // that of `def`
    const rml_op *def;
    rml_op_attr attr;
    const char *name; // state-dict prefix, ONNX node, MIL op
    const rml_value_id *in;
    int in_count;
    rml_value_id out; // the first of out_count values with ids in a row
    int out_count;
    bool generic; // no operator of images for this one, see rml_op.takes_images
    bool dead;    // left out by a pass; skipped everywhere
} rml_node;

typedef struct rml_graph {
    rml_arena arena;
    rml_value *values;
    size_t value_count, value_capacity;
    rml_node *nodes; // in an order in which they can run
    size_t node_count, node_capacity;
    rml_value_id *inputs, *outputs;
    const char **output_names;
    size_t input_count, input_capacity, output_count, output_capacity, output_name_capacity;
    // The last so many inputs and outputs are states, one for one: what a run leaves in the output
    // the next run of the session has in the input. They are no ports.
    size_t state_count;
    rml_names input_index, output_index; // from their names; an input and an output may share one
    struct rml_port_meanings {           // of the first `count` ports; NULL: none is told
        const rml_meaning **at;
        size_t count, capacity;
    } meanings[2];            // of inputs and of outputs
    struct rml_graph *inside; // graphs that nodes run, a list along `next`; owned
    struct rml_graph *next;
    rml_error error; // the first one
} rml_graph;

void rml_graph_init(rml_graph *graph, const rml_allocator *allocator);
void rml_graph_release(rml_graph *graph);

// An empty graph for a node of `graph` to run, released with it. NULL when memory is out.
rml_graph *rml_graph_inside(rml_graph *graph);

// Keeps the first error; later ones are dropped. Returns RML_NO_VALUE.
rml_value_id rml_graph_fail(rml_graph *graph, rml_status status, const char *format, ...)
    RML_PRINTF(3, 4);

rml_value_id rml_graph_input(rml_graph *graph, const char *name, const rml_shape *shape);
rml_value_id rml_graph_typed_input(rml_graph *graph, const char *name, rml_dtype dtype,
                                   const rml_shape *shape);

// Sizes of an input that are not known may have names (NULL: none): those of one name are one size
// in every run. `names` has RML_MAX_RANK entries and is copied.
void rml_graph_name_dims(rml_graph *graph, rml_value_id input, const char *const *names);

// Which shapes an input may have; `limits` is copied, but for its text, which is made.
void rml_graph_limit(rml_graph *graph, rml_value_id input, const rml_limits *limits);

// Whether the input may have this shape, of known sizes.
rml_status rml_value_check_limits(const rml_value *input, const rml_shape *shape, rml_error *err);

// Trained numbers: f32 to operators, whatever type they are stored in. `constant` is copied; what
// it points to must outlive the graph.
rml_value_id rml_graph_constant(rml_graph *graph, const char *name, const rml_constant *constant);

// A constant that operators see in the type it is stored in.
rml_value_id rml_graph_typed_constant(rml_graph *graph, const char *name, const rml_stored *stored);

// A constant of another graph, as operators see it there, whatever it is stored as.
rml_value_id rml_graph_copy_constant(rml_graph *graph, const rml_value *value);

void rml_graph_output(rml_graph *graph, const char *name, rml_value_id value);

// Says what the numbers of an input (output) stand for. `meaning` is copied, its labels are not and
// must outlive the graph.
void rml_graph_mean(rml_graph *graph, bool output, size_t port, const rml_meaning *meaning);
// NULL: not told.
const rml_meaning *rml_graph_meaning(const rml_graph *graph, bool output, size_t port);

// That the first input (output) is an image of `channels` planes, gray if it is 1, as rml_meaning
// has them; of another number of planes it is none.
void rml_graph_mean_image(rml_graph *graph, bool output, int64_t channels, rml_colours colours,
                          const float mean[3], const float deviation[3]);

// Appends any node and returns its first output; the others have the ids behind it. Absent optional
// inputs are RML_NO_VALUE.
rml_value_id rml_graph_add(rml_graph *graph, const rml_op *op, const rml_op_attr *attr,
                           const rml_value_id *in, int in_count, const char *name);

// The same by number, for importers: links all operators.
rml_value_id rml_graph_node(rml_graph *graph, rml_op_id op, const rml_op_attr *attr,
                            const rml_value_id *in, int in_count, const char *name);

// OK, or the first error of the builder calls.
rml_status rml_graph_finish(const rml_graph *graph, rml_error *err);

// ---- builder calls ------------------------------------------------------------------------------

// A bias of RML_NO_VALUE is left out.
rml_value_id rml_graph_conv(rml_graph *graph, rml_value_id x, rml_value_id weight,
                            rml_value_id bias, const rml_conv_attr *attr, const char *name);
rml_value_id rml_graph_conv_transpose(rml_graph *graph, rml_value_id x, rml_value_id weight,
                                      rml_value_id bias, const rml_conv_attr *attr,
                                      const char *name);
rml_value_id rml_graph_batch_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                  rml_value_id beta, rml_value_id mean, rml_value_id variance,
                                  float eps, const char *name);
// `gamma` and `beta` have one number a channel, and so has `offset` (N or 1,C), which is added to x
// before; each may be RML_NO_VALUE.
rml_value_id rml_graph_group_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                  rml_value_id beta, int64_t groups, float eps, const char *name);
rml_value_id rml_graph_group_norm_offset(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                         rml_value_id beta, rml_value_id offset, int64_t groups,
                                         float eps, const char *name);
rml_value_id rml_graph_linear(rml_graph *graph, rml_value_id x, rml_value_id weight,
                              rml_value_id bias, const char *name);
// By `op`: rml_op_matmul, or rml_op_linear where the weight is trained.
rml_value_id rml_graph_linear_of(rml_graph *graph, const rml_op *op, rml_value_id x,
                                 rml_value_id weight, rml_value_id bias, const char *name);
rml_value_id rml_graph_matmul(rml_graph *graph, rml_value_id a, rml_value_id b, bool transpose_a,
                              bool transpose_b, const char *name);
rml_value_id rml_graph_unary(rml_graph *graph, rml_value_id x, rml_activation act,
                             const char *name);
rml_value_id rml_graph_binary(rml_graph *graph, rml_binary kind, rml_value_id a, rml_value_id b,
                              const char *name);
// The first half of the last dimension times `act` of the second half.
rml_value_id rml_graph_glu(rml_graph *graph, rml_value_id x, rml_activation act, const char *name);
rml_value_id rml_graph_pool(rml_graph *graph, rml_value_id x, const rml_pool_attr *attr,
                            const char *name);
rml_value_id rml_graph_l2norm(rml_graph *graph, rml_value_id x, rml_value_id scale, float eps,
                              const char *name);
// Over the dimensions from `axis` on (negative counts from the end), whose shape `gamma` and `beta`
// have; both may be RML_NO_VALUE.
rml_value_id rml_graph_layer_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                  rml_value_id beta, const rml_layer_norm_attr *attr,
                                  const char *name);
// The same over the channels of each pixel of an image (N,C,H,W); attr->axis is ignored.
rml_value_id rml_graph_channel_norm(rml_graph *graph, rml_value_id x, rml_value_id gamma,
                                    rml_value_id beta, const rml_layer_norm_attr *attr,
                                    const char *name);
// The first layer of a speech network, in two steps, see ops/conv/waveform_conv.c.
rml_value_id rml_graph_wave_norm(rml_graph *graph, rml_value_id x, rml_value_id weight,
                                 rml_value_id gamma, rml_value_id beta, int64_t stride, float eps,
                                 const char *name);
rml_value_id rml_graph_wave_conv(rml_graph *graph, rml_value_id x, rml_value_id weight,
                                 rml_value_id norm, int64_t stride, const char *name);
// Constants of a layer in one direction, as torch.nn.LSTM keeps them: [4*H,I], [4*H,H], both [4*H]
// or RML_NO_VALUE.
typedef struct rml_lstm_weights {
    rml_value_id input, state, bias[2];
} rml_lstm_weights;

// A layer of it by rml_op_rnn, or rml_op_lstm where weights are trained. x [N,T,I], states [N,1,H],
// RML_NO_VALUE for zeros. To out: all hidden states [N,T,H], the last one and last cells [N,1,H].
void rml_graph_lstm(rml_graph *graph, const rml_op *op, const rml_lstm_weights *weights,
                    rml_value_id x, rml_value_id h0, rml_value_id c0, bool reverse,
                    rml_value_id out[3], const char *name);
rml_value_id rml_graph_softmax(rml_graph *graph, rml_value_id x, int axis, const char *name);
// softmax(q k^T scale + mask) v for every head, see ops/attention/attention.c. `mask` may be
// RML_NO_VALUE.
rml_value_id rml_graph_attention(rml_graph *graph, rml_value_id q, rml_value_id k, rml_value_id v,
                                 rml_value_id mask, const rml_attention_attr *attr,
                                 const char *name);
rml_value_id rml_graph_reduce(rml_graph *graph, rml_value_id x, rml_reduce_kind kind, int axis,
                              bool keep, const char *name);
// By attr->scale or to attr->size; with `like` (or RML_NO_VALUE) to the height and width of that,
// whatever the scale would give.
rml_value_id rml_graph_resize(rml_graph *graph, rml_value_id x, rml_value_id like,
                              const rml_resize_attr *attr, const char *name);
rml_resize_attr rml_resize_twice(void); // every pixel becomes 2 x 2 of them
rml_value_id rml_graph_concat(rml_graph *graph, const rml_value_id *in, int in_count, int axis,
                              const char *name);
rml_value_id rml_graph_slice(rml_graph *graph, rml_value_id x, int axis, int64_t start,
                             int64_t stop, int64_t step, const char *name);
rml_value_id rml_graph_reshape(rml_graph *graph, rml_value_id x, const rml_shape *shape,
                               const char *name);
rml_value_id rml_graph_transpose(rml_graph *graph, rml_value_id x, const int *order, int rank,
                                 const char *name);

// A graph inside a node, and the values of the graph around that its last inputs are.
typedef struct rml_graph_body {
    rml_graph *graph;
    const rml_value_id *captures;
    size_t capture_count;
} rml_graph_body;

// A node that runs graphs. Its inputs are `in`, then what the bodies capture; `outputs` are the
// types and shapes of its attr->out_count outputs.
rml_value_id rml_graph_control(rml_graph *graph, rml_op_id op, const rml_control_attr *attr,
                               const rml_fact *outputs, const rml_value_id *in, size_t in_count,
                               const rml_graph_body *bodies, size_t body_count, const char *name);

// The dimensions that both tell alike; the others are not known.
rml_shape rml_graph_common_shape(const rml_shape *a, const rml_shape *b);

// Repeats `x` to `shape`; a 0 in it stands for the size of `like` (or RML_NO_VALUE) at this place.
rml_value_id rml_graph_expand(rml_graph *graph, rml_value_id x, const rml_shape *shape,
                              rml_value_id like, const char *name);
// Blocks of pixels to channels, as torch.pixel_unshuffle; where the size is no multiple of the
// block, the last row and column are repeated.
rml_value_id rml_graph_space_to_depth(rml_graph *graph, rml_value_id x, int64_t block,
                                      const char *name);
// And back, cut to the height and width of `like` (RML_NO_VALUE: whole blocks).
rml_value_id rml_graph_depth_to_space(rml_graph *graph, rml_value_id x, rml_value_id like,
                                      int64_t block, const char *name);

// [N,C,h,w] -> [N,h*w,C], a row a pixel; and back, to an image of the height and width of `like`.
rml_value_id rml_graph_pixels_to_rows(rml_graph *graph, rml_value_id x, const char *name);
rml_value_id rml_graph_rows_to_pixels(rml_graph *graph, rml_value_id rows, rml_value_id like,
                                      const char *name);

// Attributes of the common square convolution: one kernel size, stride and padding for both axes.
rml_conv_attr rml_conv_square(int64_t kernel, int64_t stride, int64_t pad);
rml_window_attr rml_window_square(int64_t kernel, int64_t stride, int64_t pad);

// ---- looking ------------------------------------------------------------------------------------

// Counts for every value how many live nodes read it, plus one if it is an output of the graph. A
// pass that goes by the counts begins with this, and keeps right what it changes.
void rml_graph_count_uses(rml_graph *graph);
bool rml_graph_is_output(const rml_graph *graph, rml_value_id value);

// The index of an input (an output) of this name; SIZE_MAX where there is none.
size_t rml_graph_find_input(const rml_graph *graph, const char *name);
size_t rml_graph_find_output(const rml_graph *graph, const char *name);

// After a change of the lists of inputs and outputs, or of their names.
rml_status rml_graph_ports_changed(rml_graph *graph, rml_error *err);

// How this node takes images.
rml_op_layout rml_node_layout(const rml_node *node);

// The window of a convolution as far as shapes tell it; false where its rank is not known.
bool rml_graph_window(const rml_graph *graph, const rml_node *node, rml_window *window);

// Finds out whether a node is generic from what is known of its inputs.
void rml_graph_classify(const rml_graph *graph, rml_node *node);

// See rml_op.plain_as_well and takes_planes.
bool rml_graph_plain_as_well(const rml_graph *graph, const rml_node *node);
bool rml_graph_takes_planes(const rml_graph *graph, const rml_node *node);

// Values from `first` on but `out` are what one operator of a file is made of, and not rounded.
void rml_graph_mark_inner(rml_graph *graph, size_t first, const rml_value_id *out, size_t count);

// Makes every reader (nodes and graph outputs) of value i < count read to[i] where that is one.
void rml_graph_replace(rml_graph *graph, const rml_value_id *to, size_t count);

// Replaces the node's inputs by a copy of `in`; false when memory is out.
bool rml_graph_set_inputs(rml_graph *graph, rml_node *node, const rml_value_id *in, int in_count);

// Computes nodes from number `first` on now, where their inputs are constant, or their shapes are
// all they ask for: their outputs become constants and they are dead. *count, which may be NULL,
// grows by how many these are.
rml_status rml_graph_fold_from(rml_graph *graph, size_t first, size_t *count, rml_error *err);

// Checks what every pass must leave true: ids in range, inputs computed before they are read,
// arity, shapes that inference agrees with, layouts that the operators take.
rml_status rml_graph_validate(const rml_graph *graph, rml_error *err);

// What the graph itself says of a value: constants of few elements have their data.
rml_fact rml_graph_fact(const rml_graph *graph, rml_value_id value);

// The constants among a node's inputs, to out[in_count]; NULL for all others.
void rml_graph_constants(const rml_graph *graph, const rml_node *node, const rml_constant **out);

// Types and shapes of a node's outputs by its operator's rules, from `in` of its inputs (rank -1:
// absent). Sets out[0 .. out_count), without data.
rml_status rml_graph_infer_node(const rml_graph *graph, const rml_node *node, const rml_fact *in,
                                rml_fact *out, rml_error *err);

// The same from what the graph itself says of the inputs.
rml_status rml_graph_infer_here(const rml_graph *graph, const rml_node *node, rml_fact *out,
                                rml_error *err);

// Finds out what is known of every value from the `facts` of the inputs; `facts` has value_count
// entries, of which those of the inputs are set. What is computed on the way lies in `arena`;
// shapes that depend on elements that only a run computes stay unknown.
rml_status rml_graph_infer(const rml_graph *graph, rml_fact *facts, rml_arena *arena,
                           rml_error *err);

// ---- computing while building and planning (evaluate.c) -----------------------------------------

// Runs the node on plain views with the portable kernels and one thread: for folding constants and
// for sizes, where speed is nothing and the same bits on every machine are much. Memory of `out`
// is the caller's. Constants that the operator packs are read from the graph.
rml_status rml_evaluate(const rml_graph *graph, const rml_node *node, const rml_tensor *in,
                        const rml_tensor *out, rml_error *err);

// Whether the node can be computed now: from the elements of all its inputs, or, where the operator
// asks for no more, from their shapes.
bool rml_node_computable(const rml_node *node, const rml_fact *in, const rml_fact *out);

// Computes it: out[].data, in `arena`.
rml_status rml_node_compute(const rml_graph *graph, const rml_node *node, const rml_fact *in,
                            rml_fact *out, rml_arena *arena, rml_error *err);

// Gives every dimension that is not known a number below -1, a symbol, in facts[value_count]: the
// inputs' by name, the others by the operators' own rules, which copy what they copy. Two
// dimensions with one symbol are equal in every run; two with different ones may be.
rml_status rml_graph_symbols(const rml_graph *graph, rml_fact *facts, rml_arena *arena,
                             rml_error *err);

#endif
