#include "engine/watch.h"

static rml_status tell(const rml_observer *observer, const rml_tensor *view, rml_observed *value,
                       const rml_allocator *allocator, rml_error *err)
{
    const size_t count = rml_tensor_count(view);
    if (rml_tensor_is_plain(view)) {
        value->data = view->raw;
        observer->fn(observer->user, value);
        return RML_OK;
    }
    void *copy = rml_alloc(allocator, (count ? count : 1) * rml_dtype_size(view->dtype));
    if (!copy)
        return rml_fail_nomem(err, count * rml_dtype_size(view->dtype), "an observed value");
    rml_stored stored = rml_stored_plain(view->raw, view->dtype, &value->shape);
    for (int i = 0; i < view->rank; i++)
        stored.stride[i] = view->stride[i];
    rml_stored_copy(&stored, copy);
    value->data = copy;
    observer->fn(observer->user, value);
    rml_free(allocator, copy);
    return RML_OK;
}

rml_status rml_observe(const rml_observer *observer, const rml_graph *graph, const rml_node *node,
                       const rml_tensor *out, const rml_allocator *allocator, rml_error *err)
{
    const rml_op *op = node->def;
    if (!observer->fn)
        return RML_OK;
    const bool packs = op->packed_input > 0 && op->packed_input < node->in_count;
    for (int k = 0; k < node->out_count; k++) {
        rml_observed value = {
            // A node that took others into itself keeps its own name; its output has theirs.
            .node = k ? graph->values[node->out + (rml_value_id)k].name : node->name,
            .weight = packs ? graph->values[node->in[op->packed_input]].name : NULL,
            .op = op->name,
            .dtype = out[k].dtype,
            .shape = rml_tensor_shape(&out[k]),
        };
        RML_TRY(tell(observer, &out[k], &value, allocator, err));
    }
    return RML_OK;
}
