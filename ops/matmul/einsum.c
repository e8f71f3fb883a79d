// Sums of products over named dimensions, as numpy.einsum: operands are joined from left to right,
// each time by one batched matrix product of copies whose dimensions are put in order.
#include "ops/matmul/einsum_equation.h"
#include "ops/matmul/product.h"

#include "ops/elementwise/nd_iterator.h"
#include "ops/elementwise/widen.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

#include <string.h>

#define MOST_ELEMENTS (SIZE_MAX >> 18) // of a copy or product: its scratch can be addressed

// ---- joining ------------------------------------------------------------------------------------

enum { BATCH = RML_EINSUM_BATCH, M = RML_EINSUM_M, N = RML_EINSUM_N, K = RML_EINSUM_K };

// Operand `index`, or the number 1 behind the last one.
static const rml_einsum_term *operand(const rml_einsum *eq, int index)
{
    static const rml_einsum_term none = {0};
    return index < eq->operands ? &eq->in[index] : &none;
}

// Joins `left` with operand `next`. False when sizes cannot be addressed.
static bool join(const rml_einsum *eq, const rml_einsum_term *left, int next, rml_einsum_joining *j)
{
    return rml_einsum_join(eq, left, operand(eq, next), next + 1, j);
}

static bool elements(const rml_einsum_joining *j, int a, int b, size_t *most)
{
    size_t count;
    if (!rml_size_mul(j->size[BATCH], j->size[a], &count) ||
        !rml_size_mul(count, j->size[b], &count) || count > MOST_ELEMENTS)
        return false;
    *most = count > *most ? count : *most;
    return true;
}

// The type that copies and products are in. Integers wrap, so that theirs is as good as a wider
// one.
static rml_dtype work_dtype(rml_dtype dtype)
{
    return rml_dtype_is_half(dtype) ? RML_F32 : dtype;
}

static rml_product product_of(const rml_einsum_joining *j, rml_dtype dtype, void *a, void *b,
                              void *y)
{
    const int64_t batch = (int64_t)j->size[BATCH], m = (int64_t)j->size[M], n = (int64_t)j->size[N],
                  k = (int64_t)j->size[K];
    return (rml_product){.a = rml_tensor_typed(a, dtype, &(rml_shape){3, {batch, m, k}}),
                         .b = rml_tensor_typed(b, dtype, &(rml_shape){3, {batch, k, n}}),
                         .y = rml_tensor_typed(y, dtype, &(rml_shape){3, {batch, m, n}})};
}

// Bytes of the copies of first and second operands, of the products, and of the products' scratch.
// False when they are too many. Without `args` that is all it tells.
static bool plan(const rml_einsum *eq, const rml_op_args *args, size_t bytes[4])
{
    const rml_dtype dtype = args ? work_dtype(args->out[0].dtype) : RML_F64;
    rml_einsum_term left = eq->in[0];
    size_t most[3] = {1, 1, 1}, scratch = 0;
    for (int next = 1; next == 1 || next < eq->operands; next++) { // also for one operand
        rml_einsum_joining j;
        if (!join(eq, &left, next, &j) || !elements(&j, M, K, &most[0]) ||
            !elements(&j, K, N, &most[1]) || !elements(&j, M, N, &most[2]))
            return false;
        const rml_product product = product_of(&j, dtype, NULL, NULL, NULL);
        const size_t own = args ? rml_product_scratch(args, &product) : 0;
        scratch = own > scratch ? own : scratch;
        left = rml_einsum_joined(&j);
    }
    for (int i = 0; i < 3; i++)
        bytes[i] = rml_aligned_bytes(most[i], rml_dtype_size(dtype));
    bytes[3] = scratch;
    return true;
}

// ---- the operator -------------------------------------------------------------------------------

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const char *text = node->attr->einsum.equation;
    rml_einsum eq;
    if (!rml_einsum_parse(text, node->shape, node->in_count, &eq))
        return rml_fail(err, RML_ERR_SHAPE, "equation \"%.100s\" does not fit the %d inputs", text,
                        node->in_count);
    out->rank = eq.out.rank;
    for (int i = 0; i < eq.out.rank; i++)
        out->dim[i] = eq.size[eq.out.label[i]];
    size_t bytes[4];
    for (int k = 0; k < node->in_count; k++)
        if (!rml_shape_known(&node->shape[k]))
            return RML_OK;
    if (!plan(&eq, NULL, bytes))
        return rml_fail(err, RML_ERR_LIMIT, "equation \"%.100s\" makes too large tensors", text);
    return RML_OK;
}

static rml_einsum equation_of(const rml_op_args *args)
{
    rml_shape in[RML_EINSUM_OPERANDS];
    rml_einsum eq;
    for (int k = 0; k < args->in_count; k++)
        in[k] = rml_tensor_shape(&args->in[k]);
    rml_einsum_parse(args->attr->einsum.equation, in, args->in_count, &eq);
    return eq;
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const rml_einsum eq = equation_of(args);
    size_t bytes[4] = {0};
    plan(&eq, args, bytes);
    return rml_sat_add(rml_sat_add(bytes[0], bytes[1]), rml_sat_add(bytes[2], bytes[3]));
}

// ---- copies with the dimensions in another order ------------------------------------------------

typedef struct copy_job {
    const char *src;
    char *dst; // plain
    rml_dtype from, to;
    int rank; // at least 1
    int64_t dim[RML_EINSUM_LABELS + 1], stride[RML_EINSUM_LABELS + 1];
} copy_job;

static void copy_runs(void *context, size_t begin, size_t end, int worker)
{
    const copy_job *job = context;
    const int last = job->rank - 1;
    const size_t run = (size_t)job->dim[last];
    const size_t from = rml_dtype_size(job->from), to = rml_dtype_size(job->to);
    const int64_t step = job->stride[last];
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        size_t rest = item;
        int64_t at = 0;
        for (int i = last - 1; i >= 0; i--) {
            at += (int64_t)(rest % (size_t)job->dim[i]) * job->stride[i];
            rest /= (size_t)job->dim[i];
        }
        const char *src = job->src + at * (int64_t)from;
        char *dst = job->dst + item * run * to;
        if (job->from == RML_F32 && job->to == RML_F32) {
            for (size_t i = 0; i < run; i++)
                ((float *)(void *)dst)[i] = ((const float *)(const void *)src)[(int64_t)i * step];
            continue;
        }
        const rml_wide wide = rml_wide_of(job->to);
        for (size_t k = 0, some; k < run; k += some) {
            rml_widen chunk;
            some = rml_min_size(RML_WIDEN_COUNT, run - k);
            rml_widen_load(job->from, src, step, k, some, wide, &chunk);
            rml_widen_store(job->to, dst, 1, k, some, wide, &chunk);
        }
    }
}

// Whether the elements lie as they are wanted.
static bool lies_so(const copy_job *job)
{
    int64_t step = 1;
    for (int i = job->rank - 1; i >= 0; step *= job->dim[i--])
        if (job->dim[i] != 1 && job->stride[i] != step)
            return false;
    return job->from == job->to;
}

// As a copy between views, which knows how to turn them; false where they have too many dimensions,
// or the types differ.
static bool copy_views(const rml_op_args *args, const copy_job *job)
{
    rml_shape shape = {0};
    int64_t stride[RML_MAX_RANK] = {0};
    for (int i = 0; i < job->rank; i++)
        if (job->dim[i] != 1) {
            if (shape.rank == RML_MAX_RANK)
                return false;
            stride[shape.rank] = job->stride[i];
            shape.dim[shape.rank++] = job->dim[i];
        }
    if (job->from != job->to)
        return false;
    const rml_tensor dst = rml_tensor_typed(job->dst, job->to, &shape);
    rml_tensor src = rml_tensor_typed((void *)(uintptr_t)job->src, job->from, &shape);
    memcpy(src.stride, stride, sizeof stride);
    rml_copy_view(args, &src, &dst);
    return true;
}

// A value whose dimensions are `of`, of the given sizes and strides, with those of the parts of
// `order` one after another: where it lies, or copied to job->dst.
static const char *put_in_order(const rml_op_args *args, const rml_einsum *eq,
                                const rml_einsum_term *of, const int64_t *size,
                                const int64_t *stride, const rml_einsum_term *order,
                                const int *part, int parts, copy_job *job)
{
    size_t count = 1;
    job->rank = 1; // one of size 1 in front, for what has no dimensions
    job->dim[0] = job->stride[0] = 1;
    for (int p = 0; p < parts; p++)
        for (int i = 0; i < order[part[p]].rank; i++) {
            const int label = order[part[p]].label[i];
            int64_t step = 0; // a label that comes twice is the diagonal
            for (int d = 0; d < of->rank; d++)
                if (of->label[d] == label && size[d] != 1)
                    step += stride[d];
            count *= (size_t)job->dim[job->rank - 1];
            job->dim[job->rank] = eq->size[label];
            job->stride[job->rank++] = step;
        }
    if (count == 0 || job->dim[job->rank - 1] == 0)
        return job->dst;
    if (lies_so(job))
        return job->src;
    if (!copy_views(args, job))
        rml_pool_run(args->pool, count, 64, copy_runs, job);
    return job->dst;
}

static void plain_strides(const rml_einsum *eq, const rml_einsum_term *of, int64_t *size,
                          int64_t *stride)
{
    int64_t step = 1;
    for (int i = of->rank - 1; i >= 0; i--) {
        size[i] = eq->size[of->label[i]];
        stride[i] = step;
        step = (int64_t)((uint64_t)step * (uint64_t)size[i]); // of nothing it may not fit
    }
}

// Sums of the rows of a matrix.
static void sum_rows(const rml_op_args *args, const rml_einsum_joining *j, rml_dtype dtype,
                     const void *a, void *sums)
{
    const rml_shape matrix = {2, {(int64_t)j->size[M], (int64_t)j->size[K]}};
    const rml_shape rows = {1, {matrix.dim[0]}};
    const rml_tensor in = rml_tensor_typed((void *)(uintptr_t)a, dtype, &matrix);
    const rml_tensor out = rml_tensor_typed(sums, dtype, &rows);
    const rml_op_attr attr = {
        .reduce = {.kind = RML_REDUCE_SUM, .axis_count = 1, .axes = {1}, .keep = false}};
    rml_op_args reduce = {.attr = &attr,
                          .in = &in,
                          .in_count = 1,
                          .out = &out,
                          .kernels = args->kernels,
                          .generic = true, // no image
                          .threads = args->threads,
                          .pool = args->pool};
    rml_op_choose(&rml_op_reduce, &reduce)->run(&reduce);
}

static bool same_order(const rml_einsum_term *a, const rml_einsum_term *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; i < a->rank && same; i++)
        same = a->label[i] == b->label[i];
    return same;
}

static void run(const rml_op_args *args)
{
    static const int first_order[] = {BATCH, M, K}, second_order[] = {BATCH, K, N};
    const rml_einsum eq = equation_of(args);
    size_t bytes[4] = {0};
    const rml_dtype dtype = args->out[0].dtype, work = work_dtype(dtype);
    plan(&eq, args, bytes);
    char *first = args->scratch, *second = first + bytes[0], *sums = second + bytes[1];
    char *target = sums; // the output itself for what lies as it shall at the end
    int64_t size[RML_EINSUM_LABELS], stride[RML_EINSUM_LABELS];
    rml_einsum_term left = eq.in[0];
    copy_job source = {.src = args->in[0].raw, .dst = first, .from = dtype, .to = work};
    memcpy(size, eq.size_of[0], sizeof eq.size_of[0]);
    memcpy(stride, args->in[0].stride, sizeof args->in[0].stride);
    for (int next = 1; next == 1 || next < eq.operands; next++) {
        rml_einsum_joining j;
        join(&eq, &left, next, &j);
        if (eq.operands == 1 && j.part[K].rank == 0)
            break; // its dimensions in another order
        const char *a =
            put_in_order(args, &eq, &left, size, stride, j.part, first_order, 3, &source);
        if (a == sums) // where the next ones go
            a = memcpy(first, sums, j.size[BATCH] * j.size[M] * j.size[K] * rml_dtype_size(work));
        if (eq.operands == 1) {
            sum_rows(args, &j, work, a, sums);
        } else {
            const rml_einsum_term joined = rml_einsum_joined(&j);
            if (work == dtype && next + 1 == eq.operands && same_order(&joined, &eq.out))
                target = args->out[0].raw;
            copy_job job = {.src = args->in[next].raw, .dst = second, .from = dtype, .to = work};
            const char *b = put_in_order(args, &eq, &eq.in[next], eq.size_of[next],
                                         args->in[next].stride, j.part, second_order, 3, &job);
            const rml_product product =
                product_of(&j, work, (void *)(uintptr_t)a, (void *)(uintptr_t)b, target);
            rml_product_run(args, &product, sums + bytes[2]);
        }
        left = rml_einsum_joined(&j);
        plain_strides(&eq, &left, size, stride);
        source.src = target;
        source.from = work;
    }
    source.dst = args->out[0].raw;
    source.to = dtype;
    const char *result =
        put_in_order(args, &eq, &left, size, stride, &eq.out, first_order, 1, &source);
    if (result != args->out[0].raw)
        memcpy(args->out[0].raw, result, rml_tensor_bytes(&args->out[0]));
}

const rml_op rml_op_einsum = {.id = RML_OP_EINSUM,
                              .name = "einsum",
                              .inputs = {1, -1},
                              .signature = "*0>0",
                              .infer = infer,
                              .algorithms = RML_ONE_WAY_IN("products", scratch_bytes, run)};
