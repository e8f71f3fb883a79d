// Boxes that are cut out of images, or thinned out.
#include "loaders/coreml/nn_handler.h"

#include "tensor/tensor.h"

// Images (1,B,C,H,W), or (B,C,H,W), as the latter.
static rml_value_id images_of(rml_nn_call *call, rml_value_id x)
{
    const rml_shape shape = rml_coreml_fact(&call->make, x).shape;
    if (rml_coreml_rank(&call->make, x) == 4 || call->make.refused)
        return x;
    if (shape.rank != 5 || shape.dim[0] > 1)
        rml_coreml_refuse(&call->make, "images (1,B,C,H,W) are expected");
    const rml_value_id in[] = {x, rml_coreml_ints(&call->make, &(int64_t){0}, 1)};
    return rml_coreml_node(&call->make, RML_OP_SQUEEZE, NULL, in, 2);
}

static void import_crop_resize(rml_nn_call *call)
{
    static const rml_coreml_sampling samplings[] = {RML_COREML_STRICT_ALIGN, RML_COREML_ALIGN,
                                                    RML_COREML_DEFAULT, RML_COREML_OFFSET};
    const rml_protobuf sampling = rml_nn_inside(call, &call->layer->params, 3);
    const rml_protobuf told = rml_nn_inside(call, &call->layer->params, 4);
    const int64_t method = sampling.data ? rml_nn_int_in(call, &sampling, 1) : 0;
    const int64_t mode = told.data ? rml_nn_int_in(call, &told, 1) : 0;
    rml_coreml_crop crop = {.centred = mode >= 2,
                            .width_first = mode % 2 == 1,
                            .normalized = rml_nn_flag(call, 2),
                            .scale = rml_nn_float(call, 5),
                            .size = {1, 1}};
    rml_nn_ints(call, 1, crop.size, 2);
    if (method < 0 || method > 3 || mode < 0 || mode > 3)
        rml_coreml_refuse(&call->make, "method %lld or mode %lld is not known", (long long)method,
                          (long long)mode);
    const rml_value_id x = rml_nn_in(call, 0), rois = rml_nn_in(call, 1);
    if (call->make.refused)
        return;
    crop.sampling = samplings[method];
    call->out[0] = rml_coreml_crop_rois(&call->make, images_of(call, x), rois, &crop);
}

// A number of a blob that may be an input in the place of a parameter.
static rml_value_id limit(rml_nn_call *call, int index, uint32_t number)
{
    if (index >= (int)call->layer->input_count)
        return rml_coreml_number(&call->make, rml_nn_float(call, number), RML_F32);
    return rml_coreml_reshape(&call->make, rml_nn_in(call, index), &(rml_shape){1, {1}});
}

static void import_nms(rml_nn_call *call)
{
    const rml_value_id boxes = rml_nn_in(call, 0), scores = rml_nn_in(call, 1);
    rml_value_id out[4] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    const int64_t most = rml_nn_int(call, 3);
    rml_coreml_nms_limits limits = {.overlap = limit(call, 2, 1),
                                    .threshold = limit(call, 3, 2),
                                    .most = rml_coreml_ints(&call->make, &most, 1),
                                    .per_class = rml_nn_flag(call, 4)};
    if (call->layer->input_count > 4)
        limits.most = rml_coreml_reshape(&call->make, rml_nn_indices(call, rml_nn_in(call, 4)),
                                         &(rml_shape){1, {1}});
    if (call->make.refused)
        return;
    rml_coreml_nms(&call->make, boxes, scores, &limits, out);
    for (size_t k = 0; k < call->layer->output_count && k < 4; k++)
        call->out[k] =
            out[k] == RML_NO_VALUE ? out[k] : rml_coreml_cast(&call->make, out[k], RML_F32);
}

const rml_nn_entry rml_nn_boxes[] = {
    {212, "cropResize", import_crop_resize, 0},
    {1400, "NonMaximumSuppression", import_nms, 0},
    {0},
};
