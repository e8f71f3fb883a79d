// Reductions by the kernels of the element type.
#include "ops/reduce/reduce.h"

#include <string.h>

#define LANES 256
#define BLOCK 64 // short rows that are turned: one of a row then joins another of all of them

static rml_binary kernel_of(rml_reduce_kind kind)
{
    static const rml_binary kinds[] = {[RML_REDUCE_SUM] = RML_BINARY_ADD,
                                       [RML_REDUCE_MEAN] = RML_BINARY_ADD,
                                       [RML_REDUCE_MAX] = RML_BINARY_MAX,
                                       [RML_REDUCE_MIN] = RML_BINARY_MIN,
                                       [RML_REDUCE_PROD] = RML_BINARY_MUL};
    return kinds[kind];
}

bool rml_reduce_has_kernel(const rml_op_args *args)
{
    const rml_reduce_kind kind = args->attr->reduce.kind;
    const rml_dtype dtype = args->in[0].dtype;
    const uint64_t none[1] = {0};
    uint64_t out[1];
    if (kind > RML_REDUCE_PROD || dtype == RML_F32)
        return kind <= RML_REDUCE_PROD;
    // Sums of whole numbers for a mean are of 64 bits.
    return (kind != RML_REDUCE_MEAN || dtype == RML_F64) &&
           RML_KERNEL(args->kernels, typed_binary)(kernel_of(kind), dtype, none, none, out, 0);
}

static void join_runs(const rml_reduce_job *at, const void *a, const void *b, void *dst,
                      size_t count)
{
    const rml_kernels *kernels = at->args->kernels;
    const rml_binary kind = kernel_of(at->kind);
    if (at->args->in[0].dtype == RML_F32)
        RML_KERNEL(kernels, binary[kind])(a, b, dst, count);
    else
        RML_KERNEL(kernels, typed_binary)(kind, at->args->in[0].dtype, a, b, dst, count);
}

static void divide_means(const rml_reduce_job *at, void *sums, size_t count)
{
    if (at->kind != RML_REDUCE_MEAN)
        return;
    for (size_t k = 0; k < count; k++)
        if (at->args->in[0].dtype == RML_F32)
            ((float *)sums)[k] /= (float)at->count;
        else
            ((double *)sums)[k] /= (double)at->count;
}

void rml_reduce_slices(void *context, size_t begin, size_t end, int worker)
{
    const rml_reduce_job *at = context;
    const size_t bytes = rml_dtype_size(at->args->in[0].dtype);
    (void)worker;
    for (size_t i = begin, n; i < end; i += n) {
        n = rml_reduce_neighbours(at, i, end, SIZE_MAX);
        const char *src = (const char *)at->args->in[0].raw +
                          ((size_t)rml_reduce_offset(&at->kept, i / at->run) + i % at->run) * bytes;
        char *dst = (char *)at->args->out[0].raw + i * bytes;
        if (at->args->in[0].dtype == RML_F32 && at->reduced.rank == 1) {
            RML_KERNEL(at->args->kernels, fold)
            (kernel_of(at->kind), (const float *)(const void *)src, (size_t)at->reduced.stride[0],
             at->parts, n, (float *)(void *)dst);
            divide_means(at, dst, n);
            continue;
        }
        memcpy(dst, src, n * bytes);
        for (size_t part = 1; part < at->parts; part++)
            join_runs(at, dst, src + (size_t)rml_reduce_offset(&at->reduced, part) * bytes, dst, n);
        divide_means(at, dst, n);
    }
}

// The last `width` lanes become one, each joined by one of the upper half.
static void join_lanes(const rml_reduce_job *at, char *lane, size_t width, size_t step,
                       size_t bytes)
{
    for (size_t half; width > 1; width -= half) {
        half = width / 2;
        join_runs(at, lane, lane + (width - half) * step * bytes, lane, half * step);
    }
}

static void rows_f32(const rml_reduce_job *at, size_t begin, size_t end)
{
    const rml_kernels *kernels = at->args->kernels;
    const rml_binary kind = kernel_of(at->kind);
    const float *const in = at->args->in[0].data;
    float *const out = at->args->out[0].data;
    if (at->parts == 1 && at->kept.rank <= 1) // rows that follow each other
        RML_KERNEL(kernels, fold_rows)
    (kind, in + begin * at->run, at->run, end - begin, at->run, out + begin);
    else for (size_t i = begin; i < end; i++)
    {
        const float *src = in + rml_reduce_offset(&at->kept, i);
        float lane[LANES], x;
        if (at->reduced.rank == 1 && at->run <= LANES) {
            RML_KERNEL(kernels, fold)
            (kind, src, (size_t)at->reduced.stride[0], at->parts, at->run, lane);
            RML_KERNEL(kernels, fold_rows)(kind, lane, LANES, 1, at->run, &out[i]);
            continue;
        }
        RML_KERNEL(kernels, fold_rows)(kind, src, at->run, 1, at->run, &out[i]);
        for (size_t part = 1; part < at->parts; part++) {
            RML_KERNEL(kernels, fold_rows)
            (kind, src + rml_reduce_offset(&at->reduced, part), at->run, 1, at->run, &x);
            join_runs(at, &out[i], &x, &out[i], 1);
        }
    }
    divide_means(at, out + begin, end - begin);
}

void rml_reduce_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_reduce_job *at = context;
    const size_t bytes = rml_dtype_size(at->args->in[0].dtype);
    (void)worker;
    if (at->args->in[0].dtype == RML_F32) {
        rows_f32(at, begin, end);
        return;
    }
    for (size_t i = begin; i < end; i++) {
        const char *src =
            (const char *)at->args->in[0].raw + (size_t)rml_reduce_offset(&at->kept, i) * bytes;
        uint64_t lane[LANES];
        size_t width = rml_min_size(at->run, LANES), from = width;
        if (at->run >= 2 * LANES) { // the first two pieces at once
            join_runs(at, src, src + LANES * bytes, lane, LANES);
            from = 2 * LANES;
        } else {
            memcpy(lane, src, width * bytes);
        }
        for (size_t part = 0; part < at->parts; part++, from = 0) {
            const char *row = src + (size_t)rml_reduce_offset(&at->reduced, part) * bytes;
            for (size_t k = from; k < at->run; k += LANES)
                join_runs(at, lane, row + k * bytes, lane, rml_min_size(LANES, at->run - k));
        }
        join_lanes(at, (char *)lane, width, 1, bytes);
        divide_means(at, lane, 1);
        memcpy((char *)at->args->out[0].raw + i * bytes, lane, bytes);
    }
}

#define TURN(type)                                                                                 \
    for (size_t r = 0; r < rows; r++)                                                              \
        for (size_t c = 0; c < run; c++)                                                           \
    ((type *)dst)[c * rows + r] = ((const type *)src)[r * run + c]

static void turn_rows(const void *src, size_t rows, size_t run, void *dst, size_t bytes)
{
    RML_BY_SIZE(bytes, TURN);
}

// Short rows that follow each other: the lanes of a row are lines of a block here, and joined in
// the same order.
void rml_reduce_short_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_reduce_job *at = context;
    const size_t bytes = rml_dtype_size(at->args->in[0].dtype);
    uint64_t turned[RML_REDUCE_SHORT * BLOCK];
    (void)worker;
    for (size_t i = begin, rows; i < end; i += rows) {
        const char *src = (const char *)at->args->in[0].raw + i * at->run * bytes;
        rows = rml_min_size(BLOCK, end - i);
        if (bytes == sizeof(float))
            RML_KERNEL(at->args->kernels, transpose)
        ((const float *)(const void *)src, at->run, (float *)(void *)turned, rows, rows, at->run);
        else turn_rows(src, rows, at->run, turned, bytes);
        join_lanes(at, (char *)turned, at->run, rows, bytes);
        divide_means(at, turned, rows);
        memcpy((char *)at->args->out[0].raw + i * bytes, turned, rows * bytes);
    }
}
