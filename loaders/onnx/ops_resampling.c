// Resizing and sampling of images.
#include "loaders/onnx/make.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

// The last two words are the others' names before opset 20.
static rml_interpolation mode_of(rml_onnx_call *call, int absent)
{
    const int mode = rml_onnx_word(call, "mode", "nearest linear cubic bilinear bicubic", absent);
    return (rml_interpolation)(mode > 2 ? mode - 2 : mode);
}

// Computes something on f32 or f64 alone: what to cast other types to.
static rml_dtype float_for(rml_dtype type)
{
    return type == RML_F32 || type == RML_F16 || type == RML_BF16 ? RML_F32 : RML_F64;
}

// Back to the type of before; integers are rounded, and end at their limits.
static rml_value_id back_to(rml_onnx_call *call, rml_value_id value, rml_dtype type)
{
    if (type == RML_F32 || type == RML_F16 || type == RML_BF16 || type == RML_F64)
        return rml_onnx_cast(call, value, type);
    const double bits = 8.0 * (double)rml_dtype_size(type);
    const bool is_signed = type == RML_I8 || type == RML_I16 || type == RML_I32 || type == RML_I64;
    const double low = is_signed ? -exp2(bits - 1) : 0;
    const double high = is_signed ? exp2(bits - 1) - 1 : exp2(bits) - 1;
    const rml_value_id limit[2] = {rml_onnx_scalar(call, RML_F64, low),
                                   rml_onnx_scalar(call, RML_F64, type == RML_BOOL ? 1 : high)};
    value =
        rml_graph_unary(call->graph, value, (rml_activation){.kind = RML_UNARY_ROUND}, call->name);
    value = rml_onnx_binary(call, RML_BINARY_MAX, value, limit[0]);
    value = rml_onnx_binary(call, RML_BINARY_MIN, value, limit[1]);
    return rml_onnx_cast(call, value, type);
}

// ---- resize -------------------------------------------------------------------------------------

static rml_resize_attr resize_attr(rml_onnx_call *call)
{
    rml_resize_attr attr = {.mode = mode_of(call, RML_INTERPOLATION_NEAREST),
                            .coordinates = RML_COORDINATES_ASYMMETRIC,
                            .nearest = RML_NEAREST_OLD,
                            .cubic = -0.75};
    if (call->opset < 11)
        return attr;
    attr.coordinates = (rml_coordinates)rml_onnx_word(
        call, "coordinate_transformation_mode",
        "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric "
        "tf_half_pixel_for_nn tf_crop_and_resize",
        RML_COORDINATES_HALF_PIXEL);
    attr.nearest = (rml_nearest)rml_onnx_word(call, "nearest_mode",
                                              "round_prefer_floor round_prefer_ceil floor ceil",
                                              RML_NEAREST_ROUND_PREFER_FLOOR);
    attr.cubic = rml_onnx_float(call, "cubic_coeff_a", -0.75);
    attr.exclude_outside = rml_onnx_int(call, "exclude_outside", 0) != 0;
    attr.extrapolation = rml_onnx_float(call, "extrapolation_value", 0);
    if (call->opset < 18)
        return attr;
    attr.antialias = rml_onnx_int(call, "antialias", 0) != 0;
    attr.aspect = (rml_aspect)rml_onnx_word(call, "keep_aspect_ratio_policy",
                                            "stretch not_larger not_smaller", RML_ASPECT_STRETCH);
    attr.axis_count = rml_onnx_axes(call, "axes", attr.axis);
    return attr;
}

static rml_value_id floats_value(rml_onnx_call *call, const char *name)
{
    size_t count;
    const float *values = rml_onnx_floats(call, name, &count); // lives as long as the file
    const rml_shape shape = {1, {(int64_t)count}};
    const rml_stored stored = rml_stored_f32(values, &shape);
    if (count)
        return rml_graph_typed_constant(call->graph, call->name, &stored);
    rml_onnx_refuse(call, "it has no %s", name);
    return RML_NO_VALUE;
}

static bool is_list(const rml_onnx_call *call, rml_value_id value)
{
    if (value == RML_NO_VALUE)
        return false;
    const rml_shape *shape = &call->graph->values[value].shape;
    return !(shape->rank == 1 && shape->dim[0] == 0);
}

static void import_resize(rml_onnx_call *call)
{
    const rml_resize_attr resize = resize_attr(call);
    const bool old = call->opset < 11, upsample = strcmp(call->node->op_type, "Upsample") == 0;
    const rml_dtype type = rml_onnx_fact(call, 0).dtype;
    rml_value_id in[] = {rml_onnx_in(call, 0), old ? RML_NO_VALUE : rml_onnx_in(call, 1),
                         rml_onnx_in(call, old ? 1 : 2), old ? RML_NO_VALUE : rml_onnx_in(call, 3)};
    if (upsample && call->opset < 9)
        in[2] = floats_value(call, "scales");
    if (call->refused)
        return;
    if (is_list(call, in[3]) && in[2] != RML_NO_VALUE && !is_list(call, in[2]))
        in[2] = RML_NO_VALUE;
    const rml_op_attr attr = {.resize = resize};
    const bool moves = resize.mode == RML_INTERPOLATION_NEAREST;
    if (!moves)
        in[0] = rml_onnx_cast(call, in[0], float_for(type));
    const rml_value_id out = rml_onnx_make(call, RML_OP_RESIZE, &attr, in, 4);
    call->out[0] = moves || out == RML_NO_VALUE ? out : back_to(call, out, type);
}

// ---- sampling -----------------------------------------------------------------------------------

static void import_grid_sample(rml_onnx_call *call)
{
    const rml_op_attr attr = {
        .grid_sample = {.mode = mode_of(call, RML_INTERPOLATION_LINEAR),
                        .outside = (rml_outside)rml_onnx_word(call, "padding_mode",
                                                              "zeros border reflection", 0),
                        .align_corners = rml_onnx_int(call, "align_corners", 0) != 0}};
    const rml_dtype type = rml_onnx_fact(call, 0).dtype;
    if (call->refused)
        return;
    const rml_value_id in[] = {rml_onnx_cast(call, rml_onnx_in(call, 0), float_for(type)),
                               rml_onnx_cast(call, rml_onnx_in(call, 1), float_for(type))};
    const rml_value_id out = rml_onnx_make(call, RML_OP_GRID_SAMPLE, &attr, in, 2);
    call->out[0] = out == RML_NO_VALUE ? out : back_to(call, out, type);
}

static const rml_onnx_field affine_grid[] = {
    RML_FIELD(FLAG, "align_corners", affine_grid.align_corners, .absent = 0),
    {.kind = RML_FIELD_I64, .input = 1},
    {0}};

static const rml_onnx_field center[] = {
    RML_FIELD(AXES, "axes", center, .absent = 0), {.kind = RML_FIELD_I64, .input = 1}, {0}};

const rml_onnx_entry rml_onnx_resampling[] = {
    {.op_type = "AffineGrid", .op = RML_OP_AFFINE_GRID, .fields = affine_grid, .since = 20},
    {.op_type = "CenterCropPad", .op = RML_OP_CENTER_CROP_PAD, .fields = center, .since = 18},
    {.op_type = "GridSample", .import = import_grid_sample, .since = 16},
    {.op_type = "Resize", .import = import_resize, .since = 10},
    {.op_type = "Upsample", .import = import_resize, .since = 7},
    {.op_type = NULL},
};
