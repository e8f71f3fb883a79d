// Recurrent layers. Gates, biases and states lie in other orders in the file.
#include "writers/coreml/mil.h"

#include "ops/recurrent/rnn.h"

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

enum { Y, H, C }; // outputs

typedef struct layer {
    rml_emitter *e;
    const rml_node *node;
    const rml_rnn_attr *rnn;
    rml_dtype dtype; // that it is computed in
    int gates;
    const int *order; // which gate of the node each of the file's is
    int64_t steps, batch, inputs, hidden;
    rml_operand out; // for names
} layer;

// ---- what fits ----------------------------------------------------------------------------------

static const char *function_name(const rml_rnn_activation *act)
{
    switch (act->function) {
    case RML_RNN_TANH:
        return "tanh";
    case RML_RNN_SIGMOID:
        return "sigmoid";
    case RML_RNN_RELU:
        return "relu";
    case RML_RNN_SOFTPLUS:
        return "softplus";
    case RML_RNN_SOFTSIGN:
        return "softsign";
    default:
        return NULL;
    }
}

static const char *rnn_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_rnn_attr *rnn = &node->attr.rnn;
    const int functions = rnn->kind == RML_RNN_LSTM ? 3 : rnn->kind == RML_RNN_GRU ? 2 : 1;
    if (rnn->directions == 2 && rnn->kind != RML_RNN_LSTM)
        return "two directions, which only an LSTM has";
    if (rml_input_given(node, RML_RNN_LENGTHS))
        return "sequences of their own lengths";
    if (rnn->input_forget)
        return "gates that are joined";
    if (isfinite(rnn->clip))
        return "a limit of what goes into its functions";
    if (rnn->kind == RML_RNN_GRU && rnn->linear_before_reset && opset < 8)
        return "a reset behind the product, which needs ios18";
    for (int i = RML_RNN_W; i <= RML_RNN_BIAS; i++)
        if (rml_input_given(node, i) && !rml_emit_constant(graph, node, i))
            return "its weights are computed in the run";
    if (rml_input_given(node, RML_RNN_PEEPHOLES) &&
        !rml_emit_constant(graph, node, RML_RNN_PEEPHOLES))
        return "its weights are computed in the run";
    for (int i = 0; i < functions; i++) {
        const rml_rnn_activation *other = &rnn->act[rnn->directions == 2 ? 3 + i : i];
        if (!function_name(&rnn->act[i]) || other->function != rnn->act[i].function)
            return "a function that it has no name for";
    }
    return NULL;
}

// ---- weights ------------------------------------------------------------------------------------

// Rows of gates in the file's order: (G*H, columns) of direction `d`, from (D, G*H, columns).
static const float *gates(const layer *l, const float *from, int d, int64_t columns)
{
    const size_t block = (size_t)(l->hidden * columns), all = block * (size_t)l->gates;
    float *to = rml_emit_alloc(l->e, all, sizeof *to);
    for (int g = 0; g < l->gates && to && from; g++)
        memcpy(to + (size_t)g * block, from + (size_t)d * all + (size_t)l->order[g] * block,
               block * sizeof *to);
    return to;
}

static rml_operand matrix(const layer *l, int index, int d, int64_t columns, const char *key)
{
    size_t count;
    const rml_shape shape = {2, {l->gates * l->hidden, columns}};
    return rml_emit_floats(l->e, rml_emit_joined(l->e, l->out.name, key),
                           gates(l, rml_emit_elements(l->e, l->node, index, &count), d, columns),
                           &shape, l->dtype);
}

// Both biases of a direction, [2*G*H], as one, or one of them: `parts` has bit 0 for that of the
// input and bit 1 for that of the state.
static rml_operand bias(const layer *l, int d, const unsigned parts[], const char *key)
{
    size_t count;
    const size_t all = (size_t)(l->gates * l->hidden);
    const float *from = rml_emit_elements(l->e, l->node, RML_RNN_BIAS, &count);
    float *sum = rml_emit_alloc(l->e, all, sizeof *sum);
    for (size_t i = 0; i < all && from && sum; i++) {
        const float *at = from + (size_t)d * 2 * all + i;
        const unsigned part = parts[i / (size_t)l->hidden];
        sum[i] = (part & 1 ? at[0] : 0) + (part & 2 ? at[all] : 0);
    }
    return rml_emit_floats(l->e, rml_emit_joined(l->e, l->out.name, key), gates(l, sum, 0, 1),
                           &(rml_shape){1, {(int64_t)all}}, l->dtype);
}

// Peepholes i o f as i f o.
static rml_operand peephole(const layer *l, int d, const char *key)
{
    static const size_t order[] = {0, 2, 1};
    size_t count;
    const size_t hidden = (size_t)l->hidden;
    const float *from = rml_emit_elements(l->e, l->node, RML_RNN_PEEPHOLES, &count);
    float *to = rml_emit_alloc(l->e, 3 * hidden, sizeof *to);
    for (size_t i = 0; i < 3 * hidden && from && to; i++)
        to[i] = from[(size_t)d * 3 * hidden + order[i / hidden] * hidden + i % hidden];
    return rml_emit_floats(l->e, rml_emit_joined(l->e, l->out.name, key), to,
                           &(rml_shape){1, {3 * l->hidden}}, l->dtype);
}

// ---- states -------------------------------------------------------------------------------------

static rml_operand part(const layer *l, const char *name, const rml_shape *shape, rml_dtype dtype)
{
    rml_operand out = rml_emit_part(l->e, &l->out, name, shape);
    out.dtype = dtype;
    return out;
}

static rml_operand as_type(const layer *l, rml_operand x, rml_dtype dtype, const char *name)
{
    return x.dtype == dtype ? x : rml_emit_cast(l->e, x, part(l, name, &x.shape, dtype));
}

static rml_operand number(const layer *l, double value, const char *name)
{
    return rml_emit_number(l->e, rml_emit_joined(l->e, l->out.name, name), value, RML_I32);
}

// Zeros (N, D*H) of a batch whose size only the run tells.
static rml_operand zeros_like(const layer *l, rml_operand x, int64_t width)
{
    rml_emitter *e = l->e;
    const int axis = l->rnn->batch_first ? 0 : 1;
    const rml_shape scalar = {0}, list = {1, {3}}, state = {3, {1, -1, width}},
                    zeros = {2, {-1, width}};
    const rml_operand sizes = rml_emit_unary(e, "shape", x, part(l, "shape", &list, RML_I32));
    rml_emit_op op = rml_emit_begin(e, "gather", part(l, "batch", &scalar, RML_I32));
    rml_emit_value(&op, "x", sizes);
    rml_emit_value(&op, "indices", number(l, axis, "batch_indices_0"));
    rml_emit_int(&op, "axis", 0);
    if (e->opset >= 6)
        rml_emit_int(&op, "batch_dims", 0);
    if (e->opset >= 7)
        rml_emit_flag(&op, "validate_indices", false);
    const rml_operand batch = rml_emit_end(&op);
    const rml_operand values[] = {number(l, 1, "one"), batch, number(l, (double)width, "width")};
    op = rml_emit_begin(e, "concat", part(l, "sizes", &list, RML_I32));
    rml_emit_tuple(&op, "values", values, 3);
    rml_emit_int(&op, "axis", 0);
    rml_emit_flag(&op, "interleave", false);
    const rml_operand all = rml_emit_end(&op);
    op = rml_emit_begin(e, "fill", part(l, "fill", &state, l->dtype));
    rml_emit_value(&op, "shape", all);
    rml_emit_value(
        &op, "value",
        rml_emit_number(e, rml_emit_joined(e, l->out.name, "fill_value_0"), 0, l->dtype));
    const rml_operand filled = rml_emit_end(&op);
    op = rml_emit_begin(e, "squeeze", part(l, "zeros", &zeros, l->dtype));
    rml_emit_value(&op, "x", filled);
    rml_emit_ints(&op, "axes", (const int64_t[]){0}, 1);
    return rml_emit_end(&op);
}

// An initial state as (N, D*H): from (N,D,H), or (D,N,H).
static rml_operand given_state(const layer *l, int index, const char *name)
{
    static const int perm[] = {1, 0, 2};
    rml_operand x = rml_emit_unshaped(l->e, l->node, index);
    const rml_shape turned = {3, {l->batch, l->rnn->directions, l->hidden}},
                    flat = {2, {l->batch, l->rnn->directions * l->hidden}};
    if (!l->rnn->batch_first && l->rnn->directions > 1) {
        x = rml_emit_in(l->e, l->node, index);
        x = rml_emit_transpose(l->e, x, perm, part(l, "turned", &turned, x.dtype));
    }
    if (!rml_shape_equal(&x.shape, &flat))
        x = rml_emit_reshape(l->e, x, part(l, name, &flat, x.dtype));
    return as_type(l, x, l->dtype, name);
}

static void states(const layer *l, rml_operand x, rml_operand *h, rml_operand *c)
{
    const int64_t width = l->rnn->directions * l->hidden;
    const bool has_h = rml_input_given(l->node, RML_RNN_H0),
               has_c = rml_input_given(l->node, RML_RNN_C0);
    rml_operand zeros = {0};
    if ((!has_h || (!has_c && l->rnn->kind == RML_RNN_LSTM)) && l->batch < 0) {
        zeros = zeros_like(l, x, width);
    } else if (!has_h || (!has_c && l->rnn->kind == RML_RNN_LSTM)) {
        const float *none = rml_emit_alloc(l->e, (size_t)(l->batch * width), sizeof *none);
        zeros = rml_emit_floats(l->e, rml_emit_joined(l->e, l->out.name, "zeros"), none,
                                &(rml_shape){2, {l->batch, width}}, l->dtype);
    }
    *h = has_h ? given_state(l, RML_RNN_H0, "initial_h") : zeros;
    *c = has_c ? given_state(l, RML_RNN_C0, "initial_c") : zeros;
}

// ---- the operation ------------------------------------------------------------------------------

static const char *const direction_keys[2][4] = {
    {"weight_ih", "weight_hh", "bias", "peephole"},
    {"weight_ih_back", "weight_hh_back", "bias_back", "peephole_back"}};

static void weight_arguments(const layer *l, rml_emit_op *op)
{
    static const unsigned both[] = {3, 3, 3, 3}, of_input[] = {0, 0, 1}, of_state[] = {3, 3, 2};
    const bool two = l->rnn->kind == RML_RNN_GRU && l->rnn->linear_before_reset;
    for (int d = 0; d < l->rnn->directions; d++) {
        const char *const *keys = direction_keys[d];
        rml_emit_value(op, keys[0], matrix(l, RML_RNN_W, d, l->inputs, keys[0]));
        rml_emit_value(op, keys[1], matrix(l, RML_RNN_R, d, l->hidden, keys[1]));
        if (rml_input_given(l->node, RML_RNN_BIAS))
            rml_emit_value(op, keys[2], bias(l, d, two ? of_state : both, keys[2]));
        if (rml_input_given(l->node, RML_RNN_BIAS) && two)
            rml_emit_value(op, "input_bias", bias(l, d, of_input, "input_bias"));
        if (rml_input_given(l->node, RML_RNN_PEEPHOLES))
            rml_emit_value(op, keys[3], peephole(l, d, keys[3]));
    }
}

static void other_arguments(const layer *l, rml_emit_op *op, bool sequence)
{
    const rml_rnn_activation *act = l->rnn->act;
    rml_emit_text(op, "direction", l->rnn->directions == 2 ? "bidirectional" : "forward");
    rml_emit_flag(op, "output_sequence", sequence);
    if (l->rnn->kind != RML_RNN_PLAIN)
        rml_emit_text(op, "recurrent_activation", function_name(&act[0]));
    if (l->rnn->kind == RML_RNN_LSTM)
        rml_emit_text(op, "cell_activation", function_name(&act[1]));
    rml_emit_text(op, "activation",
                  function_name(&act[l->rnn->kind == RML_RNN_LSTM  ? 2
                                     : l->rnn->kind == RML_RNN_GRU ? 1
                                                                   : 0]));
    if (l->rnn->cell_clip > 0)
        rml_emit_value(op, "clip",
                       rml_emit_number(l->e, rml_emit_joined(l->e, l->out.name, "clip"),
                                       (double)l->rnn->cell_clip, l->dtype));
    if (l->rnn->kind == RML_RNN_GRU && l->rnn->linear_before_reset) {
        rml_emit_need(l->e, 8);
        rml_emit_flag(op, "reset_after", true);
    }
}

// Steps from the end to the start, in front of the layer and behind it: what the operation's own
// direction "reverse" gives is not told.
static rml_operand reversed(const layer *l, rml_operand x, const char *name)
{
    rml_emit_op op = rml_emit_begin(l->e, "reverse", part(l, name, &x.shape, x.dtype));
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "axes", (const int64_t[]){0}, 1);
    return rml_emit_end(&op);
}

// (T, N, I)
static rml_operand sequence_of(const layer *l)
{
    static const int perm[] = {1, 0, 2};
    rml_operand x = rml_emit_in(l->e, l->node, RML_RNN_X);
    const rml_shape shape = {3, {l->steps, l->batch, l->inputs}};
    if (l->rnn->batch_first)
        x = rml_emit_transpose(l->e, x, perm, part(l, "steps", &shape, x.dtype));
    x = as_type(l, x, l->dtype, "steps_fp32");
    return l->rnn->directions == 1 && l->rnn->reverse ? reversed(l, x, "steps_reversed") : x;
}

static bool is_used(const layer *l, int index)
{
    return l->e->graph->values[l->node->out + (rml_value_id)index].uses > 0;
}

// All steps (T, N, D*H) as (N,T,D,H), or (T,D,N,H).
static void give_steps(const layer *l, rml_operand y)
{
    static const int batch_first[] = {1, 0, 2}, apart[] = {0, 2, 1, 3};
    const rml_shape turned = {3, {l->batch, l->steps, y.shape.dim[2]}},
                    split = {4, {l->steps, l->batch, l->rnn->directions, l->hidden}};
    if (l->rnn->directions == 1 && l->rnn->reverse)
        y = reversed(l, y, "all_reversed");
    y = as_type(l, y, l->e->real, "all_fp16");
    if (l->rnn->batch_first)
        y = rml_emit_transpose(l->e, y, batch_first, part(l, "batches", &turned, y.dtype));
    if (l->rnn->batch_first || l->rnn->directions == 1) {
        rml_emit_view(l->e, l->node, Y, y);
        return;
    }
    y = rml_emit_reshape(l->e, y, part(l, "split", &split, y.dtype));
    rml_emit_transpose(l->e, y, apart, rml_emit_out(l->e, l->node, Y));
}

// A last state (N, D*H) as (N,D,H), or (D,N,H).
static void give_state(const layer *l, int index, rml_operand state)
{
    static const int perm[] = {1, 0, 2};
    const rml_shape split = {3, {l->batch, l->rnn->directions, l->hidden}};
    state = as_type(l, state, l->e->real, "state_fp16");
    if (l->rnn->batch_first || l->rnn->directions == 1) {
        rml_emit_view(l->e, l->node, index, state);
        return;
    }
    state = rml_emit_reshape(l->e, state, part(l, "states", &split, state.dtype));
    rml_emit_transpose(l->e, state, perm, rml_emit_out(l->e, l->node, index));
}

static layer layer_of(rml_emitter *e, const rml_node *node)
{
    static const int torch[] = {0, 1, 3, 2}, onnx[] = {0, 2, 1, 3}; // i f o g, of i f g o, i o f g
    static const int gru[] = {1, 2, 0}, plain[] = {0};              // r h z, of z r h
    const rml_rnn_attr *rnn = &node->attr.rnn;
    const rml_shape *x = rml_emit_shape(e->graph, node->in[RML_RNN_X]);
    layer l = {.e = e, .node = node, .rnn = rnn, .out = rml_emit_out(e, node, 0)};
    l.dtype = e->opset >= 7 ? e->real : RML_F32;
    l.gates = rnn->kind == RML_RNN_LSTM ? 4 : rnn->kind == RML_RNN_GRU ? 3 : 1;
    l.order = rnn->kind == RML_RNN_LSTM  ? rnn->torch_gates ? torch : onnx
              : rnn->kind == RML_RNN_GRU ? gru
                                         : plain;
    l.steps = x->dim[rnn->batch_first ? 1 : 0];
    l.batch = x->dim[rnn->batch_first ? 0 : 1];
    l.inputs = x->dim[2];
    l.hidden = rml_emit_shape(e->graph, node->in[RML_RNN_R])->dim[2];
    return l;
}

static void emit_rnn(rml_emitter *e, const rml_node *node)
{
    static const char *const types[] = {
        [RML_RNN_PLAIN] = "rnn", [RML_RNN_GRU] = "gru", [RML_RNN_LSTM] = "lstm"};
    const layer l = layer_of(e, node);
    const bool is_lstm = l.rnn->kind == RML_RNN_LSTM, sequence = is_used(&l, Y);
    const int64_t width = l.rnn->directions * l.hidden;
    const rml_shape all = {3, {sequence ? l.steps : 1, l.batch, width}},
                    last = {2, {l.batch, width}};
    rml_operand h, c;
    if (l.dtype == RML_F16)
        rml_emit_need(e, 7);
    states(&l, rml_emit_in(e, node, RML_RNN_X), &h, &c);
    const rml_operand x = sequence_of(&l);
    const rml_operand y = part(&l, "all", &all, l.dtype), last_h = part(&l, "h", &last, l.dtype),
                      last_c = part(&l, "c", &last, l.dtype);
    rml_emit_op op = rml_emit_begin(e, types[l.rnn->kind], y);
    rml_emit_also(&op, last_h);
    if (is_lstm)
        rml_emit_also(&op, last_c);
    rml_emit_value(&op, "x", x);
    rml_emit_value(&op, "initial_h", h);
    if (is_lstm)
        rml_emit_value(&op, "initial_c", c);
    weight_arguments(&l, &op);
    other_arguments(&l, &op, sequence);
    rml_emit_end(&op);
    if (sequence)
        give_steps(&l, y);
    if (is_used(&l, H))
        give_state(&l, H, last_h);
    if (is_lstm && is_used(&l, C))
        give_state(&l, C, last_c);
}

const rml_emit_row rml_emit_recurrent[] = {{RML_OP_RNN, rnn_lacks, emit_rnn}, {0}};
