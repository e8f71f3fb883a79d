// Operators that pick elements by index: gather, gather_elements, gather_nd. A negative index
// counts from the end. One that is out of range is refused by inference, before the run or in it;
// the operator itself takes the nearest one there is.
#include "ops/index/list.h"

#include <string.h>

#define PART_BYTES 16384 // of output a work item: enough to outweigh taking it

static int64_t picked(const rml_tensor *indices, size_t at, int64_t size)
{
    const int64_t index = rml_index_at(indices->raw, indices->dtype, at);
    if (index < 0)
        return index < -size ? 0 : index + size;
    return index < size ? index : size - 1;
}

static inline void copy_element(char *dst, const char *src, size_t bytes)
{
    switch (bytes) {
    case 4:
        memcpy(dst, src, 4);
        break;
    case 8:
        memcpy(dst, src, 8);
        break;
    default:
        memcpy(dst, src, bytes);
    }
}

// ---- gather: whole slices -----------------------------------------------------------------------

static rml_status infer_gather(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *data = &node->in[0].shape, *indices = &node->in[1].shape;
    int axis;
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (data->rank < 0 || indices->rank < 0)
        return RML_OK;
    RML_TRY(rml_axis_check(node->attr->axis.axis, data, &axis, err));
    if (data->rank - 1 + indices->rank > RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "an output of %d dimensions, at most %d",
                        data->rank - 1 + indices->rank, RML_MAX_RANK);
    RML_TRY(rml_indices_check(&node->in[1], data, axis, 1, node->attr->axis.from_front, err));
    out->rank = 0;
    for (int i = 0; i < axis; i++)
        out->dim[out->rank++] = data->dim[i];
    for (int i = 0; i < indices->rank; i++)
        out->dim[out->rank++] = indices->dim[i];
    for (int i = axis + 1; i < data->rank; i++)
        out->dim[out->rank++] = data->dim[i];
    return RML_OK;
}

// Tuples of indices, each for `depth` axes from `first` on, pick slices of what lies behind them.
// What lies in front has the same tuples for each, or its own.
typedef struct slices {
    const rml_tensor *data, *indices, *out;
    int first;
    size_t depth, count; // tuples for each
    bool own;
    size_t bytes, outer_bytes; // of a slice; of what is picked from
} slices;

static void slices_part(void *context, size_t begin, size_t end, int worker)
{
    const slices *at = context;
    const int64_t *dim = &at->data->dim[at->first], *stride = &at->data->stride[at->first];
    const size_t element = rml_dtype_size(at->data->dtype);
    char *dst = (char *)at->out->raw + begin * at->bytes;
    size_t outer = begin / at->count, k = begin % at->count;
    (void)worker;
    for (size_t i = begin; i < end; i++, dst += at->bytes) {
        const size_t tuple = at->own ? i : k;
        int64_t from = 0;
        for (size_t d = 0; d < at->depth; d++)
            from += picked(at->indices, tuple * at->depth + d, dim[d]) * stride[d];
        copy_element(dst,
                     (const char *)at->data->raw + outer * at->outer_bytes + (size_t)from * element,
                     at->bytes);
        if (++k == at->count) {
            k = 0;
            outer++;
        }
    }
}

static void run_slices(const rml_op_args *args, int first, size_t depth, size_t count, bool own)
{
    const rml_tensor *data = &args->in[0], *out = &args->out[0];
    const size_t element = rml_dtype_size(data->dtype);
    const int behind = first + (int)depth;
    slices at = {.data = data,
                 .indices = &args->in[1],
                 .out = out,
                 .first = first,
                 .depth = depth,
                 .count = count,
                 .own = own,
                 .bytes = rml_tensor_span(data, behind, data->rank) * element,
                 .outer_bytes = rml_tensor_span(data, first, data->rank) * element};
    if (rml_tensor_count(out) == 0)
        return;
    if (rml_tensor_count(data) == 0) // no index is one
        memset(out->raw, 0, rml_tensor_count(out) * element);
    else
        rml_pool_run(args->pool, rml_tensor_span(data, 0, first) * count,
                     at.bytes < PART_BYTES ? PART_BYTES / (at.bytes + 1) + 1 : 1, slices_part, &at);
}

static void run_gather(const rml_op_args *args)
{
    run_slices(args, rml_axis_of(args->attr->axis.axis, args->in[0].rank), 1,
               rml_tensor_count(&args->in[1]), false);
}

const rml_op rml_op_gather = {.id = RML_OP_GATHER,
                              .name = "gather",
                              .inputs = {2, 2},
                              .checks_elements = true,
                              .signature = "*i>0",
                              .infer_values = infer_gather,
                              .algorithms = RML_ONE_WAY("slices", run_gather)};

// ---- gather_elements: out[i][j][k] = data[i][index[i][j][k]][k] along the axis -----------------

static rml_status infer_elements(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *data = &node->in[0].shape, *indices = &node->in[1].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    int axis;
    *out = *indices;
    if (data->rank < 0 || indices->rank < 0)
        return RML_OK;
    RML_TRY(rml_axis_check(node->attr->axis.axis, data, &axis, err));
    bool fits = data->rank == indices->rank;
    for (int i = 0; i < data->rank && fits; i++)
        fits = i == axis || indices->dim[i] <= data->dim[i] || data->dim[i] < 0;
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "indices %s do not fit data %s along axis %d",
                        rml_shape_text(indices, a), rml_shape_text(data, b), axis);
    return rml_indices_check(&node->in[1], data, axis, 1, false, err);
}

// Rows of the indices along their last dimension.
static void elements_rows(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *data = &args->in[0], *indices = &args->in[1];
    const int last = indices->rank - 1, axis = rml_axis_of(args->attr->axis.axis, data->rank);
    const size_t bytes = rml_dtype_size(data->dtype), count = (size_t)indices->dim[last];
    const size_t index_bytes = rml_dtype_size(indices->dtype);
    for (size_t row = begin; row < end; row++) {
        int64_t base = 0;
        size_t rest = row;
        for (int i = last - 1; i >= 0; i--) {
            if (i != axis)
                base += (int64_t)(rest % (size_t)indices->dim[i]) * data->stride[i];
            rest /= (size_t)indices->dim[i];
        }
        RML_KERNEL(args->kernels, pick)
        (bytes, (const char *)data->raw + base * (int64_t)bytes,
         (const char *)indices->raw + row * count * index_bytes, indices->dtype == RML_I32,
         data->dim[axis], data->stride[axis], axis == last ? 0 : data->stride[last],
         (char *)args->out[0].raw + row * count * bytes, count);
    }
}

static void run_elements(const rml_op_args *args)
{
    const rml_tensor *data = &args->in[0], *out = &args->out[0];
    const size_t count = rml_tensor_count(out), bytes = rml_dtype_size(data->dtype);
    if (count == 0)
        return;
    if (rml_tensor_count(data) == 0) { // no index is one
        memset(out->raw, 0, count * bytes);
        return;
    }
    const size_t row = (size_t)out->dim[out->rank - 1];
    rml_op_parallel(args, count / row, row * bytes, elements_rows);
}

const rml_op rml_op_gather_elements = {.id = RML_OP_GATHER_ELEMENTS,
                                       .name = "gather_elements",
                                       .inputs = {2, 2},
                                       .checks_elements = true,
                                       .signature = "*i>0",
                                       .infer_values = infer_elements,
                                       .algorithms = RML_ONE_WAY("elements", run_elements)};

// ---- gather_nd: the last dimension of the indices counts off the first ones of the data --------

static rml_status infer_nd(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *data = &node->in[0].shape, *indices = &node->in[1].shape;
    const int64_t batch = node->attr->gather_nd.batch;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (data->rank < 0 || indices->rank < 0)
        return RML_OK;
    const int64_t depth = indices->rank ? indices->dim[indices->rank - 1] : 0;
    bool fits = indices->rank > 0 && batch >= 0 && batch < indices->rank && batch < data->rank &&
                depth <= data->rank - batch;
    for (int i = 0; i < batch && fits; i++)
        fits = indices->dim[i] == data->dim[i] || indices->dim[i] < 0 || data->dim[i] < 0;
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE,
                        "indices %s do not fit data %s with %lld batch "
                        "dimensions",
                        rml_shape_text(indices, a), rml_shape_text(data, b), (long long)batch);
    if (depth < 0)
        return RML_OK;
    const int inner = (int)(batch + depth);
    if (indices->rank - 1 + data->rank - inner > RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "an output of %d dimensions, at most %d",
                        indices->rank - 1 + data->rank - inner, RML_MAX_RANK);
    out->rank = 0;
    for (int i = 0; i < indices->rank - 1; i++)
        out->dim[out->rank++] = indices->dim[i];
    for (int i = inner; i < data->rank; i++)
        out->dim[out->rank++] = data->dim[i];
    return rml_indices_check(&node->in[1], data, (int)batch, (int)depth, false, err);
}

static void run_nd(const rml_op_args *args)
{
    const rml_tensor *indices = &args->in[1];
    const int batch = (int)args->attr->gather_nd.batch, last = indices->rank - 1;
    run_slices(args, batch, (size_t)indices->dim[last], rml_tensor_span(indices, batch, last),
               true);
}

const rml_op rml_op_gather_nd = {.id = RML_OP_GATHER_ND,
                                 .name = "gather_nd",
                                 .inputs = {2, 2},
                                 .checks_elements = true,
                                 .signature = "*i>0",
                                 .infer_values = infer_nd,
                                 .algorithms = RML_ONE_WAY("slices", run_nd)};
