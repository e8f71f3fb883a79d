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

// Elements in C order are [before, outputs, behind].
static void encode(const float *from, int8_t *to, const float *scale, const rml_shape *shape,
                   int axis)
{
    size_t behind = 1, count = 1;
    for (int i = 0; i < shape->rank; i++) {
        behind *= i > axis ? (size_t)shape->dim[i] : 1;
        count *= (size_t)shape->dim[i];
    }
    for (size_t i = 0; i < count; i++)
        to[i] = (int8_t)nearbyintf(from[i] / scale[i / behind % (size_t)shape->dim[axis]]);
}

static bool find_scales(const float *from, float *scale, const rml_shape *shape, int axis)
{
    size_t behind = 1, count = 1;
    const size_t outputs = (size_t)shape->dim[axis];
    for (int i = 0; i < shape->rank; i++) {
        behind *= i > axis ? (size_t)shape->dim[i] : 1;
        count *= (size_t)shape->dim[i];
    }
    for (size_t k = 0; k < outputs; k++)
        scale[k] = 0;
    for (size_t i = 0; i < count; i++) {
        float *most = &scale[i / behind % outputs];
        if (!isfinite(from[i]))
            return false;
        *most = fmaxf(*most, fabsf(from[i]));
    }
    for (size_t k = 0; k < outputs; k++)
        scale[k] = scale[k] / MOST_CODE > 0 ? scale[k] / MOST_CODE : 1;
    return true;
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
    else if (!find_scales(floats.data, scale, &constant->shape, axis))
        status =
            rml_fail(err, RML_ERR_ARG, "weight %s has numbers that are not finite", constant->name);
    else
        encode(floats.data, codes->owned, scale, &constant->shape, axis);
    if (status != RML_OK)
        rml_elements_release(codes);
    rml_elements_release(&floats);
    return status;
}
