// Convolution of one dimension, and its transpose: an image of one row.
#include "ops/conv/conv_transpose.h"

#include "tensor/size.h"

typedef struct row {
    rml_op_attr attr;
    rml_tensor in[4], out;
    rml_op_args args;
    const rml_algorithm *algorithm;
} row;

static rml_tensor as_image(const rml_tensor *view)
{
    rml_tensor image = *view;
    if (view->rank != 3)
        return image;
    image.rank = 4;
    image.dim[2] = 1;
    image.dim[3] = view->dim[2];
    image.stride[2] = view->dim[2] * view->stride[2];
    image.stride[3] = view->stride[2];
    return image;
}

// The convolution of two dimensions, and what computes it: in f32, as the profile says of this one.
static void make_row(const rml_op *op, const rml_op_args *args, row *r)
{
    const bool transposed = op == &rml_op_conv_transpose;
    const rml_window line = transposed ? rml_conv_transpose_window(args) : rml_conv_window(args);
    const rml_window window = {.rank = 2,
                               .kernel = {1, line.kernel[0]},
                               .stride = {1, line.stride[0]},
                               .dilation = {1, line.dilation[0]},
                               .before = {0, line.before[0]},
                               .after = {0, line.after[0]}};
    r->attr.conv = args->attr->conv;
    r->attr.conv.window = rml_window_explicit(&window);
    r->attr.conv.out_pad[1] = r->attr.conv.out_pad[0];
    r->attr.conv.out_pad[0] = 0;
    for (int k = 0; k < 4; k++)
        r->in[k] = k < args->in_count ? as_image(&args->in[k]) : (rml_tensor){.rank = -1};
    r->out = as_image(&args->out[0]);
    r->args = *args;
    r->args.attr = &r->attr;
    r->args.in = r->in;
    r->args.in_count = 4;
    r->args.out = &r->out;
    r->args.precision = RML_PRECISION_F32;
    r->algorithm = rml_op_choose(op, &r->args);
    r->args.algorithm = r->algorithm;
}

static size_t packed_bytes(const rml_op *op, const rml_op_args *args)
{
    row r;
    make_row(op, args, &r);
    return r.algorithm->packed_bytes(&r.args);
}

static rml_status pack(const rml_op *op, const rml_op_args *args, const rml_constant *weight,
                       void *packed, const rml_allocator *allocator, rml_error *err)
{
    row r;
    make_row(op, args, &r);
    return r.algorithm->pack(&r.args, weight, packed, allocator, err);
}

static size_t scratch_bytes(const rml_op *op, const rml_op_args *args)
{
    row r;
    make_row(op, args, &r);
    return r.algorithm->scratch_bytes
               ? r.algorithm->scratch_bytes(&r.args)
               : rml_sat_mul((size_t)args->threads, r.algorithm->worker_bytes(&r.args));
}

static void run(const rml_op *op, const rml_op_args *args)
{
    row r;
    make_row(op, args, &r);
    r.algorithm->run(&r.args);
}

bool rml_conv_row_accepts(const rml_op_args *args)
{
    return args->in[1].rank == 3;
}

size_t rml_conv_row_packed_bytes(const rml_op_args *args)
{
    return packed_bytes(&rml_op_conv, args);
}

rml_status rml_conv_row_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                             const rml_allocator *allocator, rml_error *err)
{
    return pack(&rml_op_conv, args, weight, packed, allocator, err);
}

size_t rml_conv_row_scratch_bytes(const rml_op_args *args)
{
    return scratch_bytes(&rml_op_conv, args);
}

void rml_conv_row_run(const rml_op_args *args)
{
    run(&rml_op_conv, args);
}

size_t rml_transpose_row_packed_bytes(const rml_op_args *args)
{
    return packed_bytes(&rml_op_conv_transpose, args);
}

rml_status rml_transpose_row_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err)
{
    return pack(&rml_op_conv_transpose, args, weight, packed, allocator, err);
}

size_t rml_transpose_row_scratch_bytes(const rml_op_args *args)
{
    return scratch_bytes(&rml_op_conv_transpose, args);
}

void rml_transpose_row_run(const rml_op_args *args)
{
    run(&rml_op_conv_transpose, args);
}
