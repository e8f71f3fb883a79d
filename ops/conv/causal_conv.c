// Depthwise convolution of streams: each output sees the present and the past, of which the last
// K - 1 elements are handed on.
//   x [B,C,L]   w [C,1,K]   bias [C], optional   past [B,C,K-1], optional: zeros
//   ->  y [B,C,L], by silu where asked for   past of the next part [B,C,K-1]
#include "ops/op.h"

#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { X, W, BIAS, PAST };

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->shape[X], *w = &node->shape[W];
    char x_text[RML_SHAPE_TEXT_BYTES], w_text[RML_SHAPE_TEXT_BYTES];
    bool fits = x->rank == 3 && w->rank == 3 && rml_dims_agree(w->dim[0], x->dim[1]) &&
                rml_dims_agree(w->dim[1], 1) && w->dim[2] != 0;
    if (fits && x->dim[2] >= 0 && w->dim[2] >= 0)
        fits = x->dim[2] <= INT64_MAX - w->dim[2];
    const rml_shape past = {3, {x->dim[0], x->dim[1], w->dim[2] < 0 ? -1 : w->dim[2] - 1}};
    if (fits && rml_op_given(node, BIAS))
        fits = node->shape[BIAS].rank == 1 && rml_dims_agree(node->shape[BIAS].dim[0], x->dim[1]);
    if (fits && rml_op_given(node, PAST))
        fits = rml_shapes_agree(&node->shape[PAST], &past);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "weight %s, bias or past do not fit input %s",
                        rml_shape_text(w, w_text), rml_shape_text(x, x_text));
    out[0] = *x;
    out[1] = past;
    return RML_OK;
}

// A channel with its past, and its output.
static size_t line_bytes(const rml_op_args *args)
{
    const size_t size = (size_t)args->in[X].dim[2], taps = (size_t)args->in[W].dim[2];
    return rml_aligned_bytes(rml_sat_add(size, taps), 2 * sizeof(double));
}

static void run_channels(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const size_t size = (size_t)args->in[X].dim[2], taps = (size_t)args->in[W].dim[2];
    const size_t channels = (size_t)args->in[X].dim[1];
    double *weight = rml_op_worker(args, worker);
    double *line = weight + taps, *y = line + taps - 1 + size;
    for (size_t item = begin; item < end; item++) {
        const size_t channel = item % channels;
        double bias = 0;
        rml_read_f64(&args->in[W], channel * taps, weight, taps);
        if (rml_op_input(args, BIAS))
            rml_read_f64(&args->in[BIAS], channel, &bias, 1);
        if (rml_op_input(args, PAST))
            rml_read_f64(&args->in[PAST], item * (taps - 1), line, taps - 1);
        else
            memset(line, 0, (taps - 1) * sizeof *line);
        rml_read_f64(&args->in[X], item * size, line + taps - 1, size);
        for (size_t i = 0; i < size; i++) {
            y[i] = bias;
            for (size_t k = 0; k < taps; k++)
                y[i] += weight[k] * line[i + k];
            if (args->attr->causal_conv.silu)
                y[i] /= 1 + exp(-y[i]);
        }
        rml_write_f64(&args->out[0], item * size, y, size);
        rml_write_f64(&args->out[1], item * (taps - 1), line + size, taps - 1);
    }
}

static void run(const rml_op_args *args)
{
    if (!rml_tensor_count(&args->out[0]) && !rml_tensor_count(&args->out[1]))
        return; // however many channels there are of nothing
    rml_pool_run(args->pool, (size_t)args->in[X].dim[0] * (size_t)args->in[X].dim[1], 1,
                 run_channels, (void *)(uintptr_t)args);
}

const rml_op rml_op_causal_conv = {.id = RML_OP_CAUSAL_CONV,
                                   .name = "causal_conv",
                                   .inputs = {2, 4},

                                   .signature = "r0>00",
                                   .infer = infer,
                                   .algorithms = RML_ONE_WAY_EACH("channels", line_bytes, run)};
