// A graph as a message: nodes, and the constants they read.
#include "writers/onnx/lists.h"

#include "loaders/onnx/file.h"
#include "tensor/dtype.h"
#include "writers/quantize.h"

#include <stdio.h>
#include <string.h>

#define LARGE 2048 // weights of more elements are stored in few bits where that is wanted

// ---- constants ----------------------------------------------------------------------------------

int rml_to_onnx_element(rml_dtype dtype)
{
    rml_dtype found;
    int number = 1;
    while (!rml_onnx_element_dtype(number, &found) || found != dtype)
        number++;
    return number;
}

static void write_entry(rml_to_onnx *w, const char *key, const char *value)
{
    rml_fields_begin(&w->m, TENSOR_EXTERNAL_DATA);
    rml_fields_text(&w->m, ENTRY_KEY, key);
    rml_fields_text(&w->m, ENTRY_VALUE, value);
    rml_fields_end(&w->m);
}

static void write_place(rml_to_onnx *w, const rml_to_onnx_constant *constant)
{
    char text[24];
    write_entry(w, "location", w->data_name);
    snprintf(text, sizeof text, "%llu", (unsigned long long)constant->at);
    write_entry(w, "offset", text);
    snprintf(text, sizeof text, "%zu", constant->elements.bytes);
    write_entry(w, "length", text);
    rml_fields_int(&w->m, TENSOR_DATA_LOCATION, LOCATION_EXTERNAL);
}

void rml_to_onnx_keep(rml_to_onnx *w, const rml_to_onnx_constant *kept)
{
    rml_to_onnx_constant *constant = rml_arena_alloc(w->naming.arena, 1, sizeof *constant);
    if (!constant) {
        rml_elements_release(
            &(rml_elements){.owned = kept->elements.owned, .allocator = kept->elements.allocator});
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for a constant");
        return;
    }
    *constant = *kept;
    *w->last = constant;
    w->last = &constant->next;
    if (w->outside && constant->elements.bytes >= w->outside) {
        constant->outside = true;
        constant->at =
            (w->outside_bytes + RML_TO_ONNX_PAGE - 1) / RML_TO_ONNX_PAGE * RML_TO_ONNX_PAGE;
        w->outside_bytes = constant->at + constant->elements.bytes;
    }
    rml_fields_begin(&w->m, GRAPH_INITIALIZER);
    for (int i = 0; i < constant->shape.rank; i++)
        rml_fields_int(&w->m, TENSOR_DIMS, constant->shape.dim[i]);
    rml_fields_int(&w->m, TENSOR_DATA_TYPE, rml_to_onnx_element(constant->dtype));
    rml_fields_text(&w->m, TENSOR_NAME, constant->name);
    if (constant->outside)
        write_place(w, constant);
    else
        rml_fields_borrow(&w->m, TENSOR_RAW_DATA, constant->elements.data,
                          constant->elements.bytes);
    rml_fields_end(&w->m);
}

// The elements of a value of the graph as `dtype`, under a name.
static void keep_value(rml_to_onnx *w, const rml_value *value, rml_dtype dtype, const char *name)
{
    rml_to_onnx_constant kept = {.name = name, .dtype = dtype, .shape = value->shape};
    if (w->m.status != RML_OK)
        return;
    w->m.status = rml_elements_take(&kept.elements, value, dtype, w->w->allocator, &w->m.error);
    if (w->m.status == RML_OK)
        rml_to_onnx_keep(w, &kept);
}

static const char *stored_name(rml_to_onnx *w, const char *name, const char *part)
{
    return rml_to_onnx_part(w, &(rml_node){.name = name}, part);
}

static bool has_infinity(const rml_elements *halves)
{
    const uint16_t *bits = halves->data;
    for (size_t i = 0; i < halves->count; i++)
        if ((bits[i] & 0x7fff) == 0x7c00)
            return true;
    return false;
}

// A weight in halves, and a node that makes floats of it. One with numbers too large stays as it
// is.
static void write_halves(rml_to_onnx *w, const rml_value *value, const char *name)
{
    rml_to_onnx_constant kept = {.dtype = RML_F16, .shape = value->shape};
    if (w->m.status == RML_OK)
        w->m.status =
            rml_elements_take(&kept.elements, value, RML_F16, w->w->allocator, &w->m.error);
    if (w->m.status != RML_OK)
        return;
    if (has_infinity(&kept.elements)) {
        rml_elements_release(&kept.elements);
        keep_value(w, value, RML_F32, name);
        return;
    }
    kept.name = stored_name(w, name, "half");
    rml_to_onnx_keep(w, &kept);
    rml_to_onnx_begin(w, "Cast", &kept.name, 1);
    rml_to_onnx_int(w, "to", rml_to_onnx_element(RML_F32));
    rml_to_onnx_end(w, &(rml_node){.name = name}, &name, 1);
}

// A weight in integers of 8 bits with a scale for each of its outputs.
static void write_codes(rml_to_onnx *w, const rml_value *value, int axis, const char *name)
{
    const rml_node node = {.name = name};
    const char *in[2] = {stored_name(w, name, "codes"), NULL};
    const int64_t outputs = value->shape.dim[axis];
    rml_to_onnx_constant kept = {.name = in[0], .dtype = RML_I8, .shape = value->shape};
    float *scale = rml_arena_alloc(w->naming.arena, (size_t)outputs, sizeof *scale);
    if (!scale)
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for the scales of a weight");
    if (w->m.status != RML_OK)
        return;
    w->m.status =
        rml_quantize_weight(&kept.elements, value, axis, scale, w->w->allocator, &w->m.error);
    if (w->m.status != RML_OK)
        return;
    rml_to_onnx_keep(w, &kept);
    in[1] = rml_to_onnx_constant_of(w, &node, "scale", RML_F32, &(rml_shape){1, {outputs}}, scale);
    rml_to_onnx_begin(w, "DequantizeLinear", in, 2);
    rml_to_onnx_int(w, "axis", axis);
    rml_to_onnx_end(w, &node, &name, 1);
}

static void write_constant(rml_to_onnx *w, rml_value_id id)
{
    const rml_value *value = &w->graph->values[id];
    const rml_write_weights weights = w->w->settings.weights;
    size_t count = 0;
    rml_shape_count(&value->shape, &count);
    const bool is_weight = w->place[id].is_weight && value->dtype == RML_F32;
    if (is_weight && weights == RML_WRITE_F16)
        write_halves(w, value, w->names.value[id]);
    else if (is_weight && weights == RML_WRITE_INT8 && count > LARGE)
        write_codes(w, value, w->place[id].axis, w->names.value[id]);
    else
        keep_value(w, value, value->dtype, w->names.value[id]);
}

const char *rml_to_onnx_name(rml_to_onnx *w, rml_value_id id)
{
    if (id == RML_NO_VALUE)
        return "";
    if (w->graph->values[id].kind == RML_VALUE_CONSTANT && !w->place[id].ready) {
        w->place[id].ready = true;
        write_constant(w, id);
    }
    return w->names.value[id];
}

// ---- nodes --------------------------------------------------------------------------------------

static void write_field(rml_to_onnx *w, const rml_to_onnx_field *field, const void *at)
{
    bool flag = false;
    int word = 0;
    if (field->since > w->opset)
        return;
    switch (field->kind) {
    case RML_TO_ONNX_INT:
        rml_to_onnx_int(w, field->name, *(const int64_t *)at);
        break;
    case RML_TO_ONNX_AXIS:
        rml_to_onnx_int(w, field->name, *(const int *)at);
        break;
    case RML_TO_ONNX_FLAG:
    case RML_TO_ONNX_UNLESS:
        flag = *(const bool *)at;
        rml_to_onnx_int(w, field->name, flag == (field->kind == RML_TO_ONNX_FLAG));
        break;
    case RML_TO_ONNX_FLOAT:
        rml_to_onnx_float(w, field->name, (double)*(const float *)at);
        break;
    case RML_TO_ONNX_DTYPE:
        rml_to_onnx_int(w, field->name, rml_to_onnx_element(*(const rml_dtype *)at));
        break;
    case RML_TO_ONNX_WORD:
        memcpy(&word, at, sizeof word); // of any enum
        rml_to_onnx_word(w, field->name, field->words, word);
        break;
    case RML_TO_ONNX_WORD_FLAG:
        rml_to_onnx_word(w, field->name, field->words, *(const bool *)at);
        break;
    default:
        break;
    }
}

static void write_node(rml_to_onnx *w, const rml_node *node)
{
    const rml_to_onnx_entry *entry = rml_to_onnx_find(node->op);
    if (entry->write) {
        entry->write(w, node);
        return;
    }
    const char **in = rml_to_onnx_inputs(w, node);
    for (int k = 0; in && k < node->in_count; k++)
        if (entry->wide >> k & 1)
            in[k] = rml_to_onnx_wide(w, node, k);
    rml_to_onnx_begin(w, entry->op_type, in, in ? node->in_count : 0);
    for (const rml_to_onnx_field *f = entry->fields; f && f->kind != RML_TO_ONNX_END; f++)
        write_field(w, f, (const char *)&node->attr + f->at);
    rml_to_onnx_close(w, node);
}

// ---- graphs -------------------------------------------------------------------------------------

// `wide`: values that stay floats, see rml_find_wide; NULL: none.
static bool open_graph(rml_to_onnx *w, const rml_graph *graph, const rml_writing *ports,
                       const bool *wide)
{
    if (w->m.status != RML_OK)
        return false;
    w->graph = graph;
    w->place = rml_arena_alloc(w->naming.arena, graph->value_count + 1, sizeof *w->place);
    if (!w->place)
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for a graph to be written");
    else
        w->m.status = rml_name_graph(&w->naming, graph, ports, &w->names, &w->m.error);
    for (size_t i = 0; i < graph->node_count && w->m.status == RML_OK; i++) {
        const rml_node *node = &graph->nodes[i];
        for (int k = 0; k < node->in_count && !node->dead; k++) {
            const int axis = rml_weight_axis(graph, node, k);
            if (axis >= 0 && !(wide && wide[node->in[k]]))
                w->place[node->in[k]] = (rml_to_onnx_place){.is_weight = true, .axis = axis};
        }
    }
    return w->m.status == RML_OK;
}

static void write_nodes(rml_to_onnx *w)
{
    const rml_graph *graph = w->graph;
    for (size_t i = 0; i < graph->node_count && w->m.status == RML_OK; i++)
        if (!graph->nodes[i].dead)
            write_node(w, &graph->nodes[i]);
    for (size_t i = 0; i < graph->output_count && w->m.status == RML_OK; i++) {
        const char *name = rml_to_onnx_name(w, graph->outputs[i]);
        if (strcmp(name, w->names.output[i]) == 0)
            continue;
        rml_to_onnx_begin(w, "Identity", &name, 1);
        rml_to_onnx_end(w, &(rml_node){.name = w->names.output[i]}, &w->names.output[i], 1);
    }
}

void rml_to_onnx_graph(rml_to_onnx *w, rml_graph *graph)
{
    bool *wide = NULL;
    if (w->w->settings.weights == RML_WRITE_F16 && w->m.status == RML_OK)
        w->m.status = rml_find_wide(w->w, graph, &wide, &w->m.error);
    if (!open_graph(w, graph, w->w, wide))
        return;
    rml_fields_text(&w->m, GRAPH_NAME, "network");
    write_nodes(w);
    rml_to_onnx_named_ports(w);
}

void rml_to_onnx_body(rml_to_onnx *w, const char *name, const rml_graph *body, size_t own,
                      const char *const *captured)
{
    const rml_graph *outer = w->graph;
    const rml_value_names names = w->names;
    rml_to_onnx_place *place = w->place;
    rml_to_onnx_begin_graph(w, name);
    if (open_graph(w, body, NULL, NULL)) {
        for (size_t i = own; i < body->input_count; i++)
            w->names.value[body->inputs[i]] = captured[i - own];
        rml_fields_text(&w->m, GRAPH_NAME, name);
        write_nodes(w);
        rml_to_onnx_ports(w, own);
    }
    rml_fields_end(&w->m);
    rml_fields_end(&w->m);
    w->graph = outer;
    w->names = names;
    w->place = place;
}
