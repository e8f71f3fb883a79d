// Nodes in an order in which they can run. Most files have them so; those of some editors and
// converters have not.
#include "loaders/onnx/reader.h"

#include <string.h>

// What each node of a graph reads of the graph's other nodes, also in graphs inside it: the values
// read by node i are value[start[i] .. start[i + 1]).
typedef struct reads {
    rml_onnx_reader *reader;
    const rml_onnx_scope *scope;
    size_t *start;
    uint32_t *value; // NULL while they are counted
    size_t count;
    uint32_t node; // in hand
    bool is_late;  // one reads what a later one computes
} reads;

static uint32_t producer_of(const reads *all, uint32_t value)
{
    return all->reader->file->value[value].producer;
}

static void add_reads(reads *all, const uint32_t *value, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (value[i] == RML_ONNX_NONE || value[i] < all->scope->value_begin ||
            value[i] >= all->scope->value_end ||
            all->reader->file->value[value[i]].kind != RML_ONNX_NODE_OUTPUT)
            continue;
        all->is_late = all->is_late || producer_of(all, value[i]) >= all->node;
        if (all->value)
            all->value[all->count] = value[i];
        all->count++;
    }
}

static void add_node(reads *all, const rml_onnx_node *node)
{
    add_reads(all, node->input, node->input_count);
    for (size_t i = 0; i < node->attribute_count; i++) {
        const rml_onnx_attribute *attribute = &node->attribute[i];
        for (size_t k = 0; attribute->kind == RML_ONNX_GRAPHS && k < attribute->count; k++) {
            const rml_onnx_graph *graph = &attribute->u.graph[k];
            for (size_t n = 0; n < graph->node_count; n++)
                add_node(all, &graph->node[n]);
            add_reads(all, graph->output, graph->output_count);
        }
    }
}

static void gather(reads *all)
{
    all->count = 0;
    for (all->node = 0; all->node < all->scope->node_count; all->node++) {
        if (all->start)
            all->start[all->node] = all->count;
        add_node(all, &all->scope->node[all->node]);
    }
    if (all->start)
        all->start[all->node] = all->count;
}

static rml_status is_cycle(const reads *all, uint32_t node, uint32_t value)
{
    const rml_onnx_node *nodes = all->scope->node;
    const uint32_t producer = producer_of(all, value);
    char quoted[RML_QUOTE_BYTES], label[RML_ONNX_LABEL_BYTES], other[RML_ONNX_LABEL_BYTES];
    const char *name = all->reader->file->value[value].name;
    rml_quote(quoted, name, strlen(name));
    rml_onnx_node_label(nodes, node, label);
    if (producer == node)
        return rml_fail(all->reader->fields.err, RML_ERR_FORMAT,
                        "%s: input \"%s\" is an output of the node itself: the graph has a cycle",
                        label, quoted);
    return rml_fail(all->reader->fields.err, RML_ERR_FORMAT,
                    "%s: input \"%s\" is computed by %s, which needs this node's output: the graph "
                    "has a cycle",
                    label, quoted, rml_onnx_node_label(nodes, producer, other));
}

// Depth first: each node behind those it reads from, and otherwise as in the file.
static rml_status sort(const reads *all, uint32_t *order)
{
    enum { NEW, OPEN, DONE };
    const size_t count = all->scope->node_count;
    uint8_t *state = NULL;
    uint32_t *open = NULL;
    size_t *next = NULL, done = 0, depth = 0;
    RML_TRY(rml_message_array(&all->reader->fields, count, sizeof *state, &state));
    RML_TRY(rml_message_array(&all->reader->fields, count, sizeof *open, &open));
    RML_TRY(rml_message_array(&all->reader->fields, count, sizeof *next, &next));
    memset(state, NEW, count);
    memcpy(next, all->start, count * sizeof *next);
    for (uint32_t first = 0; first < count; first++) {
        if (state[first] == NEW) {
            state[first] = OPEN;
            open[depth++] = first;
        }
        while (depth > 0) {
            const uint32_t node = open[depth - 1];
            if (next[node] == all->start[node + 1]) {
                state[node] = DONE;
                order[done++] = node;
                depth--;
                continue;
            }
            const uint32_t value = all->value[next[node]++];
            const uint32_t producer = producer_of(all, value);
            if (state[producer] == OPEN)
                return is_cycle(all, node, value);
            if (state[producer] == NEW) {
                state[producer] = OPEN;
                open[depth++] = producer;
            }
        }
    }
    return RML_OK;
}

rml_status rml_onnx_sort_nodes(rml_onnx_reader *reader, rml_onnx_scope *scope, rml_onnx_graph *out)
{
    reads all = {.reader = reader, .scope = scope};
    rml_onnx_node *nodes = NULL;
    uint32_t *order = NULL;
    const size_t count = scope->node_count;
    gather(&all);
    if (!all.is_late)
        return RML_OK;
    RML_TRY(rml_message_array(&reader->fields, count + 1, sizeof *all.start, &all.start));
    RML_TRY(rml_message_array(&reader->fields, all.count, sizeof *all.value, &all.value));
    RML_TRY(rml_message_array(&reader->fields, count, sizeof *order, &order));
    RML_TRY(rml_message_array(&reader->fields, count, sizeof *nodes, &nodes));
    gather(&all);
    RML_TRY(sort(&all, order));
    for (uint32_t i = 0; i < count; i++) {
        nodes[i] = scope->node[order[i]];
        for (size_t k = 0; k < nodes[i].output_count; k++)
            if (nodes[i].output[k] != RML_ONNX_NONE)
                reader->file->value[nodes[i].output[k]].producer = i;
    }
    out->node = scope->node = nodes;
    return RML_OK;
}
