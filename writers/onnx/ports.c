// What is known of inputs and outputs.
#include "writers/onnx/emit.h"

#include <stdio.h>
#include <string.h>

// `dim_names`: of sizes that are not known, or NULL.
static void write_port(rml_to_onnx *w, uint32_t field, const char *name, const rml_value *value,
                       const char *const *dim_names)
{
    rml_fields *m = &w->m;
    rml_fields_begin(m, field);
    rml_fields_text(m, INFO_NAME, name);
    rml_fields_begin(m, INFO_TYPE);
    rml_fields_begin(m, VALUE_TENSOR_TYPE);
    rml_fields_int(m, TENSOR_ELEM_TYPE, rml_to_onnx_element(value->dtype));
    if (value->shape.rank >= 0)
        rml_fields_begin(m, TENSOR_SHAPE);
    for (int i = 0; i < value->shape.rank; i++) {
        rml_fields_begin(m, SHAPE_DIM);
        if (value->shape.dim[i] >= 0)
            rml_fields_int(m, DIM_VALUE, value->shape.dim[i]);
        else if (dim_names && dim_names[i])
            rml_fields_text(m, DIM_PARAM, dim_names[i]);
        rml_fields_end(m);
    }
    if (value->shape.rank >= 0)
        rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
}

static bool is_dim_name(const rml_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->input_count; i++) {
        const char *const *names = graph->values[graph->inputs[i]].dim_names;
        for (int k = 0; names && k < RML_MAX_RANK; k++)
            if (names[k] && strcmp(names[k], name) == 0)
                return true;
    }
    return false;
}

// The names of the file, and dim_0, dim_1, .. for those that have none. To names[input_count].
static bool name_dims(rml_to_onnx *w, const char **names)
{
    const rml_graph *graph = w->graph;
    char text[32];
    int number = 0;
    for (size_t i = 0; i < graph->input_count; i++) {
        const rml_value *input = &graph->values[graph->inputs[i]];
        for (int k = 0; k < input->shape.rank; k++) {
            const char **name = &names[i * RML_MAX_RANK + (size_t)k];
            *name = input->dim_names ? input->dim_names[k] : NULL;
            if (input->shape.dim[k] >= 0 || *name)
                continue;
            do
                snprintf(text, sizeof text, "dim_%d", number++);
            while (is_dim_name(graph, text));
            *name = rml_arena_text(w->naming.arena, text);
            if (!*name)
                return false;
        }
    }
    return true;
}

// An output's size that is an input's in every run has the name of that.
static void write_named_output(rml_to_onnx *w, size_t index, const rml_fact *facts,
                               const char *const *names)
{
    const rml_graph *graph = w->graph;
    const rml_value *value = &graph->values[graph->outputs[index]];
    const rml_shape *shape = &facts[graph->outputs[index]].shape;
    const char *same[RML_MAX_RANK] = {NULL};
    for (size_t i = 0; i < graph->input_count; i++) {
        const rml_shape *from = &facts[graph->inputs[i]].shape;
        for (int k = 0; k < from->rank; k++)
            for (int o = 0; o < shape->rank; o++)
                if (from->dim[k] < -1 && shape->dim[o] == from->dim[k] && !same[o])
                    same[o] = names[i * RML_MAX_RANK + (size_t)k];
    }
    write_port(w, GRAPH_OUTPUT, w->names.output[index], value, same);
    if (value->shape.rank < 0 && w->w->settings.log) {
        char line[512];
        snprintf(
            line, sizeof line,
            "how many dimensions the output %.300s has only a run tells: it is written without "
            "a shape, which runtimes take, but onnx.checker does not",
            w->names.output[index]);
        w->w->settings.log(w->w->settings.log_user, line);
    }
}

// Those of the model, whose sizes have names.
void rml_to_onnx_named_ports(rml_to_onnx *w)
{
    const rml_graph *graph = w->graph;
    rml_arena *arena = w->naming.arena;
    rml_fact *facts = rml_arena_alloc(arena, graph->value_count + 1, sizeof *facts);
    const char **names =
        rml_arena_alloc(arena, graph->input_count * RML_MAX_RANK + 1, sizeof *names);
    if (!facts || !names || !name_dims(w, names)) {
        rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for the ports of a file");
        return;
    }
    if (w->m.status == RML_OK)
        w->m.status = rml_graph_symbols(graph, facts, arena, &w->m.error);
    if (w->m.status != RML_OK)
        return;
    for (size_t i = 0; i < graph->input_count; i++)
        write_port(w, GRAPH_INPUT, w->names.value[graph->inputs[i]],
                   &graph->values[graph->inputs[i]], names + i * RML_MAX_RANK);
    for (size_t i = 0; i < graph->output_count; i++)
        write_named_output(w, i, facts, names);
}

void rml_to_onnx_ports(rml_to_onnx *w, size_t own)
{
    const rml_graph *graph = w->graph;
    for (size_t i = 0; i < own; i++)
        write_port(w, GRAPH_INPUT, w->names.value[graph->inputs[i]],
                   &graph->values[graph->inputs[i]], NULL);
    for (size_t i = 0; i < graph->output_count; i++)
        write_port(w, GRAPH_OUTPUT, w->names.output[i], &graph->values[graph->outputs[i]], NULL);
}
