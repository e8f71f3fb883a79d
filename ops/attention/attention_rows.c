// Attention with whole rows of scores, for everything that online softmax does not do: capped
// scores, windows, lengths, scores as an output. f32 runs on the gemm kernel, a head at a time, and
// so do halves; f64 in double.
#include "ops/attention/attention.h"

#include "kernels/pack.h"
#include "ops/elementwise/widen.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

typedef struct rows_job {
    const rml_op_args *args;
    const rml_attention_attr *attr;
    rml_heads q, k, v, y, mask; // mask.tensor NULL: none
    size_t heads, group, queries, keys, depth, width;
    double scale;
    bool wide; // in double
    // A worker's memory, in bytes from its start; rows: of f32 or f64.
    size_t bias, rows, query, result, plain, packed_k, packed_v, worker_bytes;
} rows_job;

static size_t rows_of(const rows_job *job)
{
    return job->wide ? 1 : RML_KERNEL(job->args->kernels, gemm_f32).mr;
}

static rows_job job_of(const rml_op_args *args)
{
    const rml_attention_dims d = rml_attention_dims_of(args);
    const rml_tensor *q = &args->in[RML_ATTENTION_Q], *v = &args->in[RML_ATTENTION_V];
    const rml_tensor *mask = rml_op_input(args, RML_ATTENTION_MASK);
    rows_job job = {.args = args,
                    .attr = &args->attr->attention,
                    .q = rml_heads_of(q, d.depth),
                    .k = rml_heads_of(&args->in[RML_ATTENTION_K], d.depth),
                    .v = rml_heads_of(v, d.width),
                    .y = rml_heads_of(&args->out[0], d.width),
                    .heads = (size_t)d.heads,
                    .group = d.key_heads > 0 ? (size_t)(d.heads / d.key_heads) : 1,
                    .queries = (size_t)d.queries,
                    .keys = (size_t)d.keys,
                    .depth = (size_t)d.depth,
                    .width = (size_t)d.width};
    if (mask)
        job.mask = rml_heads_of_mask(mask);
    job.wide = job.attr->wide || q->dtype == RML_F64 || v->dtype == RML_F64;
    job.scale = job.attr->scale != 0 ? (double)job.attr->scale : 1 / sqrt((double)job.depth);
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
                       rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), 1, job.depth, job.keys),
                       size),
        job.wide ? 0
                 : rml_aligned_bytes(
                       rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), 1, job.keys, job.width),
                       size)};
    size_t *const at[] = {&job.bias,  &job.rows,     &job.query,   &job.result,
                          &job.plain, &job.packed_k, &job.packed_v};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        *at[i] = job.worker_bytes;
        job.worker_bytes = rml_sat_add(job.worker_bytes, bytes[i]);
    }
    return job;
}

size_t rml_attention_rows_scratch(const rml_op_args *args)
{
    return rml_sat_mul((size_t)args->threads, job_of(args).worker_bytes);
}

static void read_row(const rml_heads *heads, size_t item, size_t head, size_t row, rml_dtype to,
                     void *dst, size_t count)
{
    rml_dtype_convert(heads->tensor->dtype, rml_heads_row(heads, item, head, row), to, dst, count);
}

static void write_row(const rml_heads *heads, size_t item, size_t head, size_t row, rml_dtype from,
                      const void *src, size_t count)
{
    rml_dtype_convert(from, src, heads->tensor->dtype, rml_heads_row(heads, item, head, row),
                      count);
}

// ---- what a query sees --------------------------------------------------------------------------

static void add_mask(const rows_job *job, size_t batch, size_t head, size_t query, double *bias)
{
    const rml_tensor *mask = job->mask.tensor;
    const size_t count = rml_min_size((size_t)mask->dim[mask->rank - 1], job->keys);
    const char *row = rml_heads_row(&job->mask, batch, head, query);
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
static bool bias_row(const rows_job *job, size_t batch, size_t head, size_t query, double *bias)
{
    const rml_attention_attr *attr = job->attr;
    const rml_tensor *lengths = rml_op_input(job->args, RML_ATTENTION_LENGTHS);
    const rml_tensor *past = rml_op_input(job->args, RML_ATTENTION_PAST);
    int64_t length = (int64_t)job->keys, offset = 0;
    if (lengths) {
        length = ((const int64_t *)lengths->raw)[batch];
        length = length < 0 ? 0 : length > (int64_t)job->keys ? (int64_t)job->keys : length;
    }
    if (past)
        offset = past->dim[2];
    else if (lengths)
        offset = length - (int64_t)job->queries;
    const int64_t place = (int64_t)query + offset;
    for (size_t j = 0; j < job->keys; j++) {
        const int64_t ahead = (int64_t)j - place;
        const bool hidden = (int64_t)j >= length || (attr->causal && ahead > 0) ||
                            (attr->window[0] && -ahead > attr->side[0]) ||
                            (attr->window[1] && ahead > attr->side[1]);
        bias[j] = hidden ? -INFINITY : 0;
    }
    if (job->mask.tensor)
        add_mask(job, batch, head, query, bias);
    bool sees = false;
    for (size_t j = 0; j < job->keys && !sees; j++)
        sees = bias[j] != -INFINITY;
    return sees;
}

// ---- f32 and halves -----------------------------------------------------------------------------

// Row `row` of all, at one stage of its way.
static void keep_scores(const rows_job *job, rml_attention_scores stage, size_t row, rml_dtype type,
                        const void *scores)
{
    const rml_tensor *out = &job->args->out[1];
    if (job->attr->scores == stage)
        rml_dtype_convert(type, scores, out->dtype, rml_tensor_at(out, (int64_t)(row * job->keys)),
                          job->keys);
}

// Scores of a query, `row` of all, to weights of the keys.
static void weigh_f32(const rows_job *job, size_t row, float *s, double *bias)
{
    const size_t query = row % job->queries, head = row / job->queries % job->heads;
    const float cap = job->attr->softcap, scale = (float)job->scale;
    const bool sees = bias_row(job, row / job->queries / job->heads, head, query, bias);
    float high = -INFINITY;
    for (size_t j = 0; j < job->keys; j++)
        s[j] *= scale;
    keep_scores(job, RML_ATTENTION_SCALED, row, RML_F32, s);
    if (cap > 0) {
        for (size_t j = 0; j < job->keys; j++)
            s[j] /= cap;
        RML_KERNEL(job->args->kernels, unary[RML_UNARY_TANH])(s, s, job->keys, NULL);
        for (size_t j = 0; j < job->keys; j++)
            s[j] *= cap;
    }
    keep_scores(job, RML_ATTENTION_CAPPED, row, RML_F32, s);
    for (size_t j = 0; j < job->keys; j++) {
        s[j] += (float)bias[j];
        high = s[j] <= high ? high : s[j]; // what is not a number stays
    }
    keep_scores(job, RML_ATTENTION_MASKED, row, RML_F32, s);
    if (sees && high != -INFINITY)
        RML_KERNEL(job->args->kernels, softmax)(s, s, job->keys, false);
    else
        memset(s, 0, job->keys * sizeof *s);
    keep_scores(job, RML_ATTENTION_SOFTMAX, row, RML_F32, s);
}

// Packs rows of keys as columns, or rows of values as they are.
static void pack_head(const rows_job *job, const rml_heads *heads, bool turn, size_t item,
                      size_t head, size_t length, float *plain, float *packed)
{
    const rml_gemm *gemm = &RML_KERNEL(job->args->kernels, gemm_f32);
    const float *src = rml_heads_row(heads, item, head, 0);
    size_t row_step = (size_t)heads->row;
    if (heads->tensor->dtype != RML_F32) {
        for (size_t j = 0; j < job->keys; j++)
            read_row(heads, item, head, j, RML_F32, plain + j * length, length);
        src = plain;
        row_step = length;
    }
    const size_t depth = turn ? length : job->keys, cols = turn ? job->keys : length;
    const size_t depth_step = turn ? 1 : row_step, col_step = turn ? row_step : 1;
    for (size_t column = 0; column < cols; column += gemm->nr)
        rml_pack_panel(gemm, packed + column * depth, src + column * col_step, 1, depth,
                       rml_min_size(gemm->nr, cols - column), 0, depth_step, col_step);
}

static void run_head_f32(const rows_job *job, size_t item, size_t head, char *own)
{
    const rml_gemm *gemm = &RML_KERNEL(job->args->kernels, gemm_f32);
    const size_t key_head = head / job->group, mr = gemm->mr;
    float *rows = (float *)(void *)(own + job->rows), *query = (float *)(void *)(own + job->query);
    float *result = (float *)(void *)(own + job->result);
    float *plain = (float *)(void *)(own + job->plain);
    float *keys = (float *)(void *)(own + job->packed_k);
    float *values = (float *)(void *)(own + job->packed_v);
    pack_head(job, &job->k, true, item, key_head, job->depth, plain, keys);
    pack_head(job, &job->v, false, item, key_head, job->width, plain, values);
    for (size_t first = 0; first < job->queries; first += mr) {
        const size_t count = rml_min_size(mr, job->queries - first);
        const size_t row = (item * job->heads + head) * job->queries + first;
        for (size_t i = 0; i < count; i++)
            read_row(&job->q, item, head, first + i, RML_F32, query + i * job->depth, job->depth);
        rml_pack_multiply(gemm, query, job->depth, count, job->depth, keys, job->keys, rows,
                          job->keys);
        for (size_t i = 0; i < count; i++)
            weigh_f32(job, row + i, rows + i * job->keys, (double *)(void *)(own + job->bias));
        rml_pack_multiply(gemm, rows, job->keys, count, job->keys, values, job->width, result,
                          job->width);
        for (size_t i = 0; i < count; i++)
            write_row(&job->y, item, head, first + i, RML_F32, result + i * job->width, job->width);
    }
}

// ---- double -------------------------------------------------------------------------------------

static void weigh_f64(const rows_job *job, size_t row, double *s, double *bias)
{
    const size_t query = row % job->queries, head = row / job->queries % job->heads;
    const double cap = (double)job->attr->softcap;
    const bool sees = bias_row(job, row / job->queries / job->heads, head, query, bias);
    double high = -INFINITY, sum = 0;
    keep_scores(job, RML_ATTENTION_SCALED, row, RML_F64, s);
    for (size_t j = 0; j < job->keys && cap > 0; j++)
        s[j] = cap * tanh(s[j] / cap);
    keep_scores(job, RML_ATTENTION_CAPPED, row, RML_F64, s);
    for (size_t j = 0; j < job->keys; j++) {
        s[j] += bias[j];
        high = s[j] <= high ? high : s[j];
    }
    keep_scores(job, RML_ATTENTION_MASKED, row, RML_F64, s);
    for (size_t j = 0; j < job->keys; j++) {
        s[j] = sees && high != -INFINITY ? exp(s[j] - high) : 0;
        sum += s[j];
    }
    for (size_t j = 0; j < job->keys && sum != 0; j++)
        s[j] /= sum;
    keep_scores(job, RML_ATTENTION_SOFTMAX, row, RML_F64, s);
}

static void run_head_f64(const rows_job *job, size_t item, size_t head, char *own)
{
    const size_t key_head = head / job->group;
    double *s = (double *)(void *)(own + job->rows), *query = (double *)(void *)(own + job->query);
    double *result = (double *)(void *)(own + job->result);
    double *plain = (double *)(void *)(own + job->plain);
    for (size_t i = 0; i < job->queries; i++) {
        const size_t row = (item * job->heads + head) * job->queries + i;
        read_row(&job->q, item, head, i, RML_F64, query, job->depth);
        for (size_t j = 0; j < job->keys; j++) {
            read_row(&job->k, item, key_head, j, RML_F64, plain, job->depth);
            s[j] = 0;
            for (size_t d = 0; d < job->depth; d++)
                s[j] += query[d] * plain[d];
            s[j] *= job->scale;
        }
        weigh_f64(job, row, s, (double *)(void *)(own + job->bias));
        memset(result, 0, job->width * sizeof *result);
        for (size_t j = 0; j < job->keys; j++) {
            read_row(&job->v, item, key_head, j, RML_F64, plain, job->width);
            for (size_t e = 0; e < job->width; e++)
                result[e] += s[j] * plain[e];
        }
        write_row(&job->y, item, head, i, RML_F64, result, job->width);
    }
}

static void run_heads(void *context, size_t begin, size_t end, int worker)
{
    const rows_job *job = context;
    char *own = job->args->scratch + (size_t)worker * job->worker_bytes;
    for (size_t i = begin; i < end; i++)
        if (job->wide)
            run_head_f64(job, i / job->heads, i % job->heads, own);
        else
            run_head_f32(job, i / job->heads, i % job->heads, own);
}

void rml_attention_rows_run(const rml_op_args *args)
{
    rows_job job = job_of(args);
    const bool scores = job.attr->scores != RML_ATTENTION_NO_SCORES;
    if (rml_tensor_count(&args->out[0]) || (scores && rml_tensor_count(&args->out[1])))
        rml_pool_run(args->pool, (size_t)args->in[RML_ATTENTION_Q].dim[0] * job.heads, 1, run_heads,
                     &job);
}
