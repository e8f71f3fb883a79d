#include "engine/eager.h"

#include "tensor/size.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

// A value while the graph runs.
typedef struct live {
    rml_tensor view; // rank -1: not there
    void *memory;    // owned, or NULL: a constant or an input
    size_t reads;    // still to come; graph outputs count as one
} live;

typedef struct run {
    const rml_eager *eager;
    const rml_graph *graph;
    live *values;
} run;

rml_status rml_eager_take(const rml_eager *eager, rml_dtype dtype, const rml_shape *shape,
                          rml_tensor *view, rml_error *err)
{
    size_t count;
    char text[RML_SHAPE_TEXT_BYTES];
    if (!rml_shape_known(shape) || !rml_shape_count(shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "a tensor of shape %s is too large",
                        rml_shape_text(shape, text));
    void *memory = rml_alloc(eager->allocator, (count ? count : 1) * rml_dtype_size(dtype));
    if (!memory)
        return rml_fail_nomem(err, count * rml_dtype_size(dtype), "a tensor");
    *view = rml_tensor_typed(memory, dtype, shape);
    return RML_OK;
}

static void count_reads(run *at)
{
    const rml_graph *graph = at->graph;
    for (size_t i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].in_count && !graph->nodes[i].dead; k++)
            if (graph->nodes[i].in[k] != RML_NO_VALUE)
                at->values[graph->nodes[i].in[k]].reads++;
    for (size_t i = 0; i < graph->output_count; i++)
        at->values[graph->outputs[i]].reads++;
}

static void let_go(run *at, rml_value_id id)
{
    live *value = &at->values[id];
    if (value->reads > 0 && --value->reads > 0)
        return;
    rml_free(at->eager->allocator, value->memory);
    value->memory = NULL;
}

static rml_status view_constant(run *at, rml_value_id id, rml_error *err)
{
    const rml_value *value = &at->graph->values[id];
    const void *data;
    size_t bytes;
    if (at->values[id].view.raw)
        return RML_OK;
    RML_TRY(rml_model_constant(at->eager->model, value, &data, &bytes, err));
    at->values[id].view = rml_tensor_typed((void *)(uintptr_t)data, value->dtype, &value->shape);
    return RML_OK;
}

// Views of the inputs, and what is known of them: everything, where they are plain.
static rml_status gather(run *at, const rml_node *node, rml_tensor *in, rml_fact *facts,
                         rml_error *err)
{
    const rml_op *op = rml_op_get(node->op);
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        in[k] = (rml_tensor){.rank = -1};
        facts[k] = (rml_fact){.shape.rank = -1};
        if (id == RML_NO_VALUE)
            continue;
        const rml_value *value = &at->graph->values[id];
        // A weight that is packed is not needed as it is stored; see compute.
        if (value->kind == RML_VALUE_CONSTANT && rml_op_packs(op, k))
            at->values[id].view = rml_tensor_typed(NULL, value->dtype, &value->shape);
        else if (value->kind == RML_VALUE_CONSTANT)
            RML_TRY(view_constant(at, id, err));
        in[k] = at->values[id].view;
        facts[k] = (rml_fact){.dtype = in[k].dtype, .shape = rml_tensor_shape(&in[k])};
        if (value->layout == RML_LAYOUT_PLAIN)
            facts[k].data = in[k].raw;
    }
    return RML_OK;
}

static rml_status compute(run *at, const rml_node *node, rml_tensor *in,
                          const rml_constant *const *constants, rml_tensor *out, rml_error *err)
{
    const rml_eager *eager = at->eager;
    const rml_op *op = rml_op_get(node->op);
    rml_op_args args = {.attr = &node->attr,
                        .in = in,
                        .in_count = node->in_count,
                        .out = out,
                        .kernels = eager->kernels,
                        .generic = node->generic,
                        .threads = eager->threads,
                        .constants = constants,
                        .pool = eager->pool};
    if (rml_op_writes_nothing(&args, node->out_count))
        return RML_OK;
    const rml_algorithm *algorithm = rml_op_choose(op, &args);
    for (int k = 0; k < node->in_count && !algorithm->packed_bytes; k++)
        if (constants[k] && rml_op_packs(op, k)) {
            RML_TRY(view_constant(at, node->in[k], err));
            in[k] = at->values[node->in[k]].view;
        }
    if (algorithm->packed_bytes) {
        size_t bytes;
        RML_TRY(rml_model_pack(eager->model, at->graph, node, algorithm, &args, &args.packed,
                               &bytes, err));
    }
    size_t scratch;
    RML_TRY(rml_op_memory(algorithm, &args, node->name, NULL, &scratch, err));
    if (scratch && !(args.scratch = rml_alloc(eager->allocator, scratch)))
        return rml_fail_nomem(err, scratch, "scratch");
    algorithm->run(&args);
    rml_free(eager->allocator, args.scratch);
    return RML_OK;
}

// Memory for the outputs by the operator's own rules, then the operator.
static rml_status infer_and_compute(run *at, const rml_node *node, rml_tensor *in,
                                    const rml_fact *facts, const rml_constant *const *constants,
                                    rml_tensor *out, rml_error *err)
{
    rml_fact results[RML_MAX_OUTPUTS];
    RML_TRY(rml_graph_infer_node(at->graph, node, facts, results, err));
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id id = node->out + (rml_value_id)k;
        RML_TRY(rml_eager_take(at->eager, results[k].dtype, &results[k].shape, &out[k], err));
        at->values[id].memory = out[k].raw;
        if (at->graph->values[id].layout == RML_LAYOUT_CHANNELS_LAST)
            out[k] = rml_tensor_make(out[k].raw, &results[k].shape, RML_LAYOUT_CHANNELS_LAST);
    }
    return compute(at, node, in, constants, out, err);
}

static rml_status run_node(run *at, const rml_node *node, rml_error *err)
{
    const rml_allocator *allocator = at->eager->allocator;
    const size_t count = (size_t)node->in_count + 1;
    rml_tensor out[RML_MAX_OUTPUTS];
    rml_tensor *in = rml_alloc(allocator, count * sizeof *in);
    rml_fact *facts = rml_alloc(allocator, count * sizeof *facts);
    const rml_constant **constants = rml_alloc(allocator, count * sizeof *constants);
    for (int k = 0; k < node->out_count; k++)
        out[k] = (rml_tensor){.rank = -1};
    rml_status status = RML_OK;
    if (!in || !facts || !constants)
        status = rml_fail_nomem(err, count * sizeof *in, "a node");
    if (status == RML_OK)
        status = gather(at, node, in, facts, err);
    if (status == RML_OK && rml_op_get(node->op)->control) {
        status = rml_eager_control(at->eager, node, in, out, err);
        if (status == RML_OK)
            for (int k = 0; k < node->out_count; k++)
                at->values[node->out + (rml_value_id)k].memory = out[k].raw;
    } else if (status == RML_OK) {
        rml_graph_constants(at->graph, node, constants);
        status = infer_and_compute(at, node, in, facts, constants, out, err);
    }
    rml_free(allocator, in);
    rml_free(allocator, facts);
    rml_free(allocator, constants);
    if (status == RML_OK)
        status = rml_observe(&at->eager->observer, at->graph, node, out, allocator, err);
    RML_TRY(status);
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id id = node->out + (rml_value_id)k;
        at->values[id].view = out[k];
        if (at->values[id].reads == 0)
            let_go(at, id);
    }
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE)
            let_go(at, node->in[k]);
    return RML_OK;
}

// An output that nobody else owns is handed over; any other is copied.
static rml_status give(run *at, size_t index, rml_tensor *out, rml_error *err)
{
    live *value = &at->values[at->graph->outputs[index]];
    if (value->memory && value->reads == 1) {
        *out = value->view;
        value->memory = NULL;
        value->reads = 0;
        return RML_OK;
    }
    const rml_shape shape = rml_tensor_shape(&value->view);
    RML_TRY(rml_eager_take(at->eager, value->view.dtype, &shape, out, err));
    memcpy(out->raw, value->view.raw, rml_tensor_count(out) * rml_dtype_size(out->dtype));
    let_go(at, at->graph->outputs[index]);
    return RML_OK;
}

rml_status rml_eager_run(const rml_eager *eager, const rml_graph *graph, const rml_tensor *in,
                         rml_tensor *out, rml_error *err)
{
    run at = {.eager = eager, .graph = graph};
    at.values = rml_alloc_zero(eager->allocator, graph->value_count + 1, sizeof *at.values);
    if (!at.values)
        return rml_fail_nomem(err, graph->value_count * sizeof *at.values, "a run");
    for (size_t i = 0; i < graph->output_count; i++)
        out[i] = (rml_tensor){.rank = -1};
    for (size_t i = 0; i < graph->input_count; i++)
        at.values[graph->inputs[i]].view = in[i];
    count_reads(&at);
    rml_status status = RML_OK;
    for (size_t i = 0; i < graph->node_count && status == RML_OK; i++)
        if (!graph->nodes[i].dead)
            status = run_node(&at, &graph->nodes[i], err);
    for (size_t i = 0; i < graph->output_count && status == RML_OK; i++)
        status = give(&at, i, &out[i], err);
    for (size_t i = 0; i < graph->value_count; i++)
        rml_free(eager->allocator, at.values[i].memory);
    rml_free(eager->allocator, at.values);
    if (status != RML_OK)
        for (size_t i = 0; i < graph->output_count; i++) {
            rml_free(eager->allocator, out[i].raw);
            out[i] = (rml_tensor){.rank = -1};
        }
    return status;
}
