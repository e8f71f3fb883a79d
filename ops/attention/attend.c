// Attention with everything that ONNX allows; the plain cases are for ops/attention/attention.c,
// which keeps no matrix of scores.
//   q [B,H,L,D]   k [B,G,S,D]   v [B,G,S,E]   ->   y [B,H,L,E], scores [B,H,L,S] where wanted
//   mask: bool, or floats that are added; broadcast to [B,H,L,S], and where its last dimension is
//   shorter, the keys behind it are hidden   past [.,.,P,.]: its length is all that counts
//   lengths i64 [B]: keys that are there
// Query i stands at place i + P, or, with lengths, at i + length - L. A causal one sees the keys up
// to its place, one with bounds those around it. One that sees no key gives zeros.
//
// f32 runs on the gemm kernel, a head at a time, and so do halves; f64 in double.
#include "ops/op.h"

#include "kernels/pack.h"
#include "ops/elementwise/widen.h"
#include "tensor/convert.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, MASK, PAST, LENGTHS };

static int outputs(const rml_op_attr *attr)
{
    return attr->attend.scores >= 0 ? 2 : 1;
}

static bool is_float(rml_dtype dtype)
{
    return rml_wide_of(dtype) == RML_WIDE_F64;
}

static rml_status types(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_dtype *out,
                        rml_error *err)
{
    bool fits = is_float(in[Q].dtype) && is_float(in[V].dtype) && in[K].dtype == in[Q].dtype;
    if (in_count > MASK && in[MASK].shape.rank != -1)
        fits = fits && (in[MASK].dtype == RML_BOOL || is_float(in[MASK].dtype));
    if (in_count > LENGTHS && in[LENGTHS].shape.rank != -1)
        fits = fits && in[LENGTHS].dtype == RML_I64;
    if (!fits)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "attention of %s, %s and %s is not defined",
                        rml_dtype_name(in[Q].dtype), rml_dtype_name(in[K].dtype),
                        rml_dtype_name(in[V].dtype));
    for (int k = 0; k < outputs(attr); k++)
        out[k] = in[Q].dtype;
    return RML_OK;
}

static bool same(int64_t a, int64_t b)
{
    return a == b || a < 0 || b < 0;
}

static bool mask_fits(const rml_shape *mask, const rml_shape *scores)
{
    if (mask->rank < 1 || mask->rank > 4)
        return false;
    bool fits = scores->dim[3] < 0 || mask->dim[mask->rank - 1] <= scores->dim[3];
    for (int back = 2; back <= mask->rank && fits; back++)
        fits = mask->dim[mask->rank - back] == 1 ||
               same(mask->dim[mask->rank - back], scores->dim[4 - back]);
    return fits;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    const rml_shape *q = &in[Q], *k = &in[K], *v = &in[V];
    char q_text[RML_SHAPE_TEXT_BYTES], k_text[RML_SHAPE_TEXT_BYTES], v_text[RML_SHAPE_TEXT_BYTES];
    bool fits = q->rank == 4 && k->rank == 4 && v->rank == 4;
    fits = fits && same(q->dim[0], k->dim[0]) && same(k->dim[0], v->dim[0]) &&
           same(k->dim[1], v->dim[1]) && same(k->dim[2], v->dim[2]) && same(q->dim[3], k->dim[3]);
    if (fits && q->dim[1] >= 0 && k->dim[1] >= 0)
        fits = q->dim[1] == 0 || (k->dim[1] > 0 && q->dim[1] % k->dim[1] == 0);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "queries %s, keys %s and values %s do not fit",
                        rml_shape_text(q, q_text), rml_shape_text(k, k_text),
                        rml_shape_text(v, v_text));
    const rml_shape scores = {4, {q->dim[0], q->dim[1], q->dim[2], k->dim[2]}};
    if (in_count > MASK && in[MASK].rank != -1 && !mask_fits(&in[MASK], &scores))
        return rml_fail(err, RML_ERR_SHAPE, "mask %s does not fit scores %s",
                        rml_shape_text(&in[MASK], q_text), rml_shape_text(&scores, k_text));
    if (in_count > PAST && in[PAST].rank != -1 && in[PAST].rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "past keys %s", rml_shape_text(&in[PAST], q_text));
    if (in_count > LENGTHS && in[LENGTHS].rank != -1 &&
        (in[LENGTHS].rank != 1 || !same(in[LENGTHS].dim[0], q->dim[0])))
        return rml_fail(err, RML_ERR_SHAPE, "lengths %s of queries %s",
                        rml_shape_text(&in[LENGTHS], q_text), rml_shape_text(q, k_text));
    out[0] = *q;
    out[0].dim[3] = v->dim[3];
    if (outputs(attr) > 1)
        out[1] = scores;
    return RML_OK;
}

// ---- a job, and where its memory is -------------------------------------------------------------

typedef struct attend_job {
    const rml_op_args *args;
    const rml_attend_attr *attr;
    size_t heads, group, queries, keys, depth, width;
    double scale;
    bool wide; // in double
    // A worker's memory, in bytes from its start; rows: of f32 or f64.
    size_t bias, rows, query, result, plain, packed_k, packed_v, worker_bytes;
} attend_job;

static bool present(const rml_op_args *args, int input)
{
    return args->in_count > input && args->in[input].rank >= 0;
}

static size_t rows_of(const attend_job *job)
{
    return job->wide ? 1 : job->args->kernels->gemm_f32.mr;
}

static attend_job job_of(const rml_op_args *args)
{
    const rml_tensor *q = &args->in[Q], *k = &args->in[K], *v = &args->in[V];
    attend_job job = {.args = args,
                      .attr = &args->attr->attend,
                      .heads = (size_t)q->dim[1],
                      .group = k->dim[1] > 0 ? (size_t)(q->dim[1] / k->dim[1]) : 1,
                      .queries = (size_t)q->dim[2],
                      .keys = (size_t)k->dim[2],
                      .depth = (size_t)q->dim[3],
                      .width = (size_t)v->dim[3]};
    job.wide = job.attr->wide || q->dtype == RML_F64 || v->dtype == RML_F64;
    job.scale = job.attr->scale != 0 ? job.attr->scale : 1 / sqrt((double)job.depth);
    const size_t size = job.wide ? sizeof(double) : sizeof(float), rows = rows_of(&job);
    const size_t deepest = job.depth > job.width ? job.depth : job.width;
    const size_t bytes[] = {
        rml_aligned_bytes(job.keys, sizeof(double)),
        rml_aligned_bytes(job.keys, rows * size),
        rml_aligned_bytes(job.depth, rows * size),
        rml_aligned_bytes(job.width, rows * size),
        rml_aligned_bytes(job.wide ? deepest : rml_sat_mul(job.keys, deepest), size),
        job.wide ? 0
                 : rml_aligned_bytes(
                       rml_pack_count(&args->kernels->gemm_f32, 1, job.depth, job.keys), size),
        job.wide ? 0
                 : rml_aligned_bytes(
                       rml_pack_count(&args->kernels->gemm_f32, 1, job.keys, job.width), size)};
    size_t *const at[] = {&job.bias,  &job.rows,     &job.query,   &job.result,
                          &job.plain, &job.packed_k, &job.packed_v};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        *at[i] = job.worker_bytes;
        job.worker_bytes = rml_sat_add(job.worker_bytes, bytes[i]);
    }
    return job;
}

static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_sat_mul((size_t)args->threads, job_of(args).worker_bytes);
}

static const char *element(const rml_tensor *tensor, size_t at)
{
    return (const char *)tensor->raw + at * rml_dtype_size(tensor->dtype);
}

static void write_row(const rml_tensor *tensor, size_t at, rml_dtype from, const void *row,
                      size_t count)
{
    rml_dtype_convert(from, row, tensor->dtype,
                      (char *)tensor->raw + at * rml_dtype_size(tensor->dtype), count);
}

// ---- what a query sees --------------------------------------------------------------------------

// First element of the mask's row for this query.
static size_t mask_row(const rml_tensor *mask, size_t batch, size_t head, size_t query)
{
    const size_t index[4] = {batch, head, query, 0};
    size_t at = 0;
    for (int i = 0; i < mask->rank - 1; i++)
        if (mask->dim[i] != 1)
            at += index[4 - mask->rank + i] * (size_t)mask->stride[i];
    return at;
}

static void add_mask(const attend_job *job, size_t batch, size_t head, size_t query, double *bias)
{
    const rml_tensor *mask = &job->args->in[MASK];
    const size_t count = rml_min_size((size_t)mask->dim[mask->rank - 1], job->keys);
    const char *row = element(mask, mask_row(mask, batch, head, query));
    for (size_t j = count; j < job->keys; j++)
        bias[j] = -INFINITY;
    if (mask->dtype == RML_BOOL) {
        for (size_t j = 0; j < count; j++)
            bias[j] = ((const uint8_t *)row)[j] ? bias[j] : -INFINITY;
        return;
    }
    for (size_t j = 0; j < count; j += RML_WIDEN_COUNT) {
        double some[RML_WIDEN_COUNT];
        const size_t part = rml_min_size(RML_WIDEN_COUNT, count - j);
        rml_dtype_convert(mask->dtype, row + j * rml_dtype_size(mask->dtype), RML_F64, some, part);
        for (size_t i = 0; i < part; i++)
            bias[j + i] += some[i];
    }
}

// What is added to the scores of a query; false where it sees no key at all.
static bool bias_row(const attend_job *job, size_t batch, size_t head, size_t query, double *bias)
{
    const rml_op_args *args = job->args;
    const bool told = present(args, LENGTHS);
    int64_t length = (int64_t)job->keys, offset = 0;
    if (told) {
        length = ((const int64_t *)args->in[LENGTHS].raw)[batch];
        length = length < 0 ? 0 : length > (int64_t)job->keys ? (int64_t)job->keys : length;
    }
    if (present(args, PAST))
        offset = args->in[PAST].dim[2];
    else if (told)
        offset = length - (int64_t)job->queries;
    const int64_t place = (int64_t)query + offset;
    for (size_t j = 0; j < job->keys; j++) {
        const int64_t ahead = (int64_t)j - place;
        const bool hidden = (int64_t)j >= length || (job->attr->causal && ahead > 0) ||
                            (job->attr->left >= 0 && -ahead > job->attr->left) ||
                            (job->attr->right >= 0 && ahead > job->attr->right);
        bias[j] = hidden ? -INFINITY : 0;
    }
    if (present(args, MASK))
        add_mask(job, batch, head, query, bias);
    bool sees = false;
    for (size_t j = 0; j < job->keys && !sees; j++)
        sees = bias[j] != -INFINITY;
    return sees;
}

// ---- f32 and halves -----------------------------------------------------------------------------

static void keep_scores(const attend_job *job, int stage, size_t row, rml_dtype type,
                        const void *scores)
{
    if (job->attr->scores == stage)
        write_row(&job->args->out[1], row * job->keys, type, scores, job->keys);
}

// Scores of a query, `row` of all, to weights of the keys.
static void weigh_f32(const attend_job *job, size_t row, float *s, double *bias)
{
    const size_t query = row % job->queries, head = row / job->queries % job->heads;
    const float cap = (float)job->attr->softcap, scale = (float)job->scale;
    const bool sees = bias_row(job, row / job->queries / job->heads, head, query, bias);
    float high = -INFINITY;
    for (size_t j = 0; j < job->keys; j++)
        s[j] *= scale;
    keep_scores(job, 0, row, RML_F32, s);
    if (cap > 0) {
        for (size_t j = 0; j < job->keys; j++)
            s[j] /= cap;
        job->args->kernels->unary[RML_UNARY_TANH](s, s, job->keys, NULL);
        for (size_t j = 0; j < job->keys; j++)
            s[j] *= cap;
    }
    keep_scores(job, 1, row, RML_F32, s);
    for (size_t j = 0; j < job->keys; j++) {
        s[j] += (float)bias[j];
        high = s[j] <= high ? high : s[j]; // what is not a number stays
    }
    keep_scores(job, 2, row, RML_F32, s);
    if (sees && high != -INFINITY)
        job->args->kernels->softmax(s, s, job->keys);
    else
        memset(s, 0, job->keys * sizeof *s);
    keep_scores(job, 3, row, RML_F32, s);
}

// One product of up to mr rows with a packed matrix.
static void multiply(const attend_job *job, const float *rows, size_t count, size_t depth,
                     const float *packed, size_t cols, float *result)
{
    const rml_kernels *kernels = job->args->kernels;
    const void *a[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    for (size_t column = 0; column < cols; column += kernels->gemm_f32.nr) {
        rml_gemm_tile tile = {.a = a,
                              .taps = 1,
                              .depth = depth,
                              .b = packed + column * depth,
                              .rows = count,
                              .cols = rml_min_size(kernels->gemm_f32.nr, cols - column),
                              .c = c,
                              .low = -INFINITY,
                              .high = INFINITY};
        for (size_t i = 0; i < count; i++) {
            a[i] = rows + i * depth;
            c[i] = result + i * cols + column;
        }
        if (depth)
            kernels->gemm_f32.run(&tile);
    }
    if (!depth)
        memset(result, 0, count * cols * sizeof *result);
}

// Packs a head of keys (columns: keys) or of values (columns: their elements).
static void pack_head(const attend_job *job, int input, size_t head, size_t depth, size_t cols,
                      float *plain, float *packed)
{
    const rml_kernels *kernels = job->args->kernels;
    const rml_tensor *tensor = &job->args->in[input];
    const size_t count = depth * cols;
    const float *src = (const float *)(const void *)element(tensor, head * count);
    if (tensor->dtype != RML_F32) {
        rml_dtype_convert(tensor->dtype, src, RML_F32, plain, count);
        src = plain;
    }
    const size_t depth_step = input == K ? 1 : cols, col_step = input == K ? depth : 1;
    for (size_t column = 0; column < cols; column += kernels->gemm_f32.nr)
        rml_pack_panel(&kernels->gemm_f32, packed + column * depth, src + column * col_step, 1,
                       depth, rml_min_size(kernels->gemm_f32.nr, cols - column), 0, depth_step,
                       col_step);
}

static void run_head_f32(const attend_job *job, size_t item, char *own)
{
    const rml_op_args *args = job->args;
    const size_t mr = args->kernels->gemm_f32.mr, key_heads = job->heads / job->group;
    const size_t head = item / job->heads * key_heads + item % job->heads / job->group;
    float *rows = (float *)(void *)(own + job->rows), *query = (float *)(void *)(own + job->query);
    float *result = (float *)(void *)(own + job->result);
    float *plain = (float *)(void *)(own + job->plain);
    float *keys = (float *)(void *)(own + job->packed_k);
    float *values = (float *)(void *)(own + job->packed_v);
    pack_head(job, K, head, job->depth, job->keys, plain, keys);
    pack_head(job, V, head, job->keys, job->width, plain, values);
    for (size_t first = 0; first < job->queries; first += mr) {
        const size_t count = rml_min_size(mr, job->queries - first);
        const size_t row = item * job->queries + first;
        rml_dtype_convert(args->in[Q].dtype, element(&args->in[Q], row * job->depth), RML_F32,
                          query, count * job->depth);
        multiply(job, query, count, job->depth, keys, job->keys, rows);
        for (size_t i = 0; i < count; i++)
            weigh_f32(job, row + i, rows + i * job->keys, (double *)(void *)(own + job->bias));
        multiply(job, rows, count, job->keys, values, job->width, result);
        write_row(&args->out[0], row * job->width, RML_F32, result, count * job->width);
    }
}

// ---- double -------------------------------------------------------------------------------------

static void weigh_f64(const attend_job *job, size_t row, double *s, double *bias)
{
    const size_t query = row % job->queries, head = row / job->queries % job->heads;
    const double cap = job->attr->softcap;
    const bool sees = bias_row(job, row / job->queries / job->heads, head, query, bias);
    double high = -INFINITY, sum = 0;
    keep_scores(job, 0, row, RML_F64, s);
    for (size_t j = 0; j < job->keys && cap > 0; j++)
        s[j] = cap * tanh(s[j] / cap);
    keep_scores(job, 1, row, RML_F64, s);
    for (size_t j = 0; j < job->keys; j++) {
        s[j] += bias[j];
        high = s[j] <= high ? high : s[j];
    }
    keep_scores(job, 2, row, RML_F64, s);
    for (size_t j = 0; j < job->keys; j++) {
        s[j] = sees && high != -INFINITY ? exp(s[j] - high) : 0;
        sum += s[j];
    }
    for (size_t j = 0; j < job->keys && sum != 0; j++)
        s[j] /= sum;
    keep_scores(job, 3, row, RML_F64, s);
}

static void run_head_f64(const attend_job *job, size_t item, char *own)
{
    const rml_op_args *args = job->args;
    const rml_tensor *k = &args->in[K], *v = &args->in[V];
    const size_t key_heads = job->heads / job->group;
    const size_t head = item / job->heads * key_heads + item % job->heads / job->group;
    double *s = (double *)(void *)(own + job->rows), *query = (double *)(void *)(own + job->query);
    double *result = (double *)(void *)(own + job->result);
    double *plain = (double *)(void *)(own + job->plain);
    for (size_t i = 0; i < job->queries; i++) {
        const size_t row = item * job->queries + i;
        rml_dtype_convert(args->in[Q].dtype, element(&args->in[Q], row * job->depth), RML_F64,
                          query, job->depth);
        for (size_t j = 0; j < job->keys; j++) {
            rml_dtype_convert(k->dtype, element(k, (head * job->keys + j) * job->depth), RML_F64,
                              plain, job->depth);
            s[j] = 0;
            for (size_t d = 0; d < job->depth; d++)
                s[j] += query[d] * plain[d];
            s[j] *= job->scale;
        }
        weigh_f64(job, row, s, (double *)(void *)(own + job->bias));
        memset(result, 0, job->width * sizeof *result);
        for (size_t j = 0; j < job->keys; j++) {
            rml_dtype_convert(v->dtype, element(v, (head * job->keys + j) * job->width), RML_F64,
                              plain, job->width);
            for (size_t e = 0; e < job->width; e++)
                result[e] += s[j] * plain[e];
        }
        write_row(&args->out[0], row * job->width, RML_F64, result, job->width);
    }
}

static void run_heads(void *context, size_t begin, size_t end, int worker)
{
    const attend_job *job = context;
    char *own = job->args->scratch + (size_t)worker * job->worker_bytes;
    for (size_t item = begin; item < end; item++)
        if (job->wide)
            run_head_f64(job, item, own);
        else
            run_head_f32(job, item, own);
}

static void run(const rml_op_args *args)
{
    attend_job job = job_of(args);
    const bool scores = job.attr->scores >= 0 && rml_tensor_count(&args->out[1]);
    if (rml_tensor_count(&args->out[0]) || scores) // however many heads there are of nothing
        rml_pool_run(args->pool, (size_t)args->in[Q].dim[0] * job.heads, 1, run_heads, &job);
}

static uint64_t macs(const rml_op_args *args)
{
    const attend_job job = job_of(args);
    return (uint64_t)args->in[Q].dim[0] * job.heads * job.queries * job.keys *
           (job.depth + job.width);
}

static const rml_algorithm algorithms[] = {
    {.name = "heads", .scratch_bytes = scratch_bytes, .run = run}};

const rml_op rml_op_attend = {.name = "attend",
                              .min_inputs = 3,
                              .max_inputs = 6,
                              .packed_input = -1,
                              .outputs = outputs,
                              .types = types,
                              .infer = infer,
                              .macs = macs,
                              .algorithms = algorithms};
