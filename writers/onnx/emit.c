// Nodes, attributes and constants.
#include "writers/onnx/emit.h"

#include "tensor/dtype.h"

#include <stdio.h>
#include <string.h>

void rml_to_onnx_fail(rml_to_onnx *w, rml_status status, const char *what)
{
    if (w->m.status == RML_OK)
        w->m.status = rml_fail(&w->m.error, status, "%s", what);
}

static void *room(rml_to_onnx *w, size_t count, size_t size)
{
    void *data = rml_arena_alloc(w->naming.arena, count ? count : 1, size);
    if (!data)
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for a file to be written");
    return data;
}

rml_fact rml_to_onnx_fact(const rml_graph *graph, const rml_node *node, int index)
{
    if (index >= node->in_count || node->in[index] == RML_NO_VALUE)
        return (rml_fact){.shape = {.rank = -1}};
    return rml_graph_fact(graph, node->in[index]);
}

// ---- names --------------------------------------------------------------------------------------

static const char *taken(rml_to_onnx *w, rml_naming *naming, const char *wanted)
{
    const char *name = "";
    if (w->m.status == RML_OK)
        w->m.status = rml_name_take(naming, wanted, &name, &w->m.error);
    return w->m.status == RML_OK ? name : "";
}

const char *rml_to_onnx_part(rml_to_onnx *w, const rml_node *node, const char *part)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "%.400s_%s", node->name, part);
    const char *copy = rml_arena_text(w->naming.arena, wanted);
    if (!copy) {
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for a name");
        return "";
    }
    return taken(w, &w->naming, copy);
}

const char **rml_to_onnx_inputs(rml_to_onnx *w, const rml_node *node)
{
    const char **in = room(w, (size_t)node->in_count, sizeof *in);
    for (int i = 0; in && i < node->in_count; i++)
        in[i] = rml_to_onnx_name(w, node->in[i]);
    return in;
}

// ---- constants ----------------------------------------------------------------------------------

const char *rml_to_onnx_constant_of(rml_to_onnx *w, const rml_node *node, const char *part,
                                    rml_dtype dtype, const rml_shape *shape, const void *elements)
{
    rml_to_onnx_constant made = {
        .name = rml_to_onnx_part(w, node, part), .dtype = dtype, .shape = *shape};
    rml_shape_count(shape, &made.elements.count);
    made.elements.bytes = made.elements.count * rml_dtype_size(dtype);
    void *copy = room(w, made.elements.bytes, 1);
    if (!copy)
        return "";
    if (made.elements.bytes)
        memcpy(copy, elements, made.elements.bytes);
    made.elements.data = copy;
    rml_to_onnx_keep(w, &made);
    return made.name;
}

const char *rml_to_onnx_ints(rml_to_onnx *w, const rml_node *node, const char *part,
                             const int64_t *values, size_t count)
{
    return rml_to_onnx_constant_of(w, node, part, RML_I64, &(rml_shape){1, {(int64_t)count}},
                                   values);
}

const char *rml_to_onnx_scalar(rml_to_onnx *w, const rml_node *node, const char *part,
                               rml_dtype dtype, double value)
{
    uint64_t element = 0; // room for any
    rml_dtype_convert(RML_F64, &value, dtype, &element, 1);
    return rml_to_onnx_constant_of(w, node, part, dtype, &(rml_shape){0}, &element);
}

// ---- nodes --------------------------------------------------------------------------------------

void rml_to_onnx_begin(rml_to_onnx *w, const char *op_type, const char *const *in, int in_count)
{
    rml_fields_begin(&w->m, GRAPH_NODE);
    while (in_count > 0 && !*in[in_count - 1])
        in_count--;
    for (int i = 0; i < in_count; i++)
        rml_fields_text(&w->m, NODE_INPUT, in[i]);
    rml_fields_text(&w->m, NODE_OP_TYPE, op_type);
}

void rml_to_onnx_end(rml_to_onnx *w, const rml_node *node, const char *const *out, int out_count)
{
    for (int i = 0; i < out_count; i++)
        rml_fields_text(&w->m, NODE_OUTPUT, out[i]);
    rml_fields_text(&w->m, NODE_NAME, taken(w, &w->node_naming, node->name));
    rml_fields_end(&w->m);
}

void rml_to_onnx_open(rml_to_onnx *w, const rml_node *node, const char *op_type)
{
    const char **in = rml_to_onnx_inputs(w, node);
    rml_to_onnx_begin(w, op_type, in, in ? node->in_count : 0);
}

void rml_to_onnx_close(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_end(w, node, w->names.value + node->out, node->out_count);
}

const char *rml_to_onnx_make(rml_to_onnx *w, const rml_node *node, const char *op_type,
                             const char *const *in, int in_count, const char *part)
{
    const char *out = part ? rml_to_onnx_part(w, node, part) : w->names.value[node->out];
    rml_to_onnx_begin(w, op_type, in, in_count);
    rml_to_onnx_end(w, node, &out, 1);
    return out;
}

// ---- attributes ---------------------------------------------------------------------------------

static void begin_attribute(rml_to_onnx *w, const char *name, int type)
{
    rml_fields_begin(&w->m, NODE_ATTRIBUTE);
    rml_fields_text(&w->m, ATTRIBUTE_NAME, name);
    rml_fields_int(&w->m, ATTRIBUTE_TYPE, type);
}

void rml_to_onnx_int(rml_to_onnx *w, const char *name, int64_t value)
{
    begin_attribute(w, name, TYPE_INT);
    rml_fields_int(&w->m, ATTRIBUTE_I, value);
    rml_fields_end(&w->m);
}

void rml_to_onnx_float(rml_to_onnx *w, const char *name, double value)
{
    begin_attribute(w, name, TYPE_FLOAT);
    rml_fields_float(&w->m, ATTRIBUTE_F, (float)value);
    rml_fields_end(&w->m);
}

void rml_to_onnx_text(rml_to_onnx *w, const char *name, const char *value)
{
    begin_attribute(w, name, TYPE_STRING);
    rml_fields_text(&w->m, ATTRIBUTE_S, value);
    rml_fields_end(&w->m);
}

// Lists are not packed in messages of proto2, as ONNX's are.
void rml_to_onnx_int_list(rml_to_onnx *w, const char *name, const int64_t *values, size_t count)
{
    begin_attribute(w, name, TYPE_INTS);
    for (size_t i = 0; i < count; i++)
        rml_fields_int(&w->m, ATTRIBUTE_INTS, values[i]);
    rml_fields_end(&w->m);
}

void rml_to_onnx_float_list(rml_to_onnx *w, const char *name, const float *values, size_t count)
{
    begin_attribute(w, name, TYPE_FLOATS);
    for (size_t i = 0; i < count; i++)
        rml_fields_float(&w->m, ATTRIBUTE_FLOATS, values[i]);
    rml_fields_end(&w->m);
}

void rml_to_onnx_text_list(rml_to_onnx *w, const char *name, const char *const *texts, size_t count)
{
    begin_attribute(w, name, TYPE_STRINGS);
    for (size_t i = 0; i < count; i++)
        rml_fields_text(&w->m, ATTRIBUTE_STRINGS, texts[i]);
    rml_fields_end(&w->m);
}

void rml_to_onnx_axes(rml_to_onnx *w, const char *name, const int *axes, int count)
{
    int64_t wide[RML_MAX_RANK];
    for (int i = 0; i < count; i++)
        wide[i] = axes[i];
    rml_to_onnx_int_list(w, name, wide, (size_t)count);
}

void rml_to_onnx_word(rml_to_onnx *w, const char *name, const char *words, int place)
{
    for (; place > 0; place--)
        words = strchr(words, ' ') + 1;
    begin_attribute(w, name, TYPE_STRING);
    rml_fields_bytes(&w->m, ATTRIBUTE_S, words, strcspn(words, " "));
    rml_fields_end(&w->m);
}

void rml_to_onnx_begin_graph(rml_to_onnx *w, const char *name)
{
    begin_attribute(w, name, TYPE_GRAPH);
    rml_fields_begin(&w->m, ATTRIBUTE_G);
}
