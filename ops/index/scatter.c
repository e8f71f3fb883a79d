// Operators that write updates into a copy of their first input: scatter_elements, scatter_nd,
// tensor_scatter. A negative index counts from the end. One that is out of range is refused by
// inference, before the run or in it; the operator itself leaves its update out. Threads share out
// the elements, not the updates: those of one element are applied in their order.
#include "ops/index/list.h"
#include "ops/elementwise/functions.h"
#include "ops/elementwise/widen.h"
#include "ops/elementwise/nd_iterator.h"

#include "tensor/dtype.h"

#include <string.h>

#define PART 4096 // elements a work item: enough to outweigh taking it

// The position an index means; -1 where there is none.
static int64_t place_of(const rml_tensor *indices, size_t at, int64_t size)
{
    const int64_t index = rml_index_at(indices->raw, indices->dtype, at);
    if (index < -size || index >= size)
        return -1;
    return index < 0 ? index + size : index;
}

static void copy_data(const rml_op_args *args)
{
    if (args->out[0].raw != args->in[0].raw)
        rml_copy_view(args, &args->in[0], &args->out[0]);
}

// ---- one update ---------------------------------------------------------------------------------

static rml_binary binary_of(rml_scatter_kind kind)
{
    static const rml_binary kinds[] = {[RML_SCATTER_ADD] = RML_BINARY_ADD,
                                       [RML_SCATTER_MUL] = RML_BINARY_MUL,
                                       [RML_SCATTER_MIN] = RML_BINARY_MIN,
                                       [RML_SCATTER_MAX] = RML_BINARY_MAX,
                                       [RML_SCATTER_DIV] = RML_BINARY_DIV};
    return kinds[kind];
}

// dst = dst (kind) src for `count` elements.
static void combine(rml_scatter_kind kind, rml_dtype dtype, char *dst, const char *src,
                    size_t count)
{
    const size_t bytes = rml_dtype_size(dtype);
    if (kind == RML_SCATTER_SET) {
        memcpy(dst, src, count * bytes);
        return;
    }
    const rml_wide wide = rml_wide_of(dtype);
    const rml_binary function = binary_of(kind);
    if (dtype == RML_F32) { // in double, for one rounding is the same there as here
        float *to = (float *)(void *)dst;
        for (size_t i = 0; i < count; i++)
            to[i] = (float)rml_binary_f64(function, (double)to[i],
                                          (double)((const float *)(const void *)src)[i]);
        return;
    }
    for (size_t i = 0; i < count; i++, dst += bytes, src += bytes) {
        if (wide == RML_WIDE_F64) {
            double a, b;
            rml_dtype_convert(dtype, dst, RML_F64, &a, 1);
            rml_dtype_convert(dtype, src, RML_F64, &b, 1);
            a = rml_binary_f64(function, a, b);
            rml_dtype_convert(RML_F64, &a, dtype, dst, 1);
        } else {
            const rml_dtype held = wide == RML_WIDE_U64 ? RML_U64 : RML_I64;
            int64_t a, b;
            rml_dtype_convert(dtype, dst, held, &a, 1);
            rml_dtype_convert(dtype, src, held, &b, 1);
            a = rml_binary_i64(function, a, b, held == RML_U64, 8 * (int)bytes);
            rml_dtype_convert(held, &a, dtype, dst, 1);
        }
    }
}

// ---- scatter_elements: out[i][index[i][j][k]][k] = update[i][j][k] along the axis --------------

static rml_status infer_elements(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *data = &node->in[0].shape, *indices = &node->in[1].shape,
                    *updates = &node->in[2].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES], c[RML_SHAPE_TEXT_BYTES];
    int axis;
    *out = *data;
    if (data->rank < 0 || indices->rank < 0 || updates->rank < 0)
        return RML_OK;
    RML_TRY(rml_axis_check(node->attr->scatter.axis, data, &axis, err));
    bool fits = data->rank == indices->rank && data->rank == updates->rank;
    for (int i = 0; i < data->rank && fits; i++)
        fits = (i == axis || indices->dim[i] <= data->dim[i] || data->dim[i] < 0) &&
               (indices->dim[i] == updates->dim[i] || indices->dim[i] < 0 || updates->dim[i] < 0);
    if (!fits)
        return rml_fail(
            err, RML_ERR_SHAPE, "indices %s and updates %s do not fit data %s along axis %d",
            rml_shape_text(indices, a), rml_shape_text(updates, b), rml_shape_text(data, c), axis);
    return rml_indices_check(&node->in[1], data, axis, 1, false, err);
}

// Offset in `data` of position `at` of a box of the sizes `like` has in dimensions [first, stop).
static int64_t offset_in(const rml_tensor *data, const rml_tensor *like, int first, int stop,
                         size_t at)
{
    int64_t offset = 0;
    for (int i = stop - 1; i >= first; i--) {
        offset += (int64_t)(at % (size_t)like->dim[i]) * data->stride[i];
        at /= (size_t)like->dim[i];
    }
    return offset;
}

// Whether what lies side by side behind the axis does so in the output, too.
static bool are_neighbours(const rml_tensor *indices, const rml_tensor *out, int axis)
{
    bool equal = true;
    for (int i = axis + 2; i < out->rank && equal; i++)
        equal = indices->dim[i] == out->dim[i];
    return equal;
}

#define PUT_ROW(type)                                                                              \
    do {                                                                                           \
        for (size_t j = 0; j < count; j++) {                                                       \
            const int64_t place = place_of(indices, at + j, size);                                 \
            if (place >= 0)                                                                        \
                ((type *)dst)[place * step + (int64_t)j * along] = ((const type *)src)[j];         \
        }                                                                                          \
    } while (0)

// `count` updates side by side, from index `at` on, to places `step` apart along the axis of `size`
// elements and `along` apart behind it.
static void put_row(const rml_tensor *indices, size_t at, int64_t size, int64_t step, int64_t along,
                    size_t bytes, const void *src, void *dst, size_t count)
{
    RML_BY_SIZE(bytes, PUT_ROW);
}

// Lines of the indices along the axis: no two of them meet.
static void elements_lines(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *indices = &args->in[1], *out = &args->out[0];
    const int rank = out->rank, axis = rml_axis_of(args->attr->scatter.axis, rank);
    const size_t bytes = rml_dtype_size(out->dtype), count = (size_t)indices->dim[axis];
    const size_t inner = rml_tensor_span(indices, axis + 1, rank);
    const bool plain =
        args->attr->scatter.kind == RML_SCATTER_SET && are_neighbours(indices, out, axis);
    while (begin < end) {
        const size_t outer = begin / inner, first = begin % inner;
        const size_t stop = end - begin < inner - first ? first + (end - begin) : inner;
        const int64_t base = offset_in(out, indices, 0, axis, outer);
        const size_t rows = inner == 1 ? 1 : count; // a line may be a row itself
        for (size_t k = 0; plain && k < rows; k++) {
            const size_t at = (outer * count + k) * inner + first;
            put_row(indices, at, out->dim[axis], out->stride[axis], inner > 1, bytes,
                    (const char *)args->in[2].raw + at * bytes,
                    (char *)out->raw + ((size_t)base + first) * bytes,
                    inner == 1 ? count : stop - first);
        }
        for (size_t k = 0; !plain && k < count; k++)
            for (size_t j = first; j < stop; j++) {
                const size_t at = (outer * count + k) * inner + j;
                const int64_t place = place_of(indices, at, out->dim[axis]);
                if (place < 0)
                    continue;
                const int64_t to =
                    base + place * out->stride[axis] + offset_in(out, indices, axis + 1, rank, j);
                combine(args->attr->scatter.kind, out->dtype,
                        (char *)out->raw + to * (int64_t)bytes,
                        (const char *)args->in[2].raw + at * bytes, 1);
            }
        begin += stop - first;
    }
}

static void run_elements(const rml_op_args *args)
{
    const rml_tensor *indices = &args->in[1];
    const int axis = rml_axis_of(args->attr->scatter.axis, indices->rank);
    const size_t count = rml_tensor_count(indices);
    copy_data(args);
    if (count == 0)
        return;
    const size_t line = (size_t)indices->dim[axis];
    rml_op_parallel(args, count / line, line * sizeof(float), elements_lines);
}

const rml_op rml_op_scatter_elements = {.id = RML_OP_SCATTER_ELEMENTS,
                                        .name = "scatter_elements",
                                        .inputs = {3, 3},
                                        .in_place = true,
                                        .checks_elements = true,
                                        .signature = "*i0>0",
                                        .infer_values = infer_elements,
                                        .algorithms = RML_ONE_WAY("lines", run_elements)};

// ---- scatter_nd: the last dimension of the indices counts off the first ones of the data -------

static rml_status check_nd(const rml_shape *data, const rml_shape *indices,
                           const rml_shape *updates, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES], c[RML_SHAPE_TEXT_BYTES];
    const int64_t depth = indices->rank ? indices->dim[indices->rank - 1] : 0;
    bool fits = indices->rank > 0 && depth <= data->rank;
    if (fits && depth < 0)
        return RML_OK;
    fits = fits && updates->rank == indices->rank - 1 + data->rank - depth;
    for (int i = 0; fits && i < updates->rank; i++) {
        const int64_t want =
            i < indices->rank - 1 ? indices->dim[i] : data->dim[i - (indices->rank - 1) + depth];
        fits = updates->dim[i] == want || updates->dim[i] < 0 || want < 0;
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "indices %s and updates %s do not fit data %s",
                        rml_shape_text(indices, a), rml_shape_text(updates, b),
                        rml_shape_text(data, c));
    return RML_OK;
}

static rml_status infer_nd(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *data = &node->in[0].shape, *indices = &node->in[1].shape;
    *out = *data;
    if (data->rank < 0 || indices->rank < 0 || node->in[2].shape.rank < 0)
        return RML_OK;
    RML_TRY(check_nd(data, indices, &node->in[2].shape, err));
    const int64_t depth = indices->dim[indices->rank - 1];
    return rml_indices_check(&node->in[1], data, 0, (int)depth, node->attr->scatter.from_front,
                             err);
}

typedef struct nd_context {
    const rml_op_args *args;
    size_t tuples, depth, inner; // inner: elements of a slice
} nd_context;

// Elements [begin, end) of every slice.
static void nd_part(void *context, size_t begin, size_t end, int worker)
{
    const nd_context *at = context;
    const rml_tensor *indices = &at->args->in[1], *out = &at->args->out[0];
    const size_t bytes = rml_dtype_size(out->dtype);
    (void)worker;
    for (size_t t = 0; t < at->tuples; t++) {
        int64_t to = 0;
        for (size_t k = 0; k < at->depth && to >= 0; k++) {
            const int64_t place = place_of(indices, t * at->depth + k, out->dim[k]);
            to = place < 0 ? -1 : to + place * out->stride[k];
        }
        if (to >= 0)
            combine(at->args->attr->scatter.kind, out->dtype,
                    (char *)out->raw + ((size_t)to + begin) * bytes,
                    (const char *)at->args->in[2].raw + (t * at->inner + begin) * bytes,
                    end - begin);
    }
}

static void run_nd(const rml_op_args *args)
{
    const rml_tensor *indices = &args->in[1], *out = &args->out[0];
    const size_t depth = (size_t)indices->dim[indices->rank - 1];
    nd_context context = {.args = args,
                          .tuples = rml_tensor_span(indices, 0, indices->rank - 1),
                          .depth = depth,
                          .inner = rml_tensor_span(out, (int)depth, out->rank)};
    copy_data(args);
    if (context.tuples && rml_tensor_count(out))
        rml_pool_run(args->pool, context.inner, PART, nd_part, &context);
}

const rml_op rml_op_scatter_nd = {.id = RML_OP_SCATTER_ND,
                                  .name = "scatter_nd",
                                  .inputs = {3, 3},
                                  .in_place = true,
                                  .checks_elements = true,
                                  .signature = "*i0>0",
                                  .infer_values = infer_nd,
                                  .algorithms = RML_ONE_WAY("slices", run_nd)};

// ---- tensor_scatter: a piece of each sequence, from a position of its own on -------------------

static rml_status check_positions(const rml_fact *at, int64_t piece, int64_t length, rml_error *err)
{
    size_t count;
    if (!at->data || !rml_shape_count(&at->shape, &count))
        return RML_OK;
    for (size_t i = 0; i < count; i++) {
        const int64_t first = rml_index_at(at->data, at->dtype, i);
        if (first < 0 || first > length - piece)
            return rml_fail(err, RML_ERR_SHAPE,
                            "%lld elements from position %lld on do not fit a sequence of %lld",
                            (long long)piece, (long long)first, (long long)length);
    }
    return RML_OK;
}

static rml_status infer_tensor_scatter(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *data = &node->in[0].shape, *update = &node->in[1].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_fact *first = rml_op_given(node, 2) ? &node->in[2] : NULL;
    int axis;
    *out = *data;
    if (data->rank < 0 || update->rank < 0)
        return RML_OK;
    RML_TRY(rml_axis_check(node->attr->tensor_scatter.axis, data, &axis, err));
    bool fits = axis > 0 && data->rank == update->rank;
    for (int i = 0; i < data->rank && fits; i++)
        fits = update->dim[i] < 0 || data->dim[i] < 0 ||
               (i == axis ? update->dim[i] <= data->dim[i] : update->dim[i] == data->dim[i]);
    if (fits && first && first->shape.rank != RML_RANK_UNKNOWN)
        fits = first->shape.rank == 1 &&
               (first->shape.dim[0] < 0 || data->dim[0] < 0 || first->shape.dim[0] == data->dim[0]);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE,
                        "update %s and its positions do not fit data %s along axis %d",
                        rml_shape_text(update, a), rml_shape_text(data, b), axis);
    if (!first || node->attr->tensor_scatter.circular || update->dim[axis] < 0 ||
        data->dim[axis] < 0)
        return RML_OK;
    return check_positions(first, update->dim[axis], data->dim[axis], err);
}

// Items: what is in front of the axis.
static void tensor_scatter_part(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *update = &args->in[1], *out = &args->out[0];
    const int axis = rml_axis_of(args->attr->tensor_scatter.axis, out->rank);
    const bool told = rml_op_input(args, 2);
    const int64_t length = out->dim[axis], piece = update->dim[axis];
    const size_t bytes = rml_tensor_span(out, axis + 1, out->rank) * rml_dtype_size(out->dtype);
    const size_t per_batch = rml_tensor_span(out, 1, axis);
    for (size_t i = begin; i < end; i++) {
        int64_t first = told ? rml_index_at(args->in[2].raw, args->in[2].dtype, i / per_batch) : 0;
        if (args->attr->tensor_scatter.circular)
            first = (first % length + length) % length;
        for (int64_t k = 0; k < piece; k++) {
            if (first < 0 || first >= length) // known too late to be refused
                break;
            memcpy((char *)out->raw + (i * (size_t)length + (size_t)first) * bytes,
                   (const char *)update->raw + (i * (size_t)piece + (size_t)k) * bytes, bytes);
            first++;
            if (first == length && args->attr->tensor_scatter.circular)
                first = 0;
        }
    }
}

static void run_tensor_scatter(const rml_op_args *args)
{
    const int axis = rml_axis_of(args->attr->tensor_scatter.axis, args->out[0].rank);
    copy_data(args);
    if (rml_tensor_count(&args->in[1]))
        rml_op_parallel(args, rml_tensor_span(&args->out[0], 0, axis), 2048, tensor_scatter_part);
}

const rml_op rml_op_tensor_scatter = {.id = RML_OP_TENSOR_SCATTER,
                                      .name = "tensor_scatter",
                                      .inputs = {2, 3},
                                      .in_place = true,
                                      .checks_elements = true,
                                      .signature = "*0i>0",
                                      .infer_values = infer_tensor_scatter,
                                      .algorithms = RML_ONE_WAY("sequences", run_tensor_scatter)};
