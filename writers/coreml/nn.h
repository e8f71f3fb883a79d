// Writing Core ML neural networks: each operator has a row, whose emitter writes layers. All blobs
// are floats there, whatever type a value has.
//
//   rml_net_layer(e, RML_NET_CLIP, in, 1, out, 1);   // name, inputs, outputs; then its parameters
//   rml_fields_float(&e->m, 1, alpha);
//   rml_net_end(e);
//
// Targets: iOS 13, whose blobs have the dimensions of the values (a value without any has one); and
// iOS 12, whose blobs are (Seq,B,C,H,W), see nn_old.c.
#ifndef RML_WRITERS_COREML_NN_H
#define RML_WRITERS_COREML_NN_H

#include "tensor/tensor.h"
#include "writers/coreml/description.h"
#include "writers/coreml/inputs.h"
#include "writers/coreml/nn_layers.h"
#include "writers/writing.h"

#include <math.h>

#define RML_NET_MAX_RANK 5

typedef struct rml_net_emitter {
    rml_writing *w;
    const rml_graph *graph;  // of the target's operators
    const rml_node *node;    // in hand
    const bool *wide;        // values that stay floats, see rml_find_wide; NULL: none
    rml_fields m;            // the model
    const char **blob;       // of each value; of a constant NULL until a layer loads it
    rml_names blobs, layers; // names that are taken
    bool old;                // target iOS 12
    int spec;                // the specification that the layers so far need
    rml_half_losses losses;
    rml_status status; // the first failure beside those of `m`
    rml_error *err;
} rml_net_emitter;

// A node as a target looks at it: with what is known of the inputs and of the first output.
typedef struct rml_net_node {
    const rml_graph *graph;
    const rml_node *node;
    const rml_op_attr *attr;
    rml_fact out;
    bool old; // target iOS 12
} rml_net_node;

typedef struct rml_net_rule {
    rml_op_id op; // RML_OP_COUNT ends a table
    // Why it has no layer, in a few words; NULL: it has one. May be NULL.
    const char *(*lacks)(const rml_net_node *n);
    void (*emit)(rml_net_emitter *e, const rml_node *node);
} rml_net_rule;

// Tables by family, nn_*.c.
extern const rml_net_rule rml_net_activation_rules[];
extern const rml_net_rule rml_net_control_rules[];
extern const rml_net_rule rml_net_elementwise_rules[];
extern const rml_net_rule rml_net_image_rules[];
extern const rml_net_rule rml_net_index_rules[];
extern const rml_net_rule rml_net_norm_rules[];
extern const rml_net_rule rml_net_product_rules[];
extern const rml_net_rule rml_net_recurrent_rules[];
extern const rml_net_rule rml_net_reduction_rules[];
extern const rml_net_rule rml_net_resize_rules[];
extern const rml_net_rule rml_net_shape_rules[];
// Those of iOS 12, where they differ.
extern const rml_net_rule rml_net_old_rules[];
extern const rml_net_rule rml_net_old_shape_rules[];

// ---- looking ------------------------------------------------------------------------------------

rml_fact rml_net_fact(const rml_graph *graph, const rml_node *node, int input); // rank -1: absent
const rml_shape *rml_net_shape(const rml_net_emitter *e, int input);
const rml_shape *rml_net_out_shape(const rml_net_emitter *e, int output);
bool rml_net_is_read(const rml_net_emitter *e, int output);

// Channels, height and width of a value of up to four dimensions, as iOS 12 has them: a vector, and
// a matrix of one row, are channels, and a batch is 1.
rml_shape rml_net_planes(const rml_shape *shape);

// The axes that a node reduces, to axes[RML_MAX_RANK]; -1: they are not known before a run.
int rml_net_reduced(const rml_graph *graph, const rml_node *node, int64_t *axes);

// Sizes as a shape that a layer makes: one that is not known is -1. False for several.
bool rml_net_target_shape(const rml_shape *shape, int64_t *sizes, int *count);

// ---- layers -------------------------------------------------------------------------------------

void rml_net_layer(rml_net_emitter *e, uint32_t kind, const char *const *in, int in_count,
                   const char *const *out, int out_count);
void rml_net_end(rml_net_emitter *e);
// One input and one output; its parameters follow, then rml_net_end.
void rml_net_one(rml_net_emitter *e, uint32_t kind, const char *in, const char *out);
// The same of a layer without parameters.
void rml_net_plain(rml_net_emitter *e, uint32_t kind, const char *const *in, int in_count,
                   const char *out);
void rml_net_fail(rml_net_emitter *e, rml_status status, const char *format, ...) RML_PRINTF(3, 4);

// The blob of a value, and those of the node in hand. A constant gets a layer that loads it.
const char *rml_net_blob(rml_net_emitter *e, rml_value_id value);
const char *rml_net_in(rml_net_emitter *e, int input);
const char *rml_net_out(rml_net_emitter *e, int output);
const char *rml_net_between(rml_net_emitter *e); // a new one
// A new one called `wanted`, or with a number behind it.
const char *rml_net_name(rml_net_emitter *e, const char *wanted);

// Layers of several emitters.
void rml_net_linear(rml_net_emitter *e, const char *in, float alpha, float beta, const char *out);
void rml_net_unary(rml_net_emitter *e, int type, const char *in, float alpha, float epsilon,
                   const char *out);
void rml_net_reshape(rml_net_emitter *e, const char *in, const rml_shape *shape, const char *out);
void rml_net_transpose(rml_net_emitter *e, const char *in, const int *order, int rank,
                       const char *out);
void rml_net_binary(rml_net_emitter *e, uint32_t kind, const char *a, const char *b,
                    const char *out);
// Whether a softmax is one along its axis alone.
bool rml_net_is_along_axis(const rml_softmax_attr *softmax, int rank);
// What a value is, under another name: its blob itself, but where that is to be an output.
void rml_net_same(rml_net_emitter *e, int input, int output);
// A blob of numbers that live as long as the graph; whole ones stay what they are.
const char *rml_net_load(rml_net_emitter *e, const float *numbers, const rml_shape *shape,
                         bool whole);

// Fields that are left out where they are 0, as proto3 has it.
void rml_net_int(rml_net_emitter *e, uint32_t field, int64_t value);
void rml_net_float(rml_net_emitter *e, uint32_t field, float value);
void rml_net_choose(rml_net_emitter *e, uint32_t field); // an empty message
void rml_net_needs(rml_net_emitter *e, int spec);

// ---- weights (nn_weights.c) ---------------------------------------------------------------------

// Numbers of a constant that live as long as the graph; NULL when memory is out.
const float *rml_net_numbers(rml_net_emitter *e, rml_value_id constant, size_t *count);
float *rml_net_alloc(rml_net_emitter *e, size_t count);

// WeightParams of `count` numbers, which live as long as the graph, in the form that is asked for:
// of fewer bits only if there are many. `channels` have scales of their own, each of runs of
// `inner` numbers (channels 1: one for all).
void rml_net_weights(rml_net_emitter *e, uint32_t field, const float *numbers, size_t count,
                     size_t channels, size_t inner);
// ... of numbers that are never stored in fewer bits than halves, and whole ones not in these.
void rml_net_vector(rml_net_emitter *e, uint32_t field, const float *numbers, size_t count,
                    bool whole);

// The layer of a product with constant weights, and what is added to it (nn_products.c).
void rml_net_inner_product(rml_net_emitter *e, const rml_node *node, bool bias, const char *out);

// ---- edges (nn_shapes.c) ------------------------------------------------------------------------

// The layer that pads height and width.
void rml_net_pad_image(rml_net_emitter *e, rml_pad_mode mode, int64_t pads[2][2], float fill,
                       const char *x, const char *out);

// ---- recurrent layers (nn_recurrent.c) ----------------------------------------------------------

const char *rml_net_lacks_rnn(const rml_net_node *n);
uint32_t rml_net_rnn_layer(const rml_rnn_attr *rnn);
// The parameters of the layer that is open; all steps, or the last one, are its first output.
void rml_net_write_rnn(rml_net_emitter *e, bool sequence);

// ---- targets (nn_target.c) ----------------------------------------------------------------------

const rml_target *rml_net_target(bool old);
// The layers of all nodes of e->graph.
void rml_net_emit_nodes(rml_net_emitter *e);

#endif
