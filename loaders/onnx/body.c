// Graphs inside nodes, closed: what they read of the graphs around them becomes further inputs.
#include "loaders/onnx/importer.h"

#include <stdio.h>

typedef struct list {
    uint32_t *at;
    size_t count, capacity;
} list;

// Values that `graph` and the graphs inside it read from outside of [begin, end), each once.
static rml_status collect(const rml_onnx_importer *importer, const rml_onnx_graph *graph,
                          uint32_t begin, uint32_t end, list *out);

static rml_status add(const rml_onnx_importer *importer, uint32_t value, uint32_t begin,
                      uint32_t end, list *out)
{
    if (value == RML_ONNX_NONE || (value >= begin && value < end) ||
        importer->file->value[value].kind == RML_ONNX_INITIALIZER)
        return RML_OK;
    if (importer->listed[value])
        return RML_OK;
    uint32_t *grown =
        rml_grow(importer->allocator, out->at, &out->capacity, out->count + 1, sizeof *grown);
    if (!grown)
        return rml_fail_nomem(importer->err, sizeof *grown, "a graph inside a node");
    out->at = grown;
    grown[out->count++] = value;
    importer->listed[value] = true;
    return RML_OK;
}

static rml_status collect_node(const rml_onnx_importer *importer, const rml_onnx_node *node,
                               uint32_t begin, uint32_t end, list *out)
{
    for (size_t i = 0; i < node->input_count; i++)
        RML_TRY(add(importer, node->input[i], begin, end, out));
    for (size_t i = 0; i < node->attribute_count; i++) {
        const rml_onnx_attribute *attribute = &node->attribute[i];
        for (size_t k = 0; attribute->kind == RML_ONNX_GRAPHS && k < attribute->count; k++)
            RML_TRY(collect(importer, &attribute->u.graph[k], begin, end, out));
    }
    return RML_OK;
}

static rml_status collect(const rml_onnx_importer *importer, const rml_onnx_graph *graph,
                          uint32_t begin, uint32_t end, list *out)
{
    for (size_t i = 0; i < graph->node_count; i++)
        RML_TRY(collect_node(importer, &graph->node[i], begin, end, out));
    for (size_t i = 0; i < graph->output_count; i++)
        RML_TRY(add(importer, graph->output[i], begin, end, out));
    return RML_OK;
}

// Constants are written into the body again, which costs nothing and keeps them known; the others
// become inputs. What they are outside goes to `outer`, which has room for all, and so has
// `captures`. For as long as the body is read, their places say what they are in it.
static rml_status capture(rml_onnx_importer *importer, const list *from, rml_graph *body,
                          rml_value_id *outer, rml_value_id *captures, size_t *count)
{
    const rml_graph *around = importer->inside->graph;
    *count = 0;
    for (size_t i = 0; i < from->count; i++)
        RML_TRY(rml_onnx_look_up(importer, from->at[i], &outer[i]));
    for (size_t i = 0; i < from->count; i++) {
        rml_onnx_place place = {body, outer[i], importer->place[from->at[i]].stand_in};
        if (outer[i] != RML_NO_VALUE && outer[i] != RML_ONNX_REFUSED) {
            const rml_value *value = &around->values[outer[i]];
            char name[64];
            snprintf(name, sizeof name, "outer %u: %.32s", from->at[i], value->name);
            if (value->kind == RML_VALUE_CONSTANT) {
                place.value = rml_graph_copy_constant(body, value);
            } else {
                place.value = rml_graph_typed_input(body, name, value->dtype, &value->shape);
                captures[(*count)++] = outer[i];
            }
        }
        importer->place[from->at[i]] = place;
    }
    return rml_graph_finish(body, importer->err);
}

// Outputs have numbers for names.
static rml_status add_outputs(rml_onnx_importer *importer, const rml_onnx_graph *from,
                              rml_graph *body, bool *refused)
{
    for (size_t k = 0; k < from->output_count && !*refused; k++) {
        char name[32];
        snprintf(name, sizeof name, "output %zu", k);
        RML_TRY(rml_onnx_add_output(importer, from->output[k], name, refused));
    }
    return rml_graph_finish(body, importer->err);
}

static rml_status take_inputs(rml_onnx_importer *importer, const rml_onnx_graph *from,
                              const rml_fact *in, size_t count, rml_graph *body)
{
    if (from->input_count != count)
        return rml_fail(importer->err, RML_ERR_FORMAT,
                        "graph \"%s\" inside a node has %zu inputs, and its node gives it %zu",
                        from->name, from->input_count, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = importer->file->value[from->input[i]].name;
        rml_onnx_set(importer, from->input[i],
                     rml_graph_typed_input(body, name, in[i].dtype, &in[i].shape));
    }
    return rml_graph_finish(body, importer->err);
}

rml_status rml_onnx_import_body(rml_onnx_importer *importer, const rml_onnx_graph *from,
                                const rml_fact *in, size_t count, rml_graph **out,
                                const rml_value_id **captures, size_t *capture_count)
{
    rml_graph *around = importer->inside->graph, *body = rml_graph_inside(around);
    list outside = {0};
    bool refused = false;
    *out = NULL;
    if (!body)
        return rml_fail_nomem(importer->err, sizeof *body, "a graph inside a node");
    rml_status status = collect(importer, from, from->value_begin, from->value_end, &outside);
    for (size_t i = 0; i < outside.count; i++)
        importer->listed[outside.at[i]] = false;
    rml_value_id *outer = rml_arena_alloc(&importer->arena, outside.count + 1, sizeof *outer);
    rml_value_id *given = rml_arena_alloc(&around->arena, outside.count + 1, sizeof *given);
    if (status == RML_OK && (!outer || !given))
        status = rml_fail_nomem(importer->err, outside.count * sizeof *outer, "a graph");
    const rml_onnx_inside inside = {body, importer->inside};
    importer->inside = &inside; // its own inputs come first
    if (status == RML_OK)
        status = take_inputs(importer, from, in, count, body);
    importer->inside = inside.outer; // where what it reads from outside is looked up
    if (status == RML_OK)
        status = capture(importer, &outside, body, outer, given, capture_count);
    importer->inside = &inside;
    if (status == RML_OK)
        status = rml_onnx_import_nodes(importer, from);
    if (status == RML_OK)
        status = add_outputs(importer, from, body, &refused);
    importer->inside = inside.outer;
    for (size_t i = 0; i < outside.count && outer; i++)
        if (importer->place[outside.at[i]].graph == body)
            importer->place[outside.at[i]] =
                (rml_onnx_place){around, outer[i], importer->place[outside.at[i]].stand_in};
    rml_free(importer->allocator, outside.at);
    *captures = given;
    if (status == RML_OK && !refused)
        *out = body;
    return status;
}
