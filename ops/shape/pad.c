// Operators that lengthen or shorten dimensions at their ends: pad, and tile, which is padding that
// wraps around.
#include "ops/elementwise/nd_iterator.h"
#include "ops/index/list.h"

#include "tensor/dtype.h"

#include <string.h>

#define MAX_PAD ((int64_t)1 << 60) // sums of three do not overflow
#define PART_BYTES 32768           // of output a work item: enough to outweigh taking it

// How one dimension is lengthened: output position i is position i - before of the input. What is
// cut off (before or after < 0) is not mirrored or repeated either.
typedef struct margin {
    int64_t before, after;
} margin;

// First position and size of what is left of a dimension once it is cut.
static void window_of(const margin *at, int64_t size, int64_t *first, int64_t *left)
{
    *first = at->before < 0 ? -at->before : 0;
    *left = size - *first + (at->after < 0 ? at->after : 0);
}

static rml_status pad_size(rml_pad_mode mode, const margin *at, int64_t size, int64_t *out,
                           rml_error *err)
{
    int64_t first, left;
    *out = -1;
    if (at->before < -MAX_PAD || at->before > MAX_PAD || at->after < -MAX_PAD ||
        at->after > MAX_PAD || size > MAX_PAD)
        return rml_fail(err, RML_ERR_LIMIT, "padding of %lld and %lld is too large",
                        (long long)at->before, (long long)at->after);
    if (size < 0)
        return RML_OK;
    window_of(at, size, &first, &left);
    *out = size + at->before + at->after;
    if (*out < 0 || (mode != RML_PAD_CONSTANT && *out > 0 && left < 1))
        return rml_fail(err, RML_ERR_SHAPE, "a dimension of %lld cannot be padded by %lld and %lld",
                        (long long)size, (long long)at->before, (long long)at->after);
    return RML_OK;
}

// The position of the input that output position i shows, -1 where that is padding.
static int64_t source_of(rml_pad_mode mode, const margin *at, int64_t size, int64_t i)
{
    int64_t first, left;
    window_of(at, size, &first, &left);
    i -= at->before + first;
    if (i >= 0 && i < left)
        return first + i;
    if (mode == RML_PAD_CONSTANT)
        return -1;
    if (mode == RML_PAD_EDGE)
        return first + (i < 0 ? 0 : left - 1);
    const int64_t period = mode == RML_PAD_WRAP ? left : left > 1 ? 2 * (left - 1) : 1;
    if (i < -period || i >= period)
        i %= period;
    i += i < 0 ? period : 0;
    return first + (i < left ? i : period - i);
}

// The ends of an image's rows are a few elements: no call for each.
enum { FEW = 4 };

// ---- moving -------------------------------------------------------------------------------------

// Both views with their dimensions in the order of memory. The last `merged` ones are not padded
// and lie in one piece in both: `block` bytes. What is in front of them is a row.
typedef struct job {
    const rml_op_args *args;
    rml_pad_mode mode;
    int outer; // dimensions in front of the row; -1: there is nothing but one block
    int64_t in_dim[RML_MAX_RANK], out_dim[RML_MAX_RANK];
    int64_t in_step[RML_MAX_RANK], out_step[RML_MAX_RANK]; // bytes
    margin margin[RML_MAX_RANK];
    size_t block;
    const char *fill; // one element, or NULL: zeros
    size_t element;
    bool few_ends;        // rows in one piece, at each end of which are fewer than FEW elements
    int64_t end[2 * FEW]; // what these show, in bytes of a row of the input
} job;

#define FILL_FEW(type)                                                                             \
    for (int64_t i = 0; i < count; i++)                                                            \
    memcpy(dst + i * step, one, sizeof(type))
#define COPY_ONE(type) memcpy(dst, src, sizeof(type))
#define COPY_ENDS(type)                                                                            \
    for (int64_t i = 0; i < head + tail; i++)                                                      \
    memcpy(dst + (i < head ? i : left + i) * out_step, src + at->end[i], sizeof(type))

// `count` blocks of padding, `step` bytes apart.
static void fill_blocks(const job *at, char *dst, int64_t step, int64_t count)
{
    static const char zero[8];
    const char *one = at->fill ? at->fill : zero;
    if (at->block == at->element && count < FEW) {
        RML_BY_SIZE(at->block, FILL_FEW);
    } else if (step == (int64_t)at->block) {
        const size_t elements = (size_t)count * (at->block / at->element);
        if (at->fill)
            rml_line_up(at->fill, 0, 0, elements, at->element, dst);
        else
            memset(dst, 0, elements * at->element);
    } else {
        for (int64_t i = 0; i < count; i++)
            fill_blocks(at, dst + i * step, (int64_t)at->block, 1);
    }
}

static void copy_blocks(const job *at, const char *src, int64_t in_step, char *dst,
                        int64_t out_step, int64_t count)
{
    if (count == 1 && at->block == at->element)
        RML_BY_SIZE(at->block, COPY_ONE);
    else if (in_step == (int64_t)at->block && out_step == in_step)
        memcpy(dst, src, (size_t)count * at->block);
    else
        for (int64_t i = 0; i < count; i++)
            memcpy(dst + i * out_step, src + i * in_step, at->block);
}

// One row of blocks between two of padding; `src` is the row of the input, or NULL where all is
// padding.
static void move_constant_row(const job *at, const char *src, char *dst)
{
    const margin *ends = &at->margin[at->outer];
    const int64_t count = at->out_dim[at->outer];
    const int64_t in_step = at->in_step[at->outer], out_step = at->out_step[at->outer];
    int64_t first, left;
    window_of(ends, at->in_dim[at->outer], &first, &left);
    const int64_t head = !src || left <= 0 ? count : ends->before + first;
    fill_blocks(at, dst, out_step, head);
    if (head == count)
        return;
    copy_blocks(at, src + first * in_step, in_step, dst + head * out_step, out_step, left);
    fill_blocks(at, dst + (head + left) * out_step, out_step, count - head - left);
}

// What the few elements at the ends of rows show is found once for all rows.
static void find_ends(job *at)
{
    const int row = at->outer;
    const margin *ends = &at->margin[row];
    const int64_t count = at->out_dim[row], size = at->in_dim[row];
    int64_t first, left;
    window_of(ends, size, &first, &left);
    const int64_t head = ends->before, tail = count - head - left;
    at->few_ends = at->mode != RML_PAD_CONSTANT && at->block == at->element && head >= 0 &&
                   head < FEW && tail >= 0 && tail < FEW &&
                   at->in_step[row] == (int64_t)at->block && at->out_step[row] == at->in_step[row];
    for (int64_t i = 0; i < head + tail && at->few_ends; i++)
        at->end[i] = at->in_step[row] * source_of(at->mode, ends, size, i < head ? i : left + i);
}

// One row of blocks; `src` is the row of the input.
static void move_row(const job *at, const char *src, char *dst)
{
    const int row = at->outer;
    const margin *ends = &at->margin[row];
    const int64_t size = at->in_dim[row], count = at->out_dim[row];
    const int64_t in_step = at->in_step[row], out_step = at->out_step[row];
    const bool dense = in_step == (int64_t)at->block && out_step == in_step;
    int64_t first, left;
    window_of(ends, size, &first, &left);
    if (at->few_ends) {
        const int64_t head = ends->before, tail = count - head - left;
        RML_BY_SIZE(at->block, COPY_ENDS);
        memcpy(dst + head * out_step, src + first * in_step, (size_t)left * at->block);
        return;
    }
    // What wraps around is copied once, and then its copies are.
    const int64_t once = at->mode == RML_PAD_WRAP && dense && count > left ? left : count;
    for (int64_t i = 0; i < once;) {
        const int64_t from = source_of(at->mode, ends, size, i);
        // As many as follow one another here and there.
        int64_t run = 1;
        const bool rises = at->mode == RML_PAD_WRAP || i - ends->before == from;
        if (rises)
            run = first + left - from;
        run = run < once - i ? run : once - i;
        copy_blocks(at, src + from * in_step, in_step, dst + i * out_step, out_step, run);
        i += run;
    }
    for (int64_t done = once, run; done < count; done += run) {
        run = done < count - done ? done : count - done;
        memcpy(dst + done * out_step, dst, (size_t)run * at->block);
    }
}

// Where row `index` of dimension `i` begins, in bytes of the input and of the output; the first is
// below 0 where it is padding.
static void find_row(const job *at, int i, int64_t index, int64_t *from, int64_t *to)
{
    const int64_t source = source_of(at->mode, &at->margin[i], at->in_dim[i], index);
    from[i] = source < 0 ? -1 : source * at->in_step[i];
    to[i] = index * at->out_step[i];
}

static void move_rows(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    int64_t index[RML_MAX_RANK], from[RML_MAX_RANK], to[RML_MAX_RANK];
    (void)worker;
    for (size_t rest = begin, i = (size_t)at->outer; i-- > 0; rest /= (size_t)at->out_dim[i]) {
        index[i] = (int64_t)(rest % (size_t)at->out_dim[i]);
        find_row(at, (int)i, index[i], from, to);
    }
    for (size_t item = begin; item < end; item++) {
        const char *src = at->args->in[0].raw;
        char *dst = at->args->out[0].raw;
        for (int i = at->outer - 1; i >= 0; i--) {
            dst += to[i];
            src = from[i] < 0 || !src ? NULL : src + from[i];
        }
        if (at->mode == RML_PAD_CONSTANT)
            move_constant_row(at, src, dst);
        else
            move_row(at, src, dst);
        bool wraps = true;
        for (int i = at->outer - 1; i >= 0 && wraps; i--) {
            wraps = ++index[i] == at->out_dim[i];
            index[i] = wraps ? 0 : index[i];
            find_row(at, i, index[i], from, to);
        }
    }
}

static void extend(const rml_op_args *args, rml_pad_mode mode, const margin *margins,
                   const char *fill)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const size_t element = rml_dtype_size(in->dtype);
    job at = {.args = args, .mode = mode, .block = element, .fill = fill, .element = element};
    int order[RML_MAX_RANK];
    if (rml_tensor_count(out) == 0)
        return;
    rml_order_by_stride(out, 0, order); // so that rows are rows in memory
    for (int i = 0; i < out->rank; i++) {
        const int d = order[i];
        at.in_dim[i] = in->dim[d];
        at.out_dim[i] = out->dim[d];
        at.in_step[i] = in->stride[d] * (int64_t)element;
        at.out_step[i] = out->stride[d] * (int64_t)element;
        at.margin[i] = margins[d];
    }
    at.outer = out->rank - 1;
    while (at.outer >= 0 && at.margin[at.outer].before == 0 && at.margin[at.outer].after == 0 &&
           at.in_step[at.outer] == (int64_t)at.block && at.out_step[at.outer] == (int64_t)at.block)
        at.block *= (size_t)at.out_dim[at.outer--];
    if (at.outer < 0) {
        memcpy(out->raw, in->raw, at.block);
        return;
    }
    find_ends(&at);
    size_t rows = 1;
    for (int i = 0; i < at.outer; i++)
        rows *= (size_t)at.out_dim[i];
    const size_t row_bytes = (size_t)at.out_dim[at.outer] * at.block;
    rml_pool_run(args->pool, rows, row_bytes < PART_BYTES ? PART_BYTES / row_bytes : 1, move_rows,
                 &at);
}

// ---- pad: pads (all of the beginnings, then all of the ends), value, axes ----------------------

static void margins_of(const rml_list *pads, const rml_list *axes, int rank, margin *margins)
{
    const int count = pads->count / 2;
    memset(margins, 0, RML_MAX_RANK * sizeof *margins);
    for (int i = 0; i < count; i++) {
        const int axis = axes->given ? rml_axis_of(axes->at[i], rank) : i;
        margins[axis] = (margin){pads->at[i], pads->at[count + i]};
    }
}

static rml_status infer_pad(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    margin margins[RML_MAX_RANK];
    rml_list pads, axes;
    RML_TRY(rml_list_infer(node, 1, "pads", &pads, err));
    RML_TRY(rml_list_infer(node, 3, "axes", &axes, err));
    RML_TRY(rml_scalar_check(node, 2, "value", err));
    *out = node->in[0].shape;
    if (out->rank < 0)
        return RML_OK;
    RML_TRY(rml_list_axes(&axes, out->rank, err));
    const int wanted = axes.given ? axes.count : out->rank;
    if (pads.count >= 0 && wanted >= 0 && (pads.count != 2 * wanted || wanted > out->rank))
        return rml_fail(err, RML_ERR_SHAPE, "%d numbers to pad %d of %d dimensions", pads.count,
                        wanted, out->rank);
    if (!pads.known || (axes.given && !axes.known)) {
        for (int i = 0; i < out->rank; i++) {
            bool padded = !axes.known;
            for (int k = 0; k < axes.count && axes.known; k++)
                padded = padded || axes.at[k] == i;
            out->dim[i] = padded ? -1 : out->dim[i];
        }
        return RML_OK;
    }
    margins_of(&pads, &axes, out->rank, margins);
    for (int i = 0; i < out->rank; i++)
        RML_TRY(pad_size(node->attr->pad.mode, &margins[i], node->in[0].shape.dim[i], &out->dim[i],
                         err));
    return RML_OK;
}

static void run_pad(const rml_op_args *args)
{
    const rml_list pads = rml_list_read(args, 1), axes = rml_list_read(args, 3);
    const bool has_value = rml_op_input(args, 2);
    margin margins[RML_MAX_RANK];
    margins_of(&pads, &axes, args->in[0].rank, margins);
    extend(args, args->attr->pad.mode, margins, has_value ? args->in[2].raw : NULL);
}

const rml_op rml_op_pad = {.id = RML_OP_PAD,
                           .name = "pad",
                           .inputs = {2, 4},
                           .layout = RML_OP_FOLLOW,
                           .signature = "*i0i>0",
                           .infer_values = infer_pad,
                           .algorithms = RML_ONE_WAY("rows", run_pad)};

// ---- tile: how often each dimension is repeated ------------------------------------------------

static rml_status infer_tile(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    rml_list repeats;
    char text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(rml_list_infer(node, 1, "repeats", &repeats, err));
    *out = node->in[0].shape;
    if (out->rank < 0)
        return RML_OK;
    if (repeats.count >= 0 && repeats.count != out->rank)
        return rml_fail(err, RML_ERR_SHAPE, "%d repeats for input %s", repeats.count,
                        rml_shape_text(out, text));
    for (int i = 0; i < out->rank; i++) {
        if (repeats.known && repeats.at[i] < 0)
            return rml_fail(err, RML_ERR_SHAPE, "dimension %d cannot be repeated %lld times", i,
                            (long long)repeats.at[i]);
        RML_TRY(rml_dim_mul(out->dim[i], repeats.known ? repeats.at[i] : -1, &out->dim[i], err));
    }
    return RML_OK;
}

static void run_tile(const rml_op_args *args)
{
    margin margins[RML_MAX_RANK];
    for (int i = 0; i < args->in[0].rank; i++)
        margins[i] = (margin){0, args->out[0].dim[i] - args->in[0].dim[i]};
    if (rml_tensor_count(&args->out[0]))
        extend(args, RML_PAD_WRAP, margins, NULL);
}

const rml_op rml_op_tile = {.id = RML_OP_TILE,
                            .name = "tile",
                            .inputs = {2, 2},
                            .signature = "*i>0",
                            .infer_values = infer_tile,
                            .algorithms = RML_ONE_WAY("rows", run_tile)};
