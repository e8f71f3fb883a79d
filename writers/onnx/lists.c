#include "writers/onnx/lists.h"

#include <stdio.h>

const char *rml_to_onnx_wide(rml_to_onnx *w, const rml_node *node, int index)
{
    char part[32];
    const char *const name = rml_to_onnx_name(w, node->in[index]);
    if (node->in[index] == RML_NO_VALUE || w->graph->values[node->in[index]].dtype == RML_I64)
        return name;
    snprintf(part, sizeof part, "wide_%d", index);
    const char *const wide = rml_to_onnx_part(w, node, part);
    rml_to_onnx_begin(w, "Cast", &name, 1);
    rml_to_onnx_int(w, "to", rml_to_onnx_element(RML_I64));
    rml_to_onnx_end(w, node, &wide, 1);
    return wide;
}

const char *rml_to_onnx_list(rml_to_onnx *w, const rml_node *node, int index)
{
    char part[32];
    const int64_t all = -1;
    const char *in[2] = {rml_to_onnx_wide(w, node, index), NULL};
    if (w->graph->values[node->in[index]].shape.rank != 0)
        return in[0];
    snprintf(part, sizeof part, "list_%d", index);
    in[1] = rml_to_onnx_ints(w, node, "one", &all, 1);
    return rml_to_onnx_make(w, node, "Reshape", in, 2, part);
}

const char *rml_to_onnx_sizes(rml_to_onnx *w, const rml_node *node, const char *like,
                              const int64_t *sizes, int count)
{
    int64_t own[RML_MAX_RANK], taken[RML_MAX_RANK];
    bool known = true;
    for (int i = 0; i < count; i++) {
        taken[i] = sizes[i] < 0;
        own[i] = taken[i] ? 0 : sizes[i];
        known = known && !taken[i];
    }
    if (known)
        return rml_to_onnx_ints(w, node, "sizes", sizes, (size_t)count);
    const char *product[2] = {rml_to_onnx_make(w, node, "Shape", &like, 1, "shape"),
                              rml_to_onnx_ints(w, node, "taken", taken, (size_t)count)};
    const char *sum[2] = {rml_to_onnx_make(w, node, "Mul", product, 2, "like"),
                          rml_to_onnx_ints(w, node, "own", own, (size_t)count)};
    return rml_to_onnx_make(w, node, "Add", sum, 2, "sizes");
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
