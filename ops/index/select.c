// Operators that choose elements by a condition or a place: where, compress, trilu,
// reverse_sequence.
#include "ops/index/list.h"
#include "ops/elementwise/nd_iterator.h"

#include <string.h>

#define PART_BYTES 16384 // of output a work item: enough to outweigh taking it

static size_t product(const rml_tensor *tensor, int first, int stop)
{
    size_t result = 1;
    for (int i = first; i < stop; i++)
        result *= (size_t)tensor->dim[i];
    return result;
}

static size_t part_of(size_t item_bytes)
{
    return item_bytes < PART_BYTES ? PART_BYTES / (item_bytes + 1) + 1 : 1;
}

// ---- where: condition, then, else; broadcast together ------------------------------------------

static rml_status types_where(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_dtype *out, rml_error *err)
{
    (void)attr;
    (void)in_count;
    if (in[0].dtype != RML_BOOL)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "the condition is %s, expected bool",
                        rml_dtype_name(in[0].dtype));
    return rml_types_same(in + 1, 2, out, 1, err);
}

static rml_status infer_where(const rml_op_attr *attr, const rml_shape *in, int in_count,
                              rml_shape *out, rml_error *err)
{
    (void)attr;
    return rml_broadcast_shape(in, in_count, out, err);
}

#define CHOOSE(type)                                                                               \
    for (size_t i = 0; i < count; i++) {                                                           \
        const int64_t k = (int64_t)i;                                                              \
        ((type *)(void *)at[0])[k * stride[0]] =                                                   \
            condition[k * stride[1]] ? ((const type *)(const void *)at[2])[k * stride[2]]          \
                                     : ((const type *)(const void *)at[3])[k * stride[3]];         \
    }

static void where_run(const void *context, float *const *at, const int64_t *stride, size_t count)
{
    const uint8_t *condition = (const uint8_t *)(const void *)at[1];
    switch (*(const size_t *)context) {
    case 4:
        CHOOSE(uint32_t);
        break;
    case 8:
        CHOOSE(uint64_t);
        break;
    case 2:
        CHOOSE(uint16_t);
        break;
    default:
        CHOOSE(uint8_t);
    }
}

static void run_where(const rml_op_args *args)
{
    const rml_tensor *views[4] = {&args->out[0], &args->in[0], &args->in[1], &args->in[2]};
    const rml_nd_iterator walk = rml_nd_iterator_make(views, 4);
    rml_nd_iterator_run(&walk, args->pool, where_run, &walk.bytes[0]);
}

static const rml_algorithm where_algorithms[] = {{.name = "elementwise", .run = run_where}};

const rml_op rml_op_where = {.name = "where",
                             .min_inputs = 3,
                             .max_inputs = 3,
                             .layout = RML_OP_PLAIN,
                             .packed_input = -1,
                             .types = types_where,
                             .infer = infer_where,
                             .algorithms = where_algorithms};

// ---- compress: the slices along an axis that a list of bools says yes to -----------------------

static rml_status types_compress(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                 rml_dtype *out, rml_error *err)
{
    (void)attr;
    (void)in_count;
    if (in[1].dtype != RML_BOOL)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "the condition is %s, expected bool",
                        rml_dtype_name(in[1].dtype));
    return rml_types_same(in, 1, out, 1, err);
}

// How many of the first `size` are wanted; what the list has beyond them means nothing.
static int64_t wanted_of(const uint8_t *condition, int64_t listed, int64_t size)
{
    int64_t count = 0;
    for (int64_t i = 0; i < listed && i < size; i++)
        count += condition[i] != 0;
    return count;
}

static rml_status infer_compress(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                 rml_shape *out, rml_error *err)
{
    const rml_shape *from = &in[0].shape, *condition = &in[1].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t size = 1;
    int axis = 0;
    (void)in_count;
    if (condition->rank >= 0 && condition->rank != 1)
        return rml_fail(err, RML_ERR_SHAPE, "the condition has shape %s, expected a list",
                        rml_shape_text(condition, text));
    *out = *from;
    if (attr->compress.flat)
        *out = (rml_shape){1, {-1}};
    if (from->rank < 0)
        return RML_OK;
    if (attr->compress.flat) {
        for (int i = 0; i < from->rank; i++)
            RML_TRY(rml_dim_mul(size, from->dim[i], &size, err));
    } else {
        RML_TRY(rml_axis_check(attr->compress.axis, from, &axis, err));
        size = from->dim[axis];
    }
    out->dim[axis] = in[1].data && size >= 0 ? wanted_of(in[1].data, condition->dim[0], size) : -1;
    return RML_OK;
}

static void run_compress(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const bool flat = args->attr->compress.flat;
    const int axis = flat ? 0 : rml_axis_of(args->attr->compress.axis, in->rank);
    const uint8_t *condition = args->in[1].raw;
    const int64_t listed = args->in[1].dim[0];
    const int64_t size = flat ? (int64_t)rml_tensor_count(in) : in->dim[axis];
    const size_t outer = product(in, 0, axis);
    const size_t bytes = (flat ? 1 : product(in, axis + 1, in->rank)) * rml_dtype_size(in->dtype);
    const char *src = in->raw;
    char *dst = out->raw;
    for (size_t o = 0; o < outer; o++, src += (size_t)size * bytes)
        for (int64_t i = 0; i < listed && i < size; i++)
            if (condition[i] && bytes) {
                memcpy(dst, src + (size_t)i * bytes, bytes);
                dst += bytes;
            }
}

static const rml_algorithm compress_algorithms[] = {{.name = "slices", .run = run_compress}};

const rml_op rml_op_compress = {.name = "compress",
                                .min_inputs = 2,
                                .max_inputs = 2,
                                .layout = RML_OP_PLAIN,
                                .packed_input = -1,
                                .types = types_compress,
                                .infer_values = infer_compress,
                                .algorithms = compress_algorithms};

// ---- trilu: the upper or lower triangle of matrices, zeros elsewhere; the second input says which
// diagonal it goes to ----------------------------------------------------------------------------

static rml_status infer_trilu(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    (void)attr;
    *out = in[0].shape;
    if (out->rank >= 0 && out->rank < 2)
        return rml_fail(err, RML_ERR_SHAPE, "input %s holds no matrices",
                        rml_shape_text(out, text));
    if (in_count > 1 && in[1].shape.rank != -1)
        RML_TRY(rml_types_indices(&in[1], "diagonals", err));
    return rml_scalar_check(in, in_count, 1, "diagonal", err);
}

static void trilu_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const bool upper = args->attr->trilu.upper, told = args->in_count > 1 && args->in[1].rank >= 0;
    const int64_t rows = in->dim[in->rank - 2], columns = in->dim[in->rank - 1];
    const size_t bytes = rml_dtype_size(in->dtype);
    int64_t diagonal = told ? rml_index_at(args->in[1].raw, args->in[1].dtype, 0) : 0;
    diagonal = diagonal < -rows ? -rows : diagonal > columns ? columns : diagonal;
    (void)worker;
    for (size_t row = begin; row < end; row++) {
        // Columns up to `split` are of the lower triangle (or, looked at as upper, outside it).
        int64_t split = (int64_t)(row % (size_t)rows) + diagonal + (upper ? 0 : 1);
        split = split < 0 ? 0 : split > columns ? columns : split;
        const int64_t first = upper ? split : 0, stop = upper ? columns : split;
        const char *src = (const char *)in->raw + row * (size_t)columns * bytes;
        char *dst = (char *)out->raw + row * (size_t)columns * bytes;
        memset(dst, 0, (size_t)first * bytes);
        if (dst != src)
            memcpy(dst + (size_t)first * bytes, src + (size_t)first * bytes,
                   (size_t)(stop - first) * bytes);
        memset(dst + (size_t)stop * bytes, 0, (size_t)(columns - stop) * bytes);
    }
}

static void run_trilu(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const size_t columns = (size_t)in->dim[in->rank - 1];
    if (rml_tensor_count(in))
        rml_pool_run(args->pool, rml_tensor_count(in) / columns,
                     part_of(columns * rml_dtype_size(in->dtype)), trilu_rows,
                     (void *)(uintptr_t)args);
}

static const rml_algorithm trilu_algorithms[] = {{.name = "rows", .run = run_trilu}};

const rml_op rml_op_trilu = {.name = "trilu",
                             .min_inputs = 1,
                             .max_inputs = 2,
                             .layout = RML_OP_PLAIN,
                             .packed_input = -1,
                             .in_place = true,
                             .types = rml_types_first,
                             .infer_values = infer_trilu,
                             .algorithms = trilu_algorithms};

// ---- reverse_sequence: the first elements of each sequence from the last to the first ----------

static rml_status infer_reverse(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                rml_shape *out, rml_error *err)
{
    const rml_reverse_attr *reverse = &attr->reverse;
    const rml_shape *lengths = &in[1].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    (void)in_count;
    RML_TRY(rml_types_indices(&in[1], "lengths", err));
    *out = in[0].shape;
    if (reverse->batch_axis + reverse->time_axis != 1 || reverse->batch_axis < 0 ||
        reverse->batch_axis > 1)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "batch axis %lld and time axis %lld are not 0 and 1",
                        (long long)reverse->batch_axis, (long long)reverse->time_axis);
    if (out->rank < 0 || lengths->rank < 0)
        return RML_OK;
    if (out->rank < 2 || lengths->rank != 1 ||
        (lengths->dim[0] >= 0 && out->dim[reverse->batch_axis] >= 0 &&
         lengths->dim[0] != out->dim[reverse->batch_axis]))
        return rml_fail(err, RML_ERR_SHAPE, "lengths %s do not fit input %s",
                        rml_shape_text(lengths, a), rml_shape_text(out, b));
    const int64_t steps = out->dim[reverse->time_axis];
    for (int64_t i = 0; in[1].data && steps >= 0 && i < lengths->dim[0]; i++) {
        const int64_t length = rml_index_at(in[1].data, in[1].dtype, (size_t)i);
        if (length < 0 || length > steps)
            return rml_fail(err, RML_ERR_SHAPE, "length %lld is not from 0 to %lld",
                            (long long)length, (long long)steps);
    }
    return RML_OK;
}

// Items: slices of the output.
static void reverse_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *in = &args->in[0], *lengths = &args->in[1];
    const bool time_first = args->attr->reverse.time_axis == 0;
    const size_t bytes = product(in, 2, in->rank) * rml_dtype_size(in->dtype);
    const int64_t steps = in->dim[time_first ? 0 : 1];
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t index[2] = {i / (size_t)in->dim[1], i % (size_t)in->dim[1]};
        const int64_t time = (int64_t)index[!time_first];
        int64_t length = rml_index_at(lengths->raw, lengths->dtype, index[time_first]);
        length = length < 0 ? 0 : length > steps ? steps : length;
        const int64_t from = time < length ? length - 1 - time : time;
        const size_t source = time_first ? (size_t)from * (size_t)in->dim[1] + index[1]
                                         : index[0] * (size_t)in->dim[1] + (size_t)from;
        memcpy((char *)args->out[0].raw + i * bytes, (const char *)in->raw + source * bytes, bytes);
    }
}

static void run_reverse(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    if (rml_tensor_count(in))
        rml_pool_run(args->pool, product(in, 0, 2),
                     part_of(product(in, 2, in->rank) * rml_dtype_size(in->dtype)), reverse_part,
                     (void *)(uintptr_t)args);
}

static const rml_algorithm reverse_algorithms[] = {{.name = "slices", .run = run_reverse}};

const rml_op rml_op_reverse_sequence = {.name = "reverse_sequence",
                                        .min_inputs = 2,
                                        .max_inputs = 2,
                                        .layout = RML_OP_PLAIN,
                                        .packed_input = -1,
                                        .checks_elements = true,
                                        .types = rml_types_first,
                                        .infer_values = infer_reverse,
                                        .algorithms = reverse_algorithms};
