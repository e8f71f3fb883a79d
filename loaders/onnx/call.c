// What handlers see of a node.
#include "loaders/onnx/importer.h"

#include "tensor/dtype.h"

#include <string.h>

int32_t rml_onnx_option(const rml_onnx_call *call)
{
    return call->importer->entry->option;
}

static void refuse(rml_onnx_call *call, const char *format, va_list args)
{
    if (call->refused)
        return;
    call->refused = true;
    rml_error reason;
    rml_fail_v(&reason, RML_ERR_UNSUPPORTED, format, args);
    if (rml_onnx_add_refusal(call->importer, call->node, call->in, reason.message, call->misfit) !=
        RML_OK)
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory while a file is imported");
}

void rml_onnx_refuse(rml_onnx_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refuse(call, format, args);
    va_end(args);
}

void rml_onnx_misfit(rml_onnx_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    call->misfit = call->misfit || !call->refused;
    refuse(call, format, args);
    va_end(args);
}

rml_value_id rml_onnx_in(const rml_onnx_call *call, int index)
{
    return index < call->in_count ? call->in[index] : RML_NO_VALUE;
}

bool rml_onnx_wants(const rml_onnx_call *call, int index)
{
    return index < call->out_count && call->node->output[index] != RML_ONNX_NONE;
}

rml_fact rml_onnx_fact(const rml_onnx_call *call, int index)
{
    const rml_value_id id = rml_onnx_in(call, index);
    return id == RML_NO_VALUE ? (rml_fact){.shape.rank = -1} : rml_graph_fact(call->graph, id);
}

// ---- attributes ---------------------------------------------------------------------------------

// The attribute, followed through calls of functions; NULL where absent.
static const rml_onnx_attribute *resolve(const rml_onnx_importer *importer,
                                         const rml_onnx_attribute *attribute)
{
    const rml_onnx_frame *frame = importer->frame;
    while (attribute && attribute->reference && frame) {
        const char *name = attribute->reference;
        attribute = rml_onnx_find_attribute(frame->call, name);
        const rml_onnx_function *function = frame->function;
        for (size_t i = 0; i < function->default_count && !attribute; i++)
            if (strcmp(function->attribute_default[i].name, name) == 0)
                return &function->attribute_default[i];
        frame = frame->caller;
    }
    return attribute && !attribute->reference ? attribute : NULL;
}

static const rml_onnx_attribute *find(rml_onnx_call *call, const char *name)
{
    for (size_t i = 0; i < call->node->attribute_count; i++)
        if (strcmp(call->node->attribute[i].name, name) == 0) {
            call->asked[i / 64] |= (uint64_t)1 << (i % 64);
            return resolve(call->importer, &call->node->attribute[i]);
        }
    return NULL;
}

static const rml_onnx_attribute *find_kind(rml_onnx_call *call, const char *name,
                                           rml_onnx_attribute_kind kind, bool list)
{
    const rml_onnx_attribute *found = find(call, name);
    // An empty list may have been written as one of any kind.
    if (!found || (found->kind == kind && (list ? found->is_list : found->count == 1)) ||
        (list && found->is_list && found->count == 0))
        return found;
    rml_onnx_refuse(call, "attribute \"%s\" is of the wrong kind", name);
    return NULL;
}

bool rml_onnx_has(const rml_onnx_call *call, const char *name)
{
    return resolve(call->importer, rml_onnx_find_attribute(call->node, name)) != NULL;
}

void rml_onnx_ignore(rml_onnx_call *call, const char *name)
{
    find(call, name);
}

int64_t rml_onnx_int(rml_onnx_call *call, const char *name, int64_t absent)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_INTS, false);
    return found ? found->u.integer[0] : absent;
}

double rml_onnx_float(rml_onnx_call *call, const char *name, double absent)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_FLOATS, false);
    return found ? (double)found->u.number[0] : absent;
}

const char *rml_onnx_text_of(rml_onnx_call *call, const char *name, const char *absent)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_TEXTS, false);
    return found ? found->u.text[0].text : absent;
}

const int64_t *rml_onnx_ints(rml_onnx_call *call, const char *name, size_t *count)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_INTS, true);
    *count = found ? found->count : 0;
    return found ? found->u.integer : NULL;
}

const float *rml_onnx_floats(rml_onnx_call *call, const char *name, size_t *count)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_FLOATS, true);
    *count = found ? found->count : 0;
    return found ? found->u.number : NULL;
}

const rml_text *rml_onnx_texts(rml_onnx_call *call, const char *name, size_t *count)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_TEXTS, true);
    *count = found ? found->count : 0;
    return found ? found->u.text : NULL;
}

const rml_onnx_tensor *rml_onnx_any_tensor_of(rml_onnx_call *call, const char *name)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_TENSORS, false);
    return found ? &found->u.tensor[0] : NULL;
}

const rml_onnx_tensor *rml_onnx_tensor_of(rml_onnx_call *call, const char *name)
{
    const rml_onnx_tensor *found = rml_onnx_any_tensor_of(call, name);
    if (!found || found->readable)
        return found;
    rml_onnx_refuse(call, "attribute \"%s\" is a tensor of %s, which is not supported", name,
                    rml_onnx_element_name(found->element));
    return NULL;
}

const rml_onnx_graph *rml_onnx_graph_attribute(rml_onnx_call *call, const char *name)
{
    const rml_onnx_attribute *found = find_kind(call, name, RML_ONNX_GRAPHS, false);
    return found ? &found->u.graph[0] : NULL;
}

rml_dtype rml_onnx_dtype_of(rml_onnx_call *call, const char *name, rml_dtype absent)
{
    const int64_t element = rml_onnx_int(call, name, INT64_MIN);
    rml_dtype dtype = absent;
    if (element == INT64_MIN)
        return absent;
    if (element < 0 || element > INT32_MAX || !rml_onnx_element_dtype((int32_t)element, &dtype)) {
        const char *known =
            element >= 0 && element <= INT32_MAX ? rml_onnx_element_name((int32_t)element) : NULL;
        rml_onnx_refuse(call, "elements of type %s (%lld) are not supported",
                        known ? known : "unknown", (long long)element);
    }
    return dtype;
}

// ---- constants ----------------------------------------------------------------------------------

rml_value_id rml_onnx_constant_of(rml_onnx_call *call, rml_dtype dtype, const rml_shape *shape,
                                  rml_dtype from, const void *elements, size_t count)
{
    void *data = rml_arena_alloc(&call->graph->arena, count ? count : 1, rml_dtype_size(dtype));
    if (!data)
        return rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a constant");
    rml_dtype_convert(from, elements, dtype, data, count);
    const rml_stored stored = rml_stored_plain(data, dtype, shape);
    return rml_graph_typed_constant(call->graph, call->name, &stored);
}

rml_value_id rml_onnx_ints_value(rml_onnx_call *call, const int64_t *values, size_t count)
{
    const rml_shape shape = {1, {(int64_t)count}};
    return rml_onnx_constant_of(call, RML_I64, &shape, RML_I64, values, count);
}

rml_value_id rml_onnx_scalar(rml_onnx_call *call, rml_dtype dtype, double value)
{
    const rml_shape shape = {0};
    return rml_onnx_constant_of(call, dtype, &shape, RML_F64, &value, 1);
}

rml_value_id rml_onnx_list(rml_onnx_call *call, int index, const char *name)
{
    size_t count;
    const rml_value_id in = rml_onnx_in(call, index);
    const int64_t *values = name ? rml_onnx_ints(call, name, &count) : NULL;
    if (in != RML_NO_VALUE)
        return rml_onnx_cast(call, in, RML_I64);
    return values ? rml_onnx_ints_value(call, values, count) : RML_NO_VALUE;
}

int rml_onnx_known_ints(const rml_onnx_call *call, int index, int64_t *values, int capacity)
{
    const rml_fact fact = rml_onnx_fact(call, index);
    size_t count;
    if (!fact.data || fact.shape.rank > 1 || !rml_shape_count(&fact.shape, &count) ||
        count > (size_t)capacity)
        return -1;
    rml_dtype_convert(fact.dtype, fact.data, RML_I64, values, count);
    return (int)count;
}

rml_value_id rml_onnx_cast(rml_onnx_call *call, rml_value_id value, rml_dtype to)
{
    if (value >= call->graph->value_count || call->graph->values[value].dtype == to)
        return value;
    const rml_value *from = &call->graph->values[value];
    // A stored weight is read as f32 by whoever packs it, and not copied.
    if (from->kind == RML_VALUE_CONSTANT && to == RML_F32 &&
        (from->dtype == RML_F16 || from->dtype == RML_BF16 || from->dtype == RML_F64))
        return rml_graph_constant(call->graph, from->name, from->constant);
    const rml_op_attr attr = {.cast = {.to = to}};
    return rml_graph_node(call->graph, RML_OP_CAST, &attr, &value, 1, call->name);
}
