// From the operators of the library to those that a target has.
#include "graph/passes/passes.h"
#include "writers/lower_inside.h"
#include "writers/rewrite.h"

#include <stdio.h>
#include <string.h>

#define MOST_DEPTH 16 // of rewrites in rewrites; beyond it two undo each other

// In this order: the first that applies is taken.
static rml_rewrite_fn *const rewrites[] = {rml_rewrite_fused,
                                           rml_rewrite_glu,
                                           rml_rewrite_unary,
                                           rml_rewrite_binary,
                                           rml_rewrite_matmul,
                                           rml_rewrite_attention,
                                           rml_rewrite_group_norm,
                                           rml_rewrite_layer_norm,
                                           rml_rewrite_l2norm,
                                           rml_rewrite_wave_norm,
                                           rml_rewrite_wave_conv,
                                           rml_rewrite_resize,
                                           rml_rewrite_softmax,
                                           rml_rewrite_space_to_depth,
                                           rml_rewrite_depth_to_space,
                                           rml_rewrite_pixels_to_rows,
                                           rml_rewrite_rows_to_pixels,
                                           rml_rewrite_directions,
                                           rml_rewrite_gru,
                                           rml_rewrite_rnn,
                                           rml_rewrite_affine_grid,
                                           rml_rewrite_scan,
                                           rml_rewrite_loop,
                                           rml_rewrite_stacks,
                                           rml_rewrite_einsum,
                                           rml_rewrite_signals,
                                           rml_rewrite_quantize,
                                           rml_rewrite_integer,
                                           rml_rewrite_dynamic_quantize,
                                           rml_rewrite_requantize};

// Makes the node; its outputs to out.
static void lower(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const char *why = l->target->lacks(l->target->user, l->to, node);
    if (why && l->depth < MOST_DEPTH) {
        l->depth++;
        bool rewritten = false;
        for (size_t i = 0; i < sizeof rewrites / sizeof *rewrites && !rewritten; i++)
            rewritten = rewrites[i](l, node, out);
        l->depth--;
        if (rewritten)
            return;
    }
    if (why)
        rml_lower_refuse(l, node, why); // and made all the same, so that the rest is looked at
    const rml_value_id first =
        rml_graph_node(l->to, node->op, &node->attr, node->in, node->in_count, node->name);
    for (int k = 0; k < node->out_count; k++)
        out[k] = first == RML_NO_VALUE ? first : first + (rml_value_id)k;
}

void rml_lower_outputs(rml_lowering *l, rml_op_id op, const rml_op_attr *attr,
                       const rml_value_id *in, int in_count, const char *name, rml_value_id *out)
{
    rml_node node = {.op = op, .def = rml_op_get(op), .name = name, .in = in, .in_count = in_count};
    if (attr)
        node.attr = *attr;
    node.out_count = rml_op_outputs(node.def, &node.attr);
    for (int k = 0; k < node.out_count; k++)
        out[k] = RML_NO_VALUE;
    if (l->to->error.status == RML_OK)
        lower(l, &node, out);
}

rml_value_id rml_lower_node(rml_lowering *l, rml_op_id op, const rml_op_attr *attr,
                            const rml_value_id *in, int in_count, const char *name)
{
    rml_value_id out[RML_MAX_OUTPUTS];
    rml_lower_outputs(l, op, attr, in, in_count, name, out);
    return out[0];
}

// What either tells; `a` where both do.
static rml_shape known_of(const rml_shape *a, const rml_shape *b)
{
    rml_shape shape = a->rank < 0 ? *b : *a;
    for (int i = 0; i < shape.rank && a->rank == b->rank; i++)
        shape.dim[i] = a->dim[i] >= 0 ? a->dim[i] : b->dim[i];
    return shape;
}

static rml_value_id copy_constant(rml_lowering *l, const rml_value *value, bool as_floats)
{
    size_t count;
    if (!as_floats || !rml_shape_count(&value->shape, &count))
        return rml_graph_copy_constant(l->to, value);
    float *numbers = rml_arena_alloc(&l->to->arena, count + 1, sizeof *numbers);
    if (!numbers)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for %s", value->name);
    rml_constant_copy(value->constant, RML_F32, numbers);
    const rml_stored stored = rml_stored_f32(numbers, &value->shape);
    return rml_graph_typed_constant(l->to, value->name, &stored);
}

static rml_status lower_node(rml_lowering *l, const rml_graph *from, const rml_node *node,
                             const bool *codes, rml_value_id *to, rml_error *err)
{
    rml_node here = *node;
    rml_value_id out[RML_MAX_OUTPUTS];
    rml_value_id *in = rml_arena_alloc(&l->to->arena, (size_t)node->in_count + 1, sizeof *in);
    if (!in)
        return rml_fail_nomem(err, sizeof *in, "a graph to be written");
    for (int k = 0; k < node->in_count; k++) {
        const rml_value_id id = node->in[k];
        if (id != RML_NO_VALUE && to[id] == RML_NO_VALUE &&
            from->values[id].kind == RML_VALUE_CONSTANT)
            to[id] = copy_constant(l, &from->values[id], codes[id]);
        in[k] = id == RML_NO_VALUE ? id : to[id];
    }
    RML_TRY(rml_graph_finish(l->to, err));
    here.in = in;
    l->as_codes = node->out_count > 0 && codes[node->out];
    if (l->as_codes)
        l->code = from->values[node->out].dtype;
    if (node->op == RML_OP_CAST && l->as_codes)
        here.attr.cast.to = RML_F32;
    if (node->def->control)
        RML_TRY(rml_lower_inside(l, &here, in, err));
    lower(l, &here, out);
    RML_TRY(rml_graph_finish(l->to, err));
    for (int k = 0; k < node->out_count; k++) {
        const rml_value_id id = node->out + (rml_value_id)k;
        rml_value *made = &l->to->values[out[k]];
        to[id] = out[k];
        made->shape = known_of(&from->values[id].shape, &made->shape);
    }
    return RML_OK;
}

static rml_status lower_all(rml_lowering *l, const rml_graph *from, const rml_given *given,
                            const bool *codes, rml_value_id *to, rml_error *err)
{
    memset(to, 0xff, from->value_count * sizeof *to); // RML_NO_VALUE
    for (size_t i = 0; i < from->input_count; i++) {
        const rml_value *input = &from->values[from->inputs[i]];
        if (given && given[i].constant) {
            to[from->inputs[i]] = rml_graph_copy_constant(l->to, given[i].constant);
            continue;
        }
        const rml_shape shape = given ? known_of(&input->shape, &given[i].shape) : input->shape;
        const rml_dtype dtype = codes[from->inputs[i]] ? RML_F32 : input->dtype;
        const rml_value_id made = rml_graph_typed_input(l->to, input->name, dtype, &shape);
        if (input->dim_names && made != RML_NO_VALUE)
            rml_graph_name_dims(l->to, made, input->dim_names);
        if (input->limits && made != RML_NO_VALUE)
            rml_graph_limit(l->to, made, input->limits);
        to[from->inputs[i]] = made;
    }
    for (size_t i = 0; i < from->node_count; i++)
        if (!from->nodes[i].dead)
            RML_TRY(lower_node(l, from, &from->nodes[i], codes, to, err));
    for (size_t i = 0; i < from->output_count; i++) {
        const rml_value_id id = from->outputs[i];
        if (to[id] == RML_NO_VALUE && from->values[id].kind == RML_VALUE_CONSTANT)
            to[id] = copy_constant(l, &from->values[id], codes[id]);
        rml_graph_output(l->to, from->output_names[i], to[id]);
    }
    return rml_graph_finish(l->to, err);
}

rml_status rml_lower_graph(rml_lowering *l, const rml_graph *from, const rml_given *given,
                           rml_error *err)
{
    const rml_allocator *allocator = l->to->arena.allocator;
    bool *codes = rml_arena_alloc(&l->to->arena, from->value_count + 1, sizeof *codes);
    rml_value_id *map = rml_alloc(allocator, (from->value_count + 1) * sizeof *map);
    if (!map || !codes) {
        rml_free(allocator, map);
        return rml_fail_nomem(err, from->value_count * sizeof *map, "a graph to be written");
    }
    if (l->target->float_codes)
        rml_find_codes(from, given != NULL, codes);
    const rml_status status = lower_all(l, from, given, codes, map, err);
    rml_free(allocator, map);
    return status;
}

rml_status rml_lower(const rml_graph *from, rml_graph *to, const rml_target *target, rml_error *err)
{
    rml_refusals refused = {0};
    rml_lowering l = {.to = to, .target = target, .refused = &refused};
    l.wave.conv = l.sums.of = RML_NO_VALUE;
    size_t changed = 0;
    RML_TRY(rml_lower_graph(&l, from, NULL, err));
    to->state_count = from->state_count;
    if (refused.count)
        return rml_refusals_fail(&refused, target, err);
    RML_TRY(rml_pass_fold_const(to, &changed, err)); // what rewrites make of constants
    return rml_pass_dce(to, &changed, err);
}
