#include "engine/kit.h"
#include "engine/planner.h"

#include "tensor/size.h"

static void *take(rml_plan *plan, size_t count, size_t element_bytes)
{
    return rml_arena_alloc(&plan->arena, count ? count : 1, element_bytes);
}

// ---- steps ------------------------------------------------------------------------------------

// Whether the node is left to compute: planning has not done it already, and there is something to
// write. No algorithm ever sees outputs that are all empty.
static bool has_step(const rml_plan *plan, const rml_node *node)
{
    for (int k = 0; k < node->out_count && !node->dead; k++) {
        const rml_value_id out = node->out + (rml_value_id)k;
        size_t count = 0;
        const bool known = rml_shape_count(&plan->facts[out].shape, &count);
        if (!known || (count && (!plan->facts[out].data || rml_graph_is_output(plan->graph, out))))
            return true;
    }
    return false;
}

// Which branch runs and how often a loop turns no plan knows, even where the shapes are known.
static bool is_dynamic(const rml_plan *plan, const rml_node *node)
{
    bool known = !node->def->control;
    for (int k = 0; k < node->in_count && known; k++)
        known = node->in[k] == RML_NO_VALUE || rml_shape_known(&plan->facts[node->in[k]].shape);
    for (int k = 0; k < node->out_count && known; k++)
        known = rml_shape_known(&plan->facts[node->out + (rml_value_id)k].shape);
    return !known;
}

// The steps, and room for what is known of the values of any one that asks while it runs.
static rml_status list_steps(rml_plan *plan, rml_error *err)
{
    size_t in_most = 0, out_most = 0;
    for (rml_node_id i = 0; i < plan->graph->node_count; i++) {
        const rml_node *node = &plan->graph->nodes[i];
        if (!has_step(plan, node))
            continue;
        rml_step *step = &plan->steps[plan->step_count++];
        *step = (rml_step){.node = i, .dynamic = is_dynamic(plan, node)};
        plan->grows = plan->grows || step->dynamic;
        if (!step->dynamic && !node->def->checks_elements)
            continue;
        in_most = (size_t)node->in_count > in_most ? (size_t)node->in_count : in_most;
        out_most = (size_t)node->out_count > out_most ? (size_t)node->out_count : out_most;
    }
    plan->in_facts = take(plan, in_most, sizeof *plan->in_facts);
    plan->out_facts = take(plan, out_most, sizeof *plan->out_facts);
    if (!plan->in_facts || !plan->out_facts)
        return rml_fail_nomem(err, (in_most + out_most) * sizeof *plan->in_facts, "the plan");
    return RML_OK;
}

// Elements of constants, but for those that the algorithm packs, or may pack once it is chosen.
static rml_status take_constants(rml_plan *plan, const rml_step *step, const rml_context *context,
                                 rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const rml_op *op = node->def;
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        const bool packs = !step->algorithm || step->algorithm->packed_bytes;
        if (!step->args.constants[k] || (packs && rml_op_packs(op, k)))
            continue;
        rml_place *place = &plan->places[id];
        if (!place->constant) {
            size_t bytes = 0;
            RML_TRY(rml_model_constant(context->model, &plan->graph->values[id], &place->constant,
                                       &bytes, err));
            plan->packed_bytes += bytes;
        }
        place->view.raw = (void *)(uintptr_t)place->constant; // operators only read inputs
        ((rml_tensor *)(uintptr_t)step->args.in)[k].raw = place->view.raw;
    }
    return RML_OK;
}

rml_status rml_plan_choose(rml_plan *plan, rml_step *step, const rml_context *context,
                           size_t *scratch, rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    const rml_op *op = node->def;
    const rml_algorithm *former = step->algorithm;
    step->algorithm = rml_op_choose(op, &step->args);
    step->macs = op->macs ? op->macs(&step->args) : 0;
    if (step->algorithm != former) {
        RML_TRY(take_constants(plan, step, context, err));
        step->args.packed = NULL;
    }
    if (step->algorithm->packed_bytes && !step->args.packed) {
        size_t bytes = 0;
        RML_TRY(rml_model_pack(context->model, plan->graph, node, step->algorithm, &step->args,
                               &step->args.packed, &bytes, err));
        plan->packed_bytes += bytes;
    }
    return rml_op_memory(step->algorithm, &step->args, node->name, NULL, scratch, err);
}

static rml_status prepare_step(rml_plan *plan, size_t index, const rml_context *context,
                               rml_error *err)
{
    const rml_graph *graph = plan->graph;
    rml_step *step = &plan->steps[index];
    const rml_node *node = &graph->nodes[step->node];
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
    step->args = (rml_op_args){.attr = &node->attr,
                               .in = in,
                               .in_count = node->in_count,
                               .out = out,
                               .kernels = context->kernels,
                               .precision = context->precision,
                               .generic = node->generic,
                               .threads = context->threads,
                               .constants = constants,
                               .pool = context->pool};
    plan->scratch[index] = RML_NO_BUFFER;
    if (step->dynamic)
        return take_constants(plan, step, context, err);
    size_t scratch;
    RML_TRY(rml_plan_choose(plan, step, context, &scratch, err));
    plan->macs += step->macs;
    if (scratch) {
        plan->scratch[index] = plan->buffer_count;
        plan->buffers[plan->buffer_count++] = (rml_buffer){
            .bytes = scratch,
            .first = context->no_reuse ? 0 : step->node,
            .last = context->no_reuse ? graph->node_count : step->node,
        };
    }
    return RML_OK;
}

// ---- plans ------------------------------------------------------------------------------------

static bool shape_fits(const rml_shape *planned, const rml_shape *shape)
{
    bool fits = planned->rank == RML_RANK_UNKNOWN || planned->rank == shape->rank;
    for (int i = 0; i < planned->rank && fits; i++)
        fits = planned->dim[i] < 0 || planned->dim[i] == shape->dim[i];
    return fits;
}

// What the graph was made for: passes count on it. A state of a loop may turn out otherwise.
static rml_status take_inputs(rml_plan *plan, const rml_fact *inputs, rml_error *err)
{
    char got[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
    for (size_t i = 0; i < plan->graph->input_count; i++) {
        const rml_value *value = &plan->graph->values[plan->graph->inputs[i]];
        const rml_shape *shape = &inputs[i].shape;
        if (value->dtype != inputs[i].dtype ||
            (shape->rank != RML_RANK_UNKNOWN && !shape_fits(&value->shape, shape)))
            return rml_fail(err, RML_ERR_SHAPE, "input %s is %s %s, expected %s %s", value->name,
                            rml_dtype_name(inputs[i].dtype), rml_shape_text(shape, got),
                            rml_dtype_name(value->dtype), rml_shape_text(&value->shape, want));
        plan->facts[plan->graph->inputs[i]] = inputs[i];
    }
    return RML_OK;
}

// With `band_rows` every value has a place of its own, and large images are computed in bands.
static rml_status fill(rml_plan *plan, const rml_fact *inputs, size_t limit, int64_t band_rows,
                       const rml_context *context, rml_error *err)
{
    const rml_graph *graph = plan->graph;
    const size_t values = graph->value_count, nodes = graph->node_count;
    plan->facts = take(plan, values, sizeof *plan->facts);
    plan->places = take(plan, values, sizeof *plan->places);
    plan->last = take(plan, values, sizeof *plan->last);
    plan->steps = take(plan, nodes, sizeof *plan->steps);
    plan->scratch = take(plan, nodes, sizeof *plan->scratch);
    plan->buffers = take(plan, values + 2 * nodes, sizeof *plan->buffers);
    if (!plan->facts || !plan->places || !plan->last || !plan->steps || !plan->scratch ||
        !plan->buffers)
        return rml_fail_nomem(err, values * sizeof *plan->places, "the plan");
    RML_TRY(take_inputs(plan, inputs, err));
    RML_TRY(rml_graph_infer(graph, plan->facts, &plan->arena, err));
    RML_TRY(list_steps(plan, err));
    rml_places_choose(plan, band_rows > 0);
    RML_TRY(rml_places_buffers(plan, context->no_reuse, err));
    for (size_t i = 0; i < plan->step_count; i++)
        RML_TRY(prepare_step(plan, i, context, err));
    plan->band_rows = band_rows;
    if (band_rows)
        RML_TRY(context->model->kit->bands_choose(plan, graph, limit, err));
    RML_TRY(rml_memory_plan(plan->buffers, plan->buffer_count, &plan->bytes, plan->arena.allocator,
                            err));
    RML_TRY(rml_memory_verify(plan->buffers, plan->buffer_count, plan->bytes, plan->arena.allocator,
                              err));
    return plan->nested ? rml_plan_find_followers(plan, err) : RML_OK;
}

static rml_status create(rml_plan **out, const rml_graph *graph, const rml_fact *inputs,
                         bool nested, size_t limit, int64_t band_rows, const rml_context *context,
                         rml_error *err)
{
    rml_plan *plan;
    *out = NULL;
    RML_TRY(rml_make(context->allocator, &plan, 1, sizeof *plan, "the plan", err));
    rml_arena_init(&plan->arena, context->allocator);
    plan->graph = graph;
    plan->nested = nested;
    plan->bound = nested ? NULL : context->bound;
    plan->pool = context->pool;
    plan->times = rml_node_times_of(context->times, &context->model->graph, graph);
    const rml_status status = fill(plan, inputs, limit, band_rows, context, err);
    if (status != RML_OK)
        rml_plan_destroy(&plan);
    *out = plan;
    return status;
}

// Of plans in bands of different heights that which repeats the least.
static rml_status create_in_bands(rml_plan **out, const rml_graph *graph, const rml_fact *inputs,
                                  bool nested, size_t limit, const rml_context *context,
                                  size_t *least, rml_error *err)
{
    rml_plan *plan;
    uint64_t plain = 0;
    *out = NULL;
    for (int64_t rows = RML_BAND_MOST; rows >= RML_BAND_LEAST; rows /= RML_BAND_STEP) {
        const rml_status status = create(&plan, graph, inputs, nested, limit, rows, context, err);
        if (status != RML_OK) {
            rml_plan_destroy(out);
            return status;
        }
        plain = 0;
        for (size_t i = 0; i < plan->step_count; i++)
            plain += plan->steps[i].macs;
        *least = rml_min_size(*least, plan->bytes);
        const bool fits = plan->bytes <= limit;
        if (fits && (!*out || plan->macs < (*out)->macs)) {
            rml_plan_destroy(out);
            *out = plan;
        } else {
            rml_plan_destroy(&plan);
        }
        if (*out && (*out)->macs <= plain)
            break;
    }
    return RML_OK;
}

rml_status rml_plan_create(rml_plan **out, const rml_graph *graph, const rml_fact *inputs,
                           bool nested, size_t limit, const rml_context *context, rml_error *err)
{
    RML_TRY(create(out, graph, inputs, nested, limit, 0, context, err));
    if (!limit || (*out)->bytes <= limit)
        return RML_OK;
    size_t least = (*out)->bytes;
    rml_plan_destroy(out);
    if (context->model->kit->bands_choose)
        RML_TRY(create_in_bands(out, graph, inputs, nested, limit, context, &least, err));
    if (*out)
        return RML_OK;
    // Of a graph inside others `limit` is what they leave.
    *context->wanted = context->memory.limit - limit + least;
    return rml_fail(
        err, RML_ERR_LIMIT, "a run takes %zu bytes%s, and the limit is %zu", *context->wanted,
        context->model->kit->bands_choose ? ", computed in bands too" : "", context->memory.limit);
}

void rml_plan_destroy(rml_plan **plan_at)
{
    rml_plan *plan = *plan_at;
    if (!plan)
        return;
    const rml_allocator *allocator = plan->arena.allocator;
    for (size_t i = 0; i < plan->step_count && plan->grows; i++)
        for (int k = 0; k < 2; k++)
            while (plan->steps[i].bodies[k])
                rml_plan_drop_newest(&plan->steps[i].bodies[k]);
    rml_arena_release(&plan->arena);
    rml_free(allocator, plan);
    *plan_at = NULL;
}

// ---- lists of plans -----------------------------------------------------------------------------

bool rml_plan_fits(const rml_plan *plan, const rml_fact *inputs)
{
    const size_t ports = plan->graph->input_count + plan->graph->output_count;
    for (size_t i = 0; i < plan->graph->input_count; i++) {
        const rml_fact *planned = &plan->facts[plan->graph->inputs[i]];
        if (planned->dtype != inputs[i].dtype || !shape_fits(&planned->shape, &inputs[i].shape))
            return false;
    }
    for (size_t i = 0; plan->bands && plan->bound && i < ports; i++)
        if (plan->places[rml_port_value(plan->graph, i)].streamed && !plan->bound[i])
            return false;
    return true;
}

bool rml_plan_recall(rml_plan **list, const rml_fact *inputs)
{
    for (rml_plan **at = list; *at; at = &(*at)->older)
        if (rml_plan_fits(*at, inputs)) {
            rml_plan_to_front(list, at);
            return true;
        }
    return false;
}

void rml_plan_to_front(rml_plan **list, rml_plan **at)
{
    rml_plan *plan = *at;
    *at = plan->older;
    rml_plan_add(list, plan);
}

void rml_plan_add(rml_plan **list, rml_plan *plan)
{
    plan->older = *list;
    *list = plan;
}

void rml_plan_drop_newest(rml_plan **list)
{
    rml_plan *plan = *list;
    *list = plan->older;
    rml_plan_destroy(&plan);
}

void rml_plan_forget_oldest(rml_plan **list)
{
    for (int i = 0; i < RML_MAX_PLANS && *list; i++)
        list = &(*list)->older;
    rml_plan_destroy(list);
}
