#include "writers/coreml/inputs.h"

#include "ops/index/list.h"

#include <string.h>

int rml_input_list(const rml_graph *graph, const rml_node *node, int index, int64_t *list,
                   int capacity)
{
    size_t count;
    if (!rml_input_given(node, index))
        return 0;
    const rml_value *value = &graph->values[node->in[index]];
    if (value->kind != RML_VALUE_CONSTANT || !rml_shape_count(&value->shape, &count) ||
        count > (size_t)capacity || (value->dtype != RML_I64 && value->dtype != RML_I32))
        return -1;
    rml_constant_copy(value->constant, value->dtype, list);
    for (size_t i = count; i-- > 0 && value->dtype == RML_I32;) { // widened in place, from the end
        int32_t narrow;
        memcpy(&narrow, (const char *)list + i * sizeof narrow, sizeof narrow);
        list[i] = narrow;
    }
    return (int)count;
}

bool rml_input_number(const rml_graph *graph, const rml_node *node, int index, double *number)
{
    return rml_input_given(node, index) &&
           graph->values[node->in[index]].kind == RML_VALUE_CONSTANT &&
           rml_constant_number(graph->values[node->in[index]].constant, number);
}

bool rml_cuts_of(const rml_graph *graph, const rml_node *node, rml_cuts *out)
{
    enum { X, START, STOP, AXIS, STEP };
    const rml_slice_attr *slice = &node->attr.slice;
    const int rank = graph->values[node->in[X]].shape.rank;
    *out = (rml_cuts){1, {slice->start}, {slice->stop}, {slice->axis}, {slice->step}};
    if (node->in_count > 1) {
        out->count = rml_input_list(graph, node, START, out->start, RML_MAX_RANK);
        if (out->count < 0 ||
            rml_input_list(graph, node, STOP, out->stop, RML_MAX_RANK) != out->count)
            return false;
        for (int i = 0; i < out->count; i++) {
            out->axis[i] = i;
            out->step[i] = 1;
        }
        if ((rml_input_given(node, AXIS) &&
             rml_input_list(graph, node, AXIS, out->axis, RML_MAX_RANK) != out->count) ||
            (rml_input_given(node, STEP) &&
             rml_input_list(graph, node, STEP, out->step, RML_MAX_RANK) != out->count))
            return false;
    }
    for (int i = 0; i < out->count; i++)
        if ((out->axis[i] = rml_axis_of(out->axis[i], rank)) < 0)
            return false;
    return true;
}

bool rml_pads_of(const rml_graph *graph, const rml_node *node, int64_t pads[][2])
{
    enum { X, PADS, VALUE, AXES };
    int64_t list[2 * RML_MAX_RANK], axes[RML_MAX_RANK];
    const int rank = graph->values[node->in[X]].shape.rank;
    const int count = rml_input_list(graph, node, PADS, list, 2 * RML_MAX_RANK);
    const int given = rml_input_list(graph, node, AXES, axes, RML_MAX_RANK);
    if (count < 0 || given < 0 || (rml_input_given(node, AXES) ? 2 * given : 2 * rank) != count)
        return false;
    for (int i = 0; i < rank; i++)
        pads[i][0] = pads[i][1] = 0;
    for (int i = 0; i < count / 2; i++) {
        const int axis = rml_input_given(node, AXES) ? rml_axis_of(axes[i], rank) : i;
        if (axis < 0)
            return false;
        pads[axis][0] = list[i];
        pads[axis][1] = list[count / 2 + i];
    }
    return true;
}
