// GRU and plain layers of f32 with constant weights and functions that have kernels: a matrix
// product makes the input's share of the gates for all steps at once; then each step is a product
// with the states of all sequences, and functions of whole rows. Gates: z r h, or h alone.
#include "ops/recurrent/rnn.h"

#include "kernels/pack.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define ITEM_ROWS 48 // most rows of a work item, which share what the caches hold of the weights

bool rml_rnn_steps_accepts(const rml_op_args *args)
{
    const rml_rnn_attr *rnn = &args->attr->rnn;
    rml_activation unused;
    bool usual = rnn->kind != RML_RNN_LSTM && isinf(rnn->clip) &&
                 args->in[RML_RNN_X].dtype == RML_F32 && rml_rnn_is_weight(args, RML_RNN_W) &&
                 rml_rnn_is_weight(args, RML_RNN_R) && !rml_op_input(args, RML_RNN_LENGTHS) &&
                 (!rml_op_input(args, RML_RNN_BIAS) || rml_rnn_is_weight(args, RML_RNN_BIAS)) &&
                 args->in[RML_RNN_W].dim[2] > 0 && args->in[RML_RNN_R].dim[2] > 0;
    for (int d = 0; d < rnn->directions && usual; d++)
        usual = rml_rnn_unary(&rnn->act[3 * d], &unused) &&
                (rnn->kind != RML_RNN_GRU || rml_rnn_unary(&rnn->act[3 * d + 1], &unused));
    return usual;
}

// ---- packing ------------------------------------------------------------------------------------

// Of a direction: the packed input weights; sums of both biases, and those of the state of gate h
// where it is added on its own; the packed state weights of z and r, and of h.
typedef struct parts {
    rml_rnn_dims d;
    bool has_bias;
    size_t input, bias, first, last; // bytes
} parts;

static parts parts_of(const rml_op_args *args, rml_rnn_projection *projection)
{
    parts p = {.d = rml_rnn_dims_of(args), .has_bias = rml_op_input(args, RML_RNN_BIAS)};
    const size_t hidden = p.d.hidden, all = p.d.gates * hidden;
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_f32);
    rml_rnn_projection_make(projection, args, all, p.has_bias);
    p.input = rml_rnn_projection_packed(projection);
    p.bias = rml_aligned_bytes(all + hidden, sizeof(float));
    p.first = rml_round_up(rml_pack_bytes(gemm, 1, hidden, all - hidden), RML_ALIGNMENT);
    p.last = rml_round_up(rml_pack_bytes(gemm, 1, hidden, hidden), RML_ALIGNMENT);
    return p;
}

static size_t direction_bytes(const parts *p)
{
    return rml_sat_add(rml_sat_add(p->input, p->bias), rml_sat_add(p->first, p->last));
}

size_t rml_rnn_steps_packed(const rml_op_args *args)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    return rml_sat_mul(p.d.directions, direction_bytes(&p));
}

// `rows` of [count][depth] become columns.
static void pack_rows(const rml_gemm *gemm, const float *rows, size_t depth, size_t count,
                      void *packed)
{
    for (size_t column = 0; column < count; column += gemm->nr)
        rml_pack_panel(gemm, rml_pack_at(gemm, packed, column * depth), rows + column * depth, 1,
                       depth, rml_min_size(gemm->nr, count - column), 0, 1, depth);
}

static rml_status pack_direction(const rml_op_args *args, size_t direction, float *rows,
                                 char *packed, const rml_allocator *allocator, rml_error *err)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_f32);
    const size_t hidden = p.d.hidden, all = p.d.gates * hidden;
    const bool apart = args->attr->rnn.kind == RML_RNN_GRU && args->attr->rnn.linear_before_reset;
    float *bias = (float *)(void *)(packed + p.input);
    memset(bias, 0, p.bias);
    if (p.has_bias) {
        rml_constant_read(args->constants[RML_RNN_BIAS], 0, (int64_t)direction, 1, rows);
        for (size_t i = 0; i < all; i++)
            bias[i] = rows[i] + (apart && i >= all - hidden ? 0 : rows[all + i]);
        for (size_t u = 0; u < hidden && apart; u++)
            bias[all + u] = rows[all + all - hidden + u];
    }
    rml_constant_read(args->constants[RML_RNN_R], 0, (int64_t)direction, 1, rows);
    pack_rows(gemm, rows, hidden, all - hidden, packed + p.input + p.bias);
    pack_rows(gemm, rows + (all - hidden) * hidden, hidden, hidden,
              packed + p.input + p.bias + p.first);
    rml_constant_read(args->constants[RML_RNN_W], 0, (int64_t)direction, 1, rows);
    const rml_shape shape = {2, {(int64_t)all, (int64_t)p.d.inputs}};
    const rml_constant weight = {.stored = rml_stored_f32(rows, &shape)};
    return projection.algorithm->pack(&projection.args, &weight, packed, allocator, err);
}

rml_status rml_rnn_steps_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                              const rml_allocator *allocator, rml_error *err)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    (void)weight; // the first of those in args->constants
    const size_t cols = p.d.inputs > p.d.hidden ? p.d.inputs : p.d.hidden;
    // of a matrix, or of both biases
    const size_t count = rml_sat_mul(p.d.gates * p.d.hidden, cols > 2 ? cols : 2);
    const size_t bytes = rml_sat_mul(count, sizeof(float));
    float *rows = rml_alloc(allocator, bytes);
    rml_status status = rows ? RML_OK : rml_fail_nomem(err, bytes, "packing weights");
    for (size_t k = 0; k < p.d.directions && status == RML_OK; k++)
        status =
            pack_direction(args, k, rows, (char *)packed + k * direction_bytes(&p), allocator, err);
    rml_free(allocator, rows);
    return status;
}

// ---- running ------------------------------------------------------------------------------------

// One direction; pointers are to its first element.
typedef struct steps_job {
    const rml_op_args *args;
    const rml_rnn_attr *rnn;
    rml_activation act[2]; // of z and r, or of all; of h
    const float *first, *last, *last_bias;
    const float *gates, *zeros, *h0; // h0 may be NULL
    float *y, *h;
    char *own; // a worker's: what its rows read and write, their gates and reset states
    rml_rnn_strides gate, out, state;
    size_t hidden, all, rows, steps, item_rows, worker_bytes;
    bool reverse;
} steps_job;

// Hidden state of a sequence in front of `step`, counted in the order of computation.
static const float *state_before(const steps_job *job, size_t row, size_t step)
{
    if (step == 0)
        return job->h0 ? job->h0 + (int64_t)row * job->state.item : job->zeros;
    const size_t at = job->reverse ? job->steps - step : step - 1;
    return job->y + (int64_t)row * job->out.item + (int64_t)at * job->out.step;
}

// c[r] = a[r] * columns + bias + add[r], for `rows` rows of `count` columns. `bias` and `add` may
// be NULL.
static void multiply(const steps_job *job, const float *const *a, size_t rows, const float *packed,
                     size_t count, const float *bias, const float *const *add, float *const *c)
{
    const rml_gemm *gemm = &RML_KERNEL(job->args->kernels, gemm_f32);
    const float *residual[RML_GEMM_MAX_MR];
    const void *lines[RML_GEMM_MAX_MR];
    float *to[RML_GEMM_MAX_MR];
    for (size_t column = 0; column < count; column += gemm->nr)
        for (size_t row = 0; row < rows; row += gemm->mr) {
            rml_gemm_tile tile = {.a = lines,
                                  .taps = 1,
                                  .depth = job->hidden,
                                  .b = packed + column * job->hidden,
                                  .rows = rml_min_size(gemm->mr, rows - row),
                                  .cols = rml_min_size(gemm->nr, count - column),
                                  .c = to,
                                  .bias = bias ? bias + column : NULL,
                                  .residual = add ? residual : NULL,
                                  .low = -INFINITY,
                                  .high = INFINITY};
            for (size_t r = 0; r < tile.rows; r++) {
                lines[r] = a[row + r];
                to[r] = c[row + r] + column;
                if (add)
                    residual[r] = add[row + r] + column;
            }
            gemm->run(&tile);
        }
}

static void activate(const steps_job *job, int which, float *numbers, size_t count)
{
    const rml_activation *act = &job->act[which];
    RML_KERNEL(job->args->kernels, unary[act->kind])(numbers, numbers, count, act->param);
}

// Rows of a step: what they read and write.
typedef struct step_rows {
    const float *x[ITEM_ROWS], *h[ITEM_ROWS];
    float *gate[ITEM_ROWS], *reset[ITEM_ROWS], *y[ITEM_ROWS];
    const float *last_x[ITEM_ROWS];
    float *last[ITEM_ROWS];
} step_rows;

#define ROWS_BYTES ((sizeof(step_rows) + RML_ALIGNMENT - 1) / RML_ALIGNMENT * RML_ALIGNMENT)

static void step_plain(const steps_job *job, const step_rows *at, size_t rows)
{
    multiply(job, at->h, rows, job->last, job->hidden, NULL, at->x, at->y);
    for (size_t r = 0; r < rows; r++)
        activate(job, 0, at->y[r], job->hidden);
}

static void step_gru(const steps_job *job, const step_rows *at, size_t rows)
{
    const size_t units = job->hidden;
    const bool before = job->rnn->linear_before_reset;
    multiply(job, at->h, rows, job->first, 2 * units, NULL, at->x, at->gate);
    if (before)
        multiply(job, at->h, rows, job->last, units, job->last_bias, NULL, at->last);
    for (size_t r = 0; r < rows; r++) {
        const float *x = at->last_x[r], *h = at->h[r], *open = at->gate[r] + units;
        float *last = at->last[r], *reset = at->reset[r];
        activate(job, 0, at->gate[r], 2 * units);
        for (size_t u = 0; u < units && before; u++)
            last[u] = x[u] + open[u] * last[u];
        for (size_t u = 0; u < units && !before; u++)
            reset[u] = open[u] * h[u];
    }
    if (!before)
        multiply(job, (const float *const *)at->reset, rows, job->last, units, NULL, at->last_x,
                 at->last);
    for (size_t r = 0; r < rows; r++) {
        const float *h = at->h[r], *z = at->gate[r], *last = at->last[r];
        float *y = at->y[r];
        activate(job, 1, at->last[r], units);
        for (size_t u = 0; u < units; u++)
            y[u] = (1 - z[u]) * last[u] + z[u] * h[u];
    }
}

static void run_step(const steps_job *job, size_t first, size_t count, size_t step, int worker)
{
    const size_t at = job->reverse ? job->steps - 1 - step : step;
    step_rows *rows = (step_rows *)(void *)(job->own + (size_t)worker * job->worker_bytes);
    float *own = (float *)(void *)((char *)rows + ROWS_BYTES);
    for (size_t r = 0; r < count; r++) {
        const int64_t item = (int64_t)(first + r);
        rows->x[r] = job->gates + item * job->gate.item + (int64_t)at * job->gate.step;
        rows->last_x[r] = rows->x[r] + job->all - job->hidden;
        rows->h[r] = state_before(job, first + r, step);
        rows->y[r] = job->y + item * job->out.item + (int64_t)at * job->out.step;
        rows->gate[r] = own + r * (job->all + job->hidden);
        rows->last[r] = rows->gate[r] + job->all - job->hidden;
        rows->reset[r] = rows->gate[r] + job->all;
    }
    if (job->rnn->kind == RML_RNN_GRU)
        step_gru(job, rows, count);
    else
        step_plain(job, rows, count);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const steps_job *job = context;
    for (size_t item = begin; item < end; item++) {
        const size_t first = item * job->item_rows;
        const size_t count = rml_min_size(job->item_rows, job->rows - first);
        for (size_t step = 0; step < job->steps; step++)
            run_step(job, first, count, step, worker);
        for (size_t row = first; row < first + count; row++)
            memcpy(job->h + (int64_t)row * job->state.item, state_before(job, row, job->steps),
                   job->hidden * sizeof(float));
    }
}

static size_t gate_bytes(const parts *p)
{
    return rml_aligned_bytes(
        rml_sat_mul(rml_sat_mul(p->d.steps, p->d.batch), p->d.gates * p->d.hidden), sizeof(float));
}

static size_t zero_bytes(const parts *p)
{
    return rml_aligned_bytes(p->d.hidden, sizeof(float));
}

// Two items a worker, so that a busy core costs little; whole tiles.
static size_t item_rows_of(const rml_op_args *args, const parts *p)
{
    const size_t share = 2 * (size_t)args->threads, mr = RML_KERNEL(args->kernels, gemm_f32).mr;
    const size_t rows = rml_round_up((p->d.batch + share - 1) / share, mr);
    return rml_min_size(rml_min_size(rows, ITEM_ROWS / mr * mr), p->d.batch ? p->d.batch : 1);
}

static size_t worker_bytes(const rml_op_args *args, const parts *p)
{
    return rml_sat_add(ROWS_BYTES, rml_aligned_bytes(rml_sat_mul((p->d.gates + 1) * p->d.hidden,
                                                                 item_rows_of(args, p)),
                                                     sizeof(float)));
}

size_t rml_rnn_steps_scratch(const rml_op_args *args)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    return rml_sat_add(rml_sat_add(rml_sat_add(gate_bytes(&p), zero_bytes(&p)),
                                   rml_sat_mul((size_t)args->threads, worker_bytes(args, &p))),
                       rml_rnn_projection_scratch(&projection));
}

void rml_rnn_steps_run(const rml_op_args *args)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    const rml_rnn_attr *rnn = &args->attr->rnn;
    float *zeros = (float *)(void *)(args->scratch + gate_bytes(&p));
    char *own = (char *)zeros + zero_bytes(&p);
    char *scratch = own + (size_t)args->threads * worker_bytes(args, &p);
    const int64_t width = (int64_t)(p.d.gates * p.d.hidden);
    memset(zeros, 0, zero_bytes(&p));
    for (size_t k = 0; k < p.d.directions; k++) {
        const char *packed = (const char *)args->packed + k * direction_bytes(&p);
        const float *bias = (const float *)(const void *)(packed + p.input);
        steps_job job = {.args = args,
                         .rnn = rnn,
                         .first = (const float *)(const void *)(packed + p.input + p.bias),
                         .last = (const float *)(const void *)(packed + p.input + p.bias + p.first),
                         .last_bias = bias + width,
                         .gates = (const float *)(const void *)args->scratch,
                         .zeros = zeros,
                         .own = own,
                         .gate = {.item = rnn->batch_first ? (int64_t)p.d.steps * width : width,
                                  .step = rnn->batch_first ? width : (int64_t)p.d.batch * width},
                         .out = rml_rnn_strides_of(args, &args->out[0]),
                         .state = rml_rnn_strides_of(args, &args->out[1]),
                         .hidden = p.d.hidden,
                         .all = (size_t)width,
                         .rows = p.d.batch,
                         .steps = p.d.steps,
                         .item_rows = item_rows_of(args, &p),
                         .worker_bytes = worker_bytes(args, &p),
                         .reverse = rnn->reverse || k == 1};
        const int64_t state = (int64_t)k * job.state.direction;
        job.y = args->out[0].data + (int64_t)k * job.out.direction;
        job.h = args->out[1].data + state;
        if (rml_op_input(args, RML_RNN_H0))
            job.h0 = args->in[RML_RNN_H0].data + state;
        rml_rnn_unary(&rnn->act[3 * k], &job.act[0]);
        rml_rnn_unary(&rnn->act[3 * k + (rnn->kind == RML_RNN_GRU)], &job.act[1]);
        rml_rnn_projection_run(&projection, packed, p.has_bias ? bias : NULL,
                               (float *)(void *)args->scratch, scratch);
        rml_pool_run(args->pool, (job.rows + job.item_rows - 1) / job.item_rows, 1, run_rows, &job);
    }
}
