// Slices: what a scan walks along, and what each turn adds to the stacked outputs.
#include "engine/control_state.h"

#include "tensor/size.h"

#include <string.h>

// Elements before and bytes behind an axis; `shape` is without it.
static void split_at(const rml_shape *shape, int axis, rml_dtype dtype, size_t *outer,
                     size_t *inner_bytes)
{
    *outer = 1;
    *inner_bytes = rml_dtype_size(dtype);
    for (int i = 0; i < shape->rank; i++)
        *(i < axis ? outer : inner_bytes) *= (size_t)shape->dim[i];
}

static rml_scan_way way_of(const rml_control_attr *attr, int k)
{
    return attr->scan ? attr->scan[k] : (rml_scan_way){0};
}

rml_status rml_control_begin_slices(rml_control *at, const rml_node *node, const rml_tensor *from,
                                    rml_context *context, rml_error *err)
{
    for (int k = 0; k < at->scanned_count; k++, from++) {
        rml_scanned *slice = &at->slice[k];
        int axis = way_of(&node->attr.control, k).axis;
        axis += axis < 0 ? from->rank : 0;
        if (axis < 0 || axis >= from->rank || (k > 0 && from->dim[axis] != at->limit))
            return rml_fail(err, RML_ERR_SHAPE,
                            "%s: scanned inputs differ in length, or input %d has no axis %d",
                            node->name, k, axis);
        at->limit = from->dim[axis];
        rml_shape part = {.rank = 0};
        for (int i = 0; i < from->rank; i++)
            if (i != axis)
                part.dim[part.rank++] = from->dim[i];
        *slice = (rml_scanned){.from = from, .part = rml_tensor_typed(NULL, from->dtype, &part)};
        split_at(&part, axis, from->dtype, &slice->outer, &slice->inner_bytes);
        if (slice->outer != 1)
            RML_TRY(rml_memory_pool_take(&context->memory, slice->outer * slice->inner_bytes,
                                         &slice->memory, err));
        slice->part.raw = slice->memory;
    }
    return RML_OK;
}

static int64_t place_of_turn(const rml_control *at, int64_t turn, bool reverse)
{
    return reverse ? at->limit - 1 - turn : turn;
}

void rml_control_take_slice(const rml_control *at, const rml_node *node, int k)
{
    rml_scanned *slice = &at->slice[k];
    const size_t index =
        (size_t)place_of_turn(at, at->turn, way_of(&node->attr.control, k).reverse);
    const size_t bytes = slice->inner_bytes;
    const char *from = slice->from->raw;
    if (!slice->memory)
        slice->part.raw = (void *)(uintptr_t)(from + index * bytes); // bodies only read inputs
    for (size_t o = 0; o < slice->outer && slice->memory; o++)
        memcpy((char *)slice->memory + o * bytes, from + (o * (size_t)at->limit + index) * bytes,
               bytes);
}

// ---- stacked outputs --------------------------------------------------------------------------

static rml_status describe_stack(rml_control *at, const rml_node *node, int k,
                                 const rml_shape *part, rml_dtype dtype, rml_error *err)
{
    rml_stack *to = &at->stacks[k];
    int axis = way_of(&node->attr.control, at->scanned_count + k).axis;
    if (part->rank >= RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "%s: output %d has more than %d dimensions", node->name,
                        k, RML_MAX_RANK);
    axis += axis < 0 ? part->rank + 1 : 0;
    if (axis < 0 || axis > part->rank)
        return rml_fail(err, RML_ERR_SHAPE, "%s: output %d has no axis %d", node->name, k, axis);
    to->part = *part;
    to->dtype = dtype;
    to->axis = axis;
    split_at(part, axis, dtype, &to->outer, &to->inner_bytes);
    return RML_OK;
}

rml_status rml_control_make_room(rml_control *at, const rml_node *node, int k,
                                 const rml_shape *part, rml_dtype dtype, rml_context *context,
                                 rml_error *err)
{
    rml_stack *to = &at->stacks[k];
    size_t count = 0;
    rml_shape_count(part, &count);
    const size_t bytes = count * rml_dtype_size(dtype);
    const bool loop = node->op == RML_OP_LOOP;
    char then[RML_SHAPE_TEXT_BYTES], now[RML_SHAPE_TEXT_BYTES];
    if (to->room && !rml_shape_equal(part, &to->part))
        return rml_fail(err, RML_ERR_SHAPE, "%s: output %d is %s in one turn and %s in the next",
                        node->name, k, rml_shape_text(&to->part, then), rml_shape_text(part, now));
    if (at->turn < to->room)
        return RML_OK;
    if (!to->room)
        RML_TRY(describe_stack(at, node, k, part, dtype, err));
    int64_t room = !loop ? at->limit : at->turn < 4 ? 4 : at->turn * 2;
    room = room < at->limit ? room : at->limit;
    void *larger;
    size_t total;
    if (!rml_size_mul(bytes, (size_t)room, &total))
        return rml_fail(err, RML_ERR_LIMIT, "%s: output %d is too large", node->name, k);
    RML_TRY(rml_memory_pool_take(&context->memory, total, &larger, err));
    if (to->data && bytes)
        memcpy(larger, to->data, bytes * (size_t)to->room);
    rml_memory_pool_give(&context->memory, to->data);
    to->data = larger;
    to->room = room;
    if (to->outer != 1 && !to->part_memory)
        return rml_memory_pool_take(&context->memory, bytes, &to->part_memory, err);
    return RML_OK;
}

static size_t slot_of(const rml_control *at, const rml_node *node, int k)
{
    const bool loop = node->op == RML_OP_LOOP;
    return (size_t)place_of_turn(
        at, at->turn, !loop && way_of(&node->attr.control, at->scanned_count + k).reverse);
}

void *rml_control_slot(const rml_control *at, const rml_node *node, int k)
{
    const rml_stack *to = &at->stacks[k];
    return to->part_memory ? to->part_memory : to->data + slot_of(at, node, k) * to->inner_bytes;
}

void rml_control_put_slice(const rml_control *at, const rml_node *node, int k, const void *part)
{
    const rml_stack *to = &at->stacks[k];
    const size_t slot = slot_of(at, node, k), bytes = to->inner_bytes;
    for (size_t o = 0; o < to->outer && bytes; o++)
        memcpy(to->data + (o * (size_t)to->room + slot) * bytes, (const char *)part + o * bytes,
               bytes);
}

// What the body tells of value `id` for the inputs at hand, or else what it tells of it for any.
static rml_shape unrun_shape(const rml_control *at, const rml_fact *facts, rml_value_id id)
{
    rml_shape shape = facts ? facts[id].shape : at->graph->values[id].shape;
    shape.rank = shape.rank < 0 ? 0 : shape.rank;
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = shape.dim[i] < 0 ? 0 : shape.dim[i];
    return shape;
}

rml_status rml_control_describe_unrun(rml_control *at, const rml_node *node, rml_context *context,
                                      rml_error *err)
{
    rml_arena arena;
    rml_arena_init(&arena, context->allocator);
    rml_fact *facts = rml_arena_alloc(&arena, at->graph->value_count + 1, sizeof *facts);
    rml_status status = facts ? RML_OK : rml_fail_nomem(err, sizeof *facts, "shape inference");
    for (size_t i = 0; i < at->graph->input_count && facts; i++)
        facts[at->graph->inputs[i]] = at->facts[i];
    if (status == RML_OK)
        status = rml_graph_infer(at->graph, facts, &arena, err);
    // These inputs may not fit, nor need they. What is too large has no size in bytes, either.
    if (status != RML_OK && status != RML_ERR_NOMEM && status != RML_ERR_LIMIT) {
        facts = NULL;
        status = RML_OK;
    }
    for (int k = 0; k < at->stack_count && status == RML_OK; k++) {
        const rml_value_id id = at->graph->outputs[at->first_out + at->states + k];
        const rml_shape part = unrun_shape(at, facts, id);
        status = describe_stack(at, node, k, &part, at->graph->values[id].dtype, err);
    }
    rml_arena_release(&arena);
    return status;
}

rml_status rml_control_give_stack(rml_plan *plan, const rml_step *step, int k, rml_context *context,
                                  rml_error *err)
{
    const rml_node *node = &plan->graph->nodes[step->node];
    rml_control *at = step->control;
    rml_stack *from = &at->stacks[k];
    rml_shape shape = {.rank = from->part.rank + 1};
    for (int i = 0, next = 0; i < shape.rank; i++)
        shape.dim[i] = i == from->axis ? at->turn : from->part.dim[next++];
    const rml_tensor view = rml_tensor_typed(from->data, from->dtype, &shape);
    RML_TRY(rml_value_set(plan, node->out + (rml_value_id)(at->states + k), &view, from->data,
                          context, err));
    rml_memory_pool_give(&context->memory, from->part_memory);
    return RML_OK;
}
