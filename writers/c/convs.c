// Convolutions and matrix products.
#include "writers/c/conv_text.h"

#include "ops/conv/conv.h"
#include "tensor/format.h"

#include <string.h>

// Pixels that follow each other in all images, each read at its place, are one row of them.
static void flatten(rml_c_window *k)
{
    rml_c_image *const views[3] = {&k->in, &k->out, &k->residual};
    bool flat = k->in.h == k->out.h && k->in.w == k->out.w && k->in.channel == 1;
    for (int axis = 0; axis < 2; axis++)
        flat = flat && k->kernel[axis] == 1 && k->stride[axis] == 1 && k->before[axis] == 0;
    for (int i = 0; i < 3; i++)
        flat = flat && (views[i]->w == 0 || views[i]->h == 1 ||
                        views[i]->row == views[i]->pixel * views[i]->w);
    for (int i = 0; i < 3 && flat; i++) {
        views[i]->w *= views[i]->h;
        views[i]->h = 1;
    }
}

static rml_c_window conv_of(const rml_op_args *args)
{
    const rml_conv_attr *attr = &args->attr->conv;
    const rml_window w = rml_conv_window(args);
    const int line = w.rank == 1;
    rml_c_window k = {.in = rml_c_image_of(&args->in[0]),
                      .out = rml_c_image_of(&args->out[0]),
                      .depth = args->in[1].dim[1],
                      .cols = args->in[1].dim[0] / attr->groups,
                      .groups = attr->groups,
                      .kernel = {1, 1},
                      .stride = {1, 1},
                      .dilation = {1, 1}};
    for (int axis = line; axis < 2; axis++) {
        k.kernel[axis] = w.kernel[axis - line];
        k.stride[axis] = w.stride[axis - line];
        k.dilation[axis] = w.dilation[axis - line];
        k.before[axis] = w.before[axis - line];
    }
    if (rml_conv_residual(args))
        k.residual = rml_c_image_of(&args->in[3]);
    rml_c_take_clamp(&k, &attr->act);
    if (!rml_c_is_depthwise(&k))
        flatten(&k);
    return k;
}

static void call_conv(rml_c_emit *c, size_t step, const rml_c_window *k, const rml_activation *act)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES], more[RML_C_PLACE_BYTES], bias[32] = "0";
    if (rml_op_input(&rml_c_step(c, step)->args, 2))
        rml_format(bias, sizeof bias, "net_b%zu.value", step);
    rml_c_say(c, "    %s(&net_s%zu, %s, net_w%zu.value, %s, %s, %s);\n",
              rml_c_is_depthwise(k) ? "net_depthwise" : "net_conv", step, rml_c_in(c, step, 0, in),
              step, bias, rml_c_in(c, step, 3, more), rml_c_out(c, step, 0, out));
    rml_c_activate(c, step, act);
}

// ---- convolution --------------------------------------------------------------------------------

static const char *check_conv(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_op_args *args = &step->args;
    (void)scratch;
    if (step->algorithm->generic)
        return "its image is plain, or its weight is no constant";
    if (!rml_op_constant(args, 1) || (rml_op_input(args, 2) && !rml_op_constant(args, 2)))
        return "its weight or bias is no constant";
    if (!rml_c_activation_fits(c, &args->attr->conv.act))
        return "its activation has no kernel";
    const rml_c_window k = conv_of(args);
    rml_c_note_window(c, &k);
    return NULL;
}

static void data_conv(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_c_window k = conv_of(args);
    rml_c_say_window(c, &k, "net_s", step);
    rml_c_say_weight(c, &k, rml_op_constant(args, 1), "net_w", step);
    if (rml_op_input(args, 2))
        rml_c_say_bias(c, rml_op_constant(args, 2), "net_b", step);
}

static void run_conv(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_c_window k = conv_of(args);
    call_conv(c, step, &k, &args->attr->conv.act);
}

const rml_c_op rml_c_conv = {RML_OP_CONV, check_conv, data_conv, run_conv};

// ---- matrix product -----------------------------------------------------------------------------

static rml_c_image rows_of(const rml_tensor *view)
{
    const int64_t cols = view->dim[view->rank - 1];
    const int64_t rows = cols ? (int64_t)rml_tensor_count(view) / cols : 0;
    return (rml_c_image){.images = 1,
                         .channels = cols,
                         .h = 1,
                         .w = rows,
                         .image = rows * cols,
                         .channel = 1,
                         .row = rows * cols,
                         .pixel = cols};
}

static rml_c_window product_of(const rml_op_args *args)
{
    rml_c_window k = {.in = rows_of(&args->in[0]),
                      .out = rows_of(&args->out[0]),
                      .groups = 1,
                      .kernel = {1, 1},
                      .stride = {1, 1},
                      .dilation = {1, 1}};
    k.depth = k.in.channels;
    k.cols = k.out.channels;
    if (rml_op_input(args, 3))
        k.residual = rows_of(&args->in[3]);
    rml_c_take_clamp(&k, &args->attr->matmul.act);
    return k;
}

static const char *check_matmul(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_op_args *args = &step->args;
    const rml_matmul_attr *attr = &args->attr->matmul;
    size_t bias = 0;
    (void)scratch;
    if (strcmp(step->algorithm->name, "packed-gemm") != 0)
        return "its second factor is no constant matrix";
    if (attr->transpose_a)
        return "its first factor is transposed";
    if (rml_op_input(args, 2)) {
        const rml_shape shape = rml_tensor_shape(&args->in[2]);
        if (!rml_op_constant(args, 2) || attr->beta != 1 || !rml_shape_count(&shape, &bias) ||
            (int64_t)bias != args->out[0].dim[args->out[0].rank - 1])
            return "what it adds is no constant row";
    }
    if (!rml_c_activation_fits(c, &attr->act))
        return "its activation has no kernel";
    rml_c_use(c, RML_C_CONV);
    return NULL;
}

// The matrix as a weight [cols][depth], times alpha.
static void data_matmul(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_matmul_attr *attr = &args->attr->matmul;
    const rml_c_window k = product_of(args);
    const size_t depth = (size_t)k.depth, cols = (size_t)k.cols;
    const rml_shape shape = {2, {k.cols, k.depth}};
    float *src = NULL, *turned = NULL;
    rml_c_say_window(c, &k, "net_s", step);
    if (c->status == RML_OK)
        c->status = rml_c_read(c, rml_op_constant(args, 1), &src, c->err);
    if (c->status == RML_OK)
        c->status =
            rml_make(c->allocator, &turned, depth * cols, sizeof *turned, "weights", c->err);
    for (size_t n = 0; n < cols && c->status == RML_OK; n++)
        for (size_t d = 0; d < depth; d++) {
            const float w = src[attr->transpose_b ? n * depth + d : d * cols + n];
            turned[n * depth + d] = attr->alpha != 1 ? w * attr->alpha : w;
        }
    if (c->status == RML_OK) {
        const rml_constant weight = {.stored = rml_stored_f32(turned, &shape)};
        rml_c_say_weight(c, &k, &weight, "net_w", step);
    }
    rml_free(c->allocator, src);
    rml_free(c->allocator, turned);
    if (rml_op_input(args, 2))
        rml_c_say_bias(c, rml_op_constant(args, 2), "net_b", step);
}

static void run_matmul(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_c_window k = product_of(args);
    call_conv(c, step, &k, &args->attr->matmul.act);
}

const rml_c_op rml_c_matmul = {RML_OP_MATMUL, check_matmul, data_matmul, run_matmul};
