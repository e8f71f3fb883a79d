// Recurrent layers with everything that ONNX allows: plain, GRU and LSTM; in one direction or both;
// sequences of their own lengths; any activations, clipping, peepholes. All in double, but for
// the products of f32.
//   x [T,N,I]   w [D,G*H,I]   r [D,G*H,H]   bias [D,2*G*H]   lengths i32 [N]   h0, c0 [D,N,H]
//   peepholes [D,3*H]   y [T,D,N,H]   last h, c [D,N,H]     G gates: 1, 3 (z r h), 4 (i o f c)
// With batch_first: x [N,T,I], h0 and c0 [N,D,H], y [N,T,D,H]. Steps behind a sequence's end are 0,
// and so is all of an empty sequence.
#include "ops/op.h"

#include "ops/elementwise/widen.h"
#include "tensor/convert.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { X, W, R, BIAS, LENGTHS, H0, C0, PEEPHOLES };

static size_t gates_of(const rml_rnn_attr *rnn)
{
    return rnn->kind == RML_RNN_LSTM ? 4 : rnn->kind == RML_RNN_GRU ? 3 : 1;
}

static int outputs(const rml_op_attr *attr)
{
    return attr->rnn.kind == RML_RNN_LSTM ? 3 : 2;
}

static rml_status types(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_dtype *out,
                        rml_error *err)
{
    for (int k = 0; k < in_count; k++) {
        const rml_dtype want = k == LENGTHS ? RML_I32 : in[0].dtype;
        if (in[k].shape.rank != -1 && in[k].dtype != want)
            return rml_fail(err, RML_ERR_UNSUPPORTED, "input %d is %s, expected %s", k,
                            rml_dtype_name(in[k].dtype), rml_dtype_name(want));
    }
    if (!rml_dtype_is_float(in[0].dtype))
        return rml_fail(err, RML_ERR_UNSUPPORTED, "a recurrent layer of %s is not defined",
                        rml_dtype_name(in[0].dtype));
    for (int k = 0; k < outputs(attr); k++)
        out[k] = in[0].dtype;
    return RML_OK;
}

static bool is_shape(const rml_shape *shape, int rank, const int64_t *dim)
{
    bool fits = shape->rank == rank;
    for (int i = 0; i < rank && fits; i++)
        fits = shape->dim[i] == dim[i] || shape->dim[i] < 0 || dim[i] < 0;
    return fits;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    const rml_rnn_attr *rnn = &attr->rnn;
    char text[RML_SHAPE_TEXT_BYTES];
    const int64_t dirs = rnn->directions, gates = (int64_t)gates_of(rnn);
    if (in_count <= R || in[X].rank != 3 || in[R].rank != 3 || in[W].rank != (rnn->mixed ? -1 : 3))
        return rml_fail(err, RML_ERR_SHAPE, "input and weights have not 3 dimensions");
    const int64_t hidden = in[R].dim[2], batch = in[X].dim[rnn->batch_first ? 0 : 1];
    if (hidden > INT64_MAX / 16)
        return rml_fail(err, RML_ERR_LIMIT, "too many hidden units");
    const int64_t all = hidden < 0 ? -1 : gates * hidden;
    const int64_t state[3] = {rnn->batch_first ? batch : dirs, rnn->batch_first ? dirs : batch,
                              hidden};
    const struct {
        int rank;
        int64_t dim[3];
    } want[] = {[W] = {3, {dirs, all, in[X].dim[2]}},
                [R] = {3, {dirs, all, hidden}},
                [BIAS] = {2, {dirs, all < 0 ? -1 : 2 * all}},
                [LENGTHS] = {1, {batch}},
                [H0] = {3, {state[0], state[1], state[2]}},
                [C0] = {3, {state[0], state[1], state[2]}},
                [PEEPHOLES] = {2, {dirs, hidden < 0 ? -1 : 3 * hidden}}};
    for (int k = W; k < in_count; k++)
        if (in[k].rank >= 0 && !is_shape(&in[k], want[k].rank, want[k].dim))
            return rml_fail(err, RML_ERR_SHAPE,
                            "input %d is %s, which does not fit %lld hidden units", k,
                            rml_shape_text(&in[k], text), (long long)hidden);
    if (rnn->mixed && all >= 0 && in[X].dim[2] >= 0 && in[X].dim[2] != dirs * all)
        return rml_fail(err, RML_ERR_SHAPE, "gates %s do not fit %lld hidden units",
                        rml_shape_text(&in[X], text), (long long)hidden);
    const int64_t steps = in[X].dim[rnn->batch_first ? 1 : 0];
    out[0] = rnn->batch_first ? (rml_shape){4, {batch, steps, dirs, hidden}}
                              : (rml_shape){4, {steps, dirs, batch, hidden}};
    for (int k = 1; k < outputs(attr); k++)
        out[k] = (rml_shape){3, {state[0], state[1], state[2]}};
    return RML_OK;
}

// ---- numbers ------------------------------------------------------------------------------------

static double activate(const rml_rnn_activation *act, double clip, double x)
{
    const double alpha = (double)act->alpha, beta = (double)act->beta;
    x = x > clip ? clip : x < -clip ? -clip : x;
    switch (act->function) {
    case RML_RNN_TANH:
        return tanh(x);
    case RML_RNN_SIGMOID:
        return 1 / (1 + exp(-x));
    case RML_RNN_RELU:
        return x < 0 ? 0 : x;
    case RML_RNN_AFFINE:
        return alpha * x + beta;
    case RML_RNN_LEAKY_RELU:
        return x < 0 ? alpha * x : x;
    case RML_RNN_THRESHOLDED_RELU:
        return x < alpha ? 0 : x;
    case RML_RNN_SCALED_TANH:
        return alpha * tanh(beta * x);
    case RML_RNN_HARD_SIGMOID:
        return fmin(fmax(alpha * x + beta, 0), 1);
    case RML_RNN_ELU:
        return x < 0 ? alpha * expm1(x) : x;
    case RML_RNN_SOFTSIGN:
        return x / (1 + fabs(x));
    case RML_RNN_SOFTPLUS:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
    return x;
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

static const char *element(const rml_tensor *tensor, size_t at)
{
    return (const char *)tensor->raw + at * rml_dtype_size(tensor->dtype);
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
    const char *w = element(matrix, row * count);
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

static void read_row(const rml_tensor *tensor, size_t at, double *dst, size_t count)
{
    rml_dtype_convert(tensor->dtype, element(tensor, at), RML_F64, dst, count);
}

static void write_row(const rml_tensor *tensor, size_t at, const double *src, size_t count)
{
    rml_dtype_convert(RML_F64, src, tensor->dtype,
                      (char *)tensor->raw + at * rml_dtype_size(tensor->dtype), count);
}

// ---- one sequence in one direction --------------------------------------------------------------

typedef struct rnn_job {
    const rml_op_args *args;
    const rml_rnn_attr *rnn;
    size_t steps, batch, inputs, hidden, gates, dirs, worker_bytes;
} rnn_job;

static rnn_job job_of(const rml_op_args *args)
{
    const rml_rnn_attr *rnn = &args->attr->rnn;
    rnn_job job = {.args = args,
                   .rnn = rnn,
                   .steps = (size_t)args->in[X].dim[rnn->batch_first ? 1 : 0],
                   .batch = (size_t)args->in[X].dim[rnn->batch_first ? 0 : 1],
                   .inputs = (size_t)args->in[X].dim[2],
                   .hidden = (size_t)args->in[R].dim[2],
                   .gates = gates_of(rnn),
                   .dirs = (size_t)rnn->directions};
    // x, bias, h, c, peepholes, h times r, and the gates; x, h and h times r also as f32
    const size_t wide = rml_sat_add(job.inputs, rml_sat_mul(3 * job.gates + 6, job.hidden));
    const size_t narrow_too = rml_sat_add(job.inputs, rml_sat_mul(2, job.hidden));
    job.worker_bytes = rml_round_up(
        rml_sat_add(rml_sat_mul(wide, sizeof(double)), rml_sat_mul(narrow_too, sizeof(float))),
        RML_ALIGNMENT);
    return job;
}

static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_sat_mul((size_t)args->threads, job_of(args).worker_bytes);
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
    const size_t at = row->dir * job->gates * job->hidden + i;
    return job->rnn->mixed ? row->x.x[at] : row_times(&job->args->in[W], at, &row->x, job->inputs);
}

// gate[first .. last) = x * w + h * r + both biases
static void mix(const rnn_job *job, const rnn_row *row, const vector *h, size_t first, size_t last)
{
    const size_t units = job->hidden, all = job->gates * units, base = row->dir * all;
    for (size_t i = first * units; i < last * units; i++)
        row->gate[i] = row->bias[i] + row->bias[all + i] + input_share(job, row, i) +
                       row_times(&job->args->in[R], base + i, h, units);
}

static void step_plain(const rnn_job *job, const rnn_row *row)
{
    mix(job, row, &row->h, 0, 1);
    for (size_t u = 0; u < job->hidden; u++)
        row->h.x[u] = activate(&row->act[0], (double)job->rnn->clip, row->gate[u]);
}

static void step_gru(const rnn_job *job, const rnn_row *row)
{
    const size_t units = job->hidden, all = 3 * units, base = row->dir * all + 2 * units;
    const double clip = (double)job->rnn->clip;
    double *z = row->gate, *r = z + units, *h = r + units, *state = row->h.x;
    mix(job, row, &row->h, 0, 2);
    for (size_t u = 0; u < 2 * units; u++)
        z[u] = activate(&row->act[0], clip, z[u]);
    if (job->rnn->linear_before_reset) {
        for (size_t u = 0; u < units; u++)
            h[u] = row->bias[2 * units + u] + input_share(job, row, 2 * units + u) +
                   r[u] * (row->bias[all + 2 * units + u] +
                           row_times(&job->args->in[R], base + u, &row->h, units));
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
    const size_t units = job->hidden;
    const double clip = (double)job->rnn->clip, *p = row->peepholes;
    double *i = row->gate, *o = i + units, *f = o + units, *g = f + units;
    mix(job, row, &row->h, 0, 4);
    for (size_t u = 0; u < units; u++) {
        const double input = activate(&row->act[0], clip, i[u] + p[u] * row->c[u]);
        const double forget =
            job->rnn->input_forget
                ? 1 - input
                : activate(&row->act[0], clip, f[u] + p[2 * units + u] * row->c[u]);
        row->c[u] = forget * row->c[u] + input * activate(&row->act[1], clip, g[u]);
        const double output = activate(&row->act[0], clip, o[u] + p[units + u] * row->c[u]);
        // The cell is no sum of products: as in ONNX Runtime, it is not clipped.
        row->h.x[u] = output * activate(&row->act[2], INFINITY, row->c[u]);
    }
}

static rnn_row begin_row(const rnn_job *job, size_t dir, int worker)
{
    double *own = (double *)(void *)(job->args->scratch + (size_t)worker * job->worker_bytes);
    rnn_row row = {.dir = dir, .act = job->rnn->act + 3 * dir};
    const size_t units = job->hidden;
    row.x.x = own;
    row.bias = row.x.x + job->inputs;
    row.h.x = row.bias + 2 * job->gates * units;
    row.c = row.h.x + units;
    row.peepholes = row.c + units;
    row.reset.x = row.peepholes + 3 * units;
    row.gate = row.reset.x + units;
    row.x.x_f32 = (float *)(void *)(row.gate + job->gates * units);
    row.h.x_f32 = row.x.x_f32 + job->inputs;
    row.reset.x_f32 = row.h.x_f32 + units;
    memset(row.bias, 0, (2 * job->gates + 5) * units * sizeof(double));
    if (rml_op_input(job->args, BIAS))
        read_row(&job->args->in[BIAS], dir * 2 * job->gates * units, row.bias,
                 2 * job->gates * units);
    if (rml_op_input(job->args, PEEPHOLES))
        read_row(&job->args->in[PEEPHOLES], dir * 3 * units, row.peepholes, 3 * units);
    return row;
}

static size_t length_of(const rnn_job *job, size_t n)
{
    if (!rml_op_input(job->args, LENGTHS))
        return job->steps;
    const int32_t length = ((const int32_t *)job->args->in[LENGTHS].raw)[n];
    return length < 0 ? 0 : rml_min_size((size_t)length, job->steps);
}

static void run_sequence(const rnn_job *job, size_t dir, size_t n, int worker)
{
    const rml_op_args *args = job->args;
    const bool first = job->rnn->batch_first, back = job->rnn->reverse || dir == 1;
    const size_t units = job->hidden, length = length_of(job, n);
    const size_t state = (first ? n * job->dirs + dir : dir * job->batch + n) * units;
    const rnn_row row = begin_row(job, dir, worker);
    if (rml_op_input(args, H0) && length)
        read_row(&args->in[H0], state, row.h.x, units);
    if (rml_op_input(args, C0) && length)
        read_row(&args->in[C0], state, row.c, units);
    for (size_t t = 0; t < job->steps; t++) {
        const size_t at = t < length && back ? length - 1 - t : t;
        const size_t in = first ? n * job->steps + at : at * job->batch + n;
        const size_t out = (first ? (n * job->steps + at) * job->dirs + dir
                                  : (at * job->dirs + dir) * job->batch + n) *
                           units;
        if (t >= length) {
            memset(row.gate, 0, units * sizeof(double));
            write_row(&args->out[0], out, row.gate, units);
            continue;
        }
        read_row(&args->in[X], in * job->inputs, row.x.x, job->inputs);
        narrow(&row.x, job->inputs);
        narrow(&row.h, units);
        if (job->rnn->kind == RML_RNN_LSTM)
            step_lstm(job, &row);
        else if (job->rnn->kind == RML_RNN_GRU)
            step_gru(job, &row);
        else
            step_plain(job, &row);
        write_row(&args->out[0], out, row.h.x, units);
    }
    write_row(&args->out[1], state, row.h.x, units);
    if (job->rnn->kind == RML_RNN_LSTM)
        write_row(&args->out[2], state, row.c, units);
}

static void run_sequences(void *context, size_t begin, size_t end, int worker)
{
    const rnn_job *job = context;
    for (size_t item = begin; item < end; item++)
        run_sequence(job, item / job->batch, item % job->batch, worker);
}

static void run(const rml_op_args *args)
{
    rnn_job job = job_of(args);
    if (!job.hidden) // however many sequences there are
        return;
    rml_pool_run(args->pool, job.dirs * job.batch, 1, run_sequences, &job);
}

static uint64_t macs(const rml_op_args *args)
{
    const rnn_job job = job_of(args);
    return (uint64_t)job.dirs * job.steps * job.batch * job.gates * job.hidden *
           ((job.rnn->mixed ? 0 : job.inputs) + job.hidden);
}

static const rml_algorithm algorithms[] = {
    {.name = "sequences", .scratch_bytes = scratch_bytes, .run = run}};

const rml_op rml_op_rnn = {.name = "rnn",
                           .min_inputs = 1,
                           .max_inputs = 8,
                           .packed_input = -1,
                           .outputs = outputs,
                           .types = types,
                           .infer = infer,
                           .macs = macs,
                           .algorithms = algorithms};
