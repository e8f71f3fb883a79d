// Convolution: y = act(conv(x, w) + bias + residual).
//   x [N,C,...]   w [O,C/groups,...]   bias [O], optional   y, residual [N,O,...], optional
// Source: torch.nn.functional.conv1d to conv3d; ONNX Conv.
//
// A constant weight of one or two dimensions is packed and meets channels-last images; everything
// else is generic.
#include "ops/conv/conv.h"

#include "kernels/winograd.h"
#include "ops/alone.h"
#include "tensor/size.h"

static rml_status check_residual(const rml_shape *in, int in_count, const rml_shape *out,
                                 rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    if (in_count > 3 && in[3].rank >= 0 && !rml_shapes_agree(&in[3], out))
        return rml_fail(err, RML_ERR_SHAPE, "residual is %s, the output %s",
                        rml_shape_text(&in[3], a), rml_shape_text(out, b));
    return RML_OK;
}

rml_status rml_conv_infer(const rml_conv_attr *conv, const rml_shape *in, int in_count, int bias,
                          bool transposed, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &in[0], *w = &in[1];
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    // The weight has all channels of one side first, then those of the other side in a group.
    const int64_t all = w->rank > 1 ? w->dim[0] : -1, each = w->rank > 1 ? w->dim[1] : -1;
    int64_t of_groups = -1;
    rml_window window = {0};
    // groups come from files, so nothing is multiplied by them unchecked
    bool fits = x->rank >= 3 && w->rank == x->rank && conv->groups >= 1 &&
                (each != 0 || transposed) &&
                (each < 0 || rml_i64_mul(each, conv->groups, &of_groups)) &&
                (all < 0 || all % conv->groups == 0);
    fits = fits && rml_dims_agree(transposed ? all : of_groups, x->dim[1]);
    if (fits)
        RML_TRY(transposed ? rml_conv_transpose_make(conv, x, w, &window, err)
                           : rml_window_make(&conv->window, x, &w->dim[2], &window, err));
    for (int i = 0; fits && i < window.rank; i++)
        fits = w->dim[i + 2] < 0 || w->dim[i + 2] == window.kernel[i]; // a kernel of -1 is no size
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "weight %s with groups %lld does not fit input %s",
                        rml_shape_text(w, w_text), (long long)conv->groups,
                        rml_shape_text(x, x_text));
    *out = *x;
    out->dim[1] = transposed ? of_groups : all;
    for (int i = 0; i < window.rank; i++)
        out->dim[i + 2] = window.out[i];
    if (in_count > bias && in[bias].rank >= 0 &&
        (in[bias].rank != 1 || !rml_dims_agree(in[bias].dim[0], out->dim[1])))
        return rml_fail(err, RML_ERR_SHAPE, "bias is %s, expected (%lld)",
                        rml_shape_text(&in[bias], x_text), (long long)out->dim[1]);
    return bias == 2 ? check_residual(in, in_count, out, err) : RML_OK;
}

rml_status rml_conv_infer_node(const rml_op_node *node, bool transposed, rml_shape *out,
                               rml_error *err)
{
    rml_shape shapes[4];
    for (int i = 0; i < node->in_count; i++)
        shapes[i] = node->in[i].shape;
    if (shapes[0].rank == RML_RANK_UNKNOWN) // it is the weight's
        shapes[0] = (rml_shape){shapes[1].rank, {-1, -1, -1, -1, -1, -1, -1, -1}};
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (shapes[0].rank == RML_RANK_UNKNOWN || shapes[1].rank == RML_RANK_UNKNOWN)
        return RML_OK;
    return rml_conv_infer(&node->attr->conv, shapes, node->in_count, 2, transposed, out, err);
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    return rml_conv_infer_node(node, false, out, err);
}

bool rml_conv_takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_shape *w = &in[1].shape;
    bool takes = in[1].constant && (w->rank == 3 || w->rank == 4);
    (void)attr;
    (void)in_count;
    for (int i = 0; i < w->rank && takes; i++)
        takes = w->dim[i] >= 1;
    return takes;
}

rml_window rml_conv_window(const rml_op_args *args)
{
    const rml_shape x = rml_tensor_shape(&args->in[0]);
    rml_window window;
    rml_window_make(&args->attr->conv.window, &x, &args->in[1].dim[2], &window, NULL); // it fits
    for (int i = 0; i < window.rank; i++)
        window.out[i] = args->out[0].dim[2 + i];
    return window;
}

uint64_t rml_conv_macs(const rml_op_args *args)
{
    const int64_t rows = args->in[1].dim[0];
    return rows ? (uint64_t)rml_tensor_count(&args->out[0]) *
                      (uint64_t)(rml_tensor_count(&args->in[1]) / (size_t)rows)
                : 0;
}

void rml_conv_epilogue(const rml_op_args *args, float *y, size_t count)
{
    const rml_tensor *residual = rml_conv_residual(args);
    const rml_activation *act = &args->attr->conv.act;
    const float *added = residual ? residual->data + (y - args->out[0].data) : NULL;
    for (size_t i = 0; added && i < count; i++)
        y[i] += added[i];
    if (!rml_activation_is_none(act))
        RML_KERNEL(args->kernels, unary[act->kind])(y, y, count, act->param);
}

// Both precisions are computed by the same functions.
#define INDIRECT                                                                                   \
    .packed_bytes = rml_conv_indirect_packed_bytes, .pack = rml_conv_indirect_pack,                \
    .scratch_bytes = rml_conv_indirect_scratch_bytes, .run = rml_conv_indirect_run
#define WINOGRAD                                                                                   \
    .packed_bytes = rml_conv_winograd_packed_bytes, .pack = rml_conv_winograd_pack,                \
    .scratch_bytes = rml_conv_winograd_scratch_bytes, .run = rml_conv_winograd_run

static const rml_algorithm algorithms[] = {
    {.name = "row-of-an-image",
     .accepts = rml_conv_row_accepts,
     .packed_bytes = rml_conv_row_packed_bytes,
     .pack = rml_conv_row_pack,
     .scratch_bytes = rml_conv_row_scratch_bytes,
     .run = rml_conv_row_run},
    {.name = "direct",
     .accepts = rml_conv_direct_accepts,
     .packed_bytes = rml_conv_direct_packed_bytes,
     .pack = rml_conv_direct_pack,
     .scratch_bytes = rml_conv_direct_scratch_bytes,
     .run = rml_conv_direct_run,
     .activate = rml_activate},
    {.name = "winograd-4x4-3x3-bf16",
     .precision = RML_PRECISION_BF16,
     .reorders = true,
     .unit = {RML_WINOGRAD_OUT, RML_WINOGRAD_OUT},
     .accepts = rml_conv_winograd_bf16_accepts,
     WINOGRAD},
    {.name = "winograd-4x4-3x3",
     .reorders = true,
     .unit = {RML_WINOGRAD_OUT, RML_WINOGRAD_OUT},
     .accepts = rml_conv_winograd_accepts,
     WINOGRAD},
    {.name = "taps-as-columns",
     .reorders = true,
     .accepts = rml_conv_small_oc_accepts,
     .packed_bytes = rml_conv_small_oc_packed_bytes,
     .pack = rml_conv_small_oc_pack,
     .scratch_bytes = rml_conv_small_oc_scratch_bytes,
     .run = rml_conv_small_oc_run},
    {.name = "indirect-gemm-bf16",
     .precision = RML_PRECISION_BF16,
     .accepts = rml_conv_bf16_accepts,
     .activate = rml_activate,
     INDIRECT},
    {.name = "indirect-gemm", .activate = rml_activate, INDIRECT},
    {.name = "rows-of-planes",
     .generic = true,
     .accepts = rml_conv_plain_accepts,
     .worker_bytes = rml_conv_plain_bytes,
     .run = rml_conv_plain_run},
    {.name = "im2col-gemm",
     .generic = true,
     .scratch_bytes = rml_conv_generic_scratch_bytes,
     .run = rml_conv_generic_run},
};

const rml_op rml_op_conv = {.id = RML_OP_CONV,
                            .name = "conv",
                            .inputs = {2, 4},
                            .layout = RML_OP_CHANNELS_LAST,
                            .takes_images = rml_conv_takes_images,
                            .plain_as_well = rml_conv_plain_fits,
                            .takes_planes = rml_conv_direct_takes_planes,
                            .packed_input = 1,
                            .infer_values = infer,
                            .macs = rml_conv_macs,
                            .block = &rml_op_inverted_residual,
                            .algorithms = algorithms};

static const rml_algorithm alone[] = {
    {.name = "direct",
     .accepts = rml_conv_direct_accepts,
     .packed_bytes = rml_conv_direct_packed_bytes,
     .pack = rml_conv_direct_pack,
     .scratch_bytes = rml_conv_direct_scratch_bytes,
     .run = rml_conv_direct_run},
    {.name = "indirect-gemm-bf16",
     .precision = RML_PRECISION_BF16,
     .accepts = rml_conv_bf16_accepts,
     INDIRECT},
    {.name = "indirect-gemm", INDIRECT},
};

const rml_op rml_op_conv_alone = {.id = RML_OP_CONV,
                                  .name = "conv",
                                  .inputs = {2, 4},
                                  .layout = RML_OP_CHANNELS_LAST,
                                  .takes_planes = rml_conv_direct_takes_planes,
                                  .packed_input = 1,
                                  .infer_values = infer,
                                  .macs = rml_conv_macs,
                                  .block = &rml_op_inverted_alone,
                                  .algorithms = alone};
