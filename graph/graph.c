#include "graph/graph.h"
#include "tensor/format.h"

#include <string.h>

void rml_graph_init(rml_graph *graph, const rml_allocator *allocator)
{
    memset(graph, 0, sizeof *graph);
    rml_arena_init(&graph->arena, allocator);
    rml_names_init(&graph->input_index, allocator);
    rml_names_init(&graph->output_index, allocator);
}

void rml_graph_release(rml_graph *graph)
{
    const rml_allocator *allocator = graph->arena.allocator;
    for (rml_graph *inside = graph->inside, *next; inside; inside = next) {
        next = inside->next;
        rml_graph_release(inside);
        rml_free(allocator, inside);
    }
    rml_free(allocator, graph->values);
    rml_free(allocator, graph->nodes);
    rml_free(allocator, graph->inputs);
    rml_free(allocator, graph->outputs);
    rml_free(allocator, (void *)graph->output_names);
    rml_free(allocator, (void *)graph->meanings[0].at);
    rml_free(allocator, (void *)graph->meanings[1].at);
    rml_names_release(&graph->input_index);
    rml_names_release(&graph->output_index);
    rml_arena_release(&graph->arena);
    memset(graph, 0, sizeof *graph);
}

rml_graph *rml_graph_inside(rml_graph *graph)
{
    rml_graph *inside = rml_alloc(graph->arena.allocator, sizeof *inside);
    if (!inside)
        return NULL;
    rml_graph_init(inside, graph->arena.allocator);
    inside->next = graph->inside;
    graph->inside = inside;
    return inside;
}

rml_value_id rml_graph_fail(rml_graph *graph, rml_status status, const char *format, ...)
{
    if (graph->error.status == RML_OK) {
        va_list args;
        va_start(args, format);
        rml_fail_v(&graph->error, status, format, args);
        va_end(args);
    }
    return RML_NO_VALUE;
}

static rml_value_id fail_nomem(rml_graph *graph)
{
    return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory while building the graph");
}

rml_status rml_graph_finish(const rml_graph *graph, rml_error *err)
{
    if (graph->error.status == RML_OK)
        return RML_OK;
    return rml_fail(err, graph->error.status, "%s", graph->error.message);
}

static rml_value_id add_value(rml_graph *graph, rml_value value, const char *name)
{
    if (graph->error.status != RML_OK)
        return RML_NO_VALUE;
    rml_value *values = rml_grow(graph->arena.allocator, graph->values, &graph->value_capacity,
                                 graph->value_count + 1, sizeof *values);
    if (!values)
        return fail_nomem(graph);
    graph->values = values;
    value.name = rml_arena_text(&graph->arena, name);
    if (!value.name)
        return fail_nomem(graph);
    values[graph->value_count] = value;
    return (rml_value_id)graph->value_count++;
}

static bool add_id(rml_graph *graph, rml_value_id **ids, size_t *count, size_t *capacity,
                   rml_value_id id)
{
    rml_value_id *grown =
        rml_grow(graph->arena.allocator, *ids, capacity, *count + 1, sizeof *grown);
    if (!grown)
        return false;
    *ids = grown;
    grown[(*count)++] = id;
    return true;
}

static size_t find(const rml_names *index, const char *name)
{
    size_t port;
    return rml_names_find(index, name, strlen(name), &port) ? port : SIZE_MAX;
}

size_t rml_graph_find_input(const rml_graph *graph, const char *name)
{
    return find(&graph->input_index, name);
}

size_t rml_graph_find_output(const rml_graph *graph, const char *name)
{
    return find(&graph->output_index, name);
}

static rml_status add_port(rml_graph *graph, bool output, const char *name, size_t port,
                           rml_error *err)
{
    rml_names *index = output ? &graph->output_index : &graph->input_index;
    size_t now = port;
    RML_TRY(rml_names_add(index, name, strlen(name), port, &now, err));
    if (now != port)
        return rml_fail(err, RML_ERR_ARG, "there are two %s \"%s\"", output ? "outputs" : "inputs",
                        name);
    return RML_OK;
}

static rml_value_id name_port(rml_graph *graph, bool output, const char *name, size_t port,
                              rml_value_id id)
{
    return add_port(graph, output, name, port, &graph->error) == RML_OK ? id : RML_NO_VALUE;
}

rml_status rml_graph_ports_changed(rml_graph *graph, rml_error *err)
{
    rml_names_release(&graph->input_index);
    rml_names_release(&graph->output_index);
    for (size_t i = 0; i < graph->value_count; i++)
        graph->values[i].output = false;
    for (size_t i = 0; i < graph->input_count; i++)
        RML_TRY(add_port(graph, false, graph->values[graph->inputs[i]].name, i, err));
    for (size_t i = 0; i < graph->output_count; i++) {
        graph->values[graph->outputs[i]].output = true;
        RML_TRY(add_port(graph, true, graph->output_names[i], i, err));
    }
    return RML_OK;
}

rml_value_id rml_graph_input(rml_graph *graph, const char *name, const rml_shape *shape)
{
    return rml_graph_typed_input(graph, name, RML_F32, shape);
}

rml_value_id rml_graph_typed_input(rml_graph *graph, const char *name, rml_dtype dtype,
                                   const rml_shape *shape)
{
    const rml_value value = {
        .kind = RML_VALUE_INPUT, .dtype = dtype, .shape = *shape, .producer = RML_NO_NODE};
    const rml_value_id id = add_value(graph, value, name);
    if (id == RML_NO_VALUE)
        return id;
    if (!add_id(graph, &graph->inputs, &graph->input_count, &graph->input_capacity, id))
        return fail_nomem(graph);
    return name_port(graph, false, graph->values[id].name, graph->input_count - 1, id);
}

void rml_graph_name_dims(rml_graph *graph, rml_value_id input, const char *const *names)
{
    if (graph->error.status != RML_OK)
        return;
    const char **copy = rml_arena_alloc(&graph->arena, RML_MAX_RANK, sizeof *copy);
    bool memory = copy != NULL;
    for (int i = 0; i < RML_MAX_RANK && memory; i++)
        if (names[i])
            memory = (copy[i] = rml_arena_text(&graph->arena, names[i])) != NULL;
    if (!memory)
        fail_nomem(graph);
    else
        graph->values[input].dim_names = copy;
}

static rml_value_id add_constant(rml_graph *graph, const char *name, rml_dtype dtype,
                                 const rml_constant *constant)
{
    if (graph->error.status != RML_OK)
        return RML_NO_VALUE;
    rml_constant *copy = rml_arena_alloc(&graph->arena, 1, sizeof *copy);
    if (!copy)
        return fail_nomem(graph);
    *copy = *constant;
    const rml_value value = {.kind = RML_VALUE_CONSTANT,
                             .dtype = dtype,
                             .shape = constant->stored.shape,
                             .producer = RML_NO_NODE,
                             .constant = copy};
    return add_value(graph, value, name);
}

rml_value_id rml_graph_constant(rml_graph *graph, const char *name, const rml_constant *constant)
{
    return add_constant(graph, name, RML_F32, constant);
}

// A file's tensor may lie at an odd address, where it cannot be read as it is. The elements of a
// small one are to be known while planning.
static bool copy_small(rml_graph *graph, rml_stored *stored)
{
    const size_t bytes = rml_dtype_size(stored->dtype);
    size_t count;
    if ((uintptr_t)stored->data % bytes == 0 || !rml_shape_count(&stored->shape, &count) ||
        count == 0 || count > RML_KNOWN_ELEMENTS)
        return true;
    void *copy = rml_arena_alloc(&graph->arena, count, bytes);
    if (!copy)
        return false;
    rml_stored_copy(stored, copy);
    *stored = rml_stored_plain(copy, stored->dtype, &stored->shape);
    return true;
}

rml_value_id rml_graph_typed_constant(rml_graph *graph, const char *name, const rml_stored *stored)
{
    rml_constant constant = {.stored = *stored};
    if (!copy_small(graph, &constant.stored))
        return fail_nomem(graph);
    return add_constant(graph, name, stored->dtype, &constant);
}

rml_value_id rml_graph_copy_constant(rml_graph *graph, const rml_value *value)
{
    return add_constant(graph, value->name, value->dtype, value->constant);
}

void rml_graph_output(rml_graph *graph, const char *name, rml_value_id value)
{
    if (graph->error.status != RML_OK)
        return;
    if (value >= graph->value_count || graph->values[value].kind != RML_VALUE_ACTIVATION) {
        rml_graph_fail(graph, RML_ERR_ARG, "output %s is not computed by a node", name);
        return;
    }
    // A second name gets a copy, which can be bound to other memory.
    if (rml_graph_is_output(graph, value)) {
        const rml_op_attr same = {.cast = {.to = graph->values[value].dtype}};
        value = rml_graph_add(graph, &rml_op_cast, &same, &value, 1, name);
        if (value == RML_NO_VALUE)
            return;
    }
    const char **names =
        rml_grow(graph->arena.allocator, (void *)graph->output_names, &graph->output_name_capacity,
                 graph->output_count + 1, sizeof *names);
    char *copy = rml_arena_text(&graph->arena, name);
    if (names)
        graph->output_names = names;
    if (!names || !copy ||
        !add_id(graph, &graph->outputs, &graph->output_count, &graph->output_capacity, value)) {
        fail_nomem(graph);
        return;
    }
    names[graph->output_count - 1] = copy;
    graph->values[value].output = true;
    name_port(graph, true, copy, graph->output_count - 1, value);
}

bool rml_graph_set_inputs(rml_graph *graph, rml_node *node, const rml_value_id *in, int in_count)
{
    rml_value_id *copy = rml_arena_alloc(&graph->arena, (size_t)in_count, sizeof *copy);
    if (!copy)
        return false;
    memcpy(copy, in, (size_t)in_count * sizeof *copy);
    node->in = copy;
    node->in_count = in_count;
    return true;
}

rml_op_layout rml_node_layout(const rml_node *node)
{
    return node->generic ? RML_OP_PLAIN : node->def->layout;
}

bool rml_graph_window(const rml_graph *graph, const rml_node *node, rml_window *window)
{
    const rml_shape *w = &graph->values[node->in[1]].shape;
    rml_shape x = graph->values[node->in[0]].shape;
    if (x.rank == RML_RANK_UNKNOWN)
        x = (rml_shape){w->rank, {-1, -1, -1, -1, -1, -1, -1, -1}};
    return w->rank == x.rank && w->rank > 2 &&
           rml_window_make(&node->attr.conv.window, &x, &w->dim[2], window, NULL) == RML_OK;
}

static bool ask(const rml_graph *graph, const rml_node *node,
                bool (*question)(const rml_op_attr *, const rml_fact *, int))
{
    enum { MOST = 8 };
    rml_fact in[MOST];
    for (int k = 0; k < node->in_count && k < MOST; k++)
        in[k] = node->in[k] == RML_NO_VALUE ? (rml_fact){.shape.rank = -1}
                                            : rml_graph_fact(graph, node->in[k]);
    return question(&node->attr, in, node->in_count);
}

void rml_graph_classify(const rml_graph *graph, rml_node *node)
{
    const rml_op *op = node->def;
    node->generic = op->takes_images && !ask(graph, node, op->takes_images);
}

bool rml_graph_takes_planes(const rml_graph *graph, const rml_node *node)
{
    const rml_op *op = node->def;
    return op->takes_planes && ask(graph, node, op->takes_planes);
}

bool rml_graph_plain_as_well(const rml_graph *graph, const rml_node *node)
{
    const rml_op *op = node->def;
    return op->plain_as_well && ask(graph, node, op->plain_as_well);
}

// Infers what the node gives, into `facts`, and adds it.
static rml_value_id add_inferred(rml_graph *graph, rml_node *node, rml_fact *facts)
{
    if (rml_graph_infer_here(graph, node, facts, &graph->error) != RML_OK)
        return RML_NO_VALUE;
    rml_graph_classify(graph, node);
    node->out = (rml_value_id)graph->value_count;
    for (int k = 0; k < node->out_count; k++) {
        const rml_value value = {.kind = RML_VALUE_ACTIVATION,
                                 .dtype = facts[k].dtype,
                                 .shape = facts[k].shape,
                                 .producer = (rml_node_id)graph->node_count};
        char later[128];
        rml_format(later, sizeof later, "%.100s:%d", node->name, k + 1);
        if (add_value(graph, value, k ? later : node->name) == RML_NO_VALUE)
            return RML_NO_VALUE;
    }
    graph->nodes[graph->node_count++] = *node;
    return node->out;
}

rml_value_id rml_graph_add(rml_graph *graph, const rml_op *op, const rml_op_attr *attr,
                           const rml_value_id *in, int in_count, const char *name)
{
    if (graph->error.status != RML_OK)
        return RML_NO_VALUE;
    if (in_count < op->inputs[0] || (op->inputs[1] >= 0 && in_count > op->inputs[1]))
        return rml_graph_fail(graph, RML_ERR_ARG, "%s: %s takes %d to %d inputs, not %d", name,
                              op->name, op->inputs[0], op->inputs[1], in_count);
    for (int i = 0; i < in_count; i++)
        if (in[i] >= graph->value_count && (in[i] != RML_NO_VALUE || i < op->inputs[0]))
            return rml_graph_fail(graph, RML_ERR_ARG, "%s: input %d of %s is missing", name, i,
                                  op->name);
    if (graph->node_count >= RML_MAX_NODES)
        return rml_graph_fail(graph, RML_ERR_LIMIT, "more than %zu nodes", RML_MAX_NODES);
    rml_node *nodes = rml_grow(graph->arena.allocator, graph->nodes, &graph->node_capacity,
                               graph->node_count + 1, sizeof *nodes);
    if (!nodes)
        return fail_nomem(graph);
    graph->nodes = nodes;
    rml_node node = {.op = op->id, .def = op, .name = rml_arena_text(&graph->arena, name)};
    if (attr)
        node.attr = *attr;
    if (!node.name || !rml_graph_set_inputs(graph, &node, in, in_count))
        return fail_nomem(graph);
    node.out_count = rml_op_outputs(op, &node.attr);
    if (node.out_count < 1 || node.out_count > RML_MAX_OUTPUTS)
        return rml_graph_fail(graph, RML_ERR_LIMIT, "%s: %d outputs of %s, at most %d", name,
                              node.out_count, op->name, RML_MAX_OUTPUTS);
    enum { FEW = 2 };
    rml_fact few[FEW], *facts = few;
    const size_t facts_bytes = (size_t)node.out_count * sizeof *facts;
    if (node.out_count > FEW && !(facts = rml_alloc(graph->arena.allocator, facts_bytes)))
        return fail_nomem(graph);
    const rml_value_id out = add_inferred(graph, &node, facts);
    if (facts != few)
        rml_free(graph->arena.allocator, facts);
    return out;
}

bool rml_graph_is_output(const rml_graph *graph, rml_value_id value)
{
    return graph->values[value].output;
}
