// Fully connected layer: y = act(x * w^T + bias + residual) over the last dimension.
//   x [..., K]   w [O,K]   bias [O], optional   residual [..., O], optional. Source:
//   torch.nn.Linear.
#include "ops/conv/conv.h"
#include "ops/conv/igemm.h"

#include "kernels/pack.h"
#include "ops/matmul/bf16.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/size.h"

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->shape[0], *w = &node->shape[1];
    if (x->rank < 1 || w->rank != 2 || !rml_shape_known(w) || w->dim[0] < 1 || w->dim[1] < 1 ||
        (x->dim[x->rank - 1] != w->dim[1] && x->dim[x->rank - 1] >= 0))
        return rml_fail(err, RML_ERR_SHAPE, "weight %s does not fit input %s",
                        rml_shape_text(w, w_text), rml_shape_text(x, x_text));
    if (node->in_count > 2 && node->shape[2].rank >= 0 &&
        (node->shape[2].rank != 1 || node->shape[2].dim[0] != w->dim[0]))
        return rml_fail(err, RML_ERR_SHAPE, "bias is %s, expected (%lld)",
                        rml_shape_text(&node->shape[2], x_text), (long long)w->dim[0]);
    *out = *x;
    out->dim[x->rank - 1] = w->dim[0];
    return rml_conv_check_residual(node->shape, node->in_count, out, err);
}

static uint64_t macs(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->out[0]) * (uint64_t)args->in[1].dim[1];
}

static const rml_gemm *gemm_of(const rml_op_args *args)
{
    return rml_gemm_of(args, rml_runs_bf16(args));
}

static size_t packed_bytes(const rml_op_args *args)
{
    return rml_pack_bytes(gemm_of(args), 1, (size_t)args->in[1].dim[1], (size_t)args->in[1].dim[0]);
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    return rml_pack_filters(args, gemm_of(args), weight, 1, 1, packed, allocator, err);
}

// A plain [..., K] view as one row of pixels with K channels.
static rml_tensor as_pixels(const rml_tensor *tensor)
{
    const int64_t channels = tensor->dim[tensor->rank - 1];
    const int64_t pixels = channels ? (int64_t)rml_tensor_count(tensor) / channels : 0;
    return (rml_tensor){.data = tensor->data,
                        .rank = 4,
                        .dim = {1, channels, 1, pixels},
                        .stride = {pixels * channels, 1, pixels * channels, channels}};
}

static size_t gemm_bytes(const rml_op_args *args)
{
    return rml_igemm_scratch_bytes(gemm_of(args), args->threads, 1, (size_t)args->in[1].dim[1]);
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const rml_tensor in = as_pixels(&args->in[0]);
    return rml_sat_add(gemm_bytes(args), rml_runs_bf16(args) ? rml_bf16_image_bytes(args, &in) : 0);
}

static void run(const rml_op_args *args)
{
    rml_tensor in = as_pixels(&args->in[0]);
    const rml_tensor out = as_pixels(&args->out[0]);
    const rml_tensor residual =
        rml_conv_residual(args) ? as_pixels(&args->in[3]) : (rml_tensor){.rank = -1};
    if (rml_runs_bf16(args))
        in = rml_bf16_image(args, &in, args->scratch + gemm_bytes(args));
    const rml_igemm product = {.window = rml_window_row(1, 1, out.dim[3]),
                               .in = &in,
                               .out = &out,
                               .residual = residual.rank < 0 ? NULL : &residual,
                               .depth = (size_t)in.dim[1],
                               .cols = (size_t)out.dim[1],
                               .gemm = gemm_of(args),
                               .packed = args->packed,
                               .bias = rml_conv_bias(args),
                               .act = &args->attr->linear.act};
    rml_igemm_run(args, &product);
}

// Rows of a matrix that is all of an item meet the weights once: what bf16 saves there is little.
static bool accepts_bf16(const rml_op_args *args)
{
    return args->in[0].rank > 2 &&
           rml_bf16_gains(args, (size_t)args->in[1].dim[1], (size_t)args->in[1].dim[0]);
}

static const rml_algorithm algorithms[] = {{.name = "packed-gemm-bf16",
                                            .precision = RML_PRECISION_BF16,
                                            .accepts = accepts_bf16,
                                            .packed_bytes = packed_bytes,
                                            .pack = pack,
                                            .scratch_bytes = scratch_bytes,
                                            .run = run},
                                           {.name = "packed-gemm",
                                            .packed_bytes = packed_bytes,
                                            .pack = pack,
                                            .scratch_bytes = scratch_bytes,
                                            .run = run}};

const rml_op rml_op_linear = {.name = "linear",
                              .inputs = {2, 4},
                              .packed_input = 1,
                              .infer = infer,
                              .macs = macs,
                              .algorithms = algorithms};
