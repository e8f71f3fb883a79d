// Which elements parameters and results have, and how many dimensions.
#include "loaders/check/signatures.h"

#include "loaders/coreml/mil.h"

#include <string.h>

static const char *letter_types(char letter)
{
    switch (letter) {
    case 'F':
        return "f16/f32";
    case 'N':
        return "f16/f32/i32";
    case 'A':
        return "f16/f32/i32/b";
    case 'X':
        return "f16/f32/i32/b/i8/u8/i16/u16";
    default:
        return NULL;
    }
}

static const char *short_name(int element)
{
    static const struct {
        int element;
        const char *name;
    } names[] = {
        {RML_MIL_F16, "f16"}, {RML_MIL_F32, "f32"}, {RML_MIL_I32, "i32"}, {RML_MIL_I8, "i8"},
        {RML_MIL_U8, "u8"},   {RML_MIL_I16, "i16"}, {RML_MIL_U16, "u16"}, {RML_MIL_U32, "u32"},
        {RML_MIL_I4, "i4"},   {RML_MIL_U4, "u4"},   {RML_MIL_U1, "u1"},   {RML_MIL_U2, "u2"},
        {RML_MIL_U3, "u3"},   {RML_MIL_U6, "u6"},   {RML_MIL_BOOL, "b"},  {RML_MIL_STRING, "s"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].element == element)
            return names[i].name;
    return "?";
}

char rml_signature_letter(const rml_parameter *parameter)
{
    return parameter->types_bytes == 1 && letter_types(*parameter->types) ? *parameter->types : 0;
}

bool rml_signature_takes(const rml_parameter *parameter, int element)
{
    const char *types = parameter->types, *end = types + parameter->types_bytes;
    const char *name = short_name(element);
    if (rml_signature_letter(parameter)) {
        types = letter_types(*parameter->types);
        end = types + strlen(types);
    }
    while (types < end) {
        size_t item = 0;
        while (types + item < end && types[item] != '/')
            item++;
        if (item == strlen(name) && memcmp(types, name, item) == 0)
            return true;
        types += item + 1;
    }
    return false;
}

// ---- ranks and results --------------------------------------------------------------------------

int rml_signature_rank(const char *operation, const char *parameter)
{
    static const char lists[] =
        "strides pad dilations kernel_sizes axes perm reps begin end stride begin_mask end_mask "
        "squeeze_mask crop_height crop_width block_shape split_sizes output_shape";
    static const char numbers[] =
        "keep_dims axis groups pad_type mode epsilon transpose_x transpose_y interleave ceil_mode "
        "exclude_padding_from_average equation dtype exclusive reverse block_size upscale_factor "
        "downscale_factor scale_factor_height scale_factor_width align_corners sampling_mode "
        "target_size_height target_size_width direction output_sequence recurrent_activation "
        "cell_activation activation num_splits ascending batch_dims validate_indices constant_val "
        "half_pixel_centers output_dtype";
    const size_t bytes = strlen(parameter);
    if (strcmp(parameter, "alpha") == 0 || strcmp(parameter, "beta") == 0)
        return strcmp(operation, "prelu") == 0 || strcmp(operation, "softplus_parametric") == 0 ? 1
               : strcmp(operation, "batch_norm") == 0 || strstr(operation, "_norm")             ? -1
                                                                                                : 0;
    if (strcmp(parameter, "paddings") == 0 || strcmp(parameter, "crops") == 0)
        return 2;
    if (strcmp(operation, "quantize") == 0 || strcmp(operation, "dequantize") == 0 ||
        strncmp(operation, "constexpr_", 10) == 0 || strcmp(operation, "slice_by_size") == 0 ||
        strcmp(operation, "range_1d") == 0 || strcmp(operation, "sliding_windows") == 0)
        return -1;
    return rml_signature_lists(lists, parameter, bytes)     ? 1
           : rml_signature_lists(numbers, parameter, bytes) ? 0
                                                            : -1;
}

const char *rml_signature_result(const char *operation, size_t index, int opset)
{
    static const char flags[] = "equal greater greater_equal less less_equal logical_and "
                                "logical_not logical_or logical_xor not_equal";
    static const char integers[] = "argsort list_length non_zero shape";
    // Those whose results have the type of the first parameter "x".
    static const char same[] =
        "conv conv_transpose linear matmul max_pool avg_pool l2_pool batch_norm instance_norm "
        "layer_norm l2_norm local_response_norm softmax add sub mul real_div floor_div mod pow "
        "maximum minimum reshape transpose expand_dims squeeze tile pad crop upsample_bilinear "
        "upsample_nearest_neighbor resize_bilinear resize_nearest_neighbor pixel_shuffle "
        "pixel_unshuffle space_to_depth depth_to_space clip threshold relu relu6 sigmoid tanh silu "
        "gelu abs ceil cos erf exp floor log round rsqrt sign sin sqrt square tan inverse "
        "leaky_relu elu prelu softplus softsign reduce_mean reduce_sum reduce_max reduce_min "
        "reduce_prod gather slice_by_index slice_by_size split reverse cumsum flatten2d band_part";
    const size_t bytes = strlen(operation);
    if (rml_signature_lists(flags, operation, bytes))
        return "b";
    if (rml_signature_lists(integers, operation, bytes))
        return "i32";
    if (opset < 7 && index == 1 && strcmp(operation, "topk") == 0)
        return "i32";
    if (opset < 7 && strncmp(operation, "reduce_arg", 10) == 0)
        return "i32";
    return rml_signature_lists(same, operation, bytes) ? "x" : NULL;
}
