// Nodes that run graphs inside them, by the rules of ONNX: if, loop, scan. The graph inside is
// closed: what it reads from outside comes as further inputs of the node, behind its own.
#include "engine/eager.h"

#include <stdint.h>
#include <string.h>

#define MAX_TURNS ((int64_t)1 << 24) // of a loop whose condition never fails

static size_t bytes_of(const rml_tensor *view)
{
    return rml_tensor_count(view) * rml_dtype_size(view->dtype);
}

static rml_status copy_of(const rml_eager *eager, const rml_tensor *from, rml_tensor *to,
                          rml_error *err)
{
    const rml_shape shape = rml_tensor_shape(from);
    RML_TRY(rml_eager_take(eager, from->dtype, &shape, to, err));
    memcpy(to->raw, from->raw, bytes_of(from));
    return RML_OK;
}

static bool truth(const rml_tensor *view)
{
    return *(const uint8_t *)view->raw != 0;
}

// One element of the type that the node needs.
static rml_status check_single(const rml_node *node, const rml_tensor *view, rml_dtype dtype,
                               rml_error *err)
{
    if (view->dtype == dtype && rml_tensor_count(view) == 1)
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE, "%s: %zu elements of %s, expected 1 of %s", node->name,
                    rml_tensor_count(view), rml_dtype_name(view->dtype), rml_dtype_name(dtype));
}

static rml_status run_if(const rml_eager *eager, const rml_node *node, const rml_tensor *in,
                         rml_tensor *out, rml_error *err)
{
    const rml_control_attr *attr = &node->attr.control;
    RML_TRY(check_single(node, &in[0], RML_BOOL, err));
    if (truth(&in[0]))
        return rml_eager_run(eager, attr->body[0], in + 1, out, err);
    return rml_eager_run(eager, attr->body[1], in + 1 + attr->body[0]->input_count, out, err);
}

// ---- loop and scan ------------------------------------------------------------------------------

// One run of the body after another. States go from each turn to the next; what a turn adds to a
// stacked output is copied to its place.
typedef struct turns {
    const rml_eager *eager;
    const rml_node *node;
    const rml_graph *body;
    int states, stacked;
    rml_tensor *in;    // of the body, in its order
    rml_tensor *got;   // outputs of the body's last run
    rml_tensor *state; // owned
    rml_tensor *stack; // owned: the turn is the first dimension; room for `room` turns
    int64_t room;
} turns;

static void end(turns *at)
{
    const rml_allocator *allocator = at->eager->allocator;
    for (int k = 0; k < at->states && at->state; k++)
        rml_free(allocator, at->state[k].raw);
    for (int k = 0; k < at->stacked && at->stack; k++)
        rml_free(allocator, at->stack[k].raw);
    rml_free(allocator, at->in);
    rml_free(allocator, at->got);
    rml_free(allocator, at->state);
    rml_free(allocator, at->stack);
}

static rml_status begin(turns *at, const rml_tensor *initial, rml_error *err)
{
    const rml_allocator *allocator = at->eager->allocator;
    at->in = rml_alloc_zero(allocator, at->body->input_count + 1, sizeof *at->in);
    at->got = rml_alloc_zero(allocator, at->body->output_count + 1, sizeof *at->got);
    at->state = rml_alloc_zero(allocator, (size_t)at->states + 1, sizeof *at->state);
    at->stack = rml_alloc_zero(allocator, (size_t)at->stacked + 1, sizeof *at->stack);
    if (!at->in || !at->got || !at->state || !at->stack)
        return rml_fail_nomem(err, at->body->input_count * sizeof *at->in, "a loop");
    for (int k = 0; k < at->states; k++)
        RML_TRY(copy_of(at->eager, &initial[k], &at->state[k], err));
    return RML_OK;
}

// What turn `turn` adds to the stacked outputs must be as large as what former ones did; doubles
// the room for turns where it is used up.
static rml_status make_room(turns *at, int64_t turn, const rml_tensor *parts, rml_error *err)
{
    for (int k = 0; k < at->stacked && at->room > 0; k++)
        if (bytes_of(&parts[k]) * (size_t)at->room != bytes_of(&at->stack[k]))
            return rml_fail(err, RML_ERR_SHAPE,
                            "%s: output %d has %zu bytes in one turn and %zu "
                            "in the next",
                            at->node->name, k, bytes_of(&at->stack[k]) / (size_t)at->room,
                            bytes_of(&parts[k]));
    if (turn < at->room)
        return RML_OK;
    const int64_t room = turn < 4 ? 4 : turn * 2;
    for (int k = 0; k < at->stacked; k++) {
        rml_shape shape = rml_tensor_shape(&parts[k]);
        rml_tensor larger;
        if (shape.rank >= RML_MAX_RANK)
            return rml_fail(err, RML_ERR_LIMIT, "%s: output %d has more than %d dimensions",
                            at->node->name, k, RML_MAX_RANK);
        memmove(shape.dim + 1, shape.dim, (size_t)shape.rank * sizeof *shape.dim);
        shape.dim[0] = room;
        shape.rank++;
        RML_TRY(rml_eager_take(at->eager, parts[k].dtype, &shape, &larger, err));
        if (at->stack[k].raw) {
            memcpy(larger.raw, at->stack[k].raw, bytes_of(&at->stack[k]));
            rml_free(at->eager->allocator, at->stack[k].raw);
        }
        at->stack[k] = larger;
    }
    at->room = room;
    return RML_OK;
}

// Runs the body once; `first` is the index of the first state among its outputs.
static rml_status turn(turns *at, int64_t index, int first, rml_error *err)
{
    const rml_allocator *allocator = at->eager->allocator;
    RML_TRY(rml_eager_run(at->eager, at->body, at->in, at->got, err));
    for (int k = 0; k < at->states; k++) {
        rml_free(allocator, at->state[k].raw);
        at->state[k] = at->got[first + k];
        at->got[first + k].raw = NULL;
    }
    rml_tensor *parts = &at->got[first + at->states];
    const rml_status status = make_room(at, index, parts, err);
    for (int k = 0; k < at->stacked; k++) {
        rml_tensor *part = &parts[k];
        const size_t bytes = bytes_of(part);
        if (status == RML_OK)
            memcpy((char *)at->stack[k].raw + (size_t)index * bytes, part->raw, bytes);
        rml_free(allocator, part->raw);
        part->raw = NULL;
    }
    return status;
}

// The stack as an output, its first dimension moved to `axis`; reversed where the turns ran
// backwards.
static rml_status unstack(turns *at, int k, int64_t count, int64_t axis, bool reverse,
                          rml_tensor *out, rml_error *err)
{
    const rml_value *value =
        &at->body->values[at->body->outputs[at->body->output_count - (size_t)(at->stacked - k)]];
    rml_shape part = value->shape, shape;
    rml_dtype dtype = value->dtype;
    if (count > 0) {
        part = rml_tensor_shape(&at->stack[k]);
        dtype = at->stack[k].dtype;
        part.rank--;
        memmove(part.dim, part.dim + 1, (size_t)part.rank * sizeof *part.dim);
    }
    // Nothing ran: sizes that nobody knows are nothing as well.
    if (part.rank < 0)
        part.rank = 0;
    for (int i = 0; i < part.rank; i++)
        part.dim[i] = part.dim[i] < 0 ? 0 : part.dim[i];
    axis += axis < 0 ? part.rank + 1 : 0;
    if (axis < 0 || axis > part.rank || part.rank >= RML_MAX_RANK)
        return rml_fail(err, RML_ERR_SHAPE, "%s: output %d has no axis %lld", at->node->name, k,
                        (long long)axis);
    shape = (rml_shape){.rank = part.rank + 1};
    int64_t outer = 1, inner = 1;
    for (int i = 0, from = 0; i < shape.rank; i++)
        shape.dim[i] = i == axis ? count : part.dim[from++];
    for (int i = 0; i < part.rank; i++)
        *(i < axis ? &outer : &inner) *= part.dim[i];
    RML_TRY(rml_eager_take(at->eager, dtype, &shape, out, err));
    const size_t bytes = (size_t)inner * rml_dtype_size(dtype);
    for (int64_t t = 0; t < count; t++)
        for (int64_t o = 0; o < outer; o++) {
            const int64_t to = reverse ? count - 1 - t : t;
            memcpy((char *)out->raw + (size_t)(o * count + to) * bytes,
                   (const char *)at->stack[k].raw + (size_t)(t * outer + o) * bytes, bytes);
        }
    return RML_OK;
}

static void hand_over(turns *at, rml_tensor *out)
{
    for (int k = 0; k < at->states; k++) {
        out[k] = at->state[k];
        at->state[k].raw = NULL;
    }
}

static rml_status loop_turns(turns *at, const rml_tensor *own, rml_tensor *out, rml_error *err)
{
    const size_t captured = at->body->input_count - 2 - (size_t)at->states;
    int64_t limit = INT64_MAX, index = 0;
    uint8_t go = 1;
    if (own[0].rank >= 0) {
        RML_TRY(check_single(at->node, &own[0], RML_I64, err));
        limit = *(const int64_t *)own[0].raw;
    }
    if (own[1].rank >= 0) {
        RML_TRY(check_single(at->node, &own[1], RML_BOOL, err));
        go = truth(&own[1]);
    }
    const rml_shape scalar = {0};
    at->in[0] = rml_tensor_typed(&index, RML_I64, &scalar);
    at->in[1] = rml_tensor_typed(&go, RML_BOOL, &scalar);
    memcpy(at->in + 2 + at->states, own + 2 + at->states, captured * sizeof *at->in);
    for (; index < limit && go; index++) {
        if (index == MAX_TURNS)
            return rml_fail(err, RML_ERR_LIMIT, "%s: more than %lld turns", at->node->name,
                            (long long)MAX_TURNS);
        memcpy(at->in + 2, at->state, (size_t)at->states * sizeof *at->in);
        rml_status status = turn(at, index, 1, err);
        if (status == RML_OK)
            status = check_single(at->node, &at->got[0], RML_BOOL, err);
        go = status == RML_OK && truth(&at->got[0]);
        rml_free(at->eager->allocator, at->got[0].raw);
        RML_TRY(status);
    }
    for (int k = 0; k < at->stacked; k++)
        RML_TRY(unstack(at, k, index, 0, false, &out[at->states + k], err));
    hand_over(at, out);
    return RML_OK;
}

// Slice `index` of one scanned input, copied side by side.
static void slice(const rml_tensor *from, int axis, int64_t index, rml_tensor *to)
{
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < from->rank; i++)
        if (i != axis)
            *(i < axis ? &outer : &inner) *= from->dim[i];
    const size_t bytes = (size_t)inner * rml_dtype_size(from->dtype);
    for (int64_t o = 0; o < outer; o++)
        memcpy((char *)to->raw + (size_t)o * bytes,
               (const char *)from->raw + (size_t)(o * from->dim[axis] + index) * bytes, bytes);
}

static rml_status take_slices(turns *at, const rml_tensor *own, int64_t *count, rml_error *err)
{
    const rml_control_attr *attr = &at->node->attr.control;
    for (int k = 0; k < attr->scanned; k++) {
        const rml_tensor *from = &own[at->states + k];
        int64_t axis = attr->scan ? attr->scan[k].axis : 0;
        axis += axis < 0 ? from->rank : 0;
        if (axis < 0 || axis >= from->rank || (k > 0 && from->dim[axis] != *count))
            return rml_fail(err, RML_ERR_SHAPE,
                            "%s: scanned inputs differ in length, or input %d "
                            "has no axis %lld",
                            at->node->name, k, (long long)axis);
        *count = from->dim[axis];
        rml_shape shape = {.rank = from->rank - 1};
        for (int i = 0, to = 0; i < from->rank; i++)
            if (i != axis)
                shape.dim[to++] = from->dim[i];
        RML_TRY(rml_eager_take(at->eager, from->dtype, &shape, &at->in[at->states + k], err));
    }
    return RML_OK;
}

static rml_status scan_turns(turns *at, const rml_tensor *own, rml_tensor *out, rml_error *err)
{
    const rml_control_attr *attr = &at->node->attr.control;
    const int mine = at->states + attr->scanned;
    int64_t count = 0;
    RML_TRY(take_slices(at, own, &count, err));
    memcpy(at->in + mine, own + mine, (at->body->input_count - (size_t)mine) * sizeof *at->in);
    for (int64_t index = 0; index < count; index++) {
        memcpy(at->in, at->state, (size_t)at->states * sizeof *at->in);
        for (int k = 0; k < attr->scanned; k++) {
            const rml_tensor *from = &own[at->states + k];
            const rml_scan_way way = attr->scan ? attr->scan[k] : (rml_scan_way){0};
            const int axis = way.axis < 0 ? way.axis + from->rank : way.axis;
            slice(from, axis, way.reverse ? count - 1 - index : index, &at->in[at->states + k]);
        }
        RML_TRY(turn(at, index, 0, err));
    }
    for (int k = 0; k < at->stacked; k++) {
        const rml_scan_way way = attr->scan ? attr->scan[attr->scanned + k] : (rml_scan_way){0};
        RML_TRY(unstack(at, k, count, way.axis, way.reverse, &out[at->states + k], err));
    }
    hand_over(at, out);
    return RML_OK;
}

static rml_status run_turns(const rml_eager *eager, const rml_node *node, const rml_tensor *in,
                            rml_tensor *out, rml_error *err)
{
    const rml_control_attr *attr = &node->attr.control;
    const bool loop = node->op == RML_OP_LOOP;
    turns at = {.eager = eager, .node = node, .body = attr->body[0], .states = attr->states};
    at.stacked = node->out_count - attr->states;
    rml_status status = begin(&at, in + (loop ? 2 : 0), err);
    if (status == RML_OK)
        status = loop ? loop_turns(&at, in, out, err) : scan_turns(&at, in, out, err);
    if (!loop && at.in)
        for (int k = 0; k < attr->scanned; k++)
            rml_free(eager->allocator, at.in[at.states + k].raw);
    end(&at);
    return status;
}

rml_status rml_eager_control(const rml_eager *eager, const rml_node *node, const rml_tensor *in,
                             rml_tensor *out, rml_error *err)
{
    const rml_status status = node->op == RML_OP_IF ? run_if(eager, node, in, out, err)
                                                    : run_turns(eager, node, in, out, err);
    if (status != RML_OK)
        for (int k = 0; k < node->out_count; k++) {
            rml_free(eager->allocator, out[k].raw);
            out[k].raw = NULL;
        }
    return status;
}
