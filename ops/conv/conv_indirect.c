// Convolution by indirect GEMM: any kernel, stride, padding, dilation and groups, in f32; in bf16,
// with f32 sums, one group. Few channels stay f32, for at the ends of a network they carry most and
// cost least.
#include "ops/conv/conv.h"

#include "kernels/pack.h"
#include "ops/conv/igemm.h"
#include "ops/matmul/bf16.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/size.h"

#define LEAST_CHANNELS 16

bool rml_conv_bf16_fits(const rml_op_args *args)
{
    return args->attr->conv.groups == 1 && args->in[0].dim[1] >= LEAST_CHANNELS &&
           args->out[0].dim[1] >= LEAST_CHANNELS;
}

static const rml_gemm *gemm_of(const rml_op_args *args)
{
    return rml_gemm_of(args, rml_runs_bf16(args));
}

static size_t depth_of(const rml_op_args *args)
{
    return rml_pack_depth(gemm_of(args), (size_t)args->in[1].dim[1]);
}

// Of the packed weights of a group.
static size_t group_count(const rml_op_args *args)
{
    return rml_pack_count(gemm_of(args), rml_conv_taps(args), (size_t)args->in[1].dim[1],
                          (size_t)(args->out[0].dim[1] / args->attr->conv.groups));
}

size_t rml_conv_indirect_packed_bytes(const rml_op_args *args)
{
    return rml_sat_mul((size_t)args->attr->conv.groups * gemm_of(args)->element_bytes,
                       group_count(args));
}

rml_status rml_conv_indirect_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err)
{
    return rml_pack_filters(args, gemm_of(args), weight, (size_t)args->attr->conv.groups,
                            rml_conv_taps(args), packed, allocator, err);
}

// ---- 1x1 in bf16: a block of pixels is converted and multiplied in the cache --------------------

#define POINT_PIXELS 96 // of a block

static bool is_point(const rml_op_args *args)
{
    const rml_window w = rml_conv_window(args);
    const rml_tensor *in = &args->in[0], *out = &args->out[0], *residual = rml_conv_residual(args);
    return rml_conv_taps(args) == 1 && w.stride[0] == 1 && w.stride[1] == 1 &&
           in->dim[2] == out->dim[2] && in->dim[3] == out->dim[3] && w.before[0] == 0 &&
           w.before[1] == 0 && args->attr->conv.act.kind == RML_UNARY_CLAMP &&
           rml_igemm_is_flat(in) && rml_igemm_is_flat(out) &&
           (!residual || rml_igemm_is_flat(residual));
}

static size_t point_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(depth_of(args), POINT_PIXELS * sizeof(uint16_t));
}

static void multiply_block(const rml_op_args *args, const uint16_t *pixels, size_t first,
                           size_t count)
{
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_bf16);
    const rml_tensor *out = &args->out[0], *residual = rml_conv_residual(args);
    const rml_activation *act = &args->attr->conv.act;
    const size_t depth = depth_of(args), cols = (size_t)out->dim[1];
    const void *a[RML_GEMM_MAX_MR];
    const float *add[RML_GEMM_MAX_MR], *bias = rml_conv_bias(args);
    float *c[RML_GEMM_MAX_MR];
    for (size_t column = 0; column < cols; column += gemm->nr) {
        rml_gemm_tile tile = {.a = a,
                              .taps = 1,
                              .depth = depth,
                              .b = rml_pack_at(gemm, args->packed, column * depth),
                              .cols = rml_min_size(gemm->nr, cols - column),
                              .c = c,
                              .bias = bias ? bias + column : NULL,
                              .residual = residual ? add : NULL,
                              .low = act->param[0],
                              .high = act->param[1]};
        for (size_t pixel = 0; pixel < count; pixel += gemm->mr) {
            tile.rows = rml_min_size(gemm->mr, count - pixel);
            for (size_t i = 0; i < tile.rows; i++) {
                const int64_t at = (int64_t)(first + pixel + i);
                a[i] = pixels + (pixel + i) * depth;
                c[i] = out->data + at * out->stride[3] + column;
                if (residual)
                    add[i] = residual->data + at * residual->stride[3] + column;
            }
            gemm->run(&tile);
        }
    }
}

static size_t pixels_of(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    return (size_t)(out->dim[0] * out->dim[2] * out->dim[3]);
}

static void run_points(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *in = &args->in[0];
    uint16_t *pixels = (uint16_t *)(void *)(args->scratch + (size_t)worker * point_bytes(args));
    const size_t depth = depth_of(args);
    rml_gemm_begin(&RML_KERNEL(args->kernels, gemm_bf16));
    for (size_t block = begin; block < end; block++) {
        const size_t first = block * POINT_PIXELS;
        const size_t count = rml_min_size(POINT_PIXELS, pixels_of(args) - first);
        for (size_t i = 0; i < count; i++)
            RML_KERNEL(args->kernels, to_bf16)
        (in->data + (int64_t)(first + i) * in->stride[3], (size_t)in->dim[1], depth,
         pixels + i * depth);
        multiply_block(args, pixels, first, count);
    }
    rml_gemm_end(&RML_KERNEL(args->kernels, gemm_bf16));
}

static size_t product_bytes(const rml_op_args *args)
{
    return rml_igemm_scratch_bytes(gemm_of(args), args->threads, rml_conv_taps(args),
                                   depth_of(args));
}

size_t rml_conv_indirect_scratch_bytes(const rml_op_args *args)
{
    if (!rml_runs_bf16(args))
        return product_bytes(args);
    // enough for both ways: whether pixels are flat depends on views that are known when it runs
    const size_t any = rml_sat_add(product_bytes(args), rml_bf16_image_bytes(args, &args->in[0]));
    const size_t point = rml_sat_mul((size_t)args->threads, point_bytes(args));
    return rml_conv_taps(args) == 1 && point > any ? point : any;
}

void rml_conv_indirect_run(const rml_op_args *args)
{
    const bool bf16 = rml_runs_bf16(args);
    const rml_tensor *out = &args->out[0];
    const size_t groups = (size_t)args->attr->conv.groups;
    const float *bias = rml_conv_bias(args);
    rml_tensor in = args->in[0];
    if (bf16 && is_point(args)) {
        rml_op_args copy = *args;
        rml_pool_run(args->pool, (pixels_of(args) + POINT_PIXELS - 1) / POINT_PIXELS, 1, run_points,
                     &copy);
        return;
    }
    if (bf16)
        in = rml_bf16_image(args, &in, args->scratch + product_bytes(args));
    rml_igemm product = {.window = rml_conv_window(args),
                         .in = &in,
                         .out = out,
                         .residual = rml_conv_residual(args),
                         .gemm = gemm_of(args),
                         .depth = depth_of(args),
                         .cols = (size_t)out->dim[1] / groups,
                         .act = &args->attr->conv.act,
                         .activate = args->algorithm->activate};
    for (size_t group = 0; group < groups; group++) {
        product.in_channel = (int64_t)(group * product.depth);
        product.out_channel = (int64_t)(group * product.cols);
        product.packed = rml_pack_at(product.gemm, args->packed, group * group_count(args));
        product.bias = bias ? bias + group * product.cols : NULL;
        rml_igemm_run(args, &product);
    }
}
