// Graphs as tests look at them and make them.
#ifndef RML_TESTS_SUPPORT_GRAPH_TEXT_H
#define RML_TESTS_SUPPORT_GRAPH_TEXT_H

#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct graph_text {
    char *at;
    size_t capacity, length; // length: of the whole text, cut or not
} graph_text;

static inline void graph_put(graph_text *out, const char *format, ...) RML_PRINTF(2, 3);

static inline void graph_put(graph_text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const bool room = out->length < out->capacity;
    const int wrote = vsnprintf(room ? out->at + out->length : NULL,
                                room ? out->capacity - out->length : 0, format, args);
    va_end(args);
    out->length += wrote > 0 ? (size_t)wrote : 0;
}

// One line a live node: "conv1 = conv(x, w, b) (1,64,8,8)". Returns the number of bytes the whole
// text needs, as snprintf.
static inline size_t graph_dump(const rml_graph *graph, char *buffer, size_t capacity)
{
    graph_text out = {buffer, capacity, 0};
    char shape[RML_SHAPE_TEXT_BYTES];
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        if (node->dead)
            continue;
        graph_put(&out, "%s = %s(", node->name, node->def->name);
        for (int k = 0; k < node->in_count; k++)
            graph_put(&out, "%s%s", k ? ", " : "",
                      node->in[k] == RML_NO_VALUE ? "-" : graph->values[node->in[k]].name);
        graph_put(&out, ")");
        for (int k = 0; k < node->out_count; k++) {
            const rml_value *value = &graph->values[node->out + (rml_value_id)k];
            graph_put(&out, " %s%s%s%s", rml_shape_text(&value->shape, shape),
                      value->dtype == RML_F32 ? "" : " ",
                      value->dtype == RML_F32 ? "" : rml_dtype_name(value->dtype),
                      value->layout == RML_LAYOUT_CHANNELS_LAST ? " channels-last" : "");
        }
        graph_put(&out, "\n");
    }
    for (size_t i = 0; i < graph->output_count; i++)
        graph_put(&out, "output %s = %s\n", graph->output_names[i],
                  graph->values[graph->outputs[i]].name);
    return out.length;
}

// Parts of `sizes`, which outlive the graph, along one axis to out[count]; all RML_NO_VALUE after
// an error.
static inline void graph_split(rml_graph *graph, rml_value_id x, int axis, const int64_t *sizes,
                               int count, rml_value_id *out, const char *name)
{
    int64_t *copy = rml_arena_alloc(&graph->arena, count > 0 ? (size_t)count : 1, sizeof *copy);
    for (int k = 0; k < count && copy; k++)
        copy[k] = sizes[k];
    if (!copy)
        rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while building the graph");
    const rml_op_attr attr = {.split = {axis, count, copy}};
    const rml_value_id first = rml_graph_node(graph, RML_OP_SPLIT, &attr, &x, 1, name);
    for (int k = 0; k < count; k++)
        out[k] = first == RML_NO_VALUE ? RML_NO_VALUE : first + (rml_value_id)k;
}

#endif
