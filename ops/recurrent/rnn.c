// Recurrent layers: plain, GRU and LSTM; in one direction or both; sequences of their own lengths;
// any activations, clipping, peepholes.
//   x [T,N,I]   w [D,G*H,I]   r [D,G*H,H]   bias [D,2*G*H]   lengths i32 [N]   h0, c0 [D,N,H]
//   peepholes [D,3*H]   y [T,D,N,H]   last h, c [D,N,H]     G gates: 1, 3 (z r h), 4 (i o f c)
// With batch_first: x [N,T,I], h0 and c0 [N,D,H], y [N,T,D,H]. Steps behind a sequence's end are 0,
// and so is all of an empty sequence.
#include "ops/recurrent/rnn.h"

#include "ops/matmul/bf16.h"
#include "tensor/size.h"

enum {
    X = RML_RNN_X,
    W = RML_RNN_W,
    R = RML_RNN_R,
    BIAS = RML_RNN_BIAS,
    LENGTHS = RML_RNN_LENGTHS,
    H0 = RML_RNN_H0,
    C0 = RML_RNN_C0,
    PEEPHOLES = RML_RNN_PEEPHOLES
};

static size_t gates_of(const rml_rnn_attr *rnn)
{
    return rnn->kind == RML_RNN_LSTM ? 4 : rnn->kind == RML_RNN_GRU ? 3 : 1;
}

static int outputs(const rml_op_attr *attr)
{
    return attr->rnn.kind == RML_RNN_LSTM ? 3 : 2;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_rnn_attr *rnn = &node->attr->rnn;
    char text[RML_SHAPE_TEXT_BYTES];
    const int64_t dirs = rnn->directions, gates = (int64_t)gates_of(rnn);
    if (node->in_count <= R || node->shape[X].rank != 3 || node->shape[R].rank != 3 ||
        node->shape[W].rank != 3)
        return rml_fail(err, RML_ERR_SHAPE, "input and weights have not 3 dimensions");
    const int64_t hidden = node->shape[R].dim[2],
                  batch = node->shape[X].dim[rnn->batch_first ? 0 : 1];
    if (hidden > INT64_MAX / 16)
        return rml_fail(err, RML_ERR_LIMIT, "too many hidden units");
    const int64_t all = hidden < 0 ? -1 : gates * hidden;
    const int64_t state[3] = {rnn->batch_first ? batch : dirs, rnn->batch_first ? dirs : batch,
                              hidden};
    const rml_shape want[] = {[W] = {3, {dirs, all, node->shape[X].dim[2]}},
                              [R] = {3, {dirs, all, hidden}},
                              [BIAS] = {2, {dirs, all < 0 ? -1 : 2 * all}},
                              [LENGTHS] = {1, {batch}},
                              [H0] = {3, {state[0], state[1], state[2]}},
                              [C0] = {3, {state[0], state[1], state[2]}},
                              [PEEPHOLES] = {2, {dirs, hidden < 0 ? -1 : 3 * hidden}}};
    for (int k = W; k < node->in_count; k++)
        if (node->shape[k].rank >= 0 && !rml_shapes_agree(&node->shape[k], &want[k]))
            return rml_fail(err, RML_ERR_SHAPE,
                            "input %d is %s, which does not fit %lld hidden units", k,
                            rml_shape_text(&node->shape[k], text), (long long)hidden);
    const int64_t steps = node->shape[X].dim[rnn->batch_first ? 1 : 0];
    out[0] = rnn->batch_first ? (rml_shape){4, {batch, steps, dirs, hidden}}
                              : (rml_shape){4, {steps, dirs, batch, hidden}};
    for (int k = 1; k < outputs(node->attr); k++)
        out[k] = (rml_shape){3, {state[0], state[1], state[2]}};
    return RML_OK;
}

// ---- sizes --------------------------------------------------------------------------------------

rml_rnn_dims rml_rnn_dims_of(const rml_op_args *args)
{
    const rml_rnn_attr *rnn = &args->attr->rnn;
    const rml_tensor *x = &args->in[X];
    return (rml_rnn_dims){.steps = (size_t)x->dim[rnn->batch_first ? 1 : 0],
                          .batch = (size_t)x->dim[rnn->batch_first ? 0 : 1],
                          .inputs = (size_t)x->dim[2],
                          .hidden = (size_t)args->in[R].dim[2],
                          .gates = gates_of(rnn),
                          .directions = (size_t)rnn->directions};
}

rml_rnn_strides rml_rnn_strides_of(const rml_op_args *args, const rml_tensor *tensor)
{
    const bool first = args->attr->rnn.batch_first;
    const int64_t *stride = tensor->stride;
    if (tensor->rank == 3) // a state
        return (rml_rnn_strides){.item = stride[first ? 0 : 1], .direction = stride[first ? 1 : 0]};
    return (rml_rnn_strides){.item = stride[first ? 0 : 2],
                             .step = stride[first ? 1 : 0],
                             .direction = stride[first ? 2 : 1]};
}

static uint64_t macs(const rml_op_args *args)
{
    const rml_rnn_dims d = rml_rnn_dims_of(args);
    return (uint64_t)d.directions * d.steps * d.batch * d.gates * d.hidden * (d.inputs + d.hidden);
}

// ---- the input's share of all gates -------------------------------------------------------------

void rml_rnn_projection_make(rml_rnn_projection *projection, const rml_op_args *args, size_t rows,
                             bool with_bias)
{
    const rml_tensor *x = &args->in[X];
    rml_rnn_projection *p = projection;
    *p = (rml_rnn_projection){
        .args = *args,
        .attr = {.matmul = rml_matmul_plain(false, true)},
        .in = {*x, {.rank = 2, .dim = {(int64_t)rows, x->dim[2]}}, {.rank = -1}},
        .constants = {NULL, args->constants[W], NULL},
    };
    if (with_bias)
        p->in[2] = (rml_tensor){.rank = 1, .dim = {(int64_t)rows}, .stride = {1}};
    const rml_shape shape = {3, {x->dim[0], x->dim[1], (int64_t)rows}};
    p->out = rml_tensor_typed(NULL, RML_F32, &shape);
    p->args.attr = &p->attr;
    p->args.in = p->in;
    p->args.in_count = 3;
    p->args.out = &p->out;
    p->args.constants = p->constants;
    p->args.precision = args->algorithm->precision; // what the profile says
    p->algorithm = rml_op_choose(&rml_op_linear, &p->args);
}

size_t rml_rnn_projection_packed(const rml_rnn_projection *projection)
{
    return rml_round_up(projection->algorithm->packed_bytes(&projection->args), RML_ALIGNMENT);
}

size_t rml_rnn_projection_scratch(const rml_rnn_projection *projection)
{
    return projection->algorithm->scratch_bytes(&projection->args);
}

void rml_rnn_projection_run(rml_rnn_projection *projection, const void *packed, const float *bias,
                            float *out, char *scratch)
{
    projection->args.packed = packed;
    projection->args.scratch = scratch;
    projection->in[2].data = (float *)(uintptr_t)bias; // operators only read inputs
    projection->out.data = out;
    projection->algorithm->run(&projection->args);
}

bool rml_rnn_unary(const rml_rnn_activation *act, rml_activation *function)
{
    static const rml_unary kinds[] = {[RML_RNN_TANH] = RML_UNARY_TANH,
                                      [RML_RNN_SIGMOID] = RML_UNARY_SIGMOID,
                                      [RML_RNN_RELU] = RML_UNARY_LEAKY_RELU, // alpha is 0
                                      [RML_RNN_LEAKY_RELU] = RML_UNARY_LEAKY_RELU,
                                      [RML_RNN_HARD_SIGMOID] = RML_UNARY_HARD_SIGMOID,
                                      [RML_RNN_ELU] = RML_UNARY_ELU,
                                      [RML_RNN_SOFTSIGN] = RML_UNARY_SOFTSIGN,
                                      [RML_RNN_SOFTPLUS] = RML_UNARY_SOFTPLUS};
    if (act->function == RML_RNN_AFFINE || act->function == RML_RNN_SCALED_TANH ||
        act->function == RML_RNN_THRESHOLDED_RELU)
        return false;
    *function = (rml_activation){kinds[act->function], {act->alpha, act->beta}};
    return true;
}

// ---- algorithms ---------------------------------------------------------------------------------

// As the linear layer of all steps' inputs is computed.
static bool projects_in_bf16(const rml_op_args *args)
{
    return rml_bf16_gains(args, (size_t)args->in[W].dim[2], (size_t)args->in[W].dim[1]);
}

static bool lstm_bf16(const rml_op_args *args)
{
    return rml_rnn_lstm_accepts(args) && projects_in_bf16(args);
}

static bool steps_bf16(const rml_op_args *args)
{
    return rml_rnn_steps_accepts(args) && projects_in_bf16(args);
}

static bool projected_bf16(const rml_op_args *args)
{
    return rml_rnn_projected_accepts(args) && projects_in_bf16(args);
}

#define LSTM                                                                                       \
    .packed_bytes = rml_rnn_lstm_packed, .pack = rml_rnn_lstm_pack,                                \
    .scratch_bytes = rml_rnn_lstm_scratch, .run = rml_rnn_lstm_run
#define STEPS                                                                                      \
    .packed_bytes = rml_rnn_steps_packed, .pack = rml_rnn_steps_pack,                              \
    .scratch_bytes = rml_rnn_steps_scratch, .run = rml_rnn_steps_run
#define PROJECTED                                                                                  \
    .packed_bytes = rml_rnn_projected_packed, .pack = rml_rnn_projected_pack,                      \
    .scratch_bytes = rml_rnn_sequence_scratch, .run = rml_rnn_sequence_run

static const rml_algorithm algorithms[] = {
    {.name = "fused-gates-bf16", .precision = RML_PRECISION_BF16, .accepts = lstm_bf16, LSTM},
    {.name = "fused-gates", .accepts = rml_rnn_lstm_accepts, LSTM},
    {.name = "steps-bf16", .precision = RML_PRECISION_BF16, .accepts = steps_bf16, STEPS},
    {.name = "steps", .accepts = rml_rnn_steps_accepts, STEPS},
    {.name = "projected-bf16",
     .precision = RML_PRECISION_BF16,
     .accepts = projected_bf16,
     PROJECTED},
    {.name = "projected", .accepts = rml_rnn_projected_accepts, PROJECTED},
    {.name = "sequences", .scratch_bytes = rml_rnn_sequence_scratch, .run = rml_rnn_sequence_run}};

#define RNN_WITH(ways)                                                                             \
    {                                                                                              \
        .id = RML_OP_RNN, .name = "rnn", .inputs = {3, 8}, .packed_input = W,                      \
        .packed_also = 1u << R | 1u << BIAS, .outputs = outputs, .signature = "r000e000>0",        \
        .infer = infer, .macs = macs, .algorithms = ways                                           \
    }

const rml_op rml_op_rnn = RNN_WITH(algorithms);

static const rml_algorithm fused[] = {
    {.name = "fused-gates-bf16", .precision = RML_PRECISION_BF16, .accepts = lstm_bf16, LSTM},
    {.name = "fused-gates", LSTM}};

const rml_op rml_op_lstm = RNN_WITH(fused);
