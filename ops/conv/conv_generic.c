// Convolution of any number of dimensions, plain, with a weight as it is stored, which need not be
// a constant.
#include "ops/conv/im2col.h"

#include <string.h>

// Where each pixel of the part finds tap `at`: an offset in its channel, or -1 for padding. True
// when all of them follow each other.
static bool find(const rml_window *w, const int64_t *first, size_t pixels, const int64_t *at,
                 int64_t *offset)
{
    bool run = true;
    for (size_t i = 0; i < pixels; i++, first += w->rank) {
        int64_t sum = 0;
        for (int d = 0; d < w->rank; d++) {
            const int64_t x = first[d] + at[d] * w->dilation[d];
            if (x < 0 || x >= w->in[d]) {
                sum = -1;
                break;
            }
            sum = sum * w->in[d] + x;
        }
        offset[i] = sum;
        run = run && sum >= 0 && sum == offset[0] + (int64_t)i;
    }
    return run;
}

static void fill(const rml_im2col *columns, const rml_im2col_part *part)
{
    const rml_window *w = &columns->window;
    const size_t plane = rml_sizes_count(w->in, w->rank);
    const float *src = columns->in->data +
                       (part->image * columns->groups * columns->depth + part->channel) * plane;
    int64_t *offset = (int64_t *)(void *)part->scratch, *first = offset + part->pixels;
    int64_t at[RML_MAX_SPATIAL], tap[RML_MAX_SPATIAL] = {0};
    rml_sizes_seek(w->out, w->rank, part->pixel, at);
    for (size_t i = 0; i < part->pixels; i++, rml_sizes_next(w->out, w->rank, at))
        for (int d = 0; d < w->rank; d++)
            first[i * (size_t)w->rank + (size_t)d] = at[d] * w->stride[d] - w->before[d];
    for (size_t t = 0; t < columns->taps; t++, rml_sizes_next(w->kernel, w->rank, tap)) {
        const bool run = find(w, first, part->pixels, tap, offset);
        float *dst = part->dst + t * part->pitch;
        for (size_t c = 0; c < part->channels; c++, dst += columns->taps * part->pitch) {
            const float *channel = src + c * plane;
            if (run)
                memcpy(dst, channel + offset[0], part->pixels * sizeof *dst);
            else
                for (size_t i = 0; i < part->pixels; i++)
                    dst[i] = offset[i] < 0 ? 0.0f : channel[offset[i]];
            memset(dst + part->pixels, 0, (part->pitch - part->pixels) * sizeof *dst);
        }
    }
}

void rml_conv_generic_run(const rml_op_args *args)
{
    rml_im2col columns = rml_im2col_make(args, 2);
    columns.fill = fill;
    columns.epilogue = true;
    rml_im2col_run(&columns);
}

// ---- one input channel a group ------------------------------------------------------------------

bool rml_conv_generic_dw_accepts(const rml_op_args *args)
{
    return args->in[1].dim[1] == 1;
}

// Output coordinates along one axis that tap `tap` has an input for: [first, stop).
static void reach(const rml_window *w, int axis, int64_t tap, int64_t *first, int64_t *stop)
{
    const int64_t stride = w->stride[axis], shift = tap * w->dilation[axis] - w->before[axis];
    *first = shift < 0 ? (-shift + stride - 1) / stride : 0;
    *stop = w->in[axis] > shift ? (w->in[axis] - 1 - shift) / stride + 1 : 0;
    *stop = *stop < w->out[axis] ? *stop : w->out[axis];
}

// Adds one tap of a filter to an output channel, row after row.
static void add_tap(const rml_window *w, const int64_t *tap, float weight, const float *src,
                    float *dst)
{
    const int last = w->rank - 1;
    const int64_t stride = w->stride[last];
    int64_t first[RML_MAX_SPATIAL], count[RML_MAX_SPATIAL], index[RML_MAX_SPATIAL] = {0};
    for (int i = 0; i < w->rank; i++) {
        reach(w, i, tap[i], &first[i], &count[i]);
        count[i] -= first[i];
        if (count[i] <= 0)
            return;
    }
    const size_t rows = rml_sizes_count(count, last);
    for (size_t row = 0; row < rows; row++, rml_sizes_next(count, last, index)) {
        int64_t from = 0, to = 0;
        for (int i = 0; i <= last; i++) {
            const int64_t at = first[i] + (i < last ? index[i] : 0);
            to = to * w->out[i] + at;
            from = from * w->in[i] + at * w->stride[i] + tap[i] * w->dilation[i] - w->before[i];
        }
        if (stride == 1)
            for (int64_t i = 0; i < count[last]; i++)
                dst[to + i] += weight * src[from + i];
        else
            for (int64_t i = 0; i < count[last]; i++)
                dst[to + i] += weight * src[from + i * stride];
    }
}

static void run_channels(void *context, size_t begin, size_t end, int worker)
{
    const rml_im2col *columns = context;
    const rml_window *w = &columns->window;
    const size_t plane = rml_sizes_count(w->in, w->rank), all = columns->groups * columns->rows;
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t image = item / all, channel = item % all;
        const size_t from = image * columns->groups + channel / columns->rows;
        float *dst = columns->out->data + item * columns->pixels;
        int64_t tap[RML_MAX_SPATIAL] = {0};
        for (size_t i = 0; i < columns->pixels; i++)
            dst[i] = columns->bias ? columns->bias[channel] : 0.0f;
        for (size_t t = 0; t < columns->taps; t++, rml_sizes_next(w->kernel, w->rank, tap))
            add_tap(w, tap, columns->weight->data[channel * columns->taps + t],
                    columns->in->data + from * plane, dst);
        rml_conv_epilogue(columns->args, dst, columns->pixels);
    }
}

void rml_conv_generic_dw_run(const rml_op_args *args)
{
    rml_im2col columns = rml_im2col_make(args, 2);
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), 1, run_channels,
                 &columns);
}
