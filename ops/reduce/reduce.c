// Reductions over any axes of values of any type: sum, mean, extremes, product, norms, logarithms.
//
// Neighbouring dimensions that are both reduced, or both kept, are one. Where the last of what is
// left is kept, slices are joined one after another into a run of outputs; where it is reduced, the
// elements of an output are dealt out over lanes, which are joined in the end. Either way the order
// depends on the shape alone.
#include "ops/reduce/reduce.h"

#include "ops/image/pool.h"
#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define CHUNK_ELEMENTS 16384 // read by a work item
#define NEIGHBOURS 256       // outputs of one, where neighbours are joined side by side
#define IMAGE_PIXELS 4096    // most, and
#define IMAGE_CHANNELS 32    // fewest, of images whose means are taken as they lie

// ---- shapes -------------------------------------------------------------------------------------

// Takes axes from the attributes where they are no input; none may mean all.
static void take_axes(const rml_reduce_attr *attr, int rank, rml_list *axes)
{
    if (!axes->given) {
        axes->known = true;
        axes->count = attr->axis_count;
        for (int i = 0; i < attr->axis_count; i++)
            axes->at[i] = attr->axes[i];
    }
    if (axes->count == 0)
        axes->known = true;
    for (int i = 0; axes->count == i && !attr->empty_is_no && i < rank; i++)
        axes->at[axes->count++] = i;
}

static rml_status infer_reduce(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_reduce_attr *attr = &node->attr->reduce;
    const rml_shape x = node->in[0].shape;
    unsigned reduced = 0;
    rml_list axes;
    if (node->in[0].dtype == RML_BOOL && attr->kind != RML_REDUCE_MAX &&
        attr->kind != RML_REDUCE_MIN)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "this reduction of bool is not defined");
    RML_TRY(rml_list_infer(node, 1, "axes", &axes, err));
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (x.rank < 0)
        return RML_OK;
    take_axes(attr, x.rank, &axes);
    RML_TRY(rml_list_axes(&axes, x.rank, err));
    if (!axes.known) {
        if (attr->keep)
            out->rank = x.rank;
        else if (axes.count > 0 && axes.count <= x.rank)
            out->rank = x.rank - axes.count;
        for (int i = 0; i < out->rank; i++)
            out->dim[i] = -1;
        return RML_OK;
    }
    for (int i = 0; i < axes.count; i++)
        reduced |= 1u << axes.at[i];
    out->rank = 0;
    for (int i = 0; i < x.rank; i++)
        if (!(reduced >> i & 1))
            out->dim[out->rank++] = x.dim[i];
        else if (attr->keep)
            out->dim[out->rank++] = 1;
    return RML_OK;
}

// Of larger planes, and of fewer channels, an image is turned and its rows added up in less time.
static bool gains_unturned(const rml_shape *x)
{
    return x->rank == 4 && x->dim[1] >= IMAGE_CHANNELS && x->dim[2] >= 0 && x->dim[3] >= 0 &&
           x->dim[2] <= IMAGE_PIXELS && x->dim[3] <= IMAGE_PIXELS &&
           x->dim[2] * x->dim[3] <= IMAGE_PIXELS;
}

// A mean over height and width takes images as convolutions leave them.
static bool takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_op_node node = {.attr = attr, .in = in, .in_count = in_count};
    unsigned reduced = 0;
    rml_list axes;
    if (attr->reduce.kind != RML_REDUCE_MEAN || in[0].dtype != RML_F32 ||
        !gains_unturned(&in[0].shape) || rml_list_infer(&node, 1, "axes", &axes, NULL) != RML_OK)
        return false;
    take_axes(&attr->reduce, 4, &axes);
    if (!axes.known || rml_list_axes(&axes, 4, NULL) != RML_OK)
        return false;
    for (int i = 0; i < axes.count; i++)
        reduced |= 1u << axes.at[i];
    return reduced == (1u << 2 | 1u << 3);
}

// ---- how the elements lie -----------------------------------------------------------------------

static rml_reduce_job make_job(const rml_op_args *args)
{
    const rml_reduce_attr *attr = &args->attr->reduce;
    const rml_tensor *in = &args->in[0];
    bool reduced[RML_MAX_RANK] = {false}, flag[RML_MAX_RANK];
    rml_list axes = rml_list_read(args, 1);
    rml_reduce_grid all = {0};
    take_axes(attr, in->rank, &axes);
    for (int i = 0; i < axes.count; i++)
        if (rml_axis_of(axes.at[i], in->rank) >= 0) // known too late to be refused
            reduced[rml_axis_of(axes.at[i], in->rank)] = true;
    for (int i = 0; i < in->rank; i++) {
        if (in->dim[i] == 1)
            continue;
        if (all.rank && flag[all.rank - 1] == reduced[i])
            all.dim[all.rank - 1] *= in->dim[i];
        else {
            flag[all.rank] = reduced[i];
            all.dim[all.rank++] = in->dim[i];
        }
    }
    if (!all.rank) {
        flag[0] = false;
        all.dim[all.rank++] = 1;
    }
    rml_reduce_job at = {.args = args, .kind = attr->kind, .rows = flag[all.rank - 1], .parts = 1};
    at.run = (size_t)all.dim[all.rank - 1];
    int64_t stride = (int64_t)at.run;
    for (int i = all.rank - 2; i >= 0; i--) {
        all.stride[i] = stride;
        stride *= all.dim[i];
    }
    for (int i = 0; i + 1 < all.rank; i++) {
        rml_reduce_grid *to = flag[i] ? &at.reduced : &at.kept;
        to->stride[to->rank] = all.stride[i];
        to->dim[to->rank++] = all.dim[i];
        at.parts *= flag[i] ? (size_t)all.dim[i] : 1;
    }
    at.count = at.parts * (at.rows ? at.run : 1);
    at.wide = rml_wide_of(in->dtype);
    if (at.kind == RML_REDUCE_L2 || at.kind == RML_REDUCE_LOG_SUM ||
        at.kind == RML_REDUCE_LOG_SUM_EXP)
        at.wide = RML_WIDE_F64;
    return at;
}

static void run_job(const rml_reduce_job *at, rml_pool_fn fn)
{
    const size_t each = at->count ? at->count : 1, least = at->rows ? 1 : NEIGHBOURS;
    const size_t chunk = each * least < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / each : least;
    rml_pool_run(at->args->pool, rml_tensor_count(&at->args->out[0]), chunk, fn,
                 (void *)(uintptr_t)at);
}

// ---- any type -----------------------------------------------------------------------------------

// What joined with anything leaves it as it is.
static void fill_identity(const rml_reduce_job *at, rml_widen *chunk, size_t count)
{
    const rml_dtype dtype = at->args->in[0].dtype;
    const bool is_signed =
        dtype == RML_I8 || dtype == RML_I16 || dtype == RML_I32 || dtype == RML_I64;
    const int bits = dtype == RML_BOOL ? 1 : 8 * (int)rml_dtype_size(dtype);
    const int64_t top = (int64_t)(UINT64_MAX >> (64 - bits + is_signed));
    const bool most = at->kind == RML_REDUCE_MAX, least = at->kind == RML_REDUCE_MIN;
    const int rest = at->kind == RML_REDUCE_PROD;
    for (size_t i = 0; i < count; i++)
        if (at->wide == RML_WIDE_F64)
            chunk->f64[i] = most ? (double)-INFINITY : least ? (double)INFINITY : rest;
        else
            chunk->i64[i] = most ? (is_signed ? -top - 1 : 0) : least ? top : rest;
}

static void join_f64(rml_reduce_kind kind, double *into, const double *from, size_t count)
{
    const double sign = kind == RML_REDUCE_MIN ? -1 : 1;
    for (size_t i = 0; i < count; i++)
        if (kind == RML_REDUCE_MAX || kind == RML_REDUCE_MIN) // NaN stays, and comes in
            into[i] = sign * from[i] > sign * into[i] || isnan(from[i]) ? from[i] : into[i];
        else
            into[i] = kind == RML_REDUCE_PROD ? into[i] * from[i] : into[i] + from[i];
}

// Sums and products wrap.
static void join_whole(rml_reduce_kind kind, bool is_signed, uint64_t *into, const uint64_t *from,
                       size_t count)
{
    const uint64_t flip = is_signed ? (uint64_t)1 << 63 : 0; // order of signed as of unsigned
    for (size_t i = 0; i < count; i++)
        if (kind == RML_REDUCE_MAX)
            into[i] = (from[i] ^ flip) > (into[i] ^ flip) ? from[i] : into[i];
        else if (kind == RML_REDUCE_MIN)
            into[i] = (from[i] ^ flip) < (into[i] ^ flip) ? from[i] : into[i];
        else if (kind == RML_REDUCE_PROD)
            into[i] *= from[i];
        else
            into[i] += from[i];
}

static void join(const rml_reduce_job *at, rml_reduce_kind kind, rml_widen *into,
                 const rml_widen *from, size_t first, size_t count)
{
    if (at->wide == RML_WIDE_F64)
        join_f64(kind, into->f64, from->f64 + first, count);
    else
        join_whole(kind, at->wide == RML_WIDE_I64, into->u64, from->u64 + first, count);
}

// e^(x - top). Where x is f32 or less so are the powers; their sum is not.
static void exponentiate(const rml_reduce_job *at, double *x, const double *top, bool one_top,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] -= top[one_top ? 0 : i];
    const rml_dtype dtype = at->args->in[0].dtype;
    if (dtype != RML_F32 && dtype != RML_F16 && dtype != RML_BF16) {
        for (size_t i = 0; i < count; i++)
            x[i] = exp(x[i]);
        return;
    }
    float power[RML_WIDEN_COUNT] = {0};
    for (size_t i = 0; i < count; i++)
        power[i] = (float)x[i];
    RML_KERNEL(at->args->kernels, unary_EXP)(power, power, count, NULL);
    for (size_t i = 0; i < count; i++)
        x[i] = power[i];
}

// What is summed: e^(x - top), or whole numbers' squares or sizes.
static void prepare(const rml_reduce_job *at, rml_widen *x, const rml_widen *top, bool one_top,
                    size_t count)
{
    const rml_reduce_kind kind = at->kind;
    const bool square = kind == RML_REDUCE_L2 || kind == RML_REDUCE_SUM_SQUARE;
    if (kind == RML_REDUCE_LOG_SUM_EXP)
        exponentiate(at, x->f64, top->f64, one_top, count);
    else if (at->wide != RML_WIDE_F64)
        for (size_t i = 0; i < count && (square || kind == RML_REDUCE_L1); i++)
            x->u64[i] = square                                      ? x->u64[i] * x->u64[i]
                        : at->wide == RML_WIDE_I64 && x->i64[i] < 0 ? 0 - x->u64[i]
                                                                    : x->u64[i];
}

// prepare, and join of what it made.
static void add(const rml_reduce_job *at, rml_reduce_kind kind, rml_widen *x, const rml_widen *top,
                bool one_top, rml_widen *into, size_t count)
{
    const bool square = kind == RML_REDUCE_L2 || kind == RML_REDUCE_SUM_SQUARE;
    if (at->wide == RML_WIDE_F64 && kind == at->kind && square) { // without a pass of its own
        for (size_t i = 0; i < count; i++)
            into->f64[i] += x->f64[i] * x->f64[i];
    } else if (at->wide == RML_WIDE_F64 && kind == at->kind && kind == RML_REDUCE_L1) {
        for (size_t i = 0; i < count; i++)
            into->f64[i] += fabs(x->f64[i]);
    } else {
        if (kind == at->kind)
            prepare(at, x, top, one_top, count);
        join(at, kind, into, x, 0, count);
    }
}

static void finish(const rml_reduce_job *at, rml_widen *x, const rml_widen *top, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at->wide != RML_WIDE_F64) {
            if (at->kind == RML_REDUCE_MEAN && at->wide == RML_WIDE_U64)
                x->u64[i] = at->count ? x->u64[i] / at->count : 0;
            else if (at->kind == RML_REDUCE_MEAN)
                x->i64[i] = at->count ? x->i64[i] / (int64_t)at->count : 0;
        } else if (at->kind == RML_REDUCE_MEAN) {
            x->f64[i] /= (double)at->count;
        } else if (at->kind == RML_REDUCE_L2) {
            x->f64[i] = sqrt(x->f64[i]);
        } else if (at->kind == RML_REDUCE_LOG_SUM) {
            x->f64[i] = log(x->f64[i]);
        } else if (at->kind == RML_REDUCE_LOG_SUM_EXP) {
            x->f64[i] = log(x->f64[i]) + top->f64[i];
        }
}

// `count` elements from `first` on, widened.
static void load(const rml_reduce_job *at, int64_t first, size_t count, rml_widen *x)
{
    static const rml_dtype held[] = {
        [RML_WIDE_F64] = RML_F64, [RML_WIDE_I64] = RML_I64, [RML_WIDE_U64] = RML_U64};
    const rml_tensor *in = &at->args->in[0];
    RML_KERNEL(at->args->kernels, convert)
    (in->dtype, rml_tensor_at(in, first), held[at->wide], x, count);
}

static void gather_slices(const rml_reduce_job *at, rml_reduce_kind kind, int64_t offset,
                          size_t count, const rml_widen *top, rml_widen *into)
{
    rml_widen x;
    for (size_t part = 0; part < at->parts; part++) {
        load(at, offset + rml_reduce_offset(&at->reduced, part), count, &x);
        add(at, kind, &x, top, false, into, count);
    }
}

static void gather_row(const rml_reduce_job *at, rml_reduce_kind kind, int64_t offset,
                       const rml_widen *top, rml_widen *into)
{
    rml_widen x;
    size_t width = rml_min_size(at->run, RML_WIDEN_COUNT);
    for (size_t part = 0; part < at->parts; part++)
        for (size_t k = 0; k < at->run; k += RML_WIDEN_COUNT) {
            const size_t count = rml_min_size(RML_WIDEN_COUNT, at->run - k);
            load(at, offset + rml_reduce_offset(&at->reduced, part) + (int64_t)k, count, &x);
            add(at, kind, &x, top, true, into, count);
        }
    for (size_t half; width > 1; width -= half) {
        half = width / 2;
        join(at, kind, into, into, width - half, half);
    }
}

// Outputs [first, first + count), which are neighbours; one where rows are reduced.
static void gather(const rml_reduce_job *at, rml_reduce_kind kind, size_t first, size_t count,
                   const rml_widen *top, rml_widen *into)
{
    const rml_reduce_job as = {.args = at->args, .kind = kind, .wide = at->wide};
    fill_identity(&as, into, at->rows ? RML_WIDEN_COUNT : count);
    if (!at->count)
        return;
    if (at->rows)
        gather_row(at, kind, rml_reduce_offset(&at->kept, first), top, into);
    else
        gather_slices(at, kind,
                      rml_reduce_offset(&at->kept, first / at->run) + (int64_t)(first % at->run),
                      count, top, into);
}

static void wide_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_reduce_job *at = context;
    (void)worker;
    for (size_t i = begin, n; i < end; i += n) {
        rml_widen sum, top;
        n = at->rows ? 1 : rml_reduce_neighbours(at, i, end, RML_WIDEN_COUNT);
        if (at->kind == RML_REDUCE_LOG_SUM_EXP) {
            gather(at, RML_REDUCE_MAX, i, n, NULL, &top);
            for (size_t k = 0; k < n; k++) // inf - inf is no number
                top.f64[k] = isinf(top.f64[k]) ? 0 : top.f64[k];
        }
        gather(at, at->kind, i, n, &top, &sum);
        finish(at, &sum, &top, n);
        rml_widen_write(&at->args->out[0], i, n, at->wide, &sum);
    }
}

static void run_wide(const rml_op_args *args)
{
    const rml_reduce_job at = make_job(args);
    run_job(&at, wide_part);
}

static void run_typed(const rml_op_args *args)
{
    const rml_reduce_job at = make_job(args);
    const bool is_short = at.rows && at.parts == 1 && at.run <= RML_REDUCE_SHORT;
    run_job(&at, !at.count  ? wide_part
                 : is_short ? rml_reduce_short_rows
                 : at.rows  ? rml_reduce_rows
                            : rml_reduce_slices);
}

static const rml_algorithm reduce_algorithms[] = {
    {.name = "pixels", .run = rml_pool_pixels_run},
    {.name = "typed", .generic = true, .accepts = rml_reduce_has_kernel, .run = run_typed},
    {.name = "widened", .generic = true, .run = run_wide}};

const rml_op rml_op_reduce = {.id = RML_OP_REDUCE,
                              .name = "reduce",
                              .inputs = {1, 2},
                              .layout = RML_OP_CHANNELS_LAST,
                              .takes_images = takes_images,
                              .plain_as_well = takes_images,
                              .signature = "*l>0",
                              .infer_values = infer_reduce,
                              .algorithms = reduce_algorithms};
