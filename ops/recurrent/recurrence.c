// The recurrent half of an LSTM layer in one direction; a linear operator in front of it makes the
// gates' share of the input, biases included, for all steps at once.
//   x [N,T,4H] or [T,N,4H]   w [4H,H]   h0, c0 [N,H], optional: zeros
//   y [N,T,H] or [T,N,H]     h [N,H]    c [N,H]: the state behind the last step
// Gates in the order of torch.nn.LSTM: input, forget, cell, output.
#include "ops/op.h"

#include "tensor/size.h"

#include <string.h>

#define ITEM_ROWS 48 // most rows of a work item, which share what the caches hold of the weights

static int outputs(const rml_op_attr *attr)
{
    (void)attr;
    return 3;
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    const int time = attr->lstm.time_axis;
    const rml_shape *x = &in[0], *w = &in[1];
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    if (x->rank != 3 || w->rank != 2 || !rml_shape_known(w) || w->dim[1] < 1 ||
        w->dim[1] > INT64_MAX / 4 || w->dim[0] != 4 * w->dim[1] || x->dim[2] != w->dim[0] ||
        time < 0 || time > 1)
        return rml_fail(err, RML_ERR_SHAPE, "weight %s does not fit the gates %s",
                        rml_shape_text(w, w_text), rml_shape_text(x, x_text));
    const rml_shape state = {2, {x->dim[1 - time], w->dim[1]}};
    for (int k = 2; k < in_count; k++)
        if (in[k].rank >= 0 &&
            (in[k].rank != 2 || in[k].dim[1] != state.dim[1] ||
             (in[k].dim[0] != state.dim[0] && in[k].dim[0] >= 0 && state.dim[0] >= 0)))
            return rml_fail(err, RML_ERR_SHAPE, "initial state is %s, expected %s",
                            rml_shape_text(&in[k], x_text), rml_shape_text(&state, w_text));
    out[0] = *x;
    out[0].dim[2] = state.dim[1];
    out[1] = out[2] = state;
    return RML_OK;
}

static size_t hidden_of(const rml_op_args *args)
{
    return (size_t)args->in[1].dim[1];
}

static uint64_t macs(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->in[0]) * (uint64_t)hidden_of(args);
}

// Blocks of units, each [H][4][kernels->lstm_units], zeros behind the last unit.
static size_t packed_bytes(const rml_op_args *args)
{
    return rml_sat_mul(rml_round_up(hidden_of(args), args->kernels->lstm_units),
                       rml_sat_mul(4 * sizeof(float), hidden_of(args)));
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    const size_t hidden = hidden_of(args), units = args->kernels->lstm_units;
    const size_t bytes = rml_sat_mul(hidden, rml_sat_mul(4 * sizeof(float), hidden));
    float *rows = rml_alloc(allocator, bytes);
    if (!rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    float *dst = packed;
    rml_constant_read(weight, 0, 0, (int64_t)(4 * hidden), rows);
    for (size_t first = 0; first < hidden; first += units)
        for (size_t k = 0; k < hidden; k++)
            for (size_t gate = 0; gate < 4; gate++)
                for (size_t u = 0; u < units; u++) {
                    const size_t row = gate * hidden + first + u;
                    *dst++ = first + u < hidden ? rows[row * hidden + k] : 0.0f;
                }
    rml_free(allocator, rows);
    return RML_OK;
}

static const rml_tensor *initial(const rml_op_args *args, int input)
{
    return rml_op_input(args, input);
}

// Zeros, for the state in front of the first step.
static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_sat_mul(hidden_of(args), sizeof(float));
}

typedef struct lstm_job {
    const rml_op_args *args;
    size_t hidden, rows, steps, item_rows;
    int64_t x_row, x_step, y_row, y_step;
} lstm_job;

// Hidden state of a sequence in front of `step`, counted in the order of computation.
static const float *state_before(const lstm_job *job, size_t row, size_t step)
{
    const rml_op_args *args = job->args;
    const rml_tensor *h0 = initial(args, 2);
    if (step == 0)
        return h0 ? h0->data + row * job->hidden : (const float *)args->scratch;
    const size_t at = args->attr->lstm.reverse ? job->steps - step : step - 1;
    return args->out[0].data + (int64_t)row * job->y_row + (int64_t)at * job->y_step;
}

// Step `step` of the sequences [first, first + count), all units.
static void run_step(const lstm_job *job, size_t first, size_t count, size_t step)
{
    const rml_op_args *args = job->args;
    const rml_kernels *kernels = args->kernels;
    const size_t at = args->attr->lstm.reverse ? job->steps - 1 - step : step;
    const float *x[RML_LSTM_MAX_ROWS], *h[RML_LSTM_MAX_ROWS];
    float *c[RML_LSTM_MAX_ROWS], *y[RML_LSTM_MAX_ROWS];
    for (size_t unit = 0; unit < job->hidden; unit += kernels->lstm_units) {
        rml_lstm_tile tile = {.weight = (const float *)args->packed + unit * 4 * job->hidden,
                              .depth = job->hidden,
                              .units = rml_min_size(kernels->lstm_units, job->hidden - unit),
                              .gate = job->hidden,
                              .x = x,
                              .h = h,
                              .c = c,
                              .out = y};
        for (size_t row = first; row < first + count; row += kernels->lstm_rows) {
            tile.rows = rml_min_size(kernels->lstm_rows, first + count - row);
            for (size_t r = 0; r < tile.rows; r++) {
                x[r] = args->in[0].data + (int64_t)(row + r) * job->x_row +
                       (int64_t)at * job->x_step + (int64_t)unit;
                h[r] = state_before(job, row + r, step);
                c[r] = args->out[2].data + (row + r) * job->hidden + unit;
                y[r] = args->out[0].data + (int64_t)(row + r) * job->y_row +
                       (int64_t)at * job->y_step + (int64_t)unit;
            }
            kernels->lstm(&tile);
        }
    }
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const lstm_job *job = context;
    const rml_op_args *args = job->args;
    const rml_tensor *c0 = initial(args, 3);
    const size_t bytes = job->hidden * sizeof(float);
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t first = item * job->item_rows;
        const size_t count = rml_min_size(job->item_rows, job->rows - first);
        float *h = args->out[1].data + first * job->hidden;
        float *c = args->out[2].data + first * job->hidden;
        if (c0)
            memcpy(c, c0->data + first * job->hidden, count * bytes);
        else
            memset(c, 0, count * bytes);
        for (size_t step = 0; step < job->steps; step++)
            run_step(job, first, count, step);
        for (size_t row = 0; row < count; row++)
            memcpy(h + row * job->hidden, state_before(job, first + row, job->steps), bytes);
    }
}

static void run(const rml_op_args *args)
{
    const int time = args->attr->lstm.time_axis;
    const rml_tensor *x = &args->in[0], *y = &args->out[0];
    const rml_kernels *kernels = args->kernels;
    lstm_job job = {.args = args,
                    .hidden = hidden_of(args),
                    .rows = (size_t)x->dim[1 - time],
                    .steps = (size_t)x->dim[time],
                    .x_row = x->stride[1 - time],
                    .x_step = x->stride[time],
                    .y_row = y->stride[1 - time],
                    .y_step = y->stride[time]};
    // Two items a worker, so that a busy core costs little; whole tiles.
    const size_t share = 2 * (size_t)args->threads;
    job.item_rows = rml_min_size((job.rows + share - 1) / share, ITEM_ROWS);
    job.item_rows = rml_round_up(job.item_rows ? job.item_rows : 1, kernels->lstm_rows);
    memset(args->scratch, 0, scratch_bytes(args));
    rml_pool_run(args->pool, (job.rows + job.item_rows - 1) / job.item_rows, 1, run_rows, &job);
}

static const rml_algorithm algorithms[] = {{.name = "fused-gates",
                                            .packed_bytes = packed_bytes,
                                            .pack = pack,
                                            .scratch_bytes = scratch_bytes,
                                            .run = run}};

const rml_op rml_op_lstm = {.name = "lstm",
                            .min_inputs = 2,
                            .max_inputs = 4,
                            .layout = RML_OP_PLAIN,
                            .packed_input = 1,
                            .outputs = outputs,
                            .infer = infer,
                            .macs = macs,
                            .algorithms = algorithms};
