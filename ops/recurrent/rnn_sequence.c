// Recurrent layers with everything, a sequence at a time: all in double, but for the products of
// f32.
#include "ops/recurrent/rnn.h"

#include "ops/elementwise/functions.h"
#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

// ---- numbers ------------------------------------------------------------------------------------

static double activate(const rml_rnn_activation *act, double clip, double x)
{
    const double alpha = (double)act->alpha, beta = (double)act->beta;
    x = x > clip ? clip : x < -clip ? -clip : x;
    if (act->function == RML_RNN_AFFINE)
        return alpha * x + beta;
    if (act->function == RML_RNN_SCALED_TANH)
        return alpha * tanh(beta * x);
    rml_activation function;
    if (!rml_rnn_unary(act, &function)) // RML_RNN_THRESHOLDED_RELU: alpha itself passes
        return x < alpha ? 0 : x;
    return rml_unary_f64(&function, x);
}

// Sums side by side, so that the order does not depend on the compiler.
static double dot_f32(const float *w, const float *x, size_t count)
{
    enum { LANES = 16 };
    float lane[LANES] = {0};
    double sum = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += w[i + j] * x[i + j];
    for (; i < count; i++)
        sum += (double)w[i] * (double)x[i];
    for (size_t j = 0; j < LANES; j++)
        sum += (double)lane[j];
    return sum;
}

static double dot_f64(const double *w, const double *x, size_t count)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t j = 0; j < 4; j++)
            sum[j] += w[i + j] * x[i + j];
    for (; i < count; i++)
        sum[0] += w[i] * x[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

// A vector, also as f32 where the matrices are.
typedef struct vector {
    double *x;
    float *x_f32;
} vector;

static void narrow(const vector *v, size_t count)
{
    rml_dtype_convert(RML_F64, v->x, RML_F32, v->x_f32, count);
}

// Row `row` of a plain matrix with `count` columns, times a vector.
static double row_times(const rml_tensor *matrix, size_t row, const vector *by, size_t count)
{
    const char *w = rml_tensor_at(matrix, (int64_t)(row * count));
    const double *x = by->x;
    if (matrix->dtype == RML_F32)
        return dot_f32((const float *)(const void *)w, by->x_f32, count);
    if (matrix->dtype == RML_F64)
        return dot_f64((const double *)(const void *)w, x, count);
    double sum = 0, some[RML_WIDEN_COUNT];
    for (size_t k = 0; k < count; k += RML_WIDEN_COUNT) {
        const size_t part = rml_min_size(RML_WIDEN_COUNT, count - k);
        rml_dtype_convert(matrix->dtype, w + k * rml_dtype_size(matrix->dtype), RML_F64, some,
                          part);
        sum += dot_f64(some, x + k, part);
    }
    return sum;
}

// ---- one sequence in one direction --------------------------------------------------------------

typedef struct rnn_job {
    const rml_op_args *args;
    const rml_rnn_attr *rnn;
    rml_rnn_dims d;
    size_t inputs;   // numbers of a step of x
    bool projected;  // x is multiplied with w already: [..,D*G*H]
    rml_tensor x, r; // in the projected form, x lies in the scratch
    rml_tensor bias; // rank -1: none
    char *own;       // workers' memory
    size_t worker_bytes;
} rnn_job;

// The input weights of all directions as rows of one matrix.
static bool as_matrix(const rml_constant *w, rml_constant *matrix)
{
    const rml_stored *stored = w ? &w->stored : NULL;
    if (!w || w->scale || stored->shape.dim[1] < 1 || stored->shape.dim[2] < 1 ||
        (stored->shape.dim[0] > 1 && stored->stride[0] != stored->shape.dim[1] * stored->stride[1]))
        return false;
    *matrix = *w;
    matrix->stored.shape =
        (rml_shape){2, {stored->shape.dim[0] * stored->shape.dim[1], stored->shape.dim[2]}};
    matrix->stored.stride[0] = stored->stride[1];
    matrix->stored.stride[1] = stored->stride[2];
    return true;
}

bool rml_rnn_projected_accepts(const rml_op_args *args)
{
    rml_constant matrix;
    return args->in[RML_RNN_X].dtype == RML_F32 &&
           as_matrix(rml_op_constant(args, RML_RNN_W), &matrix);
}

static void projection_of(rml_rnn_projection *projection, const rml_op_args *args)
{
    const rml_rnn_dims d = rml_rnn_dims_of(args);
    rml_rnn_projection_make(projection, args, d.directions * d.gates * d.hidden, false);
}

// Behind the packed input weights, those of the state and the biases as they are, where they are
// constant.
static size_t copied_bytes(const rml_op_args *args, int input)
{
    return rml_op_constant(args, input)
               ? rml_aligned_bytes(rml_tensor_count(&args->in[input]), sizeof(float))
               : 0;
}

size_t rml_rnn_projected_packed(const rml_op_args *args)
{
    rml_rnn_projection projection;
    projection_of(&projection, args);
    return rml_sat_add(
        rml_rnn_projection_packed(&projection),
        rml_sat_add(copied_bytes(args, RML_RNN_R), copied_bytes(args, RML_RNN_BIAS)));
}

rml_status rml_rnn_projected_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err)
{
    rml_rnn_projection projection;
    rml_constant matrix;
    projection_of(&projection, args);
    as_matrix(weight, &matrix);
    char *behind = (char *)packed + rml_rnn_projection_packed(&projection);
    for (int k = RML_RNN_R; k <= RML_RNN_BIAS; behind += copied_bytes(args, k++))
        if (rml_op_constant(args, k))
            rml_constant_copy(args->constants[k], RML_F32, behind);
    return projection.algorithm->pack(&projection.args, &matrix, packed, allocator, err);
}

static rnn_job job_of(const rml_op_args *args)
{
    rnn_job job = {.args = args,
                   .rnn = &args->attr->rnn,
                   .d = rml_rnn_dims_of(args),
                   .projected = rml_rnn_projected_accepts(args),
                   .x = args->in[RML_RNN_X],
                   .r = args->in[RML_RNN_R],
                   .bias = {.rank = -1}};
    const rml_rnn_dims *d = &job.d;
    job.inputs = job.projected ? d->directions * d->gates * d->hidden : d->inputs;
    if (rml_op_input(args, RML_RNN_BIAS))
        job.bias = args->in[RML_RNN_BIAS];
    // x, bias, h, c, peepholes, h times r, and the gates; x, h and h times r also as f32
    const size_t wide = rml_sat_add(job.inputs, rml_sat_mul(3 * d->gates + 6, d->hidden));
    const size_t narrow_too = rml_sat_add(job.inputs, rml_sat_mul(2, d->hidden));
    job.worker_bytes = rml_round_up(
        rml_sat_add(rml_sat_mul(wide, sizeof(double)), rml_sat_mul(narrow_too, sizeof(float))),
        RML_ALIGNMENT);
    return job;
}

// Projected gates of all steps.
static size_t gate_bytes(const rnn_job *job)
{
    return rml_aligned_bytes(rml_sat_mul(rml_sat_mul(job->d.steps, job->d.batch), job->inputs),
                             sizeof(float));
}

size_t rml_rnn_sequence_scratch(const rml_op_args *args)
{
    const rnn_job job = job_of(args);
    const size_t own = rml_sat_mul((size_t)args->threads, job.worker_bytes);
    if (!job.projected)
        return own;
    rml_rnn_projection projection;
    projection_of(&projection, args);
    return rml_sat_add(rml_sat_add(own, gate_bytes(&job)), rml_rnn_projection_scratch(&projection));
}

// Multiplies all steps with the input weights, and points to what was packed beside them.
static void project(rnn_job *job, char *scratch)
{
    const rml_op_args *args = job->args;
    rml_rnn_projection projection;
    projection_of(&projection, args);
    char *behind = (char *)(uintptr_t)args->packed + rml_rnn_projection_packed(&projection);
    if (rml_op_constant(args, RML_RNN_R))
        job->r.raw = behind;
    behind += copied_bytes(args, RML_RNN_R);
    if (rml_op_constant(args, RML_RNN_BIAS))
        job->bias.raw = behind;
    job->x.raw = scratch;
    rml_rnn_projection_run(&projection, args->packed, NULL, job->x.data, scratch + gate_bytes(job));
}

typedef struct rnn_row {
    size_t dir;
    const rml_rnn_activation *act;
    vector x, h, reset;
    double *bias, *c, *peepholes, *gate;
} rnn_row;

// What the input gives to gate `i` of the direction.
static double input_share(const rnn_job *job, const rnn_row *row, size_t i)
{
    const size_t at = row->dir * job->d.gates * job->d.hidden + i;
    return job->projected ? row->x.x[at]
                          : row_times(&job->args->in[RML_RNN_W], at, &row->x, job->inputs);
}

// gate[first .. last) = x * w + h * r + both biases
static void mix(const rnn_job *job, const rnn_row *row, const vector *h, size_t first, size_t last)
{
    const size_t units = job->d.hidden, all = job->d.gates * units, base = row->dir * all;
    for (size_t i = first * units; i < last * units; i++)
        row->gate[i] = row->bias[i] + row->bias[all + i] + input_share(job, row, i) +
                       row_times(&job->r, base + i, h, units);
}

static void step_plain(const rnn_job *job, const rnn_row *row)
{
    mix(job, row, &row->h, 0, 1);
    for (size_t u = 0; u < job->d.hidden; u++)
        row->h.x[u] = activate(&row->act[0], (double)job->rnn->clip, row->gate[u]);
}

static void step_gru(const rnn_job *job, const rnn_row *row)
{
    const size_t units = job->d.hidden, all = 3 * units, base = row->dir * all + 2 * units;
    const double clip = (double)job->rnn->clip;
    double *z = row->gate, *r = z + units, *h = r + units, *state = row->h.x;
    mix(job, row, &row->h, 0, 2);
    for (size_t u = 0; u < 2 * units; u++)
        z[u] = activate(&row->act[0], clip, z[u]);
    if (job->rnn->linear_before_reset) {
        for (size_t u = 0; u < units; u++)
            h[u] = row->bias[2 * units + u] + input_share(job, row, 2 * units + u) +
                   r[u] * (row->bias[all + 2 * units + u] +
                           row_times(&job->r, base + u, &row->h, units));
    } else {
        for (size_t u = 0; u < units; u++)
            row->reset.x[u] = r[u] * state[u];
        narrow(&row->reset, units);
        mix(job, row, &row->reset, 2, 3);
    }
    for (size_t u = 0; u < units; u++)
        state[u] = (1 - z[u]) * activate(&row->act[1], clip, h[u]) + z[u] * state[u];
}

static void step_lstm(const rnn_job *job, const rnn_row *row)
{
    const size_t units = job->d.hidden;
    const double clip = (double)job->rnn->clip, *p = row->peepholes;
    const double most = (double)job->rnn->cell_clip;
    double *i = row->gate, *o = i + units, *f = o + units, *g = f + units;
    mix(job, row, &row->h, 0, 4);
    for (size_t u = 0; u < units; u++) {
        const double input = activate(&row->act[0], clip, i[u] + p[u] * row->c[u]);
        const double forget =
            job->rnn->input_forget
                ? 1 - input
                : activate(&row->act[0], clip, f[u] + p[2 * units + u] * row->c[u]);
        row->c[u] = forget * row->c[u] + input * activate(&row->act[1], clip, g[u]);
        if (most > 0)
            row->c[u] = row->c[u] > most ? most : row->c[u] < -most ? -most : row->c[u];
        const double output = activate(&row->act[0], clip, o[u] + p[units + u] * row->c[u]);
        // The cell is no sum of products: as in ONNX Runtime, `clip` does not clip it.
        row->h.x[u] = output * activate(&row->act[2], INFINITY, row->c[u]);
    }
}

static rnn_row begin_row(const rnn_job *job, size_t dir, int worker)
{
    double *own = (double *)(void *)(job->own + (size_t)worker * job->worker_bytes);
    rnn_row row = {.dir = dir, .act = job->rnn->act + 3 * dir};
    const size_t units = job->d.hidden;
    row.x.x = own;
    row.bias = row.x.x + job->inputs;
    row.h.x = row.bias + 2 * job->d.gates * units;
    row.c = row.h.x + units;
    row.peepholes = row.c + units;
    row.reset.x = row.peepholes + 3 * units;
    row.gate = row.reset.x + units;
    row.x.x_f32 = (float *)(void *)(row.gate + job->d.gates * units);
    row.h.x_f32 = row.x.x_f32 + job->inputs;
    row.reset.x_f32 = row.h.x_f32 + units;
    memset(row.bias, 0, (2 * job->d.gates + 5) * units * sizeof(double));
    if (job->bias.rank >= 0)
        rml_read_f64(&job->bias, dir * 2 * job->d.gates * units, row.bias,
                     2 * job->d.gates * units);
    if (rml_op_input(job->args, RML_RNN_PEEPHOLES))
        rml_read_f64(&job->args->in[RML_RNN_PEEPHOLES], dir * 3 * units, row.peepholes, 3 * units);
    return row;
}

static size_t length_of(const rnn_job *job, size_t n)
{
    if (!rml_op_input(job->args, RML_RNN_LENGTHS))
        return job->d.steps;
    const int32_t length = ((const int32_t *)job->args->in[RML_RNN_LENGTHS].raw)[n];
    return length < 0 ? 0 : rml_min_size((size_t)length, job->d.steps);
}

static void run_sequence(const rnn_job *job, size_t dir, size_t n, int worker)
{
    const rml_op_args *args = job->args;
    const bool first = job->rnn->batch_first, back = job->rnn->reverse || dir == 1;
    const size_t units = job->d.hidden, length = length_of(job, n);
    const size_t state = (first ? n * job->d.directions + dir : dir * job->d.batch + n) * units;
    const rnn_row row = begin_row(job, dir, worker);
    if (rml_op_input(args, RML_RNN_H0) && length)
        rml_read_f64(&args->in[RML_RNN_H0], state, row.h.x, units);
    if (rml_op_input(args, RML_RNN_C0) && length)
        rml_read_f64(&args->in[RML_RNN_C0], state, row.c, units);
    for (size_t t = 0; t < job->d.steps; t++) {
        const size_t at = t < length && back ? length - 1 - t : t;
        const size_t in = first ? n * job->d.steps + at : at * job->d.batch + n;
        const size_t out = (first ? (n * job->d.steps + at) * job->d.directions + dir
                                  : (at * job->d.directions + dir) * job->d.batch + n) *
                           units;
        if (t >= length) {
            memset(row.gate, 0, units * sizeof(double));
            rml_write_f64(&args->out[0], out, row.gate, units);
            continue;
        }
        rml_read_f64(&job->x, in * job->inputs, row.x.x, job->inputs);
        narrow(&row.x, job->inputs);
        narrow(&row.h, units);
        if (job->rnn->kind == RML_RNN_LSTM)
            step_lstm(job, &row);
        else if (job->rnn->kind == RML_RNN_GRU)
            step_gru(job, &row);
        else
            step_plain(job, &row);
        rml_write_f64(&args->out[0], out, row.h.x, units);
    }
    rml_write_f64(&args->out[1], state, row.h.x, units);
    if (job->rnn->kind == RML_RNN_LSTM)
        rml_write_f64(&args->out[2], state, row.c, units);
}

static void run_sequences(void *context, size_t begin, size_t end, int worker)
{
    const rnn_job *job = context;
    for (size_t item = begin; item < end; item++)
        run_sequence(job, item / job->d.batch, item % job->d.batch, worker);
}

void rml_rnn_sequence_run(const rml_op_args *args)
{
    rnn_job job = job_of(args);
    job.own = args->scratch;
    if (!job.d.hidden) // however many sequences there are
        return;
    if (job.projected)
        project(&job, args->scratch + (size_t)args->threads * job.worker_bytes);
    rml_pool_run(args->pool, job.d.directions * job.d.batch, 1, run_sequences, &job);
}
