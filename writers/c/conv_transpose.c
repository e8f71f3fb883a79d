// Transposed convolutions: a convolution for each phase of the stride, as the session has them.
#include "writers/c/conv_text.h"

#include "ops/conv/conv.h"
#include "ops/conv/conv_transpose.h"
#include "tensor/format.h"

#include <string.h>

static rml_c_window phase_of(const rml_op_args *args, size_t index)
{
    const rml_window window = rml_conv_transpose_window(args);
    const rml_phases phase = rml_phases_of(&window, index);
    const rml_window w = rml_phase_window(&window, &phase);
    const rml_tensor out = rml_phase_view(&args->out[0], &window, &phase);
    const rml_tensor *residual = rml_conv_residual(args);
    rml_c_window k = {.in = rml_c_image_of(&args->in[0]),
                      .out = rml_c_image_of(&out),
                      .depth = (int64_t)rml_transpose_depth(args),
                      .cols = (int64_t)rml_transpose_cols(args),
                      .groups = args->attr->conv.groups};
    for (int axis = 0; axis < 2; axis++) {
        k.kernel[axis] = w.kernel[axis];
        k.stride[axis] = w.stride[axis];
        k.dilation[axis] = w.dilation[axis];
        k.before[axis] = w.before[axis];
    }
    if (residual) {
        const rml_tensor added = rml_phase_view(residual, &window, &phase);
        k.residual = rml_c_image_of(&added);
    }
    rml_c_take_clamp(&k, &args->attr->conv.act);
    return k;
}

static size_t count_of(const rml_op_args *args)
{
    const rml_window window = rml_conv_transpose_window(args);
    return rml_phase_count(&window);
}

static const char *check(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_op_args *args = &step->args;
    (void)scratch;
    if (step->algorithm->generic || args->in[0].rank != 4)
        return "its image is plain or has no two dimensions, or its weight is no constant";
    if (!rml_op_constant(args, 1) || (rml_op_input(args, 2) && !rml_op_constant(args, 2)))
        return "its weight or bias is no constant";
    if (!rml_c_activation_fits(c, &args->attr->conv.act))
        return "its activation has no kernel";
    for (size_t i = 0; i < count_of(args); i++) {
        const rml_c_window k = phase_of(args, i);
        rml_c_note_window(c, &k);
    }
    return NULL;
}

// The filters of a phase, [outputs][depth][taps], from [channels][cols][all taps].
static void say_phase(rml_c_emit *c, const rml_op_args *args, size_t index, const float *src,
                      const char *name)
{
    const rml_window window = rml_conv_transpose_window(args);
    const rml_phases phase = rml_phases_of(&window, index);
    const rml_c_window k = phase_of(args, index);
    const size_t taps = (size_t)(k.kernel[0] * k.kernel[1]), all = rml_conv_taps(args);
    const size_t depth = (size_t)k.depth, cols = (size_t)k.cols, outputs = cols * (size_t)k.groups;
    const rml_shape shape = {3, {(int64_t)outputs, k.depth, (int64_t)taps}};
    float *filters = NULL;
    if (c->status == RML_OK)
        c->status = rml_make(c->allocator, &filters, outputs * depth * taps + 1, sizeof *filters,
                             "weights", c->err);
    if (c->status != RML_OK)
        return;
    for (size_t o = 0; o < outputs; o++)
        for (size_t d = 0; d < depth; d++)
            for (size_t t = 0; t < taps; t++)
                filters[(o * depth + d) * taps + t] =
                    src[((o / cols * depth + d) * cols + o % cols) * all +
                        rml_phase_tap(&window, &phase, t)];
    const rml_constant weight = {.stored = rml_stored_f32(filters, &shape)};
    rml_c_say_weight(c, &k, &weight, name, index);
    rml_free(c->allocator, filters);
}

static void data(rml_c_emit *c, size_t step)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    char shape[32], weight[32];
    float *src = NULL;
    rml_format(shape, sizeof shape, "net_s%zu_", step);
    rml_format(weight, sizeof weight, "net_w%zu_", step);
    if (c->status == RML_OK)
        c->status = rml_c_read(c, rml_op_constant(args, 1), &src, c->err);
    for (size_t i = 0; i < count_of(args) && c->status == RML_OK; i++) {
        const rml_c_window k = phase_of(args, i);
        rml_c_say_window(c, &k, shape, i);
        say_phase(c, args, i, src, weight);
    }
    rml_free(c->allocator, src);
    if (rml_op_input(args, 2))
        rml_c_say_bias(c, rml_op_constant(args, 2), "net_b", step);
}

static void call(rml_c_emit *c, size_t step)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES], more[RML_C_PLACE_BYTES], bias[32] = "0";
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_window window = rml_conv_transpose_window(args);
    const rml_tensor *residual = rml_conv_residual(args);
    if (rml_op_input(args, 2))
        rml_format(bias, sizeof bias, "net_b%zu.value", step);
    rml_c_in(c, step, 0, in);
    rml_c_in(c, step, 3, more);
    rml_c_out(c, step, 0, out);
    for (size_t i = 0; i < count_of(args); i++) {
        const rml_phases phase = rml_phases_of(&window, i);
        const rml_c_window k = phase_of(args, i);
        const rml_tensor *y = &args->out[0];
        if (k.out.h == 0 || k.out.w == 0)
            continue;
        rml_c_say(c, "    %s(&net_s%zu_%zu, %s, net_w%zu_%zu.value, %s, ",
                  rml_c_is_depthwise(&k) ? "net_depthwise" : "net_conv", step, i, in, step, i,
                  bias);
        if (residual)
            rml_c_say(
                c, "%s + %lld, ", more,
                (long long)(phase.row * residual->stride[2] + phase.col * residual->stride[3]));
        else
            rml_c_say(c, "0, ");
        rml_c_say(c, "%s + %lld);\n", out,
                  (long long)(phase.row * y->stride[2] + phase.col * y->stride[3]));
    }
    rml_c_activate(c, step, &args->attr->conv.act);
}

const rml_c_op rml_c_conv_transpose = {RML_OP_CONV_TRANSPOSE, check, data, call};
