// Cuts or fills with zeros around the middle, to a given size.
//   x of any type   size [axes] of i64. Source: ONNX CenterCropPad.
#include "ops/elementwise/nd_iterator.h"

#include <string.h>

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_center_attr *center = &node->attr->center;
    const rml_shape *x = &node->in[0].shape;
    const int64_t *size = node->in[1].data;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = *x;
    if (x->rank < 0)
        return RML_OK;
    const int count = center->axis_count ? center->axis_count : x->rank;
    const rml_shape *given = &node->in[1].shape;
    bool fits =
        given->rank < 0 || (given->rank == 1 && (given->dim[0] < 0 || given->dim[0] == count));
    for (int i = 0; i < count && fits; i++) {
        const int axis = !center->axis_count   ? i
                         : center->axis[i] < 0 ? center->axis[i] + x->rank
                                               : center->axis[i];
        fits = axis >= 0 && axis < x->rank && (!size || size[i] >= 0);
        if (fits)
            out->dim[axis] = size ? size[i] : -1;
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "the size %s does not fit input %s",
                        rml_shape_text(given, b), rml_shape_text(x, a));
    return RML_OK;
}

static void run(const rml_op_args *args)
{
    rml_tensor from = args->in[0], to = args->out[0];
    memset(to.raw, 0, rml_tensor_bytes(&to));
    for (int i = 0; i < to.rank; i++) {
        const int64_t more = to.dim[i] - from.dim[i];
        if (more > 0) {
            rml_tensor_advance(&to, more / 2 * to.stride[i]);
            to.dim[i] = from.dim[i];
        } else {
            rml_tensor_advance(&from, -more / 2 * from.stride[i]);
            from.dim[i] = to.dim[i];
        }
    }
    rml_copy_view(args, &from, &to);
}

const rml_op rml_op_center_crop_pad = {.id = RML_OP_CENTER_CROP_PAD,
                                       .name = "center_crop_pad",
                                       .inputs = {2, 2},
                                       .signature = "*l>0",
                                       .infer_values = infer,
                                       .algorithms = RML_ONE_WAY("copy", run)};
