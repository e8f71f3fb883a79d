// Text form of a graph, used by pass tests.
#include "graph/graph.h"

#include <stdio.h>

typedef struct text {
    char *at;
    size_t capacity, length; // length: of the whole text, cut or not
} text;

static void put(text *out, const char *format, ...) RML_PRINTF(2, 3);

static void put(text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const bool room = out->length < out->capacity;
    const int wrote = vsnprintf(room ? out->at + out->length : NULL,
                                room ? out->capacity - out->length : 0, format, args);
    va_end(args);
    out->length += wrote > 0 ? (size_t)wrote : 0;
}

size_t rml_graph_dump(const rml_graph *graph, char *buffer, size_t capacity)
{
    text out = {buffer, capacity, 0};
    char shape[RML_SHAPE_TEXT_BYTES];
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        if (node->dead)
            continue;
        put(&out, "%s = %s(", node->name, rml_op_get(node->op)->name);
        for (int k = 0; k < node->in_count; k++)
            put(&out, "%s%s", k ? ", " : "",
                node->in[k] == RML_NO_VALUE ? "-" : graph->values[node->in[k]].name);
        put(&out, ")");
        for (int k = 0; k < node->out_count; k++) {
            const rml_value *value = &graph->values[node->out + (rml_value_id)k];
            put(&out, " %s%s%s%s", rml_shape_text(&value->shape, shape),
                value->dtype == RML_F32 ? "" : " ",
                value->dtype == RML_F32 ? "" : rml_dtype_name(value->dtype),
                value->layout == RML_LAYOUT_CHANNELS_LAST ? " channels-last" : "");
        }
        put(&out, "\n");
    }
    for (size_t i = 0; i < graph->output_count; i++)
        put(&out, "output %s = %s\n", graph->output_names[i],
            graph->values[graph->outputs[i]].name);
    return out.length;
}
