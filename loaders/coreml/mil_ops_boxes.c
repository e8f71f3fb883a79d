// Boxes that are cut out of images, or thinned out.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

static rml_coreml_crop crop_of(rml_mil_call *call)
{
    const int mode = rml_mil_word(call, "box_coordinate_mode",
                                  "CORNERS_HEIGHT_FIRST CORNERS_WIDTH_FIRST "
                                  "CENTER_SIZE_HEIGHT_FIRST CENTER_SIZE_WIDTH_FIRST",
                                  0);
    return (rml_coreml_crop){
        .sampling = rml_mil_sampling(call),
        .centred = mode >= 2,
        .width_first = mode % 2 == 1,
        .normalized = rml_mil_flag(call, "normalized_coordinates", false),
        .scale = rml_mil_float(call, "spatial_scale", 1),
        .pad = rml_mil_float(call, "pad_value", 0),
        .size = {rml_mil_int(call, "target_height", 1), rml_mil_int(call, "target_width", 1)}};
}

// roi (N,1,4,1,1), of every image; or of five numbers, the first of which is the image.
static void import_crop_of_rois(rml_mil_call *call, const rml_coreml_crop *crop)
{
    const rml_value_id x = rml_mil_in(call, "x"), rois = rml_mil_in(call, "roi");
    call->out[0] = rml_coreml_crop_rois(&call->make, x, rois, crop);
}

// boxes (N,4), each of image box_indices[i], or i.
static void import_crop_resize(rml_mil_call *call)
{
    const rml_coreml_crop crop = crop_of(call);
    if (rml_mil_has(call, "roi")) {
        import_crop_of_rois(call, &crop);
        return;
    }
    const rml_value_id x = rml_mil_in(call, "x"), boxes = rml_mil_in(call, "boxes");
    rml_value_id images = rml_mil_optional(call, "box_indices");
    if (images == RML_NO_VALUE) {
        const rml_value_id zero = rml_coreml_number(&call->make, 0, RML_I64);
        const rml_value_id first[] = {rml_coreml_sizes(&call->make, boxes), zero};
        const rml_value_id limits[] = {zero,
                                       rml_coreml_node(&call->make, RML_OP_GATHER, NULL, first, 2),
                                       rml_coreml_number(&call->make, 1, RML_I64)};
        images = rml_coreml_node(&call->make, RML_OP_RANGE, NULL, limits, 3);
    }
    images = rml_coreml_cast(&call->make, images, RML_I64);
    call->out[0] = rml_coreml_crop_resize(&call->make, x, boxes, images, &crop);
}

// From CoreML7 on boxes lie along the last axis, no score is too low, and nobody counts.
static void import_nms(rml_mil_call *call)
{
    static const int turned[] = {0, 2, 1};
    const bool is_new = call->opset >= 7;
    rml_value_id pair[] = {rml_mil_in(call, "boxes"), rml_mil_in(call, "scores")};
    for (int i = 0; i < 2 && is_new; i++)
        if (rml_coreml_rank(&call->make, pair[i]) == 3)
            pair[i] = rml_graph_transpose(call->make.graph, pair[i], turned, 3, call->make.name);
    rml_value_id out[4] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    const rml_coreml_nms_limits limits = {
        .overlap = rml_mil_in(call, "iou_threshold"),
        .threshold = is_new ? RML_NO_VALUE : rml_mil_in(call, "score_threshold"),
        .most = rml_coreml_cast(
            &call->make,
            rml_coreml_reshape(&call->make, rml_mil_in(call, "max_boxes"), &(rml_shape){1, {1}}),
            RML_I64),
        .per_class = rml_mil_flag(call, "per_class_suppression", false)};
    if (call->make.refused)
        return;
    rml_coreml_nms(&call->make, pair[0], pair[1], &limits, out);
    if (call->make.refused || out[3] == RML_NO_VALUE)
        return;
    for (int i = 0; i < 2 && is_new; i++)
        out[i] = rml_graph_transpose(call->make.graph, out[i], turned, 3, call->make.name);
    call->out[0] = out[0];
    call->out[1] = out[1];
    call->out[2] = rml_coreml_cast(&call->make, out[2], RML_I32);
    if (!is_new)
        call->out[3] = rml_coreml_cast(&call->make, out[3], RML_I32);
}

const rml_mil_entry rml_mil_boxes[] = {
    {"crop_resize", import_crop_resize, 0},
    {"non_maximum_suppression", import_nms, 0},
    {0},
};
