// Phases of a transposed convolution, see conv_transpose.c, and those of few channels a group: by
// direct.h.
#include "ops/conv/conv_transpose.h"
#include "ops/conv/direct.h"

#include "tensor/size.h"

static rml_phase phase_of(const rml_window *window, int axis, int64_t at)
{
    const int64_t stride = window->stride[axis], dilation = window->dilation[axis];
    const int64_t pad = window->before[axis], size = window->out[axis];
    rml_phase p = {.step = 1, .k_step = 1, .outputs = at < size ? (size - at - 1) / stride + 1 : 0};
    int64_t k_first = -1;
    for (int64_t k = 0; k < window->kernel[axis]; k++) {
        if ((at + pad - dilation * k) % stride != 0)
            continue;
        if (k_first < 0)
            k_first = k;
        else if (p.count == 1)
            p.k_step = k - k_first;
        p.k_last = k;
        p.count++;
    }
    if (p.count) {
        p.first = (at + pad - dilation * p.k_last) / stride;
        p.step = p.count > 1 ? dilation * p.k_step / stride : 1;
    }
    return p;
}

size_t rml_phase_count(const rml_window *window)
{
    return rml_sat_mul((size_t)window->stride[0], (size_t)window->stride[1]);
}

rml_phases rml_phases_of(const rml_window *window, size_t index)
{
    const int64_t row = (int64_t)index / window->stride[1];
    const int64_t col = (int64_t)index % window->stride[1];
    return (rml_phases){phase_of(window, 0, row), phase_of(window, 1, col), row, col};
}

size_t rml_phase_tap(const rml_window *window, const rml_phases *phase, size_t t)
{
    const int64_t ty = (int64_t)t / phase->x.count, tx = (int64_t)t % phase->x.count;
    return (size_t)((phase->y.k_last - ty * phase->y.k_step) * window->kernel[1] + phase->x.k_last -
                    tx * phase->x.k_step);
}

rml_window rml_phase_window(const rml_window *window, const rml_phases *phase)
{
    return (rml_window){.rank = 2,
                        .in = {window->in[0], window->in[1]},
                        .out = {phase->y.outputs, phase->x.outputs},
                        .kernel = {phase->y.count, phase->x.count},
                        .stride = {1, 1},
                        .dilation = {phase->y.step, phase->x.step},
                        .before = {-phase->y.first, -phase->x.first}};
}

rml_tensor rml_phase_view(const rml_tensor *view, const rml_window *window, const rml_phases *phase)
{
    rml_tensor pixels = *view;
    if (view->data) // not while preparing
        pixels.data += phase->row * view->stride[2] + phase->col * view->stride[3];
    pixels.stride[2] *= window->stride[0];
    pixels.stride[3] *= window->stride[1];
    pixels.dim[2] = phase->y.outputs;
    pixels.dim[3] = phase->x.outputs;
    return pixels;
}

// ---- few channels a group -----------------------------------------------------------------------

static rml_conv_groups groups_of(const rml_op_args *args)
{
    const size_t cols = rml_transpose_cols(args);
    return (rml_conv_groups){rml_transpose_depth(args), cols,
                             cols * (size_t)args->attr->conv.groups};
}

bool rml_transpose_direct_accepts(const rml_op_args *args)
{
    const rml_window window = rml_conv_transpose_window(args);
    return args->attr->conv.groups > 1 && rml_transpose_depth(args) <= RML_DIRECT_MAX_DEPTH &&
           rml_phase_count(&window) <= RML_MAX_PHASES;
}

size_t rml_transpose_direct_packed_bytes(const rml_op_args *args)
{
    const rml_conv_groups g = groups_of(args);
    return rml_sat_mul(rml_direct_floats(args->kernels, &g, rml_conv_taps(args)), sizeof(float));
}

// The filters of a block, [outputs][depth][taps], from those of its input channels,
// [channels][cols][taps].
static void gather_filters(const rml_conv_groups *g, const rml_conv_block *block, size_t taps,
                           const float *rows, float *filters)
{
    for (size_t n = 0; n < block->count; n++) {
        const size_t c = block->first + n, group = c / g->cols - block->from / g->depth;
        for (size_t k = 0; k < g->depth; k++)
            for (size_t t = 0; t < taps; t++)
                *filters++ = rows[((group * g->depth + k) * g->cols + c % g->cols) * taps + t];
    }
}

rml_status rml_transpose_direct_pack(const rml_op_args *args, const rml_constant *weight,
                                     void *packed, const rml_allocator *allocator, rml_error *err)
{
    const rml_conv_groups g = groups_of(args);
    const rml_window window = rml_conv_transpose_window(args);
    const size_t lanes = RML_KERNEL(args->kernels, conv_lanes), taps = rml_conv_taps(args);
    const size_t whole = rml_conv_block_groups(&g, lanes), blocks = rml_conv_blocks(&g, lanes);
    // numbers of a block: as they are read, and as filters; and the taps of a phase
    const size_t read = (whole ? whole : 1) * g.depth * g.cols * taps, filter = g.depth * taps;
    const size_t bytes = rml_sat_add(rml_sat_mul(rml_sat_add(read, filter * lanes), sizeof(float)),
                                     taps * sizeof(size_t));
    size_t *tap = rml_alloc(allocator, bytes);
    if (!tap)
        return rml_fail_nomem(err, bytes, "packing weights");
    float *rows = (float *)(void *)(tap + taps), *filters = rows + read;
    for (size_t i = 0; i < blocks; i++) {
        const rml_conv_block block = rml_conv_block_at(&g, lanes, i);
        float *dst = packed;
        rml_constant_read(weight, 0, (int64_t)block.from, (int64_t)block.reach, rows);
        gather_filters(&g, &block, taps, rows, filters);
        for (size_t at = 0; at < rml_phase_count(&window); at++) {
            const rml_phases phase = rml_phases_of(&window, at);
            const size_t some = (size_t)(phase.y.count * phase.x.count);
            const size_t block_floats = some * g.depth * lanes;
            for (size_t t = 0; t < some; t++)
                tap[t] = rml_phase_tap(&window, &phase, t);
            rml_direct_pack(args->kernels, &g, block.count, filters, tap, some, taps, filter,
                            dst + i * block_floats);
            dst += blocks * block_floats;
        }
    }
    rml_free(allocator, tap);
    return RML_OK;
}

// A phase, and the views of what it writes and adds.
typedef struct phase_part {
    rml_direct direct;
    rml_tensor out, added;
} phase_part;

static void make_phase(const rml_op_args *args, const rml_window *window, size_t index,
                       phase_part *part)
{
    const rml_phases phase = rml_phases_of(window, index);
    const rml_tensor *residual = rml_conv_residual(args);
    part->out = rml_phase_view(&args->out[0], window, &phase);
    if (residual)
        part->added = rml_phase_view(residual, window, &phase);
    part->direct = (rml_direct){.window = rml_phase_window(window, &phase),
                                .in = &args->in[0],
                                .out = &part->out,
                                .residual = residual ? &part->added : NULL,
                                .groups = groups_of(args),
                                .bias = rml_conv_bias(args),
                                .act = &args->attr->conv.act,
                                .activate = rml_activate};
}

size_t rml_transpose_direct_scratch_bytes(const rml_op_args *args)
{
    const rml_window window = rml_conv_transpose_window(args);
    size_t most = 0;
    for (size_t at = 0; at < rml_phase_count(&window); at++) {
        phase_part part;
        make_phase(args, &window, at, &part);
        const size_t bytes = rml_direct_scratch_bytes(args, &part.direct);
        most = bytes > most ? bytes : most;
    }
    return most;
}

void rml_transpose_direct_run(const rml_op_args *args)
{
    const rml_window window = rml_conv_transpose_window(args);
    const float *packed = args->packed;
    for (size_t at = 0; at < rml_phase_count(&window); at++) {
        phase_part part;
        make_phase(args, &window, at, &part);
        const rml_window *w = &part.direct.window;
        part.direct.packed = packed;
        rml_direct_run(args, &part.direct);
        packed += rml_direct_floats(args->kernels, &part.direct.groups,
                                    (size_t)(w->kernel[0] * w->kernel[1]));
    }
}
