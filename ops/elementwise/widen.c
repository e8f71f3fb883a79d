#include "ops/elementwise/widen.h"

#include "tensor/dtype.h"

#include "tensor/size.h"

#include <math.h>

rml_wide rml_wide_of(rml_dtype dtype)
{
    switch (dtype) {
    case RML_F32:
    case RML_F16:
    case RML_BF16:
    case RML_F64:
        return RML_WIDE_F64;
    case RML_U64:
        return RML_WIDE_U64;
    default:
        return RML_WIDE_I64;
    }
}

static const rml_dtype wide_dtype[] = {
    [RML_WIDE_F64] = RML_F64, [RML_WIDE_I64] = RML_I64, [RML_WIDE_U64] = RML_U64};

#define GATHER(type)                                                                               \
    for (size_t i = 0; i < count; i++)                                                             \
    ((type *)dst)[i] = ((const type *)src)[(int64_t)i * stride]
#define SCATTER(type)                                                                              \
    for (size_t i = 0; i < count; i++)                                                             \
    ((type *)dst)[(int64_t)i * stride] = ((const type *)src)[i]
void rml_widen_load(rml_dtype dtype, const void *base, int64_t stride, size_t first, size_t count,
                    rml_wide wide, void *dst_at)
{
    const rml_dtype to = wide_dtype[wide];
    const int64_t bytes = (int64_t)rml_dtype_size(dtype);
    const void *src = (const char *)base + (int64_t)first * stride * bytes;
    uint64_t gathered[RML_WIDEN_COUNT], *wide_at = dst_at;
    void *dst = gathered;
    if (stride == 0) {
        rml_dtype_convert(dtype, src, to, wide_at, 1);
        for (size_t i = 1; i < count; i++)
            wide_at[i] = wide_at[0];
        return;
    }
    if (stride != 1) {
        RML_BY_SIZE(bytes, GATHER);
        src = gathered;
    }
    rml_dtype_convert(dtype, src, to, dst_at, count);
}

void rml_widen_store(rml_dtype dtype, void *base, int64_t stride, size_t first, size_t count,
                     rml_wide wide, const rml_widen *chunk)
{
    const int64_t bytes = (int64_t)rml_dtype_size(dtype);
    void *dst = (char *)base + (int64_t)first * stride * bytes;
    uint64_t narrow[RML_WIDEN_COUNT];
    const void *src = narrow;
    if (stride == 1) {
        rml_dtype_convert(wide_dtype[wide], chunk, dtype, dst, count);
        return;
    }
    rml_dtype_convert(wide_dtype[wide], chunk, dtype, narrow, count);
    RML_BY_SIZE(bytes, SCATTER);
}

rml_tensor rml_broadcast_view(const rml_tensor *view, const rml_tensor *like)
{
    rml_tensor wide = *like;
    wide.raw = view->raw;
    wide.dtype = view->dtype;
    for (int i = 0; i < like->rank; i++) {
        const int from = i - (like->rank - view->rank);
        wide.stride[i] = from < 0 || view->dim[from] == 1 ? 0 : view->stride[from];
    }
    return wide;
}

void rml_widen_read(const rml_tensor *view, size_t begin, size_t count, rml_wide wide,
                    rml_widen *chunk)
{
    int64_t index[RML_MAX_RANK] = {0}, offset = 0;
    size_t rest = begin;
    if (view->rank == 0) {
        rml_widen_load(view->dtype, view->raw, 1, 0, 1, wide, chunk);
        return;
    }
    for (int i = view->rank - 1; i >= 0; i--) {
        index[i] = (int64_t)(rest % (size_t)view->dim[i]);
        rest /= (size_t)view->dim[i];
        offset += index[i] * view->stride[i];
    }
    const int last = view->rank - 1;
    for (size_t done = 0; done < count;) {
        const size_t left = (size_t)(view->dim[last] - index[last]);
        const size_t run = left < count - done ? left : count - done;
        const char *src = (const char *)view->raw + offset * (int64_t)rml_dtype_size(view->dtype);
        rml_widen_load(view->dtype, src, view->stride[last], 0, run, wide, &chunk->u64[done]);
        done += run;
        offset += (int64_t)run * view->stride[last];
        index[last] += (int64_t)run;
        for (int i = last; i > 0 && index[i] == view->dim[i]; i--) {
            offset += view->stride[i - 1] - index[i] * view->stride[i];
            index[i] = 0;
            index[i - 1]++;
        }
    }
}

void rml_read_f64(const rml_tensor *tensor, size_t at, double *dst, size_t count)
{
    rml_dtype_convert(tensor->dtype, rml_tensor_at(tensor, (int64_t)at), RML_F64, dst, count);
}

void rml_write_f64(const rml_tensor *tensor, size_t at, const double *src, size_t count)
{
    rml_dtype_convert(RML_F64, src, tensor->dtype, rml_tensor_at(tensor, (int64_t)at), count);
}

double rml_number_f64(const rml_tensor *tensor, size_t at)
{
    double number;
    rml_read_f64(tensor, at, &number, 1);
    return number;
}

double rml_rounded_f64(rml_dtype dtype, double number)
{
    uint64_t narrow;
    rml_dtype_convert(RML_F64, &number, dtype, &narrow, 1);
    rml_dtype_convert(dtype, &narrow, RML_F64, &number, 1);
    return number;
}

void rml_widen_keys(rml_wide wide, size_t count, rml_widen *chunk)
{
    const uint64_t sign = (uint64_t)1 << 63;
    for (size_t i = 0; i < count; i++)
        if (wide == RML_WIDE_I64)
            chunk->u64[i] ^= sign;
        else if (wide == RML_WIDE_F64 && isnan(chunk->f64[i]))
            chunk->u64[i] = UINT64_MAX;
        else if (wide == RML_WIDE_F64) {
            chunk->f64[i] += 0.0; // takes the sign of -0 away
            chunk->u64[i] ^= chunk->u64[i] & sign ? UINT64_MAX : sign;
        }
}

void rml_widen_write(const rml_tensor *out, size_t begin, size_t count, rml_wide wide,
                     const rml_widen *chunk)
{
    rml_dtype_convert(wide_dtype[wide], chunk, out->dtype,
                      (char *)out->raw + begin * rml_dtype_size(out->dtype), count);
}

typedef struct lines_job {
    const rml_lines *lines;
    rml_lines_fn fn;
    const void *context;
} lines_job;

static void lines_part(void *context, size_t begin, size_t end, int worker)
{
    const lines_job *job = context;
    const size_t inner = job->lines->inner;
    (void)worker;
    for (size_t i = begin, n; i < end; i += n) {
        n = rml_min_size(rml_min_size(inner - i % inner, end - i), RML_WIDEN_COUNT);
        job->fn(job->context, i, i / inner * inner * job->lines->count + i % inner, n);
    }
}

void rml_lines_run(const rml_lines *lines, rml_pool *pool, rml_lines_fn fn, const void *context)
{
    enum { CHUNK_ELEMENTS = 32768, SIDE = 64 }; // read by a work item; whole lines of the cache
    lines_job job = {lines, fn, context};
    const size_t side = lines->inner < SIDE ? 1 : SIDE;
    if (lines->count)
        rml_pool_run(pool, lines->outer * lines->inner,
                     ((CHUNK_ELEMENTS - 1) / lines->count / side + 1) * side, lines_part, &job);
}
