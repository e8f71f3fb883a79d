// Operators that cut a tensor into parts: slice and split.
#include "ops/shape/slice.h"

#include "ops/index/list.h"
#include "ops/elementwise/nd_iterator.h"

// ---- slice --------------------------------------------------------------------------------------

// What stays of one dimension.
typedef struct cut {
    int64_t first, count, step;
} cut;

static int64_t clamped(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static cut cut_of(int64_t size, int64_t start, int64_t stop, int64_t step)
{
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
    cut result = {.step = step};
    if (size == 0)
        return result;
    result.first = clamped(start < 0 ? start + size : start, 0, high);
    stop = clamped(stop < 0 ? stop + size : stop, low, high);
    // In unsigned numbers, for the step may be INT64_MIN.
    const uint64_t stride = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
    const int64_t way = step < 0 ? result.first - stop : stop - result.first;
    if (way > 0)
        result.count = (int64_t)(((uint64_t)way - 1) / stride) + 1;
    return result;
}

// One element each from the attributes, or the inputs behind the first.
enum { START, STOP, AXIS, STEP, LISTS };

static void lists_of_attr(const rml_slice_attr *slice, rml_list *lists)
{
    const int64_t values[LISTS] = {slice->start, slice->stop, slice->axis, slice->step};
    for (int k = 0; k < LISTS; k++)
        lists[k] = (rml_list){.given = true, .known = true, .count = 1, .at = {values[k]}};
}

static rml_status check_lists(rml_list *lists, const rml_shape *from, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const int rank = from->rank;
    const int count = lists[START].count;
    if (count >= 0 &&
        ((lists[STOP].count >= 0 && lists[STOP].count != count) ||
         (lists[AXIS].given && lists[AXIS].count >= 0 && lists[AXIS].count != count) ||
         (lists[STEP].given && lists[STEP].count >= 0 && lists[STEP].count != count)))
        return rml_fail(err, RML_ERR_SHAPE, "starts, ends, axes and steps are not of one length");
    if (rank >= 0 && count > rank)
        return rml_fail(err, RML_ERR_SHAPE, "%d starts for input %s", count,
                        rml_shape_text(from, text));
    for (int i = 0; lists[STEP].known && i < lists[STEP].count; i++)
        if (lists[STEP].at[i] == 0)
            return rml_fail(err, RML_ERR_SHAPE, "step 0 does not cut input %s",
                            rml_shape_text(from, text));
    return rank < 0 ? RML_OK : rml_list_axes(&lists[AXIS], rank, err);
}

static rml_status infer_slice(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    static const char *const names[LISTS] = {"starts", "ends", "axes", "steps"};
    rml_list lists[LISTS];
    lists_of_attr(&node->attr->slice, lists);
    if (node->in_count > 1) {
        for (int k = 0; k < LISTS; k++)
            RML_TRY(rml_list_infer(node, k + 1, names[k], &lists[k], err));
        if (!lists[START].given || !lists[STOP].given)
            return rml_fail(err, RML_ERR_ARG, "starts or ends are missing");
    }
    RML_TRY(check_lists(lists, &node->in[0].shape, err));
    *out = node->in[0].shape;
    if (out->rank < 0)
        return RML_OK;
    const bool known =
        lists[START].known && lists[STOP].known && (!lists[STEP].given || lists[STEP].known);
    if (lists[START].count < 0 || (lists[AXIS].given && !lists[AXIS].known)) {
        for (int i = 0; i < out->rank; i++)
            out->dim[i] = -1;
        return RML_OK;
    }
    for (int i = 0; i < lists[START].count; i++) {
        const int64_t axis = lists[AXIS].given ? lists[AXIS].at[i] : i;
        const int64_t step = lists[STEP].given ? lists[STEP].at[i] : 1;
        if (out->dim[axis] >= 0)
            out->dim[axis] =
                known ? cut_of(out->dim[axis], lists[START].at[i], lists[STOP].at[i], step).count
                      : -1;
    }
    return RML_OK;
}

bool rml_slice_part(const rml_op_args *args, rml_tensor *kept_part)
{
    rml_list lists[LISTS];
    rml_tensor part = args->in[0];
    lists_of_attr(&args->attr->slice, lists);
    for (int k = 0; k < LISTS && args->in_count > 1; k++)
        lists[k] = rml_list_read(args, k + 1);
    for (int i = 0; i < lists[START].count; i++) {
        const int axis = lists[AXIS].given ? rml_axis_of(lists[AXIS].at[i], part.rank) : i;
        const cut kept = cut_of(part.dim[axis], lists[START].at[i], lists[STOP].at[i],
                                lists[STEP].given ? lists[STEP].at[i] : 1);
        if (kept.count == 0)
            return false;
        rml_tensor_advance(&part, kept.first * part.stride[axis]);
        part.dim[axis] = kept.count;
        if (kept.count > 1) // a step beyond the end is not multiplied: it may be any number
            part.stride[axis] *= kept.step;
    }
    *kept_part = part;
    return true;
}

static void run_slice(const rml_op_args *args)
{
    rml_tensor part;
    if (rml_slice_part(args, &part))
        rml_copy_view(args, &part, &args->out[0]);
}

const rml_op rml_op_slice = {.id = RML_OP_SLICE,
                             .name = "slice",
                             .inputs = {1, 5},
                             .layout = RML_OP_FOLLOW,
                             .signature = "*i>0",
                             .infer_values = infer_slice,
                             .algorithms = RML_ONE_WAY("copy", run_slice)};

// ---- split --------------------------------------------------------------------------------------

static int split_outputs(const rml_op_attr *attr)
{
    return attr->split.count;
}

// Sizes of the parts where the attributes or the second input tell them; otherwise all are equal
// but the last, which may be smaller.
static rml_status split_sizes(const rml_split_attr *split, const rml_fact *sizes, int64_t size,
                              int64_t *part, rml_error *err)
{
    const bool told = sizes && sizes->shape.rank != -1;
    if (told) {
        if (sizes->shape.rank >= 0 &&
            (sizes->shape.rank != 1 ||
             (sizes->shape.dim[0] >= 0 && sizes->shape.dim[0] != split->count)))
            return rml_fail(err, RML_ERR_SHAPE, "the sizes are no list of %d", split->count);
    }
    const int64_t equal = size < 0 ? -1 : size / split->count + (size % split->count != 0);
    for (int k = 0; k < split->count; k++)
        if (told)
            part[k] = sizes->data ? rml_index_at(sizes->data, sizes->dtype, (size_t)k) : -1;
        else if (split->sizes)
            part[k] = split->sizes[k];
        else
            part[k] = equal < 0 || k < split->count - 1 ? equal : size - equal * k;
    return RML_OK;
}

static rml_status infer_split(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_split_attr *split = &node->attr->split;
    const rml_shape *from = &node->in[0].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t part[RML_MAX_OUTPUTS];
    for (int k = 0; k < split->count; k++)
        out[k] = *from;
    if (from->rank < 0)
        return RML_OK;
    int axis;
    RML_TRY(rml_axis_check(split->axis, from, &axis, err));
    const bool told = (rml_op_given(node, 1));
    const bool known = told ? node->in[1].data != NULL : split->sizes || from->dim[axis] >= 0;
    int64_t rest = from->dim[axis];
    RML_TRY(split_sizes(split, node->in_count > 1 ? &node->in[1] : NULL, rest, part, err));
    bool fits = true;
    for (int k = 0; k < split->count; k++) {
        fits = fits && (!known || (part[k] >= 0 && (from->dim[axis] < 0 || part[k] <= rest)));
        rest -= fits && from->dim[axis] >= 0 ? part[k] : 0;
        out[k].dim[axis] = part[k];
    }
    if (known && (!fits || (from->dim[axis] >= 0 && rest != 0)))
        return rml_fail(err, RML_ERR_SHAPE, "axis %d of input %s cannot be cut into these %d parts",
                        axis, rml_shape_text(from, text), split->count);
    return RML_OK;
}

static void run_split(const rml_op_args *args)
{
    const rml_split_attr *split = &args->attr->split;
    rml_tensor part = args->in[0];
    const int axis = rml_axis_of(split->axis, part.rank);
    for (int k = 0; k < split->count; k++) {
        part.dim[axis] = args->out[k].dim[axis];
        rml_copy_view(args, &part, &args->out[k]);
        rml_tensor_advance(&part, part.dim[axis] * part.stride[axis]);
    }
}

const rml_op rml_op_split = {.id = RML_OP_SPLIT,
                             .name = "split",
                             .inputs = {1, 2},
                             .layout = RML_OP_FOLLOW,
                             .outputs = split_outputs,
                             .signature = "*i>0",
                             .infer_values = infer_split,
                             .algorithms = RML_ONE_WAY("copy", run_split)};
