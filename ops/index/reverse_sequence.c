// The first elements of each sequence from the last to the first; the others stay.
#include "ops/index/list.h"

#include <string.h>

static rml_status infer_reverse(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_reverse_attr *reverse = &node->attr->reverse;
    const rml_shape *lengths = &node->in[1].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = node->in[0].shape;
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
    for (int64_t i = 0; node->in[1].data && steps >= 0 && i < lengths->dim[0]; i++) {
        const int64_t length = rml_index_at(node->in[1].data, node->in[1].dtype, (size_t)i);
        if (length < 0 || length > steps)
            return rml_fail(err, RML_ERR_SHAPE, "length %lld is not from 0 to %lld",
                            (long long)length, (long long)steps);
    }
    return RML_OK;
}

// Items: slices of the output.
static void reverse_part(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *in = &args->in[0], *lengths = &args->in[1];
    const bool time_first = args->attr->reverse.time_axis == 0;
    const size_t bytes = rml_tensor_span(in, 2, in->rank) * rml_dtype_size(in->dtype);
    const int64_t steps = in->dim[time_first ? 0 : 1];
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
        rml_op_parallel(args, rml_tensor_span(in, 0, 2),
                        rml_tensor_span(in, 2, in->rank) * rml_dtype_size(in->dtype), reverse_part);
}

const rml_op rml_op_reverse_sequence = {.id = RML_OP_REVERSE_SEQUENCE,
                                        .name = "reverse_sequence",
                                        .inputs = {2, 2},
                                        .checks_elements = true,
                                        .signature = "*i>0",
                                        .infer_values = infer_reverse,
                                        .algorithms = RML_ONE_WAY("slices", run_reverse)};
