#include "writers/quantize.h"

#include <math.h>

#define MOST_CODE 127

int rml_weight_axis(const rml_graph *graph, const rml_node *node, int index)
{
    const rml_value *value =
        node->in[index] == RML_NO_VALUE ? NULL : &graph->values[node->in[index]];
    if (!value || value->kind != RML_VALUE_CONSTANT || value->dtype != RML_F32 ||
        value->shape.rank < 2)
        return -1;
    switch (node->op) {
    case RML_OP_CONV:
    case RML_OP_DEFORM_CONV:
        return index == 1 ? 0 : -1;
    case RML_OP_CONV_TRANSPOSE:
        return index == 1 ? 1 : -1;
    case RML_OP_MATMUL:
        return index == 1 ? value->shape.rank - (node->attr.matmul.transpose_b ? 2 : 1) : -1;
    case RML_OP_RNN:
        return index == 1 || index == 2 ? 1 : -1;
    case RML_OP_GATHER:
        return index == 0 ? 0 : -1;
    default:
        return -1;
    }
}

bool rml_are_finite(const float *number, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(number[i]))
            return false;
    return true;
}

// Scales so small that they are rounded themselves leave quotients beyond the codes.
static int8_t code_of(float quotient)
{
    return (int8_t)nearbyintf(fminf(fmaxf(quotient, -MOST_CODE), MOST_CODE));
}

// Elements in C order are [before, outputs, behind].
void rml_quantize(const float *from, const rml_shape *shape, int axis, int8_t *codes, float *scale)
{
    const size_t outputs = (size_t)shape->dim[axis];
    size_t behind = 1, count = 1;
    for (int i = 0; i < shape->rank; i++) {
        behind *= i > axis ? (size_t)shape->dim[i] : 1;
        count *= (size_t)shape->dim[i];
    }
    for (size_t k = 0; k < outputs; k++)
        scale[k] = 0;
    for (size_t i = 0; i < count; i++) {
        float *most = &scale[i / behind % outputs];
        *most = fmaxf(*most, fabsf(from[i]));
    }
    for (size_t k = 0; k < outputs; k++) // a quotient may be 0 though its number is not
        scale[k] = scale[k] / MOST_CODE > 0 ? scale[k] / MOST_CODE : 1;
    for (size_t i = 0; i < count; i++)
        codes[i] = code_of(from[i] / scale[i / behind % outputs]);
}

rml_status rml_quantize_weight(rml_elements *codes, const rml_value *constant, int axis,
                               float *scale, const rml_allocator *allocator, rml_error *err)
{
    rml_elements floats;
    RML_TRY(rml_elements_take(&floats, constant, RML_F32, allocator, err));
    *codes = (rml_elements){.count = floats.count, .bytes = floats.count, .allocator = allocator};
    codes->data = codes->owned = rml_alloc(allocator, floats.count);
    rml_status status = RML_OK;
    if (!codes->owned)
        status = rml_fail_nomem(err, floats.count, "a weight to be written");
    else if (!rml_are_finite(floats.data, floats.count))
        status =
            rml_fail(err, RML_ERR_ARG, "weight %s has numbers that are not finite", constant->name);
    else
        rml_quantize(floats.data, &constant->shape, axis, codes->owned, scale);
    if (status != RML_OK)
        rml_elements_release(codes);
    rml_elements_release(&floats);
    return status;
}
