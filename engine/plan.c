#include "engine/plan.h"

#include "engine/bands.h"

#include "tensor/size.h"

#include <stdint.h>

#define NO_BUFFER SIZE_MAX

static void *take(rml_plan *plan, size_t count, size_t element_bytes)
{
    return rml_arena_alloc(&plan->arena, count ? count : 1, element_bytes);
}

// ---- where values lie
// ----------------------------------------------------------------------------

// Whether the node is left to compute: planning has not done it already, and there is something to
// write. No algorithm ever sees outputs that are all empty.
static bool has_step(const rml_graph *graph, const rml_plan *plan, const rml_node *node)
{
    if (node->dead)
        return false;
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id out = node->out + (rml_value_id)k;
        size_t count = 0;
        rml_shape_count(&plan->facts[out].shape, &count);
        if (count && (!plan->facts[out].data || rml_graph_is_output(graph, out)))
            return true;
    }
    return false;
}

// Index of the last node with a step that reads the value; node_count for a graph output.
static void find_last_uses(const rml_graph *graph, const rml_plan *plan, size_t *last)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        if (!has_step(graph, plan, node))
            continue;
        for (int k = 0; k < node->out_count; k++)
            last[node->out + (rml_value_id)k] = i;
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE)
                last[node->in[k]] = i;
    }
    for (size_t i = 0; i < graph->output_count; i++)
        last[graph->outputs[i]] = graph->node_count;
}

// A value of its own: computed, not seen from outside, and not yet placed inside another.
static bool movable(const rml_graph *graph, const rml_plan *plan, rml_value_id id)
{
    return id != RML_NO_VALUE && graph->values[id].kind == RML_VALUE_ACTIVATION &&
           plan->places[id].root == id && !rml_graph_is_output(graph, id);
}

// Channels-last concatenation along channels: its inputs may be written in place, as pixels with
// gaps. The joined value then lasts as long as its parts are read, so that nothing writes over
// them.
static void place_concat(const rml_graph *graph, rml_plan *plan, size_t *last, const rml_node *node)
{
    int64_t channel = 0;
    // An image has four dimensions: -3 is the channels too.
    if (node->op != RML_OP_CONCAT ||
        (node->attr.concat.axis != 1 && node->attr.concat.axis != -3) ||
        graph->values[node->out].layout != RML_LAYOUT_CHANNELS_LAST)
        return;
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        if (movable(graph, plan, id) && !plan->places[id].rigid) {
            plan->places[node->out].joined = true;
            plan->places[id].root = node->out;
            plan->places[id].root_offset = channel;
            last[node->out] = last[id] > last[node->out] ? last[id] : last[node->out];
        }
        channel += plan->facts[id].shape.dim[1];
    }
}

static rml_value_id owner(const rml_plan *plan, rml_value_id id)
{
    while (plan->places[id].root != id)
        id = plan->places[id].root;
    return id;
}

// An operator that allows it writes over its first input when nobody reads that later.
static void place_in_place(const rml_graph *graph, rml_plan *plan, const size_t *last, size_t index)
{
    const rml_node *node = &graph->nodes[index];
    const rml_value_id in = node->in_count ? node->in[0] : RML_NO_VALUE;
    const rml_op *op = rml_op_get(node->op);
    if (!op->in_place || node->out_count > 1 || !movable(graph, plan, in) ||
        !movable(graph, plan, node->out) || last[in] != index)
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

// Follows the chain of places to the value that owns the memory. A value on the way has the same
// pixel pitch as the root, so offsets add up.
static void resolve(rml_plan *plan, rml_value_id id)
{
    rml_place *place = &plan->places[id];
    while (plan->places[place->root].root != place->root) {
        place->root_offset += plan->places[place->root].root_offset;
        place->root = plan->places[place->root].root;
    }
}

static rml_tensor view_of(const rml_graph *graph, const rml_plan *plan, rml_value_id id)
{
    const rml_place *place = &plan->places[id];
    const rml_layout layout = graph->values[id].layout;
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

// ---- buffers
// -------------------------------------------------------------------------------------

static rml_status make_buffers(const rml_graph *graph, rml_plan *plan, const size_t *last,
                               bool no_reuse, rml_error *err)
{
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        const rml_value *value = &graph->values[id];
        rml_place *place = &plan->places[id];
        if (value->kind == RML_VALUE_CONSTANT || last[id] == SIZE_MAX)
            continue;
        rml_place *root = &plan->places[place->root];
        if (root->buffer == NO_BUFFER) {
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

// ---- steps
// ---------------------------------------------------------------------------------------

// Elements of constants, but for those that the algorithm packs.
static rml_status take_constants(rml_plan *plan, rml_model *model, const rml_node *node,
                                 const rml_step *step, rml_error *err)
{
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        if (!step->args.constants[k] || plan->places[id].constant ||
            (step->algorithm->packed_bytes && rml_op_packs(rml_op_get(node->op), k)))
            continue;
        size_t bytes = 0;
        RML_TRY(rml_model_constant(model, &model->graph.values[id], &plan->places[id].constant,
                                   &bytes, err));
        plan->packed_bytes += bytes;
    }
    return RML_OK;
}

static rml_status prepare_step(rml_plan *plan, rml_model *model, rml_node_id index,
                               const rml_plan_settings *settings, rml_error *err)
{
    const rml_graph *graph = &model->graph;
    const rml_node *node = &graph->nodes[index];
    const rml_op *op = rml_op_get(node->op);
    rml_step *step = &plan->steps[plan->step_count];
    rml_tensor *in = take(plan, (size_t)node->in_count, sizeof *in);
    rml_tensor *out = take(plan, (size_t)node->out_count, sizeof *out);
    const rml_constant **constants = take(plan, (size_t)node->in_count, sizeof *constants);
    if (!in || !out || !constants)
        return rml_fail_nomem(err, sizeof *in, "the plan");
    rml_graph_constants(graph, node, constants);
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        in[k] = id == RML_NO_VALUE ? (rml_tensor){.rank = -1} : plan->places[id].view;
    }
    for (int k = 0; k < node->out_count; k++)
        out[k] = plan->places[node->out + (rml_value_id)k].view;
    *step = (rml_step){.node = index,
                       .args = {.attr = &node->attr,
                                .in = in,
                                .in_count = node->in_count,
                                .out = out,
                                .kernels = settings->kernels,
                                .precision = settings->precision,
                                .generic = node->generic,
                                .threads = settings->threads,
                                .constants = constants,
                                .pool = settings->pool}};
    step->algorithm = rml_op_choose(op, &step->args);
    RML_TRY(take_constants(plan, model, node, step, err));
    step->macs = op->macs ? op->macs(&step->args) : 0;
    plan->macs += step->macs;
    if (step->algorithm->packed_bytes) {
        size_t bytes = 0;
        RML_TRY(rml_model_pack(model, graph, node, step->algorithm, &step->args, &step->args.packed,
                               &bytes, err));
        plan->packed_bytes += bytes;
    }
    plan->scratch[plan->step_count] = NO_BUFFER;
    size_t scratch;
    RML_TRY(rml_op_memory(step->algorithm, &step->args, node->name, NULL, &scratch, err));
    if (scratch) {
        plan->scratch[plan->step_count] = plan->buffer_count;
        plan->buffers[plan->buffer_count++] = (rml_buffer){
            .bytes = scratch,
            .first = settings->no_reuse ? 0 : index,
            .last = settings->no_reuse ? graph->node_count : index,
        };
    }
    plan->step_count++;
    return RML_OK;
}

// With `band_rows` every value has a place of its own, and large images are computed in bands.
static rml_status fill(rml_plan *plan, rml_model *model, const rml_shape *input_shapes,
                       const rml_plan_settings *settings, int64_t band_rows, rml_error *err)
{
    const rml_graph *graph = &model->graph;
    const size_t values = graph->value_count, nodes = graph->node_count;
    size_t *last = take(plan, values, sizeof *last);
    plan->facts = take(plan, values, sizeof *plan->facts);
    plan->places = take(plan, values, sizeof *plan->places);
    plan->steps = take(plan, nodes, sizeof *plan->steps);
    plan->scratch = take(plan, nodes, sizeof *plan->scratch);
    plan->buffers = take(plan, values + 2 * nodes, sizeof *plan->buffers);
    if (!last || !plan->facts || !plan->places || !plan->steps || !plan->scratch || !plan->buffers)
        return rml_fail_nomem(err, values * sizeof *plan->places, "the plan");
    for (size_t i = 0; i < graph->input_count; i++)
        plan->facts[graph->inputs[i]] =
            (rml_fact){.dtype = graph->values[graph->inputs[i]].dtype, .shape = input_shapes[i]};
    RML_TRY(rml_graph_infer(graph, plan->facts, &plan->arena, &plan->concrete, err));

    for (rml_value_id id = 0; id < values; id++) {
        plan->places[id] = (rml_place){.root = id, .buffer = NO_BUFFER};
        last[id] = graph->values[id].kind == RML_VALUE_INPUT ? 0 : SIZE_MAX;
    }
    if (plan->concrete)
        find_last_uses(graph, plan, last);
    for (size_t i = 0; i < nodes && plan->concrete && !band_rows; i++)
        if (has_step(graph, plan, &graph->nodes[i])) {
            place_concat(graph, plan, last, &graph->nodes[i]);
            place_in_place(graph, plan, last, i);
        }
    for (rml_value_id id = 0; id < values; id++) {
        resolve(plan, id);
        if (graph->values[id].kind == RML_VALUE_ACTIVATION && !rml_graph_is_output(graph, id))
            plan->places[id].constant = plan->facts[id].data;
        plan->places[id].view = view_of(graph, plan, id);
    }
    RML_TRY(make_buffers(graph, plan, last, settings->no_reuse, err));
    for (rml_node_id i = 0; i < nodes && plan->concrete; i++)
        if (has_step(graph, plan, &graph->nodes[i]))
            RML_TRY(prepare_step(plan, model, i, settings, err));
    plan->band_rows = band_rows;
    if (band_rows)
        RML_TRY(rml_bands_choose(plan, graph, settings->limit, err));
    RML_TRY(rml_memory_plan(plan->buffers, plan->buffer_count, &plan->bytes, plan->arena.allocator,
                            err));
    if (!rml_memory_verify(plan->buffers, plan->buffer_count, plan->bytes))
        return rml_fail(err, RML_ERR_INTERNAL, "the memory plan overlaps");
    return RML_OK;
}

static rml_status create(rml_plan **out, rml_model *model, const rml_shape *input_shapes,
                         const rml_plan_settings *settings, int64_t band_rows,
                         const rml_allocator *allocator, rml_error *err)
{
    rml_plan *plan = rml_alloc_zero(allocator, 1, sizeof *plan);
    *out = NULL;
    if (!plan)
        return rml_fail_nomem(err, sizeof *plan, "the plan");
    rml_arena_init(&plan->arena, allocator);
    const rml_status status = fill(plan, model, input_shapes, settings, band_rows, err);
    if (status != RML_OK)
        rml_plan_destroy(&plan);
    *out = plan;
    return status;
}

rml_status rml_plan_create(rml_plan **out, rml_model *model, const rml_shape *input_shapes,
                           const rml_plan_settings *settings, const rml_allocator *allocator,
                           rml_error *err)
{
    static const int64_t tries[] = {0, RML_BAND_ROWS, RML_BAND_ROWS / 4};
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        RML_TRY(create(out, model, input_shapes, settings, tries[i], allocator, err));
        if (!settings->limit || (*out)->bytes <= settings->limit)
            return RML_OK;
        least = (*out)->bytes < least ? (*out)->bytes : least;
        const bool concrete = (*out)->concrete;
        rml_plan_destroy(out);
        if (!concrete)
            break;
    }
    return rml_fail(err, RML_ERR_LIMIT,
                    "a run takes %zu bytes, computed in bands too, and the limit is %zu", least,
                    settings->limit);
}

void rml_plan_destroy(rml_plan **plan_at)
{
    rml_plan *plan = *plan_at;
    if (!plan)
        return;
    const rml_allocator *allocator = plan->arena.allocator;
    rml_arena_release(&plan->arena);
    rml_free(allocator, plan);
    *plan_at = NULL;
}

void rml_plan_point(rml_plan *plan, const rml_graph *graph, char *block)
{
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        rml_place *place = &plan->places[id];
        const rml_place *root = &plan->places[place->root];
        if (place->constant)
            place->view.raw = (void *)(uintptr_t)place->constant; // operators only read inputs
        else if (root->bound || root->buffer != NO_BUFFER)
            place->view.raw =
                (root->bound ? (char *)root->bound : block + plan->buffers[root->buffer].offset) +
                place->root_offset * (int64_t)rml_dtype_size(place->view.dtype);
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE)
                ((rml_tensor *)(uintptr_t)step->args.in)[k].raw =
                    plan->places[node->in[k]].view.raw;
        for (int k = 0; k < node->out_count; k++)
            ((rml_tensor *)(uintptr_t)step->args.out)[k].raw =
                plan->places[node->out + (rml_value_id)k].view.raw;
        step->args.scratch =
            plan->scratch[i] == NO_BUFFER ? NULL : block + plan->buffers[plan->scratch[i]].offset;
    }
}
