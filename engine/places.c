// Where the values of a plan lie: in one block, some inside others or over them.
#include "engine/plan.h"

static void find_last_uses(rml_plan *plan)
{
    const rml_graph *graph = plan->graph;
    for (rml_value_id id = 0; id < graph->value_count; id++)
        plan->last[id] = graph->values[id].kind == RML_VALUE_INPUT ? 0 : SIZE_MAX;
    for (size_t i = 0; i < plan->step_count; i++) {
        const rml_node_id index = plan->steps[i].node;
        const rml_node *node = &graph->nodes[index];
        for (int k = 0; k < node->out_count; k++)
            plan->last[node->out + (rml_value_id)k] = index;
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE)
                plan->last[node->in[k]] = index;
    }
    for (size_t i = 0; i < graph->output_count; i++)
        plan->last[graph->outputs[i]] = graph->node_count;
}

// A value of its own: computed, not seen from outside, and not yet placed inside another.
static bool movable(const rml_plan *plan, rml_value_id id)
{
    const rml_graph *graph = plan->graph;
    return id != RML_NO_VALUE && graph->values[id].kind == RML_VALUE_ACTIVATION &&
           plan->places[id].root == id && !rml_graph_is_output(graph, id);
}

// Channels-last concatenation along channels: its inputs may be written in place, as pixels with
// gaps. The joined value then lasts as long as its parts are read, so that nothing writes over
// them.
static void place_concat(rml_plan *plan, const rml_node *node)
{
    size_t *last = plan->last;
    int64_t channel = 0;
    // An image has four dimensions: -3 is the channels too.
    if (node->op != RML_OP_CONCAT ||
        (node->attr.concat.axis != 1 && node->attr.concat.axis != -3) ||
        plan->graph->values[node->out].layout != RML_LAYOUT_CHANNELS_LAST)
        return;
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        // Images of one channel are planes as well, and read and written as such.
        if (movable(plan, id) && !plan->places[id].rigid && plan->facts[id].shape.dim[1] > 1) {
            plan->places[node->out].joined = true;
            plan->places[id].root = node->out;
            plan->places[id].root_offset = channel;
            last[node->out] = last[id] > last[node->out] ? last[id] : last[node->out];
        }
        channel += plan->facts[id].shape.dim[1];
    }
}

// The value that owns the memory. A value on the way has the same pixel pitch as the root, so
// offsets add up. Every second step of the way is cut off: chains may be as long as the graph.
static rml_value_id owner(rml_plan *plan, rml_value_id id)
{
    while (plan->places[id].root != id) {
        rml_place *place = &plan->places[id];
        const rml_place *next = &plan->places[place->root];
        if (next->root != place->root) {
            place->root_offset += next->root_offset;
            place->root = next->root;
        }
        id = place->root;
    }
    return id;
}

// An operator that allows it writes over its first input when nobody reads that later.
static void place_in_place(rml_plan *plan, size_t index)
{
    const rml_graph *graph = plan->graph;
    const rml_node *node = &graph->nodes[index];
    const rml_value_id in = node->in_count ? node->in[0] : RML_NO_VALUE;
    const rml_op *op = node->def;
    if (!op->in_place || node->out_count > 1 || !movable(plan, in) || !movable(plan, node->out) ||
        plan->last[in] != index)
        return;
    const rml_fact *from = &plan->facts[in], *to = &plan->facts[node->out];
    const bool alike = graph->values[in].layout == graph->values[node->out].layout &&
                       rml_shape_equal(&from->shape, &to->shape);
    if (from->dtype != to->dtype || (!alike && (!op->keeps_memory || plan->places[in].joined)))
        return;
    // Another input in the same memory would be overwritten while it is read.
    for (int k = 1; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE && owner(plan, node->in[k]) == in)
            return;
    plan->places[in].root = node->out;
    plan->places[node->out].joined = plan->places[in].joined;
    plan->places[node->out].rigid = plan->places[in].rigid || !alike;
}

// Makes the place name the owner itself.
static void resolve(rml_plan *plan, rml_value_id id)
{
    rml_place *place = &plan->places[id];
    owner(plan, id);
    while (plan->places[place->root].root != place->root) {
        place->root_offset += plan->places[place->root].root_offset;
        place->root = plan->places[place->root].root;
    }
}

static rml_tensor view_of(const rml_plan *plan, rml_value_id id)
{
    const rml_place *place = &plan->places[id];
    const rml_layout layout = plan->graph->values[id].layout;
    rml_tensor view = rml_tensor_make(NULL, &plan->facts[id].shape, layout);
    view.dtype = plan->facts[id].dtype;
    if (place->root != id && layout == RML_LAYOUT_CHANNELS_LAST &&
        plan->places[place->root].joined) {
        const rml_tensor root =
            rml_tensor_make(NULL, &plan->facts[place->root].shape, RML_LAYOUT_CHANNELS_LAST);
        for (int i = 0; i < view.rank; i++)
            view.stride[i] = root.stride[i];
    }
    return view;
}

// A dynamic step writes nothing over its input and nothing into another value; what it computes may
// all the same lie inside a value, or be written over, where its shape is known.
void rml_places_choose(rml_plan *plan, bool apart)
{
    const rml_graph *graph = plan->graph;
    for (rml_value_id id = 0; id < graph->value_count; id++)
        plan->places[id] = (rml_place){.root = id,
                                       .buffer = RML_NO_BUFFER,
                                       .dynamic = !rml_shape_known(&plan->facts[id].shape)};
    find_last_uses(plan);
    for (size_t i = 0; i < plan->step_count && !apart; i++)
        if (!plan->steps[i].dynamic) {
            place_concat(plan, &graph->nodes[plan->steps[i].node]);
            place_in_place(plan, plan->steps[i].node);
        }
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        rml_place *place = &plan->places[id];
        resolve(plan, id);
        if (graph->values[id].kind == RML_VALUE_ACTIVATION && !rml_graph_is_output(graph, id))
            place->constant = plan->facts[id].data;
        if (!place->dynamic)
            place->view = view_of(plan, id);
    }
}

// ---- buffers
// -------------------------------------------------------------------------------------

// Who runs a nested graph brings memory for its inputs and outputs, and a session for its states.
static bool brought(const rml_plan *plan, rml_value_id id)
{
    const rml_graph *graph = plan->graph;
    for (size_t i = 1; i <= graph->state_count; i++)
        if (id == graph->inputs[graph->input_count - i] ||
            id == graph->outputs[graph->output_count - i])
            return true;
    return plan->nested &&
           (graph->values[id].kind == RML_VALUE_INPUT || plan->last[id] == graph->node_count);
}

rml_status rml_places_buffers(rml_plan *plan, bool no_reuse, rml_error *err)
{
    const rml_graph *graph = plan->graph;
    const size_t *last = plan->last;
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        const rml_value *value = &graph->values[id];
        rml_place *place = &plan->places[id];
        if (value->kind == RML_VALUE_CONSTANT || last[id] == SIZE_MAX || place->dynamic ||
            brought(plan, place->root))
            continue;
        rml_place *root = &plan->places[place->root];
        if (root->buffer == RML_NO_BUFFER) {
            size_t count = 0;
            if (!rml_shape_count(&plan->facts[place->root].shape, &count))
                return rml_fail(err, RML_ERR_LIMIT, "%s is too large", value->name);
            root->buffer = plan->buffer_count++;
            plan->buffers[root->buffer] = (rml_buffer){
                .bytes = count * rml_dtype_size(plan->facts[place->root].dtype), .first = SIZE_MAX};
        }
        rml_buffer *buffer = &plan->buffers[root->buffer];
        // Inputs and outputs belong to the caller between runs.
        const bool outside = value->kind == RML_VALUE_INPUT || last[id] == graph->node_count;
        const size_t first = outside || no_reuse ? 0 : value->producer;
        const size_t stop = outside || no_reuse ? graph->node_count : last[id];
        buffer->first = first < buffer->first ? first : buffer->first;
        buffer->last = stop > buffer->last ? stop : buffer->last;
    }
    return RML_OK;
}
