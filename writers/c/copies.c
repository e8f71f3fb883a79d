// Operators that only move elements: what each copies, from which view to which.
#include "writers/c/emit.h"

#include "ops/image/resize.h"
#include "ops/index/list.h"
#include "ops/shape/slice.h"

#include <string.h>

#define KERNEL_DIMS 6

typedef struct joined {
    int rank;
    int64_t dim[KERNEL_DIMS], from[KERNEL_DIMS], to[KERNEL_DIMS];
} joined;

// Fills leading dimensions with 1; neighbours that follow each other on both sides become one.
static bool join(const rml_tensor *from, const rml_tensor *to, joined *out)
{
    int64_t dim[RML_MAX_RANK], in[RML_MAX_RANK], at[RML_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < to->rank; i++) {
        const int k = i - (to->rank - from->rank); // broadcast: from has fewer, or of size 1
        const int64_t step = k < 0 || from->dim[k] == 1 ? 0 : from->stride[k];
        if (to->dim[i] == 1)
            continue;
        if (rank && in[rank - 1] == step * to->dim[i] &&
            at[rank - 1] == to->stride[i] * to->dim[i]) {
            dim[rank - 1] *= to->dim[i];
            in[rank - 1] = step;
            at[rank - 1] = to->stride[i];
            continue;
        }
        dim[rank] = to->dim[i];
        in[rank] = step;
        at[rank++] = to->stride[i];
    }
    *out = (joined){.rank = rank, .dim = {1, 1, 1, 1, 1, 1}};
    for (int i = 0; i < rank && rank <= KERNEL_DIMS; i++) {
        out->dim[KERNEL_DIMS - rank + i] = dim[i];
        out->from[KERNEL_DIMS - rank + i] = in[i];
        out->to[KERNEL_DIMS - rank + i] = at[i];
    }
    return rank <= KERNEL_DIMS;
}

// Pixels repeated by whole factors: rows and columns become two dimensions each, the second of
// which does not move on in the source. False: the picture is enlarged otherwise.
static bool repeat(const rml_op_args *args, rml_tensor *from, rml_tensor *to)
{
    const rml_resize_plan plan = rml_resize_plan_of(args);
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const rml_tensor *const views[2] = {in, out};
    rml_tensor *const wide[2] = {from, to};
    int64_t times[2];
    for (int axis = 0; axis < 2; axis++) {
        const int64_t size = in->dim[2 + axis];
        times[axis] = size ? out->dim[2 + axis] / size : 0;
        bool repeats = times[axis] > 0 && out->dim[2 + axis] == times[axis] * size;
        for (int64_t i = 0; repeats && i < out->dim[2 + axis]; i++)
            repeats =
                rml_resize_nearest(&args->attr->resize, &plan.axis[2 + axis], i) == i / times[axis];
        if (!repeats)
            return false;
    }
    for (int k = 0; k < 2; k++) {
        const rml_tensor *v = views[k];
        const int64_t dim[6] = {v->dim[0], in->dim[2], times[0], in->dim[3], times[1], v->dim[1]};
        const int64_t stride[6] = {v->stride[0],         k ? v->stride[2] * times[0] : v->stride[2],
                                   k ? v->stride[2] : 0, k ? v->stride[3] * times[1] : v->stride[3],
                                   k ? v->stride[3] : 0, v->stride[1]};
        *wide[k] = *v;
        wide[k]->rank = 6;
        memcpy(wide[k]->dim, dim, sizeof dim);
        memcpy(wide[k]->stride, stride, sizeof stride);
    }
    return true;
}

// A copy of a step: parts of input `k` and output `o`.
typedef void copy_fn(rml_c_emit *c, size_t step, int k, int o, const rml_tensor *from,
                     const rml_tensor *to);

static void space(rml_c_emit *c, size_t step, copy_fn *fn)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_shuffle_attr *shuffle = &args->attr->shuffle;
    const bool back = rml_c_node(c, step)->op == RML_OP_DEPTH_TO_SPACE;
    const rml_tensor *image = back ? &args->out[0] : &args->in[0];
    const rml_tensor *deep = back ? &args->in[0] : &args->out[0];
    const int64_t block = shuffle->block, area = block * block, channels = image->dim[1];
    for (int64_t d = 0; d < area; d++) {
        rml_tensor flat = *image, of = *deep;
        rml_tensor_advance(&flat, d / block * image->stride[2] + d % block * image->stride[3]);
        rml_tensor_advance(&of, d * of.stride[1] * (shuffle->pixels_first ? channels : 1));
        of.stride[1] *= shuffle->pixels_first ? 1 : area;
        of.dim[1] = channels;
        flat.stride[2] *= block;
        flat.stride[3] *= block;
        flat.dim[2] = of.dim[2];
        flat.dim[3] = of.dim[3];
        fn(c, step, 0, 0, back ? &of : &flat, back ? &flat : &of);
    }
}

static void parts(rml_c_emit *c, size_t step, copy_fn *fn)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    const rml_node *node = rml_c_node(c, step);
    const bool split = node->op == RML_OP_SPLIT;
    rml_tensor part = split ? args->in[0] : args->out[0];
    const int axis =
        rml_axis_of(split ? args->attr->split.axis : args->attr->concat.axis, part.rank);
    const int count = split ? node->out_count : args->in_count;
    for (int k = 0; k < count; k++) {
        const rml_tensor *one = split ? &args->out[k] : &args->in[k];
        part.dim[axis] = one->dim[axis];
        if (rml_tensor_count(one) && part.raw != one->raw)
            fn(c, step, split ? 0 : k, split ? k : 0, split ? &part : one, split ? one : &part);
        rml_tensor_advance(&part, part.dim[axis] * part.stride[axis]);
    }
}

static void each(rml_c_emit *c, size_t step, copy_fn *fn)
{
    const rml_op_args *args = &rml_c_step(c, step)->args;
    rml_tensor from = args->in[0], to = args->out[0];
    switch (rml_c_node(c, step)->op) {
    case RML_OP_CONCAT:
    case RML_OP_SPLIT:
        parts(c, step, fn);
        return;
    case RML_OP_SPACE_TO_DEPTH:
    case RML_OP_DEPTH_TO_SPACE:
        space(c, step, fn);
        return;
    case RML_OP_SLICE:
        if (!rml_slice_part(args, &from))
            return;
        break;
    case RML_OP_RESIZE:
        if (!repeat(args, &from, &to))
            return;
        break;
    case RML_OP_TRANSPOSE:
        for (int i = 0; i < to.rank; i++) {
            const int axis = rml_transpose_axis(&args->attr->transpose, to.rank, i);
            from.dim[i] = args->in[0].dim[axis];
            from.stride[i] = args->in[0].stride[axis];
        }
        break;
    case RML_OP_CAST: // of floats to floats, see export.c
        if (from.raw == to.raw)
            return;
        break;
    case RML_OP_LAYOUT_TRANSFORM:
    case RML_OP_EXPAND:
        break;
    default: // reshapes: plain, in the order they are in
        if (from.raw == to.raw)
            return;
        from = to;
        from.raw = args->in[0].raw;
        break;
    }
    fn(c, step, 0, 0, &from, &to);
}

static void note_unfit(rml_c_emit *c, size_t step, int k, int o, const rml_tensor *from,
                       const rml_tensor *to)
{
    joined j;
    (void)step;
    (void)k;
    (void)o;
    c->copies_fit = c->copies_fit && join(from, to, &j);
}

static const char *check(rml_c_emit *c, const rml_step *step, size_t *scratch)
{
    const rml_op_args *args = &step->args;
    const rml_node *node = &c->graph->nodes[step->node];
    (void)scratch;
    if (node->op == RML_OP_SPACE_TO_DEPTH || node->op == RML_OP_DEPTH_TO_SPACE) {
        const bool back = node->op == RML_OP_DEPTH_TO_SPACE;
        const rml_tensor *image = back ? &args->out[0] : &args->in[0];
        if (image->dim[2] % args->attr->shuffle.block || image->dim[3] % args->attr->shuffle.block)
            return "its image is not made of whole blocks";
    }
    rml_tensor from, to;
    if (node->op == RML_OP_RESIZE &&
        (strcmp(step->algorithm->name, "pixel") != 0 || !repeat(args, &from, &to)))
        return "it does not repeat pixels by a whole factor";
    c->copies_fit = true;
    each(c, (size_t)(step - c->plan->steps), note_unfit);
    rml_c_use(c, RML_C_COPY);
    return c->copies_fit ? NULL : "it moves elements along more than six dimensions";
}

static void shape_of(rml_c_emit *c, size_t step, int k, int o, const rml_tensor *from,
                     const rml_tensor *to)
{
    joined j;
    (void)k;
    (void)o;
    join(from, to, &j);
    rml_c_say(c,
              "static const net_copy_shape net_s%zu_%zu = {{%lld, %lld, %lld, %lld, %lld, %lld}, ",
              step, c->copies++, (long long)j.dim[0], (long long)j.dim[1], (long long)j.dim[2],
              (long long)j.dim[3], (long long)j.dim[4], (long long)j.dim[5]);
    rml_c_say(c, "{%lld, %lld, %lld, %lld, %lld, %lld}, {%lld, %lld, %lld, %lld, %lld, %lld}};\n",
              (long long)j.from[0], (long long)j.from[1], (long long)j.from[2],
              (long long)j.from[3], (long long)j.from[4], (long long)j.from[5], (long long)j.to[0],
              (long long)j.to[1], (long long)j.to[2], (long long)j.to[3], (long long)j.to[4],
              (long long)j.to[5]);
}

static void data(rml_c_emit *c, size_t step)
{
    c->copies = 0;
    each(c, step, shape_of);
}

static void call_copy(rml_c_emit *c, size_t step, int k, int o, const rml_tensor *from,
                      const rml_tensor *to)
{
    char in[RML_C_PLACE_BYTES], out[RML_C_PLACE_BYTES];
    const rml_op_args *args = &rml_c_step(c, step)->args;
    rml_c_say(c, "    net_copy(&net_s%zu_%zu, %s + %lld, %s + %lld);\n", step, c->copies++,
              rml_c_in(c, step, k, in), (long long)(from->data - args->in[k].data),
              rml_c_out(c, step, o, out), (long long)(to->data - args->out[o].data));
}

static void call(rml_c_emit *c, size_t step)
{
    c->copies = 0;
    each(c, step, call_copy);
}

#define COPIES(name, id) const rml_c_op name = {id, check, data, call};
COPIES(rml_c_reshape, RML_OP_RESHAPE)
COPIES(rml_c_layout, RML_OP_LAYOUT_TRANSFORM)
COPIES(rml_c_transpose, RML_OP_TRANSPOSE)
COPIES(rml_c_concat, RML_OP_CONCAT)
COPIES(rml_c_slice, RML_OP_SLICE)
COPIES(rml_c_expand, RML_OP_EXPAND)
COPIES(rml_c_cast, RML_OP_CAST)
COPIES(rml_c_split, RML_OP_SPLIT)
COPIES(rml_c_resize, RML_OP_RESIZE)
COPIES(rml_c_space_to_depth, RML_OP_SPACE_TO_DEPTH)
COPIES(rml_c_depth_to_space, RML_OP_DEPTH_TO_SPACE)
