// What stands around classic learners: operators of ai.onnx.ml on features and on labels.
#include "loaders/onnx/make.h"
#include "loaders/onnx/scores.h"

#include "tensor/dtype.h"

#include <math.h>

// A list of the file: (count), or () where it has one element.
static rml_value_id list(rml_onnx_call *call, rml_dtype dtype, rml_dtype from, const void *elements,
                         size_t count)
{
    const rml_shape shape = {count == 1 ? 0 : 1, {(int64_t)count}};
    return rml_onnx_constant_of(call, dtype, &shape, from, elements, count);
}

static rml_value_id f32_input(rml_onnx_call *call, int index)
{
    return rml_onnx_cast(call, rml_onnx_in(call, index), RML_F32);
}

// ---- numbers ------------------------------------------------------------------------------------

static void import_binarizer(rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    const double threshold = rml_onnx_float(call, "threshold", 0);
    // an integer is above a number where it is above its floor
    const rml_value_id limit =
        rml_onnx_scalar(call, dtype, rml_dtype_is_float(dtype) ? threshold : floor(threshold));
    const rml_value_id above =
        rml_onnx_binary(call, RML_BINARY_GREATER, rml_onnx_in(call, 0), limit);
    call->out[0] = rml_onnx_cast(call, above, dtype);
}

static void import_scaler(rml_onnx_call *call)
{
    size_t offsets, scales;
    const float *offset = rml_onnx_floats(call, "offset", &offsets);
    const float *scale = rml_onnx_floats(call, "scale", &scales);
    rml_value_id x = f32_input(call, 0);
    if (offsets > 0)
        x = rml_onnx_binary(call, RML_BINARY_SUB, x, list(call, RML_F32, RML_F32, offset, offsets));
    if (scales > 0)
        x = rml_onnx_multiply(call, x, list(call, RML_F32, RML_F32, scale, scales));
    call->out[0] = x;
}

// Rows by their norm, or by their largest element. Where that is 0, nothing happens.
static void import_normalizer(rml_onnx_call *call)
{
    static const rml_reduce_kind kinds[] = {RML_REDUCE_MAX, RML_REDUCE_L1, RML_REDUCE_L2};
    const int norm = rml_onnx_word(call, "norm", "MAX L1 L2", 0);
    const rml_value_id x = f32_input(call, 0);
    const rml_value_id by = rml_graph_reduce(call->graph, x, kinds[norm], -1, true, call->name);
    const rml_value_id none =
        rml_onnx_binary(call, RML_BINARY_EQUAL, by, rml_onnx_scalar(call, RML_F32, 0));
    const rml_value_id divisor = rml_onnx_choose(call, none, rml_onnx_scalar(call, RML_F32, 1), by);
    call->out[0] = rml_onnx_binary(call, RML_BINARY_DIV, x, divisor);
}

// One number for all columns, or one for each, takes the place of the number that says that there
// is none.
static void import_imputer(rml_onnx_call *call)
{
    size_t floats, ints;
    const rml_value_id x = rml_onnx_in(call, 0);
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    const bool is_float = rml_dtype_is_float(dtype);
    const float *f = rml_onnx_floats(call, "imputed_value_floats", &floats);
    const int64_t *i = rml_onnx_ints(call, "imputed_value_int64s", &ints);
    const double none = is_float ? rml_onnx_float(call, "replaced_value_float", 0)
                                 : (double)rml_onnx_int(call, "replaced_value_int64", 0);
    rml_onnx_ignore(call, is_float ? "replaced_value_int64" : "replaced_value_float");
    if ((is_float ? floats : ints) == 0) {
        rml_onnx_refuse(call, "it has no numbers of the type of its input");
        return;
    }
    const rml_value_id given =
        is_float ? list(call, dtype, RML_F32, f, floats) : list(call, dtype, RML_I64, i, ints);
    const rml_value_id where =
        isnan(none)
            ? rml_graph_unary(call->graph, x, (rml_activation){.kind = RML_UNARY_IS_NAN},
                              call->name)
            : rml_onnx_binary(call, RML_BINARY_EQUAL, x, rml_onnx_scalar(call, dtype, none));
    call->out[0] = rml_onnx_choose(call, where, given, x);
}

// ---- columns ------------------------------------------------------------------------------------

// Columns by their numbers; a list becomes one row.
static void import_extractor(rml_onnx_call *call)
{
    const int rank = rml_onnx_fact(call, 0).shape.rank;
    const rml_value_id in[2] = {
        rml_onnx_in(call, 0),
        rml_graph_reshape(call->graph, rml_onnx_in(call, 1), &(rml_shape){1, {-1}}, call->name)};
    if (rank == RML_RANK_UNKNOWN) {
        rml_onnx_refuse(call, "the number of dimensions of its input is not known");
        return;
    }
    rml_onnx_emit(call, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = -1}}, in, 2);
    if (rank == 1)
        call->out[0] =
            rml_graph_reshape(call->graph, call->out[0], &(rml_shape){2, {1, -1}}, call->name);
}

// Side by side, as f32; the attribute says how many columns each has.
static void import_vectorizer(rml_onnx_call *call)
{
    size_t count;
    const int64_t *sizes = rml_onnx_ints(call, "inputdimensions", &count);
    rml_value_id *parts =
        rml_onnx_room(call, call->in_count > 0 ? (size_t)call->in_count : 1, sizeof *parts);
    for (int i = 0; i < call->in_count && parts; i++) {
        const rml_shape shape = rml_onnx_fact(call, i).shape;
        const int64_t columns = shape.rank > 0 ? shape.dim[shape.rank - 1] : -1;
        if (columns >= 0 && (size_t)i < count && sizes[i] != columns)
            rml_onnx_refuse(call, "input %d has %lld columns, its attribute says %lld", i,
                            (long long)columns, (long long)sizes[i]);
        parts[i] = f32_input(call, i);
        if (shape.rank == 1) // a row
            parts[i] =
                rml_graph_reshape(call->graph, parts[i], &(rml_shape){2, {1, -1}}, call->name);
    }
    if (parts && !call->refused)
        call->out[0] = rml_graph_concat(call->graph, parts, call->in_count, 1, call->name);
}

// ---- labels -------------------------------------------------------------------------------------

// Whether each element is each of `keys` (K): bools of one dimension more.
static rml_value_id matches(rml_onnx_call *call, rml_value_id x, rml_value_id keys)
{
    const int64_t last = -1;
    const rml_value_id in[] = {x, rml_onnx_ints_value(call, &last, 1)};
    return rml_onnx_binary(call, RML_BINARY_EQUAL,
                           rml_onnx_make(call, RML_OP_UNSQUEEZE, NULL, in, 2), keys);
}

// The place of each element's key, the first of equal ones; `absent` where there is none.
static rml_value_id key_of(rml_onnx_call *call, rml_value_id match, int64_t absent)
{
    const rml_value_id number = rml_onnx_cast(call, match, RML_I32);
    const rml_op_attr last = {.arg = {.axis = -1}};
    const rml_value_id at = rml_onnx_make(call, RML_OP_ARG, &last, &number, 1);
    const rml_value_id any =
        rml_graph_reduce(call->graph, number, RML_REDUCE_MAX, -1, false, call->name);
    return rml_onnx_choose(call, rml_onnx_cast(call, any, RML_BOOL), at,
                           rml_onnx_scalar(call, RML_I64, (double)absent));
}

// A list of numbers by name: of floats, of integers or of a tensor. RML_NO_VALUE without one.
static rml_value_id numbers_of(rml_onnx_call *call, const char *floats, const char *ints,
                               const char *tensor, size_t *count)
{
    const float *f = rml_onnx_floats(call, floats, count);
    rml_shape shape = {1, {(int64_t)*count}};
    if (f)
        return rml_onnx_constant_of(call, RML_F32, &shape, RML_F32, f, *count);
    const int64_t *i = rml_onnx_ints(call, ints, count);
    shape.dim[0] = (int64_t)*count;
    if (i)
        return rml_onnx_ints_value(call, i, *count);
    const rml_onnx_tensor *t = rml_onnx_tensor_of(call, tensor);
    if (!t || t->stored.shape.rank > 1 || !rml_shape_count(&t->stored.shape, count))
        return RML_NO_VALUE;
    return rml_graph_typed_constant(call->graph, call->name, &t->stored);
}

// Numbers to numbers; what is no key becomes the default, a value behind all others.
static void import_label_encoder(rml_onnx_call *call)
{
    size_t keys, values, defaults;
    const rml_value_id key = numbers_of(call, "keys_floats", "keys_int64s", "keys_tensor", &keys);
    const rml_value_id value =
        numbers_of(call, "values_floats", "values_int64s", "values_tensor", &values);
    rml_value_id absent = numbers_of(call, "", "", "default_tensor", &defaults);
    if (key == RML_NO_VALUE || value == RML_NO_VALUE || keys != values || keys == 0) {
        rml_onnx_refuse(call, "keys or values that are no numbers, %zu and %zu of them", keys,
                        values);
        return;
    }
    const rml_dtype dtype = call->graph->values[value].dtype;
    const double f = rml_onnx_float(call, "default_float", -0.0);
    const int64_t i = rml_onnx_int(call, "default_int64", -1);
    rml_onnx_ignore(call, "default_string");
    if (absent == RML_NO_VALUE) {
        const bool is_float = rml_dtype_is_float(dtype);
        absent =
            rml_onnx_constant_of(call, dtype, &(rml_shape){1, {1}}, is_float ? RML_F64 : RML_I64,
                                 is_float ? (const void *)&f : (const void *)&i, 1);
    }
    const rml_value_id all[] = {value, rml_onnx_cast(call, absent, dtype)};
    const rml_value_id table = rml_graph_concat(call->graph, all, 2, 0, call->name);
    const rml_value_id match = matches(call, rml_onnx_in(call, 0), key);
    const rml_value_id in[] = {table, key_of(call, match, (int64_t)keys)};
    rml_onnx_emit(call, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = 0}}, in, 2);
}

// Where no category may be missing, one that is is an index out of range, which a run refuses.
static void import_one_hot(rml_onnx_call *call)
{
    size_t count;
    const int64_t *category = rml_onnx_ints(call, "cats_int64s", &count);
    const bool zeros = rml_onnx_int(call, "zeros", 1) != 0;
    if (count == 0 || rml_onnx_has(call, "cats_strings")) {
        rml_onnx_refuse(call, "its categories are no numbers");
        return;
    }
    const rml_value_id x = rml_onnx_cast(call, rml_onnx_in(call, 0), RML_I64);
    const rml_value_id match = matches(call, x, rml_onnx_ints_value(call, category, count));
    call->out[0] = rml_onnx_cast(call, match, RML_F32);
    if (zeros)
        return;
    const rml_shape square = {2, {(int64_t)count, (int64_t)count}};
    const rml_value_id one = rml_onnx_scalar(call, RML_F32, 1);
    const rml_value_id whole =
        rml_graph_expand(call->graph, one, &square, RML_NO_VALUE, call->name);
    const rml_value_id in[] = {
        rml_onnx_make(call, RML_OP_EYE, &(rml_op_attr){.eye = {.to = RML_F32}}, &whole, 1),
        key_of(call, match, (int64_t)count)};
    rml_onnx_emit(call, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = 0}}, in, 2);
}

// Maps from labels to scores: here the scores [N,C], in the order of the labels.
static void import_zip_map(rml_onnx_call *call)
{
    rml_onnx_ignore(call, "classlabels_int64s");
    rml_onnx_ignore(call, "classlabels_strings");
    call->out[0] = rml_onnx_in(call, 0);
}

const rml_onnx_entry rml_onnx_features[] = {
    {.op_type = "ai.onnx.ml.ArrayFeatureExtractor",
     .import = import_extractor,
     .stand_ins = RML_STAND_INS_KEPT},
    {.op_type = "ai.onnx.ml.Binarizer", .import = import_binarizer},
    {.op_type = "ai.onnx.ml.FeatureVectorizer", .import = import_vectorizer},
    {.op_type = "ai.onnx.ml.Imputer", .import = import_imputer},
    {.op_type = "ai.onnx.ml.LabelEncoder", .import = import_label_encoder, .since = 2},
    {.op_type = "ai.onnx.ml.Normalizer", .import = import_normalizer},
    {.op_type = "ai.onnx.ml.OneHotEncoder", .import = import_one_hot},
    {.op_type = "ai.onnx.ml.Scaler", .import = import_scaler},
    {.op_type = "ai.onnx.ml.ZipMap", .import = import_zip_map},
    {.op_type = NULL},
};
