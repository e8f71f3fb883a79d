// The pointers of a plan.
#include "engine/plan.h"

static void set(void *const *raw, void *memory)
{
    *(void **)(uintptr_t)raw = memory;
}

void rml_plan_point(rml_plan *plan, char *block)
{
    const rml_graph *graph = plan->graph;
    plan->block = block;
    for (rml_value_id id = 0; id < graph->value_count; id++) {
        rml_place *place = &plan->places[id];
        const rml_place *root = &plan->places[place->root];
        if (place->constant)
            place->view.raw = (void *)(uintptr_t)place->constant; // operators only read inputs
        else if (root->bound || root->buffer != RML_NO_BUFFER)
            place->view.raw =
                (root->bound ? (char *)root->bound : block + plan->buffers[root->buffer].offset) +
                place->root_offset * (int64_t)rml_dtype_size(place->view.dtype);
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        if (step->dynamic) // takes all it needs when it runs
            continue;
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] != RML_NO_VALUE)
                set(&step->args.in[k].raw, plan->places[node->in[k]].view.raw);
        for (int k = 0; k < node->out_count; k++)
            set(&step->args.out[k].raw, plan->places[node->out + (rml_value_id)k].view.raw);
        step->args.scratch = plan->scratch[i] == RML_NO_BUFFER
                                 ? NULL
                                 : block + plan->buffers[plan->scratch[i]].offset;
    }
}

// ---- what follows an input or output ------------------------------------------------------------

rml_value_id rml_port_value(const rml_graph *graph, size_t port)
{
    return port < graph->input_count ? graph->inputs[port]
                                     : graph->outputs[port - graph->input_count];
}

// Calls for every pointer into a value: adds one to the count of its root's port, or puts it there.
static void visit(rml_plan *plan, rml_value_id id, void *const *raw, const size_t *port, bool put)
{
    const rml_place *place = &plan->places[id];
    const size_t of = port[place->root];
    if (of == SIZE_MAX || place->constant || place->dynamic)
        return;
    if (put)
        plan->followers[plan->first_follower[of]] =
            (rml_follower){(void **)(uintptr_t)raw,
                           place->root_offset * (int64_t)rml_dtype_size(plan->facts[id].dtype)};
    plan->first_follower[of]++;
}

static void visit_all(rml_plan *plan, const size_t *port, bool put)
{
    const rml_graph *graph = plan->graph;
    for (rml_value_id id = 0; id < graph->value_count; id++)
        visit(plan, id, &plan->places[id].view.raw, port, put);
    for (size_t i = 0; i < plan->step_count; i++) {
        const rml_step *step = &plan->steps[i];
        const rml_node *node = &graph->nodes[step->node];
        for (int k = 0; k < node->in_count && !step->dynamic; k++)
            if (node->in[k] != RML_NO_VALUE)
                visit(plan, node->in[k], &step->args.in[k].raw, port, put);
        for (int k = 0; k < node->out_count && !step->dynamic; k++)
            visit(plan, node->out + (rml_value_id)k, &step->args.out[k].raw, port, put);
    }
}

rml_status rml_plan_find_followers(rml_plan *plan, rml_error *err)
{
    const rml_graph *graph = plan->graph;
    const size_t ports = graph->input_count + graph->output_count;
    size_t *port = rml_arena_alloc(&plan->arena, graph->value_count + 1, sizeof *port);
    size_t *first = rml_arena_alloc(&plan->arena, ports + 1, sizeof *first);
    if (!port || !first)
        return rml_fail_nomem(err, graph->value_count * sizeof *port, "the plan");
    for (size_t i = 0; i < graph->value_count; i++)
        port[i] = SIZE_MAX;
    for (size_t i = 0; i < ports; i++)
        port[rml_port_value(plan->graph, i)] = i;
    plan->first_follower = first;
    visit_all(plan, port, false);
    size_t count = 0;
    for (size_t i = 0; i <= ports; i++) {
        const size_t here = first[i];
        first[i] = count;
        count += here;
    }
    plan->followers = rml_arena_alloc(&plan->arena, count + 1, sizeof *plan->followers);
    if (!plan->followers)
        return rml_fail_nomem(err, count * sizeof *plan->followers, "the plan");
    visit_all(plan, port, true); // leaves the end of each in the place of its start
    for (size_t i = ports; i > 0; i--)
        first[i] = first[i - 1];
    first[0] = 0;
    return RML_OK;
}

void rml_plan_bind(rml_plan *plan, size_t port, void *memory)
{
    plan->places[rml_port_value(plan->graph, port)].bound = memory;
    for (size_t i = plan->first_follower[port]; i < plan->first_follower[port + 1]; i++)
        *plan->followers[i].raw = (char *)memory + plan->followers[i].offset;
}

void rml_plan_bind_view(rml_plan *plan, size_t input, const rml_tensor *view)
{
    rml_place *place = &plan->places[plan->graph->inputs[input]];
    if (place->dynamic)
        place->view = *view;
    else
        rml_plan_bind(plan, input, view->raw);
}
