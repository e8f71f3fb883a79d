// Convolution of any number of dimensions, plain, with a weight as it is stored, which need not be
// a constant.
#include "ops/conv/im2col.h"

#include "tensor/prefetch.h"

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

enum { RUN = 16 }; // pixels copied at once: of a known size, as a call would take longer

// Of a single tap: the rows of a panel lie as they are, too far apart for the hardware to see the
// next one's coming.
static void fill_points(const rml_im2col *columns, const rml_im2col_part *part)
{
    const size_t plane = columns->pixels;
    const float *src = columns->in->data +
                       (part->image * columns->groups * columns->depth + part->channel) * plane +
                       part->pixel;
    RML_KERNEL(columns->args->kernels, pad_rows)
    (src, plane, part->pixels, 0.0f, part->channels, part->dst, part->pitch);
    for (size_t c = 0; c < part->channels; c++)
        rml_prefetch(src + c * plane + part->pixels, part->pixels * sizeof *src);
}

static bool points(const rml_im2col *columns)
{
    const rml_window *w = &columns->window;
    bool same = columns->taps == 1;
    for (int i = 0; i < w->rank; i++)
        same = same && w->stride[i] == 1 && w->before[i] == 0 && w->out[i] == w->in[i];
    return same;
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
            size_t i = 0;
            if (run)
                for (; i + RUN <= part->pixels; i += RUN)
                    memcpy(dst + i, channel + offset[0] + i, RUN * sizeof *dst);
            for (; i < part->pixels; i++)
                dst[i] = offset[i] < 0 ? 0.0f : channel[offset[i]];
            for (; i < part->pitch; i++)
                dst[i] = 0;
        }
    }
}

size_t rml_conv_generic_scratch_bytes(const rml_op_args *args)
{
    return rml_im2col_scratch_bytes(args);
}

void rml_conv_generic_run(const rml_op_args *args)
{
    rml_im2col columns = rml_im2col_make(args, 2);
    columns.fill = points(&columns) ? fill_points : fill;
    columns.epilogue = true;
    rml_im2col_run(&columns);
}

// ---- transposed, tap after tap ------------------------------------------------------------------

// Adds one input channel times one tap to an output channel, row after row. Along each axis the
// input moves by 1 and the output by the stride.
static void add_tap(const rml_window *w, const int64_t *tap, float weight, const float *src,
                    float *dst)
{
    const int last = w->rank - 1;
    const int64_t stride = w->stride[last];
    int64_t first[RML_MAX_SPATIAL], count[RML_MAX_SPATIAL], index[RML_MAX_SPATIAL] = {0};
    for (int i = 0; i < w->rank; i++) {
        const int64_t shift = tap[i] * w->dilation[i] - w->before[i];
        const int64_t room = w->out[i] - shift;
        const int64_t stop = room > 0 ? (room - 1) / w->stride[i] + 1 : 0;
        first[i] = shift < 0 ? (-shift + w->stride[i] - 1) / w->stride[i] : 0;
        count[i] = (stop < w->in[i] ? stop : w->in[i]) - first[i];
        if (count[i] <= 0)
            return;
    }
    const size_t rows = rml_sizes_count(count, last);
    for (size_t row = 0; row < rows; row++, rml_sizes_next(count, last, index)) {
        int64_t from = 0, to = 0;
        for (int i = 0; i <= last; i++) {
            const int64_t at = first[i] + (i < last ? index[i] : 0);
            from = from * w->in[i] + at;
            to = to * w->out[i] + at * w->stride[i] + tap[i] * w->dilation[i] - w->before[i];
        }
        const float *x = src + from;
        float *y = dst + to;
        if (stride == 1)
            for (int64_t i = 0; i < count[last]; i++)
                y[i] += weight * x[i];
        else
            for (int64_t i = 0; i < count[last]; i++)
                y[i * stride] += weight * x[i];
    }
}

// Sums over the input channels of a group, for each output channel.
typedef struct taps_job {
    const rml_op_args *args;
    rml_window window;
    size_t groups, depth, cols; // input and output channels of a group
} taps_job;

static void run_taps(void *context, size_t begin, size_t end, int worker)
{
    const taps_job *job = context;
    const rml_op_args *args = job->args;
    const rml_window *w = &job->window;
    const size_t taps = rml_sizes_count(w->kernel, w->rank), all = job->groups * job->cols;
    const size_t in_plane = rml_sizes_count(w->in, w->rank);
    const size_t out_plane = rml_sizes_count(w->out, w->rank);
    const float *bias = rml_conv_bias(args);
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t image = item / all, channel = item % all, group = channel / job->cols;
        float *dst = args->out[0].data + item * out_plane;
        for (size_t i = 0; i < out_plane; i++)
            dst[i] = bias ? bias[channel] : 0.0f;
        for (size_t k = 0; k < job->depth; k++) {
            const size_t c = group * job->depth + k;
            const float *src = args->in[0].data + (image * job->groups * job->depth + c) * in_plane;
            const size_t filter = c * job->cols + channel % job->cols;
            int64_t tap[RML_MAX_SPATIAL] = {0};
            for (size_t t = 0; t < taps; t++, rml_sizes_next(w->kernel, w->rank, tap))
                add_tap(w, tap, args->in[1].data[filter * taps + t], src, dst);
        }
        rml_conv_epilogue(args, dst, out_plane);
    }
}

void rml_conv_transpose_generic_run(const rml_op_args *args)
{
    const rml_tensor *w = &args->in[1];
    const size_t groups = (size_t)args->attr->conv.groups;
    taps_job job = {args, rml_conv_transpose_window(args), groups, (size_t)w->dim[0] / groups,
                    (size_t)w->dim[1]};
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), 1, run_taps,
                 &job);
}
