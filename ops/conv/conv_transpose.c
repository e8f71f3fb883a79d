// Transposed convolution: y = act(conv_transpose(x, w) + bias + residual).
//   x [N,C,...]   w [C,O/groups,...] (C first)   bias [O], optional   y, residual [N,O,...]
//   size of y = (size-1)*stride - padding + dilation*(kernel-1) + out_pad + 1
// Source: torch.nn.functional.conv_transpose1d to conv_transpose3d; ONNX ConvTranspose.
//
// Images: output pixels whose coordinates agree modulo the stride read the same taps, so each such
// phase is an ordinary stride-1 convolution over the input: no multiplication by zeros, no
// overlapping sums.
#include "ops/conv/conv_transpose.h"

#include "kernels/pack.h"
#include "ops/conv/igemm.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/size.h"

static rml_status size_axis(const rml_conv_attr *conv, rml_window *w, int i, rml_error *err)
{
    const rml_auto_pad auto_pad = conv->window.auto_pad;
    const bool same = auto_pad == RML_AUTO_PAD_SAME_UPPER || auto_pad == RML_AUTO_PAD_SAME_LOWER;
    int64_t reach;
    w->out[i] = conv->out_size[i] ? conv->out_size[i] : -1;
    if (w->in[i] < 0 || w->kernel[i] < 0)
        return RML_OK;
    if (!rml_i64_mul(w->in[i] > 0 ? w->in[i] - 1 : 0, w->stride[i], &reach) || reach > (int64_t)1
                                                                                           << 62)
        return rml_fail(err, RML_ERR_LIMIT, "axis %d: the output is too large", i + 2);
    reach += rml_window_span(w, i) + conv->out_pad[i];
    if (w->in[i] == 0)
        reach = conv->out_pad[i];
    if (!conv->out_size[i])
        w->out[i] = same ? w->in[i] * w->stride[i] : reach - w->before[i] - w->after[i];
    if (conv->out_size[i] || same) {
        const int64_t total = reach - w->out[i] > 0 ? reach - w->out[i] : 0;
        w->before[i] = auto_pad == RML_AUTO_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    }
    if (w->out[i] < 0)
        return rml_fail(err, RML_ERR_SHAPE, "axis %d: size %lld gives an output of %lld", i + 2,
                        (long long)w->in[i], (long long)w->out[i]);
    return RML_OK;
}

rml_status rml_conv_transpose_make(const rml_conv_attr *conv, const rml_shape *x,
                                   const rml_shape *weight, rml_window *w, rml_error *err)
{
    // The forward windows only check and collect: any image is large enough for them.
    rml_shape any = *x;
    for (int i = 2; i < any.rank; i++)
        any.dim[i] = -1;
    RML_TRY(rml_window_make(&conv->window, &any, &weight->dim[2], w, err));
    for (int i = 0; i < w->rank; i++) {
        if (conv->out_pad[i] < 0 || conv->out_size[i] < 0 || conv->out_pad[i] > INT32_MAX)
            return rml_fail(err, RML_ERR_ARG, "axis %d: output padding %lld and size %lld", i + 2,
                            (long long)conv->out_pad[i], (long long)conv->out_size[i]);
        w->in[i] = x->dim[i + 2];
        RML_TRY(size_axis(conv, w, i, err));
    }
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    return rml_conv_infer_node(node, true, out, err);
}

rml_window rml_conv_transpose_window(const rml_op_args *args)
{
    const rml_shape x = rml_tensor_shape(&args->in[0]), w = rml_tensor_shape(&args->in[1]);
    rml_window window;
    rml_conv_transpose_make(&args->attr->conv, &x, &w, &window, NULL); // infer: it fits
    for (int i = 0; i < window.rank; i++)
        window.out[i] = args->out[0].dim[2 + i];
    return window;
}

// What is packed for an input of one size alone is left to the generic way.
static bool takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_conv_attr *conv = &attr->conv;
    return rml_conv_takes_images(attr, in, in_count) && !conv->out_size[0] && !conv->out_size[1];
}

// ---- phases by the product ----------------------------------------------------------------------

static size_t cols_of(const rml_op_args *args)
{
    return rml_transpose_cols(args);
}

static size_t depth_of(const rml_op_args *args)
{
    return rml_transpose_depth(args);
}

// Packed: groups x phases, each a matrix of its own taps. All phases together have Kh*Kw taps.
static size_t packed_bytes(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    return rml_sat_mul((size_t)conv->groups * sizeof(float),
                       rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), rml_conv_taps(args),
                                      depth_of(args), cols_of(args)));
}

// `rows`: [C][count][Kh*Kw], of all groups.
static void pack_panel(const rml_weight_pack *pack, size_t first, size_t column, size_t count,
                       float *rows)
{
    const rml_op_args *args = pack->args;
    const rml_window *window = pack->context;
    const rml_gemm *gemm = pack->gemm;
    const size_t depth = depth_of(args), cols = pack->cols, kernel = rml_conv_taps(args);
    const size_t pitch = rml_pack_pitch(gemm, count);
    (void)first;
    for (size_t group = 0; group < (size_t)args->attr->conv.groups; group++) {
        float *matrix = (float *)pack->packed + group * rml_pack_count(gemm, kernel, depth, cols);
        const float *src = rows + group * depth * count * kernel;
        for (size_t at = 0; at < rml_phase_count(window); at++) {
            const rml_phases phase = rml_phases_of(window, at);
            const size_t taps = (size_t)(phase.y.count * phase.x.count);
            float *dst = matrix + column * taps * depth;
            for (size_t t = 0; t < taps; t++, dst += depth * pitch)
                rml_pack_panel(gemm, dst, src + rml_phase_tap(window, &phase, t), 1, depth, count,
                               0, count * kernel, kernel);
            matrix += rml_pack_count(gemm, taps, depth, cols);
        }
    }
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    const rml_window window = rml_conv_transpose_window(args);
    const rml_weight_pack panels = {.args = args,
                                    .gemm = &RML_KERNEL(args->kernels, gemm_f32),
                                    .axis = 1,
                                    .groups = 1,
                                    .cols = cols_of(args),
                                    .floats = (size_t)args->in[1].dim[0] * rml_conv_taps(args),
                                    .panel = pack_panel,
                                    .context = &window,
                                    .packed = packed};
    return rml_pack_weight(&panels, weight, allocator, err);
}

static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_igemm_scratch_bytes(&RML_KERNEL(args->kernels, gemm_f32), args->threads,
                                   rml_conv_taps(args), depth_of(args));
}

static void run(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_window window = rml_conv_transpose_window(args);
    const rml_tensor *residual = rml_conv_residual(args);
    const float *bias = rml_conv_bias(args);
    const size_t depth = depth_of(args), cols = cols_of(args);
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_f32);
    for (size_t group = 0; group < (size_t)conv->groups; group++) {
        const float *packed = (const float *)args->packed +
                              group * rml_pack_count(gemm, rml_conv_taps(args), depth, cols);
        for (size_t at = 0; at < rml_phase_count(&window); at++) {
            const rml_phases phase = rml_phases_of(&window, at);
            const rml_tensor out = rml_phase_view(&args->out[0], &window, &phase);
            const rml_tensor added =
                residual ? rml_phase_view(residual, &window, &phase) : (rml_tensor){0};
            const rml_igemm product = {.window = rml_phase_window(&window, &phase),
                                       .in = &args->in[0],
                                       .out = &out,
                                       .residual = residual ? &added : NULL,
                                       .in_channel = (int64_t)(group * depth),
                                       .out_channel = (int64_t)(group * cols),
                                       .depth = depth,
                                       .cols = cols,
                                       .gemm = gemm,
                                       .packed = packed,
                                       .bias = bias ? bias + group * cols : NULL,
                                       .act = &conv->act,
                                       .activate = rml_activate};
            rml_igemm_run(args, &product);
            packed += rml_pack_count(gemm, (size_t)(phase.y.count * phase.x.count), depth, cols);
        }
    }
}

static uint64_t macs(const rml_op_args *args)
{
    const int64_t channels = args->in[1].dim[0];
    return channels ? (uint64_t)rml_tensor_count(&args->in[0]) *
                          (uint64_t)(rml_tensor_count(&args->in[1]) / (size_t)channels)
                    : 0;
}

static const rml_algorithm algorithms[] = {
    {.name = "row-of-an-image",
     .accepts = rml_conv_row_accepts,
     .packed_bytes = rml_transpose_row_packed_bytes,
     .pack = rml_transpose_row_pack,
     .scratch_bytes = rml_transpose_row_scratch_bytes,
     .run = rml_transpose_row_run},
    {.name = "phases-direct",
     .accepts = rml_transpose_direct_accepts,
     .packed_bytes = rml_transpose_direct_packed_bytes,
     .pack = rml_transpose_direct_pack,
     .scratch_bytes = rml_transpose_direct_scratch_bytes,
     .run = rml_transpose_direct_run},
    {.name = "product-and-overlap",
     .reorders = true,
     .unit = {0, RML_UNIT_ALL}, // sums go chunk by chunk of the columns, from the first on
     .accepts = rml_transpose_overlap_accepts,
     .packed_bytes = rml_transpose_overlap_packed_bytes,
     .pack = rml_transpose_overlap_pack,
     .worker_bytes = rml_transpose_overlap_worker_bytes,
     .run = rml_transpose_overlap_run},
    {.name = "phases-indirect-gemm",
     .packed_bytes = packed_bytes,
     .pack = pack,
     .scratch_bytes = scratch_bytes,
     .run = run},
    {.name = "phases-of-planes",
     .generic = true,
     .accepts = rml_transpose_plain_accepts,
     .worker_bytes = rml_transpose_plain_bytes,
     .run = rml_transpose_plain_run},
    {.name = "rows", .generic = true, .run = rml_conv_transpose_generic_run}};

const rml_op rml_op_conv_transpose = {.id = RML_OP_CONV_TRANSPOSE,
                                      .name = "conv_transpose",
                                      .inputs = {2, 4},
                                      .layout = RML_OP_CHANNELS_LAST,
                                      .takes_images = takes_images,
                                      .plain_as_well = rml_transpose_plain_fits,
                                      .packed_input = 1,
                                      .infer_values = infer,
                                      .macs = macs,
                                      .algorithms = algorithms};
