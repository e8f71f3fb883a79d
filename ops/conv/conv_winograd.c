// Convolution by Winograd: F(4x4, 3x3) with 36 multiplications for 16 outputs instead of 144, and
// with products of bf16, whose rounding those would amplify too much, 46 for 16.
#include "ops/conv/conv_winograd.h"

#include "kernels/pack.h"
#include "kernels/winograd_complex.h"
#include "ops/matmul/bf16.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/size.h"

#include <math.h>

// What a block may take of the second-level cache; the weights flow through the rest, and pixels
// fetched ahead wait there.
#define SCRATCH_BYTES ((size_t)400 * 1024)
#define MAX_BLOCK 192 // tiles
// Every block reads all weights. From so many channels on they come from memory, and reading them
// for few tiles takes longer than blocks that leave the second-level cache.
#define WIDE_CHANNELS 320
#define WIDE_BLOCK 48
#define GROUP 128 // columns
// In bf16 larger images only: the layers in the middle of a network are those whose rounding all
// others carry on, and Winograd amplifies it.
#define BF16_PIXELS 4096

#define OUT RML_WINOGRAD_OUT

static bool fits(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const rml_window w = rml_conv_window(args);
    if (w.kernel[0] != 3 || w.kernel[1] != 3 || w.stride[0] != 1 || w.stride[1] != 1 ||
        w.dilation[0] != 1 || w.dilation[1] != 1 || conv->groups != 1)
        return false;
    // Few channels: the transforms outweigh the products. Small images: the weights, four times as
    // many as before, are read for too few tiles, and would not fit the memory promise.
    return in->dim[1] >= 16 && out->dim[1] >= 16 && out->dim[2] >= 16 && out->dim[3] >= 16;
}

// ---- the choice in bf16, by multiply-adds of gemm_f32 for a pixel -------------------------------

#define TRANSFORM 16.0f // that an element of a transformed tile takes to be made or read
#define LESS 0.8f       // of what the direct sum takes, which errs less and has smaller weights

static float winograd_cost(const rml_op_args *args, float planes, float rate)
{
    const float c = (float)args->in[0].dim[1], o = (float)args->out[0].dim[1];
    return planes * (c * o / rate + TRANSFORM * (c + o)) / (float)(OUT * OUT);
}

typedef enum way { WAY_F32, WAY_DIRECT_BF16, WAY_WINOGRAD_BF16 } way;

static way choose(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    if (!rml_wants_bf16(args) || !rml_conv_bf16_fits(args))
        return WAY_F32;
    const float rate = RML_KERNEL(args->kernels, gemm_bf16).rate;
    const size_t c = (size_t)in->dim[1], cols = rml_conv_taps(args) * (size_t)out->dim[1];
    const float f32 =
        fits(args) ? winograd_cost(args, RML_WINOGRAD_PLANES, 1.0f) : (float)c * (float)cols;
    // The whole input is rounded, also where a stride leaves most of it out.
    const float reads = (float)(in->dim[2] * in->dim[3]) / (float)(out->dim[2] * out->dim[3]);
    const float direct = rml_bf16_cost(args, c, cols, reads);
    const float winograd = fits(args) && out->dim[2] * out->dim[3] > BF16_PIXELS
                               ? winograd_cost(args, RML_WINOGRAD_COMPLEX_PLANES, rate)
                               : INFINITY;
    if (direct >= RML_BF16_GAIN * f32 && winograd >= RML_BF16_GAIN * f32)
        return WAY_F32;
    return winograd < LESS * direct ? WAY_WINOGRAD_BF16 : WAY_DIRECT_BF16;
}

bool rml_conv_winograd_bf16_accepts(const rml_op_args *args)
{
    return choose(args) == WAY_WINOGRAD_BF16;
}

bool rml_conv_winograd_accepts(const rml_op_args *args)
{
    return fits(args) && choose(args) == WAY_F32;
}

bool rml_conv_bf16_accepts(const rml_op_args *args)
{
    return choose(args) == WAY_DIRECT_BF16;
}

static rml_winograd_shape shape_of(const rml_op_args *args)
{
    const bool bf16 = rml_runs_bf16(args);
    const rml_tensor *out = &args->out[0];
    const rml_window window = rml_conv_window(args);
    rml_winograd_shape s = {.c = (size_t)args->in[0].dim[1],
                            .o = (size_t)out->dim[1],
                            .pad = {window.before[0], window.before[1]}};
    s.bf16 = bf16;
    s.gemm = rml_gemm_of(args, bf16);
    s.depth = rml_pack_depth(s.gemm, s.c);
    s.planes = bf16 ? RML_WINOGRAD_COMPLEX_PLANES : RML_WINOGRAD_PLANES;
    s.twice = bf16 && args->attr->conv.twice; // of bands too: they begin at tiles, at even rows
    s.tile_rows = ((size_t)out->dim[2] + OUT - 1) / OUT;
    s.tile_cols = ((size_t)out->dim[3] + OUT - 1) / OUT;
    s.tiles = (size_t)out->dim[0] * s.tile_rows * s.tile_cols;
    const size_t share = (s.tiles + (size_t)args->threads - 1) / (size_t)args->threads;
    s.group = rml_min_size(s.o, rml_round_up(GROUP, s.gemm->nr));
    size_t block = SCRATCH_BYTES /
                   rml_sat_mul(s.planes, rml_sat_add(rml_sat_mul(s.depth, s.gemm->element_bytes),
                                                     s.group * sizeof(float)));
    block = s.c < WIDE_CHANNELS ? rml_min_size(block, MAX_BLOCK) : WIDE_BLOCK;
    block = rml_min_size(block, share);
    s.block = rml_round_up(block ? block : 1, s.gemm->mr);
    return s;
}

size_t rml_conv_winograd_packed_bytes(const rml_op_args *args)
{
    const rml_winograd_shape s = shape_of(args);
    return rml_sat_mul(s.planes, rml_pack_bytes(s.gemm, 1, s.c, s.o));
}

// Transforms the filters of a panel, and packs each plane of them.
static void pack_panel(const rml_weight_pack *pack, size_t group, size_t column, size_t count,
                       float *rows)
{
    const rml_winograd_shape *s = pack->context;
    const size_t plane_count = rml_pack_count(s->gemm, 1, s->c, s->o), c = s->c;
    float *planes = rows + s->gemm->nr * pack->floats;
    (void)group;
    for (size_t i = 0; i < count * c; i++) {
        float u[RML_WINOGRAD_COMPLEX_PLANES];
        (s->bf16 ? rml_winograd_complex_weight : rml_winograd_weight)(rows + i * 9, u);
        for (size_t p = 0; p < s->planes; p++)
            planes[p * count * c + i] = u[p];
    }
    for (size_t p = 0; p < s->planes; p++)
        rml_pack_panel(s->gemm,
                       rml_pack_at(s->gemm, pack->packed, p * plane_count + column * s->depth),
                       planes + p * count * c, 1, c, count, 0, 1, c);
}

rml_status rml_conv_winograd_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err)
{
    const rml_winograd_shape s = shape_of(args);
    const rml_weight_pack panels = {.args = args,
                                    .gemm = s.gemm,
                                    .groups = 1,
                                    .cols = s.o,
                                    .floats = 9 * s.c,
                                    .more = rml_sat_mul(s.planes, s.c),
                                    .panel = pack_panel,
                                    .context = &s,
                                    .packed = packed};
    return rml_pack_weight(&panels, weight, allocator, err);
}

size_t rml_conv_winograd_scratch_bytes(const rml_op_args *args)
{
    const rml_winograd_shape s = shape_of(args);
    return rml_winograd_blocks_scratch_bytes(args, &s);
}

void rml_conv_winograd_run(const rml_op_args *args)
{
    const rml_winograd_shape s = shape_of(args);
    rml_winograd_blocks_run(args, &s);
}
