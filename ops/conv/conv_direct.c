// Convolution by direct.h: depthwise, with or without a channel multiplier, groups of few channels,
// and few channels to many.
#include "ops/conv/conv.h"
#include "ops/conv/direct.h"

#include "tensor/size.h"

// Channels that go into a single group, those in a row of its taps, and channels that come out.
// More go in to give a product enough to do, and so does a single tap, whose pixels follow each
// other.
#define MAX_DEPTH 8
#define MAX_ROW_DEPTH 24
#define MIN_COLS 16

static rml_conv_groups groups_of(const rml_op_args *args)
{
    const size_t groups = (size_t)args->attr->conv.groups, outputs = (size_t)args->in[1].dim[0];
    return (rml_conv_groups){(size_t)args->in[1].dim[1], outputs / groups, outputs};
}

static bool has_few_to_many(const rml_conv_groups *g, int64_t row_taps)
{
    return g->cols >= MIN_COLS && g->depth > 0 && g->depth <= MAX_DEPTH && row_taps > 1 &&
           (size_t)row_taps <= MAX_ROW_DEPTH / g->depth;
}

bool rml_conv_direct_takes_planes(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_shape *w = &in[1].shape;
    if (in_count < 2 || w->rank != 4 || in[0].shape.rank != 4 || attr->conv.groups != 1)
        return false;
    const rml_conv_groups g = {(size_t)w->dim[1], (size_t)w->dim[0], (size_t)w->dim[0]};
    return w->dim[2] > 1 && g.depth > 1 && has_few_to_many(&g, w->dim[3]);
}

bool rml_conv_direct_accepts(const rml_op_args *args)
{
    const rml_conv_groups g = groups_of(args);
    if (args->attr->conv.groups > 1 || (g.depth == 1 && g.cols == 1))
        return g.cols > 0 && g.depth <= RML_DIRECT_MAX_DEPTH;
    return has_few_to_many(&g, args->in[1].dim[3]);
}

size_t rml_conv_direct_packed_bytes(const rml_op_args *args)
{
    const rml_conv_groups g = groups_of(args);
    return rml_sat_mul(rml_direct_floats(args->kernels, &g, rml_conv_taps(args)), sizeof(float));
}

rml_status rml_conv_direct_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                const rml_allocator *allocator, rml_error *err)
{
    const rml_conv_groups g = groups_of(args);
    const size_t lanes = RML_KERNEL(args->kernels, conv_lanes), taps = rml_conv_taps(args);
    const size_t filter = g.depth * taps;
    const size_t bytes = filter * lanes * sizeof(float) + taps * sizeof(size_t);
    size_t *tap = rml_alloc(allocator, bytes);
    if (!tap)
        return rml_fail_nomem(err, bytes, "packing weights");
    float *rows = (float *)(void *)(tap + taps), *dst = packed;
    for (size_t t = 0; t < taps; t++)
        tap[t] = t;
    for (size_t i = 0; i < rml_conv_blocks(&g, lanes); i++, dst += filter * lanes) {
        const rml_conv_block block = rml_conv_block_at(&g, lanes, i);
        rml_constant_read(weight, 0, (int64_t)block.first, (int64_t)block.count, rows);
        rml_direct_pack(args->kernels, &g, block.count, rows, tap, taps, taps, filter, dst);
    }
    rml_free(allocator, tap);
    return RML_OK;
}

static rml_direct direct_of(const rml_op_args *args)
{
    return (rml_direct){.window = rml_conv_window(args),
                        .in = &args->in[0],
                        .out = &args->out[0],
                        .residual = rml_conv_residual(args),
                        .groups = groups_of(args),
                        .packed = args->packed,
                        .bias = rml_conv_bias(args),
                        .act = &args->attr->conv.act};
}

size_t rml_conv_direct_scratch_bytes(const rml_op_args *args)
{
    const rml_direct direct = direct_of(args);
    return rml_direct_scratch_bytes(args, &direct);
}

void rml_conv_direct_run(const rml_op_args *args)
{
    rml_direct direct = direct_of(args);
    direct.activate = args->algorithm->activate;
    rml_direct_run(args, &direct);
}
