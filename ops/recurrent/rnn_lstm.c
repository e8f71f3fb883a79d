// LSTM layers of f32 with constant weights and the usual activations: a matrix product makes the
// input's share of the gates, biases included, for all steps at once; then a kernel computes a step
// of the gates, cells and states together. Gates in its order: input, forget, cell, output.
#include "ops/recurrent/rnn.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define ITEM_ROWS 48 // most rows of a work item, which share what the caches hold of the weights

bool rml_rnn_is_weight(const rml_op_args *args, int input)
{
    const rml_constant *constant = rml_op_constant(args, input);
    return constant && !constant->scale && args->in[input].dtype == RML_F32;
}

bool rml_rnn_lstm_accepts(const rml_op_args *args)
{
    const rml_rnn_attr *rnn = &args->attr->rnn;
    bool usual = rnn->kind == RML_RNN_LSTM && !rnn->input_forget && isinf(rnn->clip) &&
                 rnn->cell_clip == 0 && args->in[RML_RNN_X].dtype == RML_F32 &&
                 rml_rnn_is_weight(args, RML_RNN_W) && rml_rnn_is_weight(args, RML_RNN_R) &&
                 !rml_op_input(args, RML_RNN_LENGTHS) && !rml_op_input(args, RML_RNN_PEEPHOLES) &&
                 (!rml_op_input(args, RML_RNN_BIAS) || rml_rnn_is_weight(args, RML_RNN_BIAS)) &&
                 args->in[RML_RNN_W].dim[2] > 0 && args->in[RML_RNN_R].dim[2] > 0;
    for (int d = 0; d < rnn->directions && usual; d++)
        usual = rnn->act[3 * d].function == RML_RNN_SIGMOID &&
                rnn->act[3 * d + 1].function == RML_RNN_TANH &&
                rnn->act[3 * d + 2].function == RML_RNN_TANH;
    return usual;
}

// ---- packing ------------------------------------------------------------------------------------

// Of a direction: the packed input weights, the sums of both biases where there are any, and blocks
// of units, each [H][4][RML_KERNEL(kernels, lstm_units)], zeros behind the last unit.
typedef struct parts {
    rml_rnn_dims d;
    bool has_bias;
    size_t input, bias, state; // bytes
} parts;

static parts parts_of(const rml_op_args *args, rml_rnn_projection *projection)
{
    parts p = {.d = rml_rnn_dims_of(args), .has_bias = rml_op_input(args, RML_RNN_BIAS)};
    const size_t hidden = p.d.hidden,
                 units = rml_round_up(hidden, RML_KERNEL(args->kernels, lstm_units));
    rml_rnn_projection_make(projection, args, 4 * hidden, p.has_bias);
    p.input = rml_rnn_projection_packed(projection);
    p.bias = p.has_bias ? rml_aligned_bytes(4 * hidden, sizeof(float)) : 0;
    p.state = rml_aligned_bytes(rml_sat_mul(units, 4), rml_sat_mul(hidden, sizeof(float)));
    return p;
}

static size_t direction_bytes(const parts *p)
{
    return rml_sat_add(p->input, rml_sat_add(p->bias, p->state));
}

size_t rml_rnn_lstm_packed(const rml_op_args *args)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    return rml_sat_mul(p.d.directions, direction_bytes(&p));
}

// Gates of `block` numbers each, in the kernel's order.
static void sort_gates(const rml_op_args *args, size_t block, const float *src, float *dst)
{
    static const size_t onnx[4] = {0, 2, 3, 1}, torch[4] = {0, 1, 2, 3};
    const size_t *order = args->attr->rnn.torch_gates ? torch : onnx;
    for (size_t gate = 0; gate < 4; gate++)
        memcpy(dst + gate * block, src + order[gate] * block, block * sizeof *dst);
}

static void pack_state(const rml_op_args *args, size_t hidden, const float *rows, float *dst)
{
    const size_t units = RML_KERNEL(args->kernels, lstm_units);
    for (size_t first = 0; first < hidden; first += units)
        for (size_t k = 0; k < hidden; k++)
            for (size_t gate = 0; gate < 4; gate++)
                for (size_t u = 0; u < units; u++) {
                    const size_t row = gate * hidden + first + u;
                    *dst++ = first + u < hidden ? rows[row * hidden + k] : 0.0f;
                }
}

static rml_status pack_direction(const rml_op_args *args, size_t direction, float *rows,
                                 float *gates, char *packed, const rml_allocator *allocator,
                                 rml_error *err)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    const size_t hidden = p.d.hidden;
    if (p.has_bias) {
        float *bias = (float *)(void *)(packed + p.input);
        rml_constant_read(args->constants[RML_RNN_BIAS], 0, (int64_t)direction, 1, rows);
        for (size_t i = 0; i < 4 * hidden; i++)
            rows[i] += rows[4 * hidden + i];
        sort_gates(args, hidden, rows, bias);
    }
    rml_constant_read(args->constants[RML_RNN_R], 0, (int64_t)direction, 1, rows);
    sort_gates(args, hidden * hidden, rows, gates);
    pack_state(args, hidden, gates, (float *)(void *)(packed + p.input + p.bias));
    rml_constant_read(args->constants[RML_RNN_W], 0, (int64_t)direction, 1, rows);
    sort_gates(args, hidden * p.d.inputs, rows, gates);
    const rml_shape shape = {2, {(int64_t)(4 * hidden), (int64_t)p.d.inputs}};
    const rml_constant weight = {.stored = rml_stored_f32(gates, &shape)};
    return projection.algorithm->pack(&projection.args, &weight, packed, allocator, err);
}

rml_status rml_rnn_lstm_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                             const rml_allocator *allocator, rml_error *err)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    (void)weight; // the first of those in args->constants
    const size_t cols = p.d.inputs > p.d.hidden ? p.d.inputs : p.d.hidden;
    // of a matrix, or of both biases
    const size_t count = rml_sat_mul(4 * p.d.hidden, cols > 2 ? cols : 2);
    const size_t bytes = rml_sat_mul(count, sizeof(float));
    float *rows = rml_alloc(allocator, bytes), *gates = rml_alloc(allocator, bytes);
    rml_status status = RML_OK;
    if (!rows || !gates)
        status = rml_fail_nomem(err, bytes, "packing weights");
    for (size_t k = 0; k < p.d.directions && status == RML_OK; k++)
        status = pack_direction(args, k, rows, gates, (char *)packed + k * direction_bytes(&p),
                                allocator, err);
    rml_free(allocator, rows);
    rml_free(allocator, gates);
    return status;
}

// ---- running ------------------------------------------------------------------------------------

// The gates of all steps of a direction, zeros for the state in front of the first step, and what
// the projection asks for.
static size_t gate_bytes(const parts *p)
{
    return rml_aligned_bytes(rml_sat_mul(rml_sat_mul(p->d.steps, p->d.batch), 4 * p->d.hidden),
                             sizeof(float));
}

static size_t zero_bytes(const parts *p)
{
    return rml_aligned_bytes(p->d.hidden, sizeof(float));
}

size_t rml_rnn_lstm_scratch(const rml_op_args *args)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    return rml_sat_add(rml_sat_add(gate_bytes(&p), zero_bytes(&p)),
                       rml_rnn_projection_scratch(&projection));
}

// One direction; pointers are to its first element.
typedef struct lstm_job {
    const rml_kernels *kernels;
    const float *weight, *gates, *zeros;
    const float *h0, *c0; // or NULL
    float *y, *h, *c;
    rml_rnn_strides gate, out, state;
    size_t hidden, rows, steps, item_rows;
    bool reverse;
} lstm_job;

// Hidden state of a sequence in front of `step`, counted in the order of computation.
static const float *state_before(const lstm_job *job, size_t row, size_t step)
{
    if (step == 0)
        return job->h0 ? job->h0 + (int64_t)row * job->state.item : job->zeros;
    const size_t at = job->reverse ? job->steps - step : step - 1;
    return job->y + (int64_t)row * job->out.item + (int64_t)at * job->out.step;
}

// Step `step` of the sequences [first, first + count), all units.
static void run_step(const lstm_job *job, size_t first, size_t count, size_t step)
{
    const rml_kernels *kernels = job->kernels;
    const size_t at = job->reverse ? job->steps - 1 - step : step;
    const float *x[RML_LSTM_MAX_ROWS], *h[RML_LSTM_MAX_ROWS];
    float *c[RML_LSTM_MAX_ROWS], *y[RML_LSTM_MAX_ROWS];
    const size_t units = (count == 1 ? 2 : 1) * RML_KERNEL(kernels, lstm_units);
    for (size_t unit = 0; unit < job->hidden; unit += units) {
        rml_lstm_tile tile = {.weight = job->weight + unit * 4 * job->hidden,
                              .depth = job->hidden,
                              .units = rml_min_size(units, job->hidden - unit),
                              .gate = job->hidden,
                              .x = x,
                              .h = h,
                              .c = c,
                              .out = y};
        for (size_t row = first; row < first + count; row += RML_KERNEL(kernels, lstm_rows)) {
            tile.rows = rml_min_size(RML_KERNEL(kernels, lstm_rows), first + count - row);
            for (size_t r = 0; r < tile.rows; r++) {
                const int64_t item = (int64_t)(row + r);
                x[r] = job->gates + item * job->gate.item + (int64_t)at * job->gate.step + unit;
                h[r] = state_before(job, row + r, step);
                c[r] = job->c + item * job->state.item + unit;
                y[r] = job->y + item * job->out.item + (int64_t)at * job->out.step + unit;
            }
            RML_KERNEL(kernels, lstm)(&tile);
        }
    }
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const lstm_job *job = context;
    const size_t bytes = job->hidden * sizeof(float);
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t first = item * job->item_rows;
        const size_t count = rml_min_size(job->item_rows, job->rows - first);
        for (size_t row = first; row < first + count; row++) {
            const int64_t at = (int64_t)row * job->state.item;
            memcpy(job->c + at, job->c0 ? job->c0 + at : job->zeros, bytes);
        }
        for (size_t step = 0; step < job->steps; step++)
            run_step(job, first, count, step);
        for (size_t row = first; row < first + count; row++)
            memcpy(job->h + (int64_t)row * job->state.item, state_before(job, row, job->steps),
                   bytes);
    }
}

void rml_rnn_lstm_run(const rml_op_args *args)
{
    rml_rnn_projection projection;
    const parts p = parts_of(args, &projection);
    float *gates = (float *)(void *)args->scratch;
    float *zeros = (float *)(void *)(args->scratch + gate_bytes(&p));
    char *scratch = args->scratch + gate_bytes(&p) + zero_bytes(&p);
    memset(zeros, 0, zero_bytes(&p));
    const int64_t width = (int64_t)(4 * p.d.hidden);
    const bool first = args->attr->rnn.batch_first;
    for (size_t k = 0; k < p.d.directions; k++) {
        const char *packed = (const char *)args->packed + k * direction_bytes(&p);
        lstm_job job = {.kernels = args->kernels,
                        .weight = (const float *)(const void *)(packed + p.input + p.bias),
                        .gates = gates,
                        .zeros = zeros,
                        .gate = {.item = first ? (int64_t)p.d.steps * width : width,
                                 .step = first ? width : (int64_t)p.d.batch * width},
                        .out = rml_rnn_strides_of(args, &args->out[0]),
                        .state = rml_rnn_strides_of(args, &args->out[1]),
                        .hidden = p.d.hidden,
                        .rows = p.d.batch,
                        .steps = p.d.steps,
                        .reverse = args->attr->rnn.reverse || k == 1};
        const int64_t state = (int64_t)k * job.state.direction;
        job.y = args->out[0].data + (int64_t)k * job.out.direction;
        job.h = args->out[1].data + state;
        job.c = args->out[2].data + state;
        if (rml_op_input(args, RML_RNN_H0))
            job.h0 = args->in[RML_RNN_H0].data + state;
        if (rml_op_input(args, RML_RNN_C0))
            job.c0 = args->in[RML_RNN_C0].data + state;
        // Two items a worker, so that a busy core costs little; whole tiles.
        const size_t share = 2 * (size_t)args->threads;
        job.item_rows = rml_min_size((job.rows + share - 1) / share, ITEM_ROWS);
        job.item_rows =
            rml_round_up(job.item_rows ? job.item_rows : 1, RML_KERNEL(args->kernels, lstm_rows));
        rml_rnn_projection_run(&projection, packed,
                               p.has_bias ? (const float *)(const void *)(packed + p.input) : NULL,
                               gates, scratch);
        rml_pool_run(args->pool, (job.rows + job.item_rows - 1) / job.item_rows, 1, run_rows, &job);
    }
}
