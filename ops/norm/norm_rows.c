#include "ops/norm/norm_rows.h"

#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>

bool rml_norm_is_f32(const rml_op_args *args)
{
    for (int k = 0; k < args->in_count; k++)
        if (rml_op_input(args, k) && args->in[k].dtype != RML_F32)
            return false;
    return true;
}

typedef struct rows_job {
    const rml_op_args *args;
    const rml_norm_rows *norm;
} rows_job;

// The sum of x, or of (x - mean)^2, over a row.
static double sum_of(const rows_job *job, size_t row, bool squares, double mean)
{
    const size_t first = row * job->norm->count;
    double sum = 0;
    for (size_t done = 0, count; done < job->norm->count; done += count) {
        double x[RML_WIDEN_COUNT], part = 0; // sums of sums keep more digits
        count = rml_min_size(RML_WIDEN_COUNT, job->norm->count - done);
        rml_read_f64(&job->args->in[0], first + done, x, count);
        for (size_t i = 0; i < count; i++)
            part += squares ? (x[i] - mean) * (x[i] - mean) : x[i];
        sum += part;
    }
    return sum;
}

static void write_row(const rows_job *job, size_t row, double mean, double inverse)
{
    const rml_norm_rows *norm = job->norm;
    for (size_t done = 0, count; done < norm->count; done += count) {
        const size_t at = row * norm->count + done;
        rml_widen by;
        double x[RML_WIDEN_COUNT];
        count = rml_min_size(RML_WIDEN_COUNT, norm->count - done);
        rml_read_f64(&job->args->in[0], at, x, count);
        for (size_t i = 0; i < count; i++)
            x[i] = (x[i] - mean) * inverse;
        if (norm->gamma.rank >= 0)
            rml_widen_read(&norm->gamma, at, count, RML_WIDE_F64, &by);
        for (size_t i = 0; i < count && norm->gamma.rank >= 0; i++)
            x[i] *= by.f64[i];
        if (norm->beta.rank >= 0)
            rml_widen_read(&norm->beta, at, count, RML_WIDE_F64, &by);
        for (size_t i = 0; i < count && norm->beta.rank >= 0; i++)
            x[i] += by.f64[i];
        rml_write_f64(&job->args->out[0], at, x, count);
    }
}

static void norm_rows(void *context, size_t begin, size_t end, int worker)
{
    const rows_job *job = context;
    const rml_norm_rows *norm = job->norm;
    (void)worker;
    for (size_t row = begin; row < end; row++) {
        const double mean = norm->rms ? 0 : sum_of(job, row, false, 0) / (double)norm->count;
        const double variance = sum_of(job, row, true, mean) / (double)norm->count;
        const double inverse = 1 / sqrt(variance + norm->eps);
        if (norm->mean)
            rml_write_f64(norm->mean, row, &mean, 1);
        if (norm->inverse)
            rml_write_f64(norm->inverse, row, &inverse, 1);
        write_row(job, row, mean, inverse);
    }
}

void rml_norm_rows_run(const rml_op_args *args, const rml_norm_rows *norm)
{
    rows_job job = {args, norm};
    rml_pool_run(args->pool, norm->rows, 1, norm_rows, &job);
}
