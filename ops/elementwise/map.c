// Elementwise functions of one and of two operands on every element type, for what the fast f32
// operators (unary, binary) do not cover: other types, comparisons, bits, rarer functions.
#include "ops/elementwise/map.h"

#include "ops/elementwise/widen.h"
#include "ops/elementwise/nd_iterator.h"

#include <math.h>

// The type to compute in.
static rml_wide wide_for(const rml_tensor *in, int count)
{
    for (int k = 0; k < count; k++)
        if (rml_wide_of(in[k].dtype) == RML_WIDE_F64)
            return RML_WIDE_F64;
    return rml_wide_of(in[0].dtype);
}

// ---- one operand --------------------------------------------------------------------------------

static rml_status types_map(const rml_op_attr *attr, const rml_fact *in, int in_count,
                            rml_dtype *out, rml_error *err)
{
    const bool floats = rml_wide_of(in[0].dtype) == RML_WIDE_F64;
    const bool fits = attr->map.kind == RML_MAP_NOT       ? in[0].dtype == RML_BOOL
                      : attr->map.kind == RML_MAP_BIT_NOT ? !floats
                      : attr->map.kind >= RML_MAP_FLOATS  ? floats
                                                          : true;
    (void)in_count;
    if (!fits)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s of %s is not defined",
                        rml_map_name(attr->map.kind), rml_dtype_name(in[0].dtype));
    *out = attr->map.kind == RML_MAP_IS_NAN || attr->map.kind == RML_MAP_IS_INF ? RML_BOOL
                                                                                : in[0].dtype;
    return RML_OK;
}

static void map_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_map_attr *map = &args->attr->map;
    const rml_wide wide = wide_for(args->in, 1);
    (void)worker;
    for (size_t at = begin; at < end; at += RML_WIDEN_COUNT) {
        const size_t count = end - at < RML_WIDEN_COUNT ? end - at : RML_WIDEN_COUNT;
        rml_widen chunk;
        rml_widen_read(&args->in[0], at, count, wide, &chunk);
        if (wide == RML_WIDE_F64)
            for (size_t i = 0; i < count; i++)
                chunk.f64[i] = rml_map_f64(map, chunk.f64[i]);
        else
            for (size_t i = 0; i < count; i++)
                chunk.i64[i] = rml_map_i64(map, chunk.i64[i], wide == RML_WIDE_U64);
        rml_widen_write(&args->out[0], at, count, wide, &chunk);
    }
}

static void run_map(const rml_op_args *args)
{
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), 16 * RML_WIDEN_COUNT, map_part,
                 (void *)(uintptr_t)args);
}

static const rml_algorithm map_algorithms[] = {{.name = "widened", .run = run_map}};
const rml_op rml_op_map = {.name = "map",
                           .min_inputs = 1,
                           .max_inputs = 1,
                           .packed_input = -1,
                           .types = types_map,
                           .infer = rml_infer_same,
                           .algorithms = map_algorithms};

// ---- two operands -------------------------------------------------------------------------------

static rml_status infer_zip(const rml_op_attr *attr, const rml_shape *in, int in_count,
                            rml_shape *out, rml_error *err)
{
    (void)attr;
    return rml_broadcast_shape(in, in_count, out, err);
}

static rml_status types_zip(const rml_op_attr *attr, const rml_fact *in, int in_count,
                            rml_dtype *out, rml_error *err)
{
    const rml_zip kind = attr->zip.kind;
    const bool floats = rml_wide_of(in[0].dtype) == RML_WIDE_F64;
    bool fits = in[0].dtype == in[1].dtype || kind == RML_ZIP_POW;
    if (kind >= RML_ZIP_AND && kind <= RML_ZIP_XOR)
        fits = fits && in[0].dtype == RML_BOOL;
    if (kind >= RML_ZIP_BITS)
        fits = fits && !floats;
    (void)in_count;
    if (!fits)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s of %s and %s is not defined",
                        rml_zip_name(kind), rml_dtype_name(in[0].dtype),
                        rml_dtype_name(in[1].dtype));
    *out = kind >= RML_ZIP_EQUAL && kind <= RML_ZIP_XOR ? RML_BOOL : in[0].dtype;
    return RML_OK;
}

typedef struct zip_context {
    const rml_op_args *args;
    rml_tensor a, b; // broadcast
    rml_wide wide;
} zip_context;

static void zip_part(void *context, size_t begin, size_t end, int worker)
{
    const zip_context *zip = context;
    const rml_zip kind = zip->args->attr->zip.kind;
    const rml_tensor *out = &zip->args->out[0];
    const bool answers = kind >= RML_ZIP_EQUAL && kind <= RML_ZIP_XOR;
    (void)worker;
    for (size_t at = begin; at < end; at += RML_WIDEN_COUNT) {
        const size_t count = end - at < RML_WIDEN_COUNT ? end - at : RML_WIDEN_COUNT;
        rml_widen a, b;
        rml_widen_read(&zip->a, at, count, zip->wide, &a);
        rml_widen_read(&zip->b, at, count, zip->wide, &b);
        if (answers) {
            for (size_t i = 0; i < count; i++)
                a.i64[i] = zip->wide == RML_WIDE_F64 ? rml_compare_f64(kind, a.f64[i], b.f64[i])
                                                     : rml_compare_i64(kind, a.i64[i], b.i64[i],
                                                                       zip->wide == RML_WIDE_U64);
            rml_widen_write(out, at, count, RML_WIDE_I64, &a);
            continue;
        }
        if (zip->wide == RML_WIDE_F64)
            for (size_t i = 0; i < count; i++)
                a.f64[i] = rml_zip_f64(kind, a.f64[i], b.f64[i]);
        else
            for (size_t i = 0; i < count; i++)
                a.i64[i] = rml_zip_i64(kind, a.i64[i], b.i64[i], zip->wide == RML_WIDE_U64,
                                       8 * (int)rml_dtype_size(out->dtype));
        rml_widen_write(out, at, count, zip->wide, &a);
    }
}

static void run_zip(const rml_op_args *args)
{
    const zip_context context = {.args = args,
                                 .a = rml_broadcast_view(&args->in[0], &args->out[0]),
                                 .b = rml_broadcast_view(&args->in[1], &args->out[0]),
                                 .wide = wide_for(args->in, 2)};
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), 16 * RML_WIDEN_COUNT, zip_part,
                 (void *)(uintptr_t)&context);
}

static const rml_algorithm zip_algorithms[] = {{.name = "widened", .run = run_zip}};
const rml_op rml_op_zip = {.name = "zip",
                           .min_inputs = 2,
                           .max_inputs = 2,
                           .packed_input = -1,
                           .types = types_zip,
                           .infer = infer_zip,
                           .algorithms = zip_algorithms};
