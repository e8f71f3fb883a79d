// The table of signatures, and how it is read.
#include "loaders/check/signatures.h"

#include <string.h>

// Parameters as "name:types", with a "!" behind the name of one that is a constant, "?" of an
// option (a constant that may be left out), "~" of one that may be left out and may be computed.
// Rows of a later operator set list what it changed; "-name" takes one away. Types: f16 and so on,
// s text, b flag; F f16 and f32; N those and i32; A those and flags; X those and i8, u8, i16, u16.
static const struct {
    const char *operations;
    int opset;
    const char *parameters;
} rows[] = {
    {"abs exp2 sign square", 5, "x:N"},
    {"acos asin atan atanh ceil cos cosh erf exp floor relu relu6 round sigmoid silu "
     "sin sinh softplus softsign sqrt tan tanh",
     5, "x:F"},
    {"add equal floor_div greater greater_equal less less_equal maximum minimum mod "
     "mul not_equal pow real_div sub",
     5, "x:N y:N"},
    {"clamped_relu clip linear_activation scaled_tanh sigmoid_hard softplus_parametric", 5,
     "x:F alpha!:F beta!:F"},
    {"elu leaky_relu prelu thresholded_relu", 5, "x:F alpha!:F"},
    {"logical_and logical_or logical_xor", 5, "x:b y:b"},
    {"reduce_l1_norm reduce_l2_norm reduce_log_sum reduce_log_sum_exp reduce_max "
     "reduce_mean reduce_min reduce_prod reduce_sum reduce_sum_square",
     5, "x:N axes?:i32 keep_dims?:b"},
    {"affine", 5,
     "x:F transform_matrix:F output_height!:i32 output_width!:i32 sampling_mode!:s "
     "padding_mode!:s padding_value!:F coordinates_mode!:s align_corners!:b"},
    {"argsort", 5, "x:N axis?:i32 ascending?:b"},
    {"avg_pool", 5,
     "exclude_padding_from_average?:b x:F kernel_sizes!:i32 strides?:i32 pad_type!:s "
     "pad?:i32 ceil_mode?:b"},
    {"band_part", 5, "x:A lower?:i32 upper?:i32"},
    {"batch_norm", 5, "x:F mean!:F variance!:F gamma?:F beta?:F epsilon?:F"},
    {"batch_to_space", 5, "x:F block_shape!:i32 crops!:i32"},
    {"cast", 5, "x:A dtype!:s"},
    {"cast", 7, "x:X"},
    {"classify", 5, "probabilities:f32 classes!:list"},
    {"concat", 5, "values:tuple axis!:i32 interleave?:b"},
    {"cond", 5, "pred:b"},
    {"const", 5, "val!:internal"},
    {"constexpr_affine_dequantize", 6,
     "quantized_data!:i8/u8 zero_point!:f32/i8/u8 scale!:F axis!:i32"},
    {"constexpr_blockwise_shift_scale", 8,
     "data!:f16/f32/i8/u8/i4/u4 scale!:F offset?:f16/f32/i8/u8/i4/u4"},
    {"constexpr_cast", 6, "source_val!:f16 output_dtype!:s"},
    {"constexpr_lut_to_dense", 6, "indices!:u8 lut!:f16/f32/i8/u8 shape!:u32"},
    {"constexpr_lut_to_dense", 8, "indices!:u8/u4/u1/u2/u3/u6 vector_axis?:i32 -shape"},
    {"constexpr_lut_to_sparse", 8,
     "indices_mask!:u1 indices_nonzero_data!:u8/u4/u1/u2/u3/u6 lut!:f16/f32/i8/u8 "
     "vector_axis?:i32"},
    {"constexpr_sparse_blockwise_shift_scale", 8,
     "data_mask!:u1 nonzero_data!:f16/f32/i8/u8/i4/u4 scale!:F "
     "offset?:f16/f32/i8/u8/i4/u4"},
    {"constexpr_sparse_to_dense", 6, "nonzero_data!:f16/f32/i8/u8 mask!:u8 shape!:u32"},
    {"constexpr_sparse_to_dense", 8, "nonzero_data!:f16/f32/i8/u8/i4/u4 mask!:u1 -shape"},
    {"conv", 5,
     "x:F weight:F bias?:F strides?:i32 pad_type?:s pad?:i32 dilations?:i32 "
     "groups?:i32"},
    {"conv", 7, "bias~:F"},
    {"conv_quantized", 5,
     "x:F weight:u8 bias?:u8 quantization_type!:s nbits?:i32 quant_scale!:F "
     "quant_bias!:F strides?:i32 pad_type?:s pad?:i32 dilations?:i32 groups?:i32"},
    {"conv_transpose", 5,
     "x:F weight!:F bias?:F pad?:i32 output_shape?:i32 pad_type?:s strides?:i32 "
     "dilations?:i32 groups?:i32"},
    {"conv_transpose", 7, "weight:F bias~:F"},
    {"crop", 5, "x:F crop_height!:i32 crop_width!:i32"},
    {"crop_resize", 5,
     "x:F roi:F target_height?:i32 target_width?:i32 normalized_coordinates?:b "
     "spatial_scale?:f32 box_coordinate_mode?:s sampling_mode?:s"},
    {"crop_resize", 6, "pad_value?:F"},
    {"crop_resize", 7, "boxes:f16/f32/u16 box_indices~:i32/u16 -roi"},
    {"cumsum", 5, "x:N axis?:i32 exclusive?:b reverse?:b"},
    {"depth_to_space", 5, "x:F block_size!:i32"},
    {"dequantize", 7, "input:i8/u8 zero_point?:i8/u8 scale!:F axis?:i32"},
    {"einsum", 5, "values:tuple equation!:s"},
    {"expand_dims", 5, "x:A axes!:i32"},
    {"expand_dims", 7, "x:X"},
    {"fill", 5, "shape:i32 value?:A"},
    {"fill_like", 6, "ref_tensor:A value?:A"},
    {"flatten2d", 5, "x:A axis?:i32"},
    {"gather", 5, "x:N indices:i32 axis?:i32"},
    {"gather", 6, "indices:i32/i16/u16 batch_dims?:i32"},
    {"gather", 7, "x:f16/f32/i32/i8/u8/i16/u16 indices:i32/i8/u8/i16/u16 validate_indices?:b"},
    {"gather_along_axis", 5, "x:N indices:i32 axis?:i32"},
    {"gather_along_axis", 6, "indices:i32/i16/u16"},
    {"gather_along_axis", 7,
     "x:f16/f32/i32/i8/u8/i16/u16 indices:i32/i8/u8/i16/u16 validate_indices?:b"},
    {"gather_nd", 5, "x:N indices:i32"},
    {"gather_nd", 6, "indices:i32/i16/u16 batch_dims?:i32"},
    {"gather_nd", 7, "x:f16/f32/i32/i8/u8/i16/u16 indices:i32/i8/u8/i16/u16 validate_indices?:b"},
    {"gelu", 5, "x:F mode?:s"},
    {"gru", 5,
     "x:f32 initial_h:f32 weight_ih!:f32 weight_hh!:f32 bias?:f32 direction?:s "
     "output_sequence?:b recurrent_activation?:s activation?:s"},
    {"gru", 7, "x:F initial_h:F weight_ih!:F weight_hh!:F bias?:F"},
    {"gru", 8, "reset_after?:b input_bias?:F"},
    {"identity", 5, "x:listortensorordict"},
    {"instance_norm", 5, "x:F gamma?:F beta?:F epsilon?:F"},
    {"inverse", 5, "x:F epsilon?:F"},
    {"l2_norm", 5, "x:F epsilon?:F"},
    {"l2_pool", 5, "x:F kernel_sizes!:i32 strides?:i32 pad_type!:s pad?:i32 ceil_mode?:b"},
    {"layer_norm", 5, "x:F axes?:i32 gamma?:F beta?:F epsilon?:F"},
    {"linear", 5, "x:N weight!:N bias?:N"},
    {"list_gather", 5, "ls:list indices:i32"},
    {"list_length", 5, "ls:list"},
    {"list_read", 5, "ls:list index:i32"},
    {"list_scatter", 5, "ls:list indices:i32 value:A"},
    {"list_write", 5, "ls:list index:i32 value:A"},
    {"local_response_norm", 5, "x:F size!:i32 alpha?:F beta?:F k?:F"},
    {"log", 5, "x:F epsilon?:F"},
    {"logical_not", 5, "x:b"},
    {"lstm", 5,
     "x:f32 initial_h:f32 initial_c:f32 weight_ih!:f32 weight_hh!:f32 bias?:f32 "
     "peephole?:f32 weight_ih_back?:f32 weight_hh_back?:f32 bias_back?:f32 "
     "peephole_back?:f32 direction?:s output_sequence?:b recurrent_activation?:s "
     "cell_activation?:s activation?:s clip?:f32"},
    {"lstm", 7,
     "x:F initial_h:F initial_c:F weight_ih!:F weight_hh!:F bias?:F peephole?:F "
     "weight_ih_back?:F weight_hh_back?:F bias_back?:F peephole_back?:F clip?:F"},
    {"make_list", 5, "init_length~:i32 dynamic_length?:b elem_shape:tuple dtype?:s"},
    {"matmul", 5, "x:N y:N transpose_x?:b transpose_y?:b"},
    {"max_pool", 5, "x:F kernel_sizes!:i32 strides?:i32 pad_type!:s pad?:i32 ceil_mode?:b"},
    {"non_maximum_suppression", 5,
     "boxes:F scores:F iou_threshold!:F score_threshold!:F max_boxes!:i32 "
     "per_class_suppression?:b"},
    {"non_maximum_suppression", 7, "-score_threshold"},
    {"non_zero", 5, "x:A"},
    {"one_hot", 5, "indices:i32 one_hot_vector_size:i32 axis?:i32 on_value?:A off_value?:A"},
    {"pad", 5, "x:F pad:i32 mode?:s constant_val?:F"},
    {"pixel_shuffle", 5, "x:F upscale_factor!:i32"},
    {"pixel_unshuffle", 6, "x:F downscale_factor!:u32"},
    {"quantize", 7, "input:F zero_point?:i8/u8 scale!:F axis?:i32 output_dtype!:s"},
    {"random_bernoulli", 5, "shape:i32 prob?:F seed?:i32"},
    {"random_categorical", 5, "x:F mode?:s size?:i32 seed?:i32"},
    {"random_normal", 5, "shape:i32 mean?:F stddev?:F seed?:i32"},
    {"random_uniform", 5, "shape:i32 low?:F high?:F seed?:i32"},
    {"range_1d", 5, "end:N start:N step:N"},
    {"read_state", 8, "input:state"},
    {"reduce_argmax", 5, "x:N axis?:i32 keep_dims?:b"},
    {"reduce_argmax", 7, "output_dtype?:s"},
    {"reduce_argmin", 5, "x:N axis?:i32 keep_dims?:b"},
    {"reduce_argmin", 7, "output_dtype?:s"},
    {"resample", 5,
     "x:F coordinates:f32/i32 sampling_mode!:s padding_mode!:s padding_value!:F "
     "coordinates_mode!:s align_corners!:b"},
    {"resample", 6, "coordinates:N"},
    {"resample", 7, "coordinates:f16/f32/i32/i8/u8/i16/u16"},
    {"reshape", 5, "x:A shape:i32"},
    {"reshape", 7, "x:X shape:i32/i8/i16"},
    {"reshape_like", 6, "x:A ref_tensors:tuple begins:tuple ends:tuple end_masks:tuple"},
    {"reshape_like", 7, "x:X"},
    {"resize", 7,
     "x:N shape:i32/i16/u16/u32 resized_dims!:u32 interpolation_mode?:s "
     "sampling_mode?:s"},
    {"resize_bilinear", 5, "x:F target_size_height?:i32 target_size_width?:i32 sampling_mode?:s"},
    {"resize_nearest_neighbor", 5, "x:F target_size_height!:i32 target_size_width!:i32"},
    {"reverse", 5, "x:A axes?:i32"},
    {"reverse", 7, "x:X"},
    {"reverse_sequence", 5, "x:A lengths:i32 seq_axis?:i32 batch_axis?:i32"},
    {"reverse_sequence", 7, "x:X lengths:i32/i8/i16"},
    {"rnn", 5,
     "x:f32 initial_h:f32 weight_ih!:f32 weight_hh!:f32 bias?:f32 direction?:s "
     "output_sequence?:b activation?:s"},
    {"rnn", 7, "x:F initial_h:F weight_ih!:F weight_hh!:F bias?:F"},
    {"rsqrt", 5, "x:F epsilon?:F"},
    {"scaled_dot_product_attention", 8, "query:F key:F value:F attn_mask~:f16/f32/b"},
    {"scatter", 5, "data:N indices:i32 updates:N axis?:i32 mode?:s"},
    {"scatter", 7, "validate_indices?:b"},
    {"scatter_along_axis", 5, "data:N indices:i32 updates:N axis?:i32 mode?:s"},
    {"scatter_along_axis", 7, "validate_indices?:b"},
    {"scatter_nd", 5, "data:N indices:i32 updates:N mode?:s"},
    {"scatter_nd", 7, "validate_indices?:b"},
    {"select", 5, "cond:b a:A b:A"},
    {"shape", 5, "x:A"},
    {"slice_by_index", 5,
     "x:A begin:i32 end:i32 stride?:i32 begin_mask?:b end_mask?:b squeeze_mask?:b"},
    {"slice_by_index", 7, "x:X begin:i32/i8/i16 end:i32/i8/i16 stride?:i32/i8/i16"},
    {"slice_by_size", 5, "x:A begin:i32 size:i32"},
    {"slice_by_size", 7, "x:X begin:i32/i8/i16 size:i32/i8/i16"},
    {"slice_update", 8,
     "x:X update:X begin:i32/i8/i16 end:i32/i8/i16 stride?:i32/i8/i16 begin_mask?:b "
     "end_mask?:b squeeze_mask?:b"},
    {"sliding_windows", 5, "x:N axis!:i32 size!:i32 stride?:i32"},
    {"sliding_windows", 7, "x:X"},
    {"softmax", 5, "x:F axis?:i32"},
    {"space_to_batch", 5, "x:F block_shape!:i32 paddings!:i32"},
    {"space_to_depth", 5, "x:F block_size!:i32"},
    {"split", 5, "x:A num_splits?:i32 split_sizes?:i32 axis!:i32"},
    {"squeeze", 5, "x:A axes?:i32"},
    {"squeeze", 7, "x:X"},
    {"stack", 5, "values:tuple axis!:i32"},
    {"threshold", 5, "x:N alpha!:N"},
    {"tile", 5, "x:A reps:i32"},
    {"topk", 5, "x:N k?:i32 axis?:i32 ascending?:b"},
    {"topk", 6, "sort?:b return_indices?:b"},
    {"topk", 7, "x:f16/f32/i32/i8/u8/i16/u16 k?:i32/i8/i16 output_indices_dtype?:s"},
    {"transpose", 5, "x:A perm!:i32"},
    {"transpose", 7, "x:X"},
    {"upsample_bilinear", 5,
     "x:F scale_factor_height?:f32/i32 scale_factor_width?:f32/i32 align_corners?:b"},
    {"upsample_bilinear", 6, "half_pixel_centers?:b"},
    {"upsample_nearest_neighbor", 5,
     "x:F scale_factor_height?:f32/i32 scale_factor_width?:f32/i32"},
    {"while_loop", 5, "loop_vars:tuple"},
    {"write_state", 8, "input:state data:A"},
};
#define ROWS (sizeof rows / sizeof *rows)

bool rml_signature_lists(const char *list, const char *word, size_t bytes)
{
    while (*list) {
        const size_t item = strcspn(list, " ");
        if (item == bytes && memcmp(list, word, bytes) == 0)
            return true;
        list += item + (list[item] == ' ');
    }
    return false;
}

static rml_parameter parse(const char *text, size_t bytes)
{
    static const char marks[] = "!~?";
    static const rml_parameter_need needs[] = {RML_PARAMETER_CONSTANT, RML_PARAMETER_MAY,
                                               RML_PARAMETER_OPTION};
    rml_parameter p = {.name = text, .need = RML_PARAMETER_VALUE};
    const char *colon = memchr(text, ':', bytes);
    if (!colon) // taken away
        return (rml_parameter){.name = text + 1, .name_bytes = bytes - 1};
    p.types = colon + 1;
    p.types_bytes = bytes - (size_t)(p.types - text);
    p.name_bytes = (size_t)(colon - text);
    const char *mark = strchr(marks, text[p.name_bytes - 1]);
    if (mark) {
        p.need = needs[mark - marks];
        p.name_bytes--;
    }
    return p;
}

// Calls `each` for what every row says, also where a later one says another thing.
static void walk(const char *operation, int opset,
                 void (*each)(void *user, const rml_parameter *parameter), void *user)
{
    const size_t bytes = strlen(operation);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].opset > opset || !rml_signature_lists(rows[i].operations, operation, bytes))
            continue;
        for (const char *text = rows[i].parameters; *text;) {
            const size_t item = strcspn(text, " ");
            const rml_parameter p = parse(text, item);
            each(user, &p);
            text += item + (text[item] == ' ');
        }
    }
}

int rml_signature_since(const char *operation)
{
    const size_t bytes = strlen(operation);
    int first = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (rml_signature_lists(rows[i].operations, operation, bytes) &&
            (!first || rows[i].opset < first))
            first = rows[i].opset;
    return first;
}

typedef struct wanted {
    const char *name;
    size_t bytes;
    rml_parameter found;
} wanted;

static void match(void *user, const rml_parameter *p)
{
    wanted *w = user;
    if (p->name_bytes == w->bytes && memcmp(p->name, w->name, w->bytes) == 0)
        w->found = *p; // the last row counts
}

rml_parameter rml_signature_find(const char *operation, int opset, const char *name, size_t bytes)
{
    wanted w = {.name = name, .bytes = bytes};
    walk(operation, opset, match, &w);
    return w.found;
}

void rml_signature_each(const char *operation, int opset,
                        void (*each)(void *user, const rml_parameter *parameter), void *user)
{
    walk(operation, opset, each, user);
}
