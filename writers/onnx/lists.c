#include "writers/onnx/lists.h"

#include <stdio.h>

const char *rml_to_onnx_list(rml_to_onnx *w, const rml_node *node, int index)
{
    const rml_value *value = &w->graph->values[node->in[index]];
    const int64_t one = -1;
    char part[32];
    const char *in[2] = {rml_to_onnx_name(w, node->in[index]), NULL};
    if (value->dtype != RML_I64) {
        snprintf(part, sizeof part, "wide_%d", index);
        const char *const wide = rml_to_onnx_part(w, node, part);
        rml_to_onnx_begin(w, "Cast", in, 1);
        rml_to_onnx_int(w, "to", rml_to_onnx_element(RML_I64));
        rml_to_onnx_end(w, node, &wide, 1);
        in[0] = wide;
    }
    if (value->shape.rank != 0)
        return in[0];
    snprintf(part, sizeof part, "list_%d", index);
    in[1] = rml_to_onnx_ints(w, node, "one", &one, 1);
    return rml_to_onnx_make(w, node, "Reshape", in, 2, part);
}

bool rml_to_onnx_known_list(const rml_fact *fact, rml_to_onnx_known *list)
{
    size_t count = 0;
    list->count = 0;
    if (!fact->data || (fact->dtype != RML_I64 && fact->dtype != RML_I32) ||
        !rml_shape_count(&fact->shape, &count) || count > sizeof list->at / sizeof *list->at)
        return false;
    list->count = (int)count;
    for (int i = 0; i < list->count; i++)
        list->at[i] = fact->dtype == RML_I64 ? ((const int64_t *)fact->data)[i]
                                             : ((const int32_t *)fact->data)[i];
    return true;
}
