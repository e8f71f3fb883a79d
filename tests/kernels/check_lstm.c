// The LSTM step: every number of rows and units, cells and states at the ends of their range.
#include "tests/kernels/check_kernels.h"

#include <math.h>
#include <stdio.h>

enum { INPUTS, STATES, CELLS, WEIGHT, OUTPUT };

typedef struct lstm_case {
    size_t rows, units, depth;
    float reach; // of the gates' inputs
} lstm_case;

// What a gate sums up: exact, and how far f32 may be from it.
static oracle_value gate_sum(const check *c, const rml_lstm_tile *tile, size_t q, size_t r,
                             size_t u)
{
    const size_t lanes = RML_KERNEL(&c->kernels, lstm_units);
    const float *block = tile->weight + u / lanes * lanes * 4 * tile->depth;
    oracle_sum sum = {0};
    oracle_add(&sum, tile->x[r][q * tile->gate + u]);
    for (size_t k = 0; k < tile->depth; k++)
        oracle_add(&sum, (double)tile->h[r][k] * block[(k * 4 + q) * lanes + u % lanes]);
    return oracle_sum_value(&sum);
}

// How near to 0 a number may lie that is off by its bound.
static double least_of(oracle_value v)
{
    return fmax(fabs(v.want) - v.bound, 0.0);
}

// Slopes are at most 1/4 and exp(-|x|), 1 and 4 exp(-2 |x|); a function adds 2.5 ULP of its value,
// 5 roundings.
static oracle_value sigmoid_of(oracle_value v)
{
    const double want = 1.0 / (1.0 + exp(-v.want)), slope = fmin(0.25, exp(-least_of(v)));
    return (oracle_value){.want = want,
                          .bound = v.bound * slope + 5 * ORACLE_U * want + ORACLE_DENORMAL};
}

static oracle_value tanh_of(oracle_value v)
{
    const double want = tanh(v.want), slope = fmin(1.0, 4.0 * exp(-2.0 * least_of(v)));
    return (oracle_value){.want = want,
                          .bound = v.bound * slope + 5 * ORACLE_U * fabs(want) + ORACLE_DENORMAL};
}

static oracle_value product_of(oracle_value a, oracle_value b)
{
    const double want = a.want * b.want;
    return (oracle_value){.want = want,
                          .bound = a.bound * fabs(b.want) + b.bound * fabs(a.want) +
                                   a.bound * b.bound + ORACLE_U * fabs(want) + ORACLE_DENORMAL};
}

static void check_row(check *c, const rml_lstm_tile *tile, const float *before, size_t r,
                      const char *what)
{
    for (size_t u = 0; u < tile->units; u++) {
        const oracle_value in = sigmoid_of(gate_sum(c, tile, 0, r, u));
        const oracle_value forget = sigmoid_of(gate_sum(c, tile, 1, r, u));
        const oracle_value cell = tanh_of(gate_sum(c, tile, 2, r, u));
        const oracle_value out = sigmoid_of(gate_sum(c, tile, 3, r, u));
        const oracle_value kept = product_of(forget, (oracle_value){.want = (double)before[u]});
        const oracle_value added = product_of(in, cell);
        oracle_value state = {.want = kept.want + added.want};
        state.bound = kept.bound + added.bound + ORACLE_U * fabs(state.want);
        check_element(c, tile->c[r][u], state, what, r, u);
        check_element(c, tile->out[r][u], product_of(out, tanh_of(state)), what, r, u);
    }
}

static void run_case(check *c, const lstm_case *at, guard_side side)
{
    const size_t lanes = RML_KERNEL(&c->kernels, lstm_units), gate = at->units + random_below(c, 3);
    const size_t row = 3 * gate + at->units; // floats of x that a row has
    const float *x[RML_LSTM_MAX_ROWS], *h[RML_LSTM_MAX_ROWS];
    float *cells[RML_LSTM_MAX_ROWS], *out[RML_LSTM_MAX_ROWS];
    float before[RML_LSTM_MAX_ROWS][RML_GEMM_MAX_NR];
    const size_t weights = (at->units + lanes - 1) / lanes * lanes * 4 * at->depth;
    char what[64];
    snprintf(what, sizeof what, "rows %zu units %zu depth %zu", at->rows, at->units, at->depth);
    float *inputs = guard_place(&c->buffer[INPUTS], at->rows * row, side);
    float *states = guard_place(&c->buffer[STATES], at->rows * at->depth, side);
    float *cell = guard_place(&c->buffer[CELLS], at->rows * at->units, side);
    float *weight = guard_place(&c->buffer[WEIGHT], weights, side);
    float *result = guard_place(&c->buffer[OUTPUT], at->rows * at->units, side);
    random_fill(c, inputs, at->rows * row);
    random_fill(c, states, at->rows * at->depth);
    random_fill(c, cell, at->rows * at->units);
    random_fill(c, weight, weights);
    for (size_t i = 0; i < at->rows * row; i++)
        inputs[i] *= at->reach;
    for (size_t i = 0; i < weights; i++)
        if (i / (lanes * 4 * at->depth) * lanes + i % lanes >= at->units)
            weight[i] = 0.0f;
    for (size_t r = 0; r < at->rows; r++) {
        x[r] = inputs + r * row;
        h[r] = states + r * at->depth;
        cells[r] = cell + r * at->units;
        out[r] = result + r * at->units;
        for (size_t u = 0; u < at->units; u++)
            before[r][u] = cells[r][u];
    }
    const rml_lstm_tile tile = {weight, at->depth, at->rows, at->units, gate, x, h, cells, out};
    c->cases++;
    RML_KERNEL(&c->kernels, lstm)(&tile);
    for (size_t r = 0; r < at->rows; r++)
        check_row(c, &tile, before[r], r, what);
    check_guards(c, what);
}

void check_lstm(check *c, int which)
{
    static const size_t depths[] = {1, 2, 7, 50, 128};
    static const float reaches[] = {1.0f, 12.0f, 200.0f, 1e6f, 3e38f};
    (void)which;
    for (size_t rows = 1; rows <= RML_KERNEL(&c->kernels, lstm_rows); rows++)
        for (size_t units = 1; units <= (rows == 1 ? 2 : 1) * RML_KERNEL(&c->kernels, lstm_units);
             units++)
            for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
                for (int side = 0; side < GUARD_SIDES; side++) {
                    const lstm_case at = {rows, units, depths[d], reaches[random_below(c, 5)]};
                    run_case(c, &at, (guard_side)side);
                }
}
