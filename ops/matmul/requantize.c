// From sums of products of quantized numbers to such a number:
//   x i32   a scale, b scale, y scale: floats   zero point: of the result's type
// All but x are broadcast to x.
#include "ops/matmul/quantize.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

static rml_status types_requantize(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    static const rml_op kinds = {.signature = "errr*>4"};
    double low, high;
    RML_TRY(rml_op_types(&kinds, node, out, err));
    return rml_code_range(*out, &low, &high)
               ? RML_OK
               : rml_fail(err, RML_ERR_UNSUPPORTED, "quantization to %s is not defined",
                          rml_dtype_name(*out));
}

static rml_status infer_requantize(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = node->shape[0];
    for (int k = 1; k < node->in_count; k++)
        for (int back = 1; back <= node->shape[k].rank; back++) {
            const int64_t dim = node->shape[k].dim[node->shape[k].rank - back];
            const int64_t want = back <= out->rank ? out->dim[out->rank - back] : 1;
            if (dim != want && dim != 1 && dim >= 0 && want >= 0)
                return rml_fail(err, RML_ERR_SHAPE, "scale or zero point %s does not fit %s",
                                rml_shape_text(&node->shape[k], a), rml_shape_text(out, b));
        }
    return RML_OK;
}

// Leading dimensions of 1 that the result has not are dropped.
static rml_tensor fitted(const rml_tensor *view, const rml_tensor *like)
{
    rml_tensor low = *view;
    while (low.rank > like->rank) {
        low.rank--;
        for (int i = 0; i < low.rank; i++) {
            low.dim[i] = low.dim[i + 1];
            low.stride[i] = low.stride[i + 1];
        }
    }
    return rml_broadcast_view(&low, like);
}

static void requantize_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *out = &args->out[0];
    double low = 0, high = 0;
    rml_code_range(out->dtype, &low, &high);
    (void)worker;
    for (size_t at = begin; at < end; at += RML_WIDEN_COUNT) {
        const size_t count = rml_min_size(end - at, RML_WIDEN_COUNT);
        rml_widen x, a, b, y, zero, q;
        rml_widen *to[] = {&x, &a, &b, &y, &zero};
        for (int k = 0; k < 5; k++) {
            const rml_tensor view = fitted(&args->in[k], out);
            rml_widen_read(&view, at, count, RML_WIDE_F64, to[k]);
        }
        for (size_t i = 0; i < count; i++) {
            const double scaled = x.f64[i] * (a.f64[i] * b.f64[i] / y.f64[i]);
            rml_quantize_run(RML_F64, 1, zero.f64[i], low, high, &scaled, &q.i64[i], 1);
        }
        rml_widen_write(out, at, count, RML_WIDE_I64, &q);
    }
}

static void run_requantize(const rml_op_args *args)
{
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), 16 * RML_WIDEN_COUNT, requantize_part,
                 (void *)(uintptr_t)args);
}

const rml_op rml_op_requantize = {.id = RML_OP_REQUANTIZE,
                                  .name = "requantize",
                                  .inputs = {5, 5},
                                  .types = types_requantize,
                                  .infer = infer_requantize,
                                  .algorithms = RML_ONE_WAY("widened", run_requantize)};
