#include "writers/coreml/blocks.h"

#include "tensor/tensor.h"

#include <string.h>

// A run of channels of a weight that is put in another order: `squares` pixels of each channel.
typedef struct rml_run {
    size_t first, channels, squares;
} rml_run;

// Where in the old order the channel stands that is number `i` in the new one.
static size_t source_of(const rml_run *run, size_t i)
{
    if (i < run->first || i >= run->first + run->channels * run->squares)
        return i;
    i -= run->first;
    return run->first + i % run->channels * run->squares + i / run->channels;
}

// The only node that reads a value; NULL where there is none or more.
static rml_node *reader_of(const rml_graph *graph, rml_value_id value)
{
    if (graph->values[value].uses != 1 || rml_graph_is_output(graph, value))
        return NULL;
    for (size_t i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].in_count && !graph->nodes[i].dead; k++)
            if (graph->nodes[i].in[k] == value)
                return &graph->nodes[i];
    return NULL;
}

static bool is_plain_conv(const rml_graph *graph, const rml_node *node)
{
    if (!node || node->dead || node->op != RML_OP_CONV || node->attr.conv.groups != 1)
        return false;
    for (int i = 1; i < node->in_count; i++)
        if (node->in[i] != RML_NO_VALUE && graph->values[node->in[i]].kind != RML_VALUE_CONSTANT)
            return false;
    return true;
}

// Input `input` of the node with its slices along `axis` in another order.
static rml_status reorder(rml_graph *graph, rml_node *node, int input, int axis, const rml_run *run,
                          rml_error *err)
{
    const rml_value value = graph->values[node->in[input]];
    const size_t channels = (size_t)value.shape.dim[axis];
    size_t count, inner = 1;
    rml_value_id in[4] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    rml_shape_count(&value.shape, &count);
    for (int i = axis + 1; i < value.shape.rank; i++)
        inner *= (size_t)value.shape.dim[i];
    float *from = rml_arena_alloc(&graph->arena, count, sizeof *from);
    float *to = rml_arena_alloc(&graph->arena, count, sizeof *to);
    if (!from || !to)
        return rml_fail_nomem(err, 2 * count * sizeof *to, "weights in another order");
    rml_constant_copy(value.constant, RML_F32, from);
    for (size_t i = 0; i < count / inner; i++) {
        const size_t outer = i / channels * channels;
        memcpy(to + i * inner, from + (outer + source_of(run, i - outer)) * inner,
               inner * sizeof *to);
    }
    const rml_stored stored = rml_stored_f32(to, &value.shape);
    for (int k = 0; k < node->in_count; k++)
        in[k] = node->in[k];
    in[input] = rml_graph_typed_constant(graph, value.name, &stored);
    RML_TRY(rml_graph_finish(graph, err));
    return rml_graph_set_inputs(graph, node, in, node->in_count)
               ? RML_OK
               : rml_fail_nomem(err, sizeof in, "weights in another order");
}

// Pixels to channels, and the convolution that reads them.
static rml_status order_reader(rml_graph *graph, rml_node *node, rml_error *err)
{
    const int64_t block = node->attr.shuffle.block;
    rml_value_id value = node->out;
    rml_run run = {.channels = (size_t)graph->values[node->in[0]].shape.dim[1],
                   .squares = (size_t)(block * block)};
    rml_node *reader = reader_of(graph, value);
    if (reader && reader->op == RML_OP_CONCAT && reader->attr.concat.axis == 1) {
        for (int k = 0; reader->in[k] != value; k++)
            run.first += (size_t)graph->values[reader->in[k]].shape.dim[1];
        value = reader->out;
        reader = reader_of(graph, value);
    }
    if (!is_plain_conv(graph, reader) || reader->in[0] != value)
        return RML_OK;
    node->attr.shuffle.pixels_first = true;
    return reorder(graph, reader, 1, 1, &run, err);
}

// The convolution that writes channels, and channels to pixels.
static rml_status order_writer(rml_graph *graph, rml_node *node, rml_error *err)
{
    const size_t squares = (size_t)(node->attr.shuffle.block * node->attr.shuffle.block);
    const rml_value_id value = node->in[0];
    const rml_node_id producer = graph->values[value].producer;
    rml_node *writer = producer == RML_NO_NODE ? NULL : &graph->nodes[producer];
    if (!is_plain_conv(graph, writer) || reader_of(graph, value) != node)
        return RML_OK;
    const rml_run run = {.channels = (size_t)graph->values[value].shape.dim[1] / squares,
                         .squares = squares};
    node->attr.shuffle.pixels_first = true;
    RML_TRY(reorder(graph, writer, 1, 0, &run, err));
    return writer->in_count > 2 && writer->in[2] != RML_NO_VALUE
               ? reorder(graph, writer, 2, 0, &run, err)
               : RML_OK;
}

// What is repeated to the size of another value needs that no more where the size is known.
static void forget_sizes(rml_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *node = &graph->nodes[i];
        if (node->dead || node->op != RML_OP_EXPAND || node->in_count != 2 ||
            !rml_shape_known(&graph->values[node->out].shape))
            continue;
        node->attr.expand.shape = graph->values[node->out].shape;
        node->in_count = 1;
    }
}

rml_status rml_coreml_order_blocks(rml_graph *graph, rml_error *err)
{
    forget_sizes(graph);
    rml_graph_count_uses(graph);
    for (size_t i = 0; i < graph->node_count; i++) {
        rml_node *node = &graph->nodes[i];
        const bool reads = node->op == RML_OP_SPACE_TO_DEPTH;
        if (node->dead || (!reads && node->op != RML_OP_DEPTH_TO_SPACE) ||
            node->attr.shuffle.pixels_first || graph->values[node->in[0]].shape.rank != 4)
            continue;
        RML_TRY(reads ? order_reader(graph, node, err) : order_writer(graph, node, err));
    }
    return RML_OK;
}
