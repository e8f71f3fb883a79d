// Operators about values as such: cast, shape, nonzero.
#include "ops/op.h"

#include "tensor/convert.h"

static rml_status types_i64(const rml_op_attr *attr, const rml_fact *in, int in_count,
                            rml_dtype *out, rml_error *err)
{
    (void)attr;
    (void)in;
    (void)in_count;
    (void)err;
    *out = RML_I64;
    return RML_OK;
}

// ---- cast ---------------------------------------------------------------------------------------

static rml_status types_cast(const rml_op_attr *attr, const rml_fact *in, int in_count,
                             rml_dtype *out, rml_error *err)
{
    (void)in;
    (void)in_count;
    (void)err;
    *out = attr->cast.to;
    return RML_OK;
}

enum { CAST_CHUNK = 4096 };

static void cast_part(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    (void)worker;
    rml_dtype_convert(in->dtype, (const char *)in->raw + begin * rml_dtype_size(in->dtype),
                      out->dtype, (char *)out->raw + begin * rml_dtype_size(out->dtype),
                      end - begin);
}

static void run_cast(const rml_op_args *args)
{
    rml_pool_run(args->pool, rml_tensor_count(&args->out[0]), CAST_CHUNK, cast_part,
                 (void *)(uintptr_t)args);
}

static const rml_algorithm cast_algorithms[] = {{.name = "convert", .run = run_cast}};
const rml_op rml_op_cast = {.name = "cast",
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .packed_input = -1,
                            .types = types_cast,
                            .infer = rml_infer_same,
                            .algorithms = cast_algorithms};

// ---- shape --------------------------------------------------------------------------------------

static rml_status infer_shape(const rml_op_attr *attr, const rml_fact *in, int in_count,
                              rml_shape *out, rml_error *err)
{
    (void)attr;
    (void)in_count;
    (void)err;
    *out = (rml_shape){1, {in[0].shape.rank < 0 ? -1 : in[0].shape.rank}};
    return RML_OK;
}

static void run_shape(const rml_op_args *args)
{
    int64_t *dim = args->out[0].raw;
    for (int i = 0; i < args->in[0].rank; i++)
        dim[i] = args->in[0].dim[i];
}

static const rml_algorithm shape_algorithms[] = {{.name = "dimensions", .run = run_shape}};
const rml_op rml_op_shape = {.name = "shape",
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .packed_input = -1,
                             .from_shapes = true,
                             .types = types_i64,
                             .infer_values = infer_shape,
                             .algorithms = shape_algorithms};

// ---- nonzero ------------------------------------------------------------------------------------

static bool is_zero(const void *element, size_t bytes, rml_dtype dtype)
{
    const uint8_t *at = element;
    uint8_t any = 0;
    for (size_t i = 0; i < bytes; i++)
        any |= at[i];
    const bool is_float =
        dtype == RML_F32 || dtype == RML_F64 || dtype == RML_F16 || dtype == RML_BF16;
    // The sign alone is minus zero; numbers are little endian here.
    if (is_float && any == 0x80 && at[bytes - 1] == 0x80) {
        for (size_t i = 0; i + 1 < bytes; i++)
            if (at[i])
                return false;
        return true;
    }
    return any == 0;
}

static rml_status infer_nonzero(const rml_op_attr *attr, const rml_fact *in, int in_count,
                                rml_shape *out, rml_error *err)
{
    const size_t bytes = rml_dtype_size(in[0].dtype);
    size_t count;
    (void)attr;
    (void)in_count;
    *out = (rml_shape){2, {in[0].shape.rank, -1}};
    if (in[0].shape.rank < 0)
        out->dim[0] = -1;
    if (!in[0].data)
        return RML_OK;
    if (!rml_shape_count(&in[0].shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "the input is too large");
    out->dim[1] = 0;
    for (size_t i = 0; i < count; i++)
        out->dim[1] += !is_zero((const char *)in[0].data + i * bytes, bytes, in[0].dtype);
    return RML_OK;
}

static void run_nonzero(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const size_t bytes = rml_dtype_size(in->dtype), count = rml_tensor_count(in);
    const int64_t found = args->out[0].dim[1];
    int64_t *where = args->out[0].raw, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_zero((const char *)in->raw + i * bytes, bytes, in->dtype))
            continue;
        size_t rest = i;
        for (int d = in->rank - 1; d >= 0; d--) {
            where[d * found + at] = (int64_t)(rest % (size_t)in->dim[d]);
            rest /= (size_t)in->dim[d];
        }
        at++;
    }
}

static const rml_algorithm nonzero_algorithms[] = {{.name = "search", .run = run_nonzero}};
const rml_op rml_op_nonzero = {.name = "nonzero",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .packed_input = -1,
                               .types = types_i64,
                               .infer_values = infer_nonzero,
                               .algorithms = nonzero_algorithms};
