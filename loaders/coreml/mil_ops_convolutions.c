// Convolutions, poolings and products.
#include "loaders/coreml/mil_handler.h"

#include <string.h>

// ---- windows ------------------------------------------------------------------------------------

enum { VALID, CUSTOM, SAME, SAME_LOWER }; // of pad_type

static int pad_type_of(rml_mil_call *call)
{
    return rml_mil_word(call, "pad_type", "valid custom same same_lower", VALID);
}

rml_window_attr rml_mil_window(rml_mil_call *call, int spatial)
{
    static const rml_auto_pad kinds[] = {RML_AUTO_PAD_NONE, RML_AUTO_PAD_NONE,
                                         RML_AUTO_PAD_SAME_UPPER, RML_AUTO_PAD_SAME_LOWER};
    int64_t pad[2 * RML_MAX_SPATIAL] = {0};
    const int type = pad_type_of(call);
    rml_window_attr w = {.rank = spatial, .auto_pad = kinds[type]};
    if (spatial < 1 || spatial > RML_MAX_SPATIAL) {
        rml_coreml_refuse(&call->make, "%d spatial dimensions, 1 to %d are supported", spatial,
                          RML_MAX_SPATIAL);
        return w;
    }
    for (int i = 0; i < spatial; i++)
        w.stride[i] = w.dilation[i] = 1;
    rml_mil_ints(call, "strides", w.stride, spatial);
    rml_mil_ints(call, "dilations", w.dilation, spatial);
    rml_mil_ints(call, "kernel_sizes", w.kernel, spatial);
    rml_mil_ints(call, "pad", pad, 2 * spatial); // counts for CUSTOM alone
    for (int i = 0; i < spatial && type == CUSTOM; i++) {
        w.before[i] = pad[2 * i];
        w.after[i] = pad[2 * i + 1];
    }
    return w;
}

// ---- convolutions -------------------------------------------------------------------------------

static int spatial_of(rml_mil_call *call, rml_value_id x)
{
    return rml_coreml_rank(&call->make, x) - 2;
}

static void import_conv(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "weight"),
                               rml_mil_optional(call, "bias")};
    const rml_op_attr attr = {.conv = {.window = rml_mil_window(call, spatial_of(call, in[0])),
                                       .groups = rml_mil_int(call, "groups", 1),
                                       .act = rml_activation_none()}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_CONV, &attr, in, 3);
}

// Takes from both ends what makes the whole, (in - 1) * stride + kernel, one of stride * in. What
// is missing comes behind.
static void pad_to_same(rml_conv_attr *conv, const rml_shape *weight)
{
    rml_window_attr *w = &conv->window;
    for (int i = 0; i < w->rank; i++) {
        const int64_t extent = (weight->dim[i + 2] - 1) * w->dilation[i] + 1;
        const int64_t total = extent - w->stride[i];
        w->before[i] = total > 0 ? total / 2 : 0;
        w->after[i] = total > 0 ? total - total / 2 : 0;
        conv->out_pad[i] = total < 0 ? -total : 0;
    }
    w->auto_pad = RML_AUTO_PAD_NONE;
}

// A size that is asked for and is not that of the padding: positions come or go at the end.
static void fit_to_shape(rml_mil_call *call, rml_conv_attr *conv, const rml_shape *x,
                         const rml_shape *weight)
{
    int64_t wanted[RML_MAX_RANK];
    const int count = rml_mil_ints(call, "output_shape", wanted, RML_MAX_RANK);
    rml_window_attr *w = &conv->window;
    if (count >= 0 && count != x->rank)
        rml_coreml_refuse(&call->make, "its output_shape has %d dimensions, and x has %d", count,
                          x->rank);
    if (count == x->rank && count > 1) {
        const int64_t images = x->dim[0], channels = weight->dim[1] * conv->groups;
        if ((wanted[0] > 0 && images >= 0 && wanted[0] != images) ||
            (wanted[1] > 0 && wanted[1] != channels))
            rml_coreml_refuse(
                &call->make,
                "its output_shape is of %lld images of %lld channels, and it gives %lld of %lld",
                (long long)wanted[0], (long long)wanted[1], (long long)images, (long long)channels);
    }
    for (int i = 0; i < w->rank && count == x->rank; i++) {
        if (x->dim[i + 2] < 0)
            continue;
        const int64_t extent = (weight->dim[i + 2] - 1) * w->dilation[i] + 1;
        const int64_t size = (x->dim[i + 2] - 1) * w->stride[i] + extent - w->before[i] -
                             w->after[i] + conv->out_pad[i];
        const int64_t more = wanted[i + 2] - size;
        if (more > 0)
            conv->out_pad[i] += more;
        else
            w->after[i] -= more;
    }
}

static void import_conv_transpose(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "weight"),
                               rml_mil_optional(call, "bias")};
    rml_op_attr attr = {.conv = {.window = rml_mil_window(call, spatial_of(call, in[0])),
                                 .groups = rml_mil_int(call, "groups", 1),
                                 .act = rml_activation_none()}};
    const rml_shape x = rml_coreml_fact(&call->make, in[0]).shape,
                    weight = rml_coreml_fact(&call->make, in[1]).shape;
    if (!call->make.refused && (!rml_shape_known(&weight) || weight.rank != x.rank)) {
        rml_coreml_refuse(&call->make, "its weight has %d dimensions, and x has %d", weight.rank,
                          x.rank);
        return;
    }
    if (pad_type_of(call) >= SAME)
        pad_to_same(&attr.conv, &weight);
    if (!call->make.refused)
        fit_to_shape(call, &attr.conv, &x, &weight);
    call->out[0] = rml_coreml_node(&call->make, RML_OP_CONV_TRANSPOSE, &attr, in, 3);
}

static void import_pool(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    rml_op_attr attr = {.pool = {.kind = (rml_pool_kind)call->option, .p = 2}};
    rml_mil_required(call, "kernel_sizes");
    attr.pool.window = rml_mil_window(call, spatial_of(call, x));
    attr.pool.window.ceil_mode = rml_mil_flag(call, "ceil_mode", false);
    if (attr.pool.kind == RML_POOL_AVERAGE)
        attr.pool.count_pad = !rml_mil_flag(call, "exclude_padding_from_average", false);
    call->out[0] = rml_coreml_node(&call->make, RML_OP_POOL, &attr, &x, 1);
}

// ---- products -----------------------------------------------------------------------------------

static void import_linear(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), weight = rml_mil_in(call, "weight");
    const rml_value_id bias = rml_mil_optional(call, "bias");
    if (!call->make.refused)
        call->out[0] = rml_graph_linear(call->make.graph, x, weight, bias, call->make.name);
}

static void import_matmul(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), y = rml_mil_in(call, "y");
    const bool a = rml_mil_flag(call, "transpose_x", false);
    const bool b = rml_mil_flag(call, "transpose_y", false);
    if (!call->make.refused)
        call->out[0] = rml_graph_matmul(call->make.graph, x, y, a, b, call->make.name);
}

static void import_einsum(rml_mil_call *call)
{
    rml_value_id in[2];
    const int count = rml_mil_tuple(call, "values", in, 2);
    const rml_mil_value *equation = rml_mil_required(call, "equation");
    if (call->make.refused)
        return;
    if (count != 2 || !equation->text || equation->count != 1) {
        rml_coreml_refuse(&call->make, "it has %d values, or no equation", count);
        return;
    }
    char *text = rml_coreml_alloc(&call->make, equation->text->bytes + 1, 1);
    size_t used = 0;
    for (size_t i = 0; text && i < equation->text->bytes; i++)
        if (equation->text->text[i] != ' ')
            text[used++] = equation->text->text[i];
    const rml_op_attr attr = {.einsum = {text}};
    if (text)
        call->out[0] = rml_coreml_node(&call->make, RML_OP_EINSUM, &attr, in, 2);
}

// Queries (B,*,L,E); dimensions between the first and the last two are heads.
static void import_attention(rml_mil_call *call)
{
    const rml_value_id in[] = {rml_mil_in(call, "query"), rml_mil_in(call, "key"),
                               rml_mil_in(call, "value"), rml_mil_optional(call, "attn_mask")};
    const int rank = rml_coreml_rank(&call->make, in[0]);
    if (rank != 3 && rank != 4)
        rml_coreml_refuse(&call->make, "queries of %d dimensions, 3 and 4 are supported", rank);
    const rml_attention_attr attr = {.heads = rank == 3};
    if (!call->make.refused)
        call->out[0] = rml_graph_attention(call->make.graph, in[0], in[1], in[2], in[3], &attr,
                                           call->make.name);
}

const rml_mil_entry rml_mil_convolutions[] = {
    {"conv", import_conv, 0},
    {"conv_transpose", import_conv_transpose, 0},
    {"max_pool", import_pool, RML_POOL_MAX},
    {"avg_pool", import_pool, RML_POOL_AVERAGE},
    {"l2_pool", import_pool, RML_POOL_LP},
    {"linear", import_linear, 0},
    {"matmul", import_matmul, 0},
    {"einsum", import_einsum, 0},
    {"scaled_dot_product_attention", import_attention, 0},
    {0},
};
