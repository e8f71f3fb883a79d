// The graph to be written: sizes as they are wanted, and nothing left that is the same in every
// run.
#include "graph/passes/passes.h"
#include "writers/writing.h"

#include <stdio.h>
#include <string.h>

typedef struct rml_copying {
    rml_writing *w;
    const rml_graph *from;
    rml_graph *graph; // that is made
    bool again;       // `from` has the ports of the file already
    rml_fact *facts;  // of from's values
    rml_value_id *to; // [from->value_count]; RML_NO_VALUE: not made yet
} rml_copying;

const rml_write_port *rml_writing_port(const rml_writing *w, const char *name)
{
    for (size_t i = 0; i < w->settings.port_count; i++)
        if (strcmp(w->settings.ports[i].name, name) == 0)
            return &w->settings.ports[i];
    return NULL;
}

static rml_status check_shape(const rml_value *input, const rml_shape *wanted, rml_error *err)
{
    bool fits = input->shape.rank == RML_RANK_UNKNOWN || input->shape.rank == wanted->rank;
    for (int i = 0; i < wanted->rank && fits && input->shape.rank >= 0; i++)
        fits =
            input->shape.dim[i] < 0 || wanted->dim[i] < 0 || input->shape.dim[i] == wanted->dim[i];
    if (fits)
        return RML_OK;
    char have[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
    return rml_fail(err, RML_ERR_SHAPE, "input %s is %s, and cannot become %s", input->name,
                    rml_shape_text(&input->shape, have), rml_shape_text(wanted, want));
}

static rml_status check_ports(const rml_writing *w, const rml_graph *from, rml_error *err)
{
    for (size_t i = 0; i < w->settings.port_count; i++) {
        const rml_write_port *port = &w->settings.ports[i];
        const size_t input = rml_graph_find_input(from, port->name);
        const size_t output = rml_graph_find_output(from, port->name);
        if ((input == SIZE_MAX || input >= from->input_count - from->state_count) &&
            (output == SIZE_MAX || output >= from->output_count - from->state_count))
            return rml_fail(err, RML_ERR_ARG, "the network has no input and no output \"%s\"",
                            port->name);
        if (input != SIZE_MAX && port->shape)
            RML_TRY(check_shape(&from->values[from->inputs[input]], port->shape, err));
    }
    return RML_OK;
}

// States as ports would be another network: its user had to hand them on.
static rml_status check_states(const rml_writing *w, const rml_graph *from, rml_error *err)
{
    if (from->state_count == 0 || w->keeps_states)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "the network keeps %s from run to run, which only packages for ios%d can",
                    from->values[from->inputs[from->input_count - from->state_count]].name,
                    RML_WRITE_STATES_IOS);
}

// ---- scale and bias of ports --------------------------------------------------------------------

// A constant of one number, or of one for each channel of an image.
static rml_value_id channels(rml_graph *graph, const char *name, const float *numbers, size_t count)
{
    const rml_shape one = {0}, all = {4, {1, (int64_t)count, 1, 1}};
    float *copy = rml_arena_alloc(&graph->arena, count, sizeof *copy);
    if (!copy)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for the scale of a port");
    memcpy(copy, numbers, count * sizeof *copy);
    const rml_stored stored = rml_stored_f32(copy, count == 1 ? &one : &all);
    return rml_graph_typed_constant(graph, name, &stored);
}

// `value` times scale plus bias.
static rml_value_id scaled(rml_graph *graph, rml_value_id value, const rml_write_port *port)
{
    char name[256];
    if (port->scale) {
        snprintf(name, sizeof name, "%.200s__scaled__", port->name);
        value = rml_graph_binary(graph, RML_BINARY_MUL, value,
                                 channels(graph, name, port->scale, port->scale_count), name);
    }
    if (port->bias) {
        snprintf(name, sizeof name, "%.200s__biased__", port->name);
        value = rml_graph_binary(graph, RML_BINARY_ADD, value,
                                 channels(graph, name, port->bias, port->bias_count), name);
    }
    return value;
}

// ---- the copy -----------------------------------------------------------------------------------

static void copy_inputs(rml_copying *c)
{
    rml_graph *to = c->graph;
    for (size_t i = 0; i < c->from->input_count; i++) {
        const rml_value_id id = c->from->inputs[i];
        const rml_value *input = &c->from->values[id];
        const rml_write_port *port = c->again ? NULL : rml_writing_port(c->w, input->name);
        const bool kept = port && c->w->keeps_scale && c->w->keeps_scale(port);
        c->to[id] = rml_graph_typed_input(to, input->name, input->dtype, &c->facts[id].shape);
        if (input->dim_names && c->to[id] != RML_NO_VALUE)
            rml_graph_name_dims(to, c->to[id], input->dim_names);
        if (input->limits && c->to[id] != RML_NO_VALUE)
            rml_graph_limit(to, c->to[id], input->limits);
        if (port && !kept)
            c->to[id] = scaled(to, c->to[id], port);
    }
}

// What reads `id` is to read.
static rml_value_id copied(rml_copying *c, rml_value_id id)
{
    if (id != RML_NO_VALUE && c->to[id] == RML_NO_VALUE &&
        c->from->values[id].kind == RML_VALUE_CONSTANT)
        c->to[id] = rml_graph_copy_constant(c->graph, &c->from->values[id]);
    return id == RML_NO_VALUE ? id : c->to[id];
}

static int unknown_sizes(const rml_shape *shape)
{
    int count = 0;
    for (int i = 0; i < shape->rank; i++)
        count += shape->dim[i] < 0;
    return count;
}

// A reshape by sizes of its input, of which names told all but one, says them.
static void say_sizes(const rml_copying *c, const rml_node *node, rml_node *out)
{
    const rml_shape *shape = &c->facts[node->out].shape;
    rml_fact plain;
    if (node->op != RML_OP_RESHAPE || unknown_sizes(shape) > 1 || rml_shape_known(shape) ||
        shape->rank < 0 || rml_graph_infer_here(c->from, node, &plain, NULL) != RML_OK ||
        (plain.shape.rank >= 0 && unknown_sizes(&plain.shape) <= 1))
        return;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] == 0)
            return;
    out->in_count = 1;
    out->attr.reshape = (rml_reshape_attr){.shape = *shape};
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0)
            out->attr.reshape.shape.dim[i] = -1;
}

static rml_status copy_as_it_is(rml_copying *c, const rml_node *node, rml_error *err)
{
    rml_graph *to = c->graph;
    rml_value_id *in =
        rml_arena_alloc(&to->arena, (size_t)(node->in_count ? node->in_count : 1), sizeof *in);
    if (!in)
        return rml_fail_nomem(err, sizeof *in, "a graph to be written");
    for (int k = 0; k < node->in_count; k++)
        in[k] = copied(c, node->in[k]);
    const rml_value_id out =
        rml_graph_node(to, node->op, &node->attr, in, node->in_count, node->name);
    for (int k = 0; k < node->out_count && out != RML_NO_VALUE; k++)
        c->to[node->out + (rml_value_id)k] = out + (rml_value_id)k;
    return rml_graph_finish(to, err);
}

// Whether inference has computed all of a node's outputs: then they are constants.
static bool is_known(const rml_copying *c, const rml_node *node)
{
    for (int k = 0; k < node->out_count; k++)
        if (!c->facts[node->out + (rml_value_id)k].data ||
            rml_graph_is_output(c->from, node->out + (rml_value_id)k))
            return false;
    return true;
}

// Whether a list of sizes has numbers alone, and no symbols, which are below 0.
static bool is_list_of_sizes(const rml_fact *fact)
{
    size_t count = 0;
    if (!fact->data || fact->dtype != RML_I64 || !rml_shape_count(&fact->shape, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (((const int64_t *)fact->data)[i] < 0)
            return false;
    return true;
}

// Whether it is known which branch a node runs.
static bool is_decided(const rml_copying *c, const rml_node *node)
{
    return node->op == RML_OP_IF && !node->dead && c->facts[node->in[0]].data &&
           c->facts[node->in[0]].dtype == RML_BOOL;
}

// The nodes of that branch in place of the node.
static rml_status take_branch(rml_copying *c, const rml_node *node, rml_error *err)
{
    const rml_control_attr *attr = &node->attr.control;
    const bool truth = *(const uint8_t *)c->facts[node->in[0]].data != 0;
    const rml_graph *body = attr->body[truth ? 0 : 1];
    const rml_value_id *captured = node->in + 1 + (truth ? 0 : attr->body[0]->input_count);
    rml_copying inside = {.w = c->w, .from = body, .graph = c->graph};
    inside.to = rml_arena_alloc(&c->graph->arena, body->value_count + 1, sizeof *inside.to);
    if (!inside.to)
        return rml_fail_nomem(err, body->value_count * sizeof *inside.to, "a branch");
    memset(inside.to, 0xff, body->value_count * sizeof *inside.to); // RML_NO_VALUE
    for (size_t i = 0; i < body->input_count; i++)
        inside.to[body->inputs[i]] = copied(c, captured[i]);
    for (size_t i = 0; i < body->node_count; i++)
        if (!body->nodes[i].dead)
            RML_TRY(copy_as_it_is(&inside, &body->nodes[i], err));
    for (int k = 0; k < node->out_count; k++)
        c->to[node->out + (rml_value_id)k] = copied(&inside, body->outputs[k]);
    return RML_OK;
}

static rml_status copy_node(rml_copying *c, const rml_node *node, rml_error *err)
{
    rml_graph *to = c->graph;
    if (is_decided(c, node))
        return take_branch(c, node, err);
    if (is_known(c, node)) {
        for (int k = 0; k < node->out_count; k++) {
            const rml_value_id id = node->out + (rml_value_id)k;
            const rml_fact *fact = &c->facts[id];
            const rml_stored stored = rml_stored_plain(fact->data, fact->dtype, &fact->shape);
            c->to[id] = rml_graph_typed_constant(to, c->from->values[id].name, &stored);
        }
        return RML_OK;
    }
    rml_node said = *node;
    say_sizes(c, node, &said);
    RML_TRY(copy_as_it_is(c, &said, err));
    for (int k = 0; k < node->out_count && c->to[node->out] != RML_NO_VALUE; k++) {
        const rml_value_id id = node->out + (rml_value_id)k;
        to->values[c->to[id]].shape = c->facts[id].shape; // which inference knew from elements, too
    }
    return RML_OK;
}

static rml_status copy(rml_copying *c, rml_error *err)
{
    rml_graph *to = c->graph;
    copy_inputs(c);
    for (size_t i = 0; i < c->from->node_count; i++)
        if (!c->from->nodes[i].dead)
            RML_TRY(copy_node(c, &c->from->nodes[i], err));
    for (size_t i = 0; i < c->from->output_count; i++) {
        const char *name = c->from->output_names[i];
        const rml_write_port *port = c->again ? NULL : rml_writing_port(c->w, name);
        const rml_meaning *meaning = c->again ? NULL : rml_graph_meaning(c->from, true, i);
        if (c->w->settings.labels && meaning && meaning->kind == RML_MEANS_LABEL)
            continue; // which the file's classifier gives
        rml_value_id value = copied(c, c->from->outputs[i]);
        rml_graph_output(to, name, port ? scaled(to, value, port) : value);
    }
    return rml_graph_finish(to, err);
}

static rml_status improve(rml_graph *graph, rml_error *err)
{
    size_t changed = 0;
    RML_TRY(rml_pass_fold_const(graph, &changed, err));
    RML_TRY(rml_pass_fold_bn(graph, &changed, err));
    RML_TRY(rml_pass_dce(graph, &changed, err));
    return rml_graph_validate(graph, err);
}

static rml_status infer(rml_copying *c, rml_error *err)
{
    const rml_graph *from = c->from;
    rml_arena *arena = &c->w->graph.arena;
    // What is computed on the way lives as long as the graph, which reads it.
    c->facts = rml_arena_alloc(arena, from->value_count + 1, sizeof *c->facts);
    c->to = rml_arena_alloc(arena, from->value_count + 1, sizeof *c->to);
    if (!c->facts || !c->to)
        return rml_fail_nomem(err, from->value_count * sizeof *c->facts, "a graph to be written");
    memset(c->to, 0xff, from->value_count * sizeof *c->to); // RML_NO_VALUE
    for (size_t i = 0; i < from->input_count; i++) {
        const rml_value *input = &from->values[from->inputs[i]];
        const rml_write_port *port = c->again ? NULL : rml_writing_port(c->w, input->name);
        c->facts[from->inputs[i]] = (rml_fact){
            .dtype = input->dtype, .shape = port && port->shape ? *port->shape : input->shape};
    }
    return rml_graph_infer(from, c->facts, arena, err);
}

// Sizes that are known though others of the same shape are not: lists of them are constants.
static rml_status learn(rml_copying *c, bool *learned, rml_error *err)
{
    const rml_graph *from = c->from;
    rml_fact *named = rml_arena_alloc(&c->w->graph.arena, from->value_count + 1, sizeof *named);
    if (!named)
        return rml_fail_nomem(err, from->value_count * sizeof *named, "a graph to be written");
    RML_TRY(rml_graph_symbols(from, named, &c->w->graph.arena, err));
    for (size_t i = 0; i < from->node_count; i++) {
        const rml_node *node = &from->nodes[i];
        const bool known = node->dead || is_known(c, node);
        for (int k = 0; k < node->out_count && !known; k++) {
            const rml_value_id id = node->out + (rml_value_id)k;
            rml_shape *shape = &c->facts[id].shape;
            for (int d = 0; d < shape->rank && shape->rank == named[id].shape.rank; d++)
                if (shape->dim[d] < 0 && named[id].shape.dim[d] >= 0)
                    shape->dim[d] = named[id].shape.dim[d];
            if (is_list_of_sizes(&named[id]))
                c->facts[id] = named[id];
        }
        *learned = *learned || (!known && is_known(c, node));
    }
    return RML_OK;
}

// Shapes behind a branch are known once the branch is, and other branches may be known by them.
rml_status rml_writing_specialise(rml_writing *w, rml_error *err)
{
    const rml_graph *model = &w->model->graph;
    rml_copying c = {.w = w, .from = model};
    RML_TRY(check_states(w, model, err));
    RML_TRY(check_ports(w, model, err));
    for (bool more = true; more; c.from = c.graph, c.again = true) {
        RML_TRY(infer(&c, err));
        more = false;
        for (size_t i = 0; i < c.from->node_count && !more; i++)
            more = is_decided(&c, &c.from->nodes[i]);
        for (size_t i = 0; i < c.from->input_count && !c.again && !more; i++)
            more = !rml_shape_known(&c.facts[c.from->inputs[i]].shape);
        if (c.again) // the graph has the sizes that are wanted
            RML_TRY(learn(&c, &more, err));
        c.graph = more ? rml_graph_inside(&w->graph) : &w->graph;
        if (!c.graph)
            return rml_fail_nomem(err, sizeof *c.graph, "a graph to be written");
        RML_TRY(copy(&c, err));
    }
    w->graph.state_count = model->state_count;
    return improve(&w->graph, err);
}
