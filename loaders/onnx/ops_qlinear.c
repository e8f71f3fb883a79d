// Operators on quantized numbers that ONNX Runtime's quantizer writes: com.microsoft.QLinear... and
// their kin. Where one number goes to one number they are what their names say: numbers, the
// operator on them, codes. Scales are divided by the result's before, as ONNX Runtime does, so that
// what lies between two codes there lies so here.
#include "loaders/onnx/make.h"

// Codes, a scale and a zero point, which may be left out, from input `first` on, to f32; with
// another scale in place of theirs.
static rml_value_id numbers_by(rml_onnx_call *call, int first, rml_value_id scale)
{
    const rml_op_attr attr = {.quantize = {.to = RML_F32}};
    const rml_value_id in[] = {rml_onnx_in(call, first), scale, rml_onnx_in(call, first + 2)};
    return rml_onnx_make(call, RML_OP_DEQUANTIZE, &attr, in, 3);
}

// In units of the result's scale, which is input `scale`.
static rml_value_id numbers(rml_onnx_call *call, int first, int scale)
{
    return numbers_by(call, first,
                      rml_onnx_binary(call, RML_BINARY_DIV, rml_onnx_in(call, first + 1),
                                      rml_onnx_in(call, scale)));
}

// Numbers to codes of the type of the zero point, input `zero`; without one, of input `like`.
static void to_codes(rml_onnx_call *call, rml_value_id x, rml_value_id scale, int zero, int like)
{
    const rml_value_id in[] = {x, scale, rml_onnx_in(call, zero)};
    const rml_op_attr attr = {
        .quantize = {.precision = RML_F32,
                     .to = rml_onnx_fact(call, in[2] == RML_NO_VALUE ? like : zero).dtype}};
    rml_onnx_emit(call, RML_OP_QUANTIZE, &attr, in, 3);
}

static rml_value_id one(rml_onnx_call *call)
{
    return rml_onnx_scalar(call, RML_F32, 1);
}

// The same of numbers in units of the result's scale, where ONNX Runtime adds the zero point before
// it rounds: halves between two codes go to an even code, and not to an even number of steps.
static void to_codes_late(rml_onnx_call *call, rml_value_id x, int zero, int like)
{
    const rml_value_id shift = rml_onnx_in(call, zero);
    const rml_op_attr attr = {
        .quantize = {.precision = RML_F32,
                     .to = rml_onnx_fact(call, shift == RML_NO_VALUE ? like : zero).dtype}};
    if (shift != RML_NO_VALUE)
        x = rml_onnx_add(call, x, rml_onnx_cast(call, shift, RML_F32));
    const rml_value_id in[] = {x, one(call)};
    rml_onnx_emit(call, RML_OP_QUANTIZE, &attr, in, 2);
}

// ---- element by element -------------------------------------------------------------------------

static void import_sum(rml_onnx_call *call)
{
    const rml_value_id y = rml_onnx_add(call, numbers(call, 0, 6), numbers(call, 3, 6));
    to_codes_late(call, y, 7, 0);
}

static void import_product(rml_onnx_call *call)
{
    const rml_value_id scale = rml_onnx_multiply(call, rml_onnx_in(call, 1), rml_onnx_in(call, 4));
    const rml_value_id a =
        numbers_by(call, 0, rml_onnx_binary(call, RML_BINARY_DIV, scale, rml_onnx_in(call, 6)));
    to_codes_late(call, rml_onnx_multiply(call, a, numbers_by(call, 3, one(call))), 7, 0);
}

// The option is the function.
static void import_function(rml_onnx_call *call)
{
    const rml_unary kind = (rml_unary)rml_onnx_option(call);
    rml_activation function = {.kind = kind};
    if (kind == RML_UNARY_LEAKY_RELU)
        function.param[0] = (float)rml_onnx_float(call, "alpha", 0.01f);
    const rml_value_id x = numbers_by(call, 0, rml_onnx_in(call, 1));
    to_codes(call, rml_graph_unary(call->graph, x, function, call->name), rml_onnx_in(call, 3), 4,
             0);
}

// Before opset 13, which an attribute tells, over all dimensions from the axis on.
static void import_softmax(rml_onnx_call *call)
{
    const int64_t opset = rml_onnx_int(call, "opset", 13);
    const rml_op_attr attr = {
        .softmax = {.axis = rml_onnx_axis(call, "axis", -1), .flat = opset < 13}};
    const rml_value_id x = numbers_by(call, 0, rml_onnx_in(call, 1));
    to_codes(call, rml_onnx_make(call, RML_OP_SOFTMAX, &attr, &x, 1), rml_onnx_in(call, 3), 4, 0);
}

static void import_where(rml_onnx_call *call)
{
    const rml_value_id x =
        rml_onnx_choose(call, rml_onnx_in(call, 0), numbers(call, 1, 7), numbers(call, 4, 7));
    to_codes(call, x, one(call), 8, 1);
}

// Scale and zero point of the result come first.
static void import_concat(rml_onnx_call *call)
{
    const int count = (call->in_count - 2) / 3;
    rml_value_id *parts =
        rml_arena_alloc(&call->graph->arena, count > 0 ? (size_t)count : 1, sizeof *parts);
    const int axis = rml_onnx_axis(call, "axis", 0);
    if (!parts) {
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for the inputs of a node");
        return;
    }
    if (count < 1 || call->in_count != 3 * count + 2)
        rml_onnx_refuse(call, "%d inputs, expected 2 and 3 for each part", call->in_count);
    for (int i = 0; i < count && !call->refused; i++)
        parts[i] = numbers(call, 3 * i + 2, 0);
    if (!call->refused)
        to_codes(call, rml_graph_concat(call->graph, parts, count, axis, call->name), one(call), 1,
                 2);
}

// ---- images, which may have their channels last -------------------------------------------------

// Whether the channels are last; the rank of input 0 where they are.
static bool channels_last(rml_onnx_call *call, bool always, int *rank)
{
    *rank = rml_onnx_fact(call, 0).shape.rank;
    if (!always && rml_onnx_int(call, "channels_last", 0) == 0)
        return false;
    if (*rank < 3)
        rml_onnx_refuse(call, "its channels are last, and how many dimensions it has is not told");
    return !call->refused;
}

static void import_pool(rml_onnx_call *call)
{
    int rank;
    rml_op_attr attr = {.pool = {.kind = RML_POOL_AVERAGE, .global = rml_onnx_option(call) != 0}};
    const bool last = channels_last(call, false, &rank);
    if (!attr.pool.global) {
        attr.pool.window = rml_onnx_window(call);
        attr.pool.window.ceil_mode = rml_onnx_int(call, "ceil_mode", 0) != 0;
        attr.pool.count_pad = rml_onnx_int(call, "count_include_pad", 0) != 0;
        if (!attr.pool.window.kernel[0])
            rml_onnx_refuse(call, "it has no kernel_shape");
    }
    if (call->refused)
        return;
    rml_value_id x = numbers(call, 0, 3);
    x = last ? rml_onnx_channels_from_end(call, x, rank) : x;
    x = rml_onnx_make(call, RML_OP_POOL, &attr, &x, 1);
    to_codes_late(call, last ? rml_onnx_channels_to_end(call, x, rank) : x, 4, 0);
}

static void import_max_pool(rml_onnx_call *call)
{
    int rank;
    rml_op_attr attr = {.pool = {.kind = RML_POOL_MAX, .window = rml_onnx_window(call)}};
    attr.pool.window.ceil_mode = rml_onnx_int(call, "ceil_mode", 0) != 0;
    if (!attr.pool.window.kernel[0])
        rml_onnx_refuse(call, "it has no kernel_shape");
    if (!channels_last(call, true, &rank))
        return;
    const rml_value_id x = rml_onnx_channels_from_end(call, rml_onnx_in(call, 0), rank);
    call->out[0] =
        rml_onnx_channels_to_end(call, rml_onnx_make(call, RML_OP_POOL, &attr, &x, 1), rank);
}

// ---- products -----------------------------------------------------------------------------------

// Sums of products times both scales, and a bias of f32, which may be left out.
static rml_value_id scaled(rml_onnx_call *call, rml_value_id sums, rml_value_id a, rml_value_id b,
                           rml_value_id bias)
{
    const rml_value_id y =
        rml_onnx_multiply(call, rml_onnx_cast(call, sums, RML_F32), rml_onnx_multiply(call, a, b));
    return bias == RML_NO_VALUE ? y : rml_onnx_add(call, y, bias);
}

static rml_value_id matrix(rml_onnx_call *call, int input, const char *turns)
{
    static const int order[2] = {1, 0};
    const rml_value_id x = rml_onnx_in(call, input);
    const int rank = rml_onnx_fact(call, input).shape.rank;
    if (rank >= 0 && rank != 2)
        rml_onnx_refuse(call, "input %d has %d dimensions, not 2", input, rank);
    return rml_onnx_int(call, turns, 0) == 0 || call->refused
               ? x
               : rml_graph_transpose(call->graph, x, order, 2, call->name);
}

// alpha A B + C: C is a sum of products as A B is. Without a scale of the result it is f32.
static void import_gemm(rml_onnx_call *call)
{
    const rml_value_id in[] = {matrix(call, 0, "transA"), matrix(call, 3, "transB"),
                               rml_onnx_in(call, 2), rml_onnx_in(call, 5)};
    const rml_value_id alpha = rml_onnx_scalar(call, RML_F32, rml_onnx_float(call, "alpha", 1));
    const rml_value_id a = rml_onnx_multiply(call, rml_onnx_in(call, 1), alpha);
    if (call->refused)
        return;
    rml_value_id sums = rml_onnx_make(call, RML_OP_INTEGER_MATMUL, NULL, in, 4);
    if (rml_onnx_in(call, 6) != RML_NO_VALUE)
        sums = rml_onnx_add(call, sums, rml_onnx_in(call, 6));
    if (rml_onnx_in(call, 7) == RML_NO_VALUE) {
        call->out[0] = scaled(call, sums, a, rml_onnx_in(call, 4), RML_NO_VALUE);
        return;
    }
    rml_value_id zero = rml_onnx_in(call, 8);
    if (zero == RML_NO_VALUE)
        zero = rml_onnx_scalar(call, rml_onnx_fact(call, 0).dtype, 0);
    const rml_value_id requantized[] = {sums, a, rml_onnx_in(call, 4), rml_onnx_in(call, 7), zero};
    rml_onnx_emit(call, RML_OP_REQUANTIZE, NULL, requantized, 5);
}

static void import_integer_to_float(rml_onnx_call *call)
{
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1), rml_onnx_in(call, 4),
                               rml_onnx_in(call, 5)};
    call->out[0] = scaled(call, rml_onnx_make(call, RML_OP_INTEGER_MATMUL, NULL, in, 4),
                          rml_onnx_in(call, 2), rml_onnx_in(call, 3), rml_onnx_in(call, 6));
}

// The first operand is quantized by its own range.
static void import_dynamic_matmul(rml_onnx_call *call)
{
    const rml_value_id codes = rml_onnx_make(call, RML_OP_DYNAMIC_QUANTIZE, NULL, call->in, 1);
    if (codes == RML_NO_VALUE)
        return;
    const rml_value_id in[] = {codes, rml_onnx_in(call, 1), codes + 2, rml_onnx_in(call, 3)};
    call->out[0] = scaled(call, rml_onnx_make(call, RML_OP_INTEGER_MATMUL, NULL, in, 4), codes + 1,
                          rml_onnx_in(call, 2), rml_onnx_in(call, 4));
}

#define OF(title, handler, which)                                                                  \
    {                                                                                              \
        .op_type = title, .import = handler, .option = which                                       \
    }

const rml_onnx_entry rml_onnx_qlinear[] = {
    OF("com.microsoft.QLinearAdd", import_sum, 0),
    OF("com.microsoft.QLinearMul", import_product, 0),
    OF("com.microsoft.QLinearSigmoid", import_function, RML_UNARY_SIGMOID),
    OF("com.microsoft.QLinearLeakyRelu", import_function, RML_UNARY_LEAKY_RELU),
    OF("com.microsoft.QLinearSoftmax", import_softmax, 0),
    OF("com.microsoft.QLinearWhere", import_where, 0),
    OF("com.microsoft.QLinearConcat", import_concat, 0),
    OF("com.microsoft.QLinearAveragePool", import_pool, 0),
    OF("com.microsoft.QLinearGlobalAveragePool", import_pool, 1),
    OF("com.microsoft.NhwcMaxPool", import_max_pool, 0),
    OF("com.microsoft.QGemm", import_gemm, 0),
    OF("com.microsoft.MatMulIntegerToFloat", import_integer_to_float, 0),
    OF("com.microsoft.DynamicQuantizeMatMul", import_dynamic_matmul, 0),
    {.op_type = NULL},
};
