#include "ops/conv/window.h"

#include "tensor/size.h"

#define LIMIT ((int64_t)1 << 31) // of every number, so that sums and one product fit

static rml_status check(const rml_window *window, bool may_be_unknown, rml_error *err)
{
    for (int i = 0; i < window->rank; i++) {
        const int64_t kernel = window->kernel[i], stride = window->stride[i];
        const int64_t dilation = window->dilation[i];
        const int64_t before = window->before[i], after = window->after[i];
        if (kernel < (may_be_unknown ? -1 : 1) || kernel == 0 || stride < 1 || dilation < 1 ||
            kernel > LIMIT || stride > LIMIT || dilation > LIMIT || before < 0 || after < 0 ||
            before > LIMIT || after > LIMIT || window->in[i] > LIMIT * LIMIT)
            return rml_fail(err, RML_ERR_ARG,
                            "axis %d: kernel %lld, stride %lld, dilation %lld, padding %lld and "
                            "%lld are not in range",
                            i + 2, (long long)kernel, (long long)stride, (long long)dilation,
                            (long long)before, (long long)after);
    }
    return RML_OK;
}

static rml_status size_axis(rml_window *w, int i, bool ceil_mode, rml_error *err)
{
    const int64_t span = rml_window_span(w, i), padding = w->before[i] + w->after[i];
    if (w->in[i] < 0) {
        w->out[i] = w->stride[i] == 1 && padding == span - 1
                        ? w->in[i]
                        : rml_size_symbol(w->in[i], padding - span, 2 * w->stride[i] + ceil_mode);
        return RML_OK;
    }
    const int64_t room = w->in[i] + padding - span;
    if (room < 0)
        return rml_fail(err, RML_ERR_SHAPE,
                        "axis %d: size %lld plus padding %lld and %lld is smaller than the "
                        "window's %lld",
                        i + 2, (long long)w->in[i], (long long)w->before[i], (long long)w->after[i],
                        (long long)span);
    w->out[i] = room / w->stride[i] + 1;
    if (ceil_mode && room % w->stride[i] != 0 && w->out[i] * w->stride[i] < w->in[i] + w->before[i])
        w->out[i]++;
    return RML_OK;
}

// With a stride of 1 the padding is the same for every size, as long as there is one.
static void pad_to_same(rml_window *w, int i, bool upper)
{
    const int64_t size = w->in[i] < 0 ? 1 : w->in[i];
    const int64_t out = size / w->stride[i] + (size % w->stride[i] != 0);
    const int64_t last = out > 0 ? (out - 1) * w->stride[i] : 0;
    const int64_t missing = last + rml_window_span(w, i) - size;
    w->out[i] = w->in[i] >= 0       ? out
                : w->stride[i] == 1 ? w->in[i]
                                    : rml_size_symbol(w->in[i], w->stride[i], -1);
    if (w->in[i] < 0 && w->stride[i] != 1)
        return;
    const int64_t total = missing > 0 ? missing : 0;
    w->before[i] = upper ? total / 2 : total - total / 2;
    w->after[i] = total - w->before[i];
}

rml_status rml_window_make(const rml_window_attr *attr, const rml_shape *image,
                           const int64_t *kernel, rml_window *w, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_auto_pad auto_pad = attr->auto_pad;
    *w = (rml_window){.rank = image->rank - 2};
    if (w->rank < 1 || (attr->rank && attr->rank != w->rank))
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, the window has %d dimensions",
                        rml_shape_text(image, text), attr->rank);
    for (int i = 0; i < w->rank; i++) {
        w->in[i] = image->dim[i + 2];
        w->out[i] = -1;
        w->kernel[i] = attr->kernel[i] == 0 && kernel ? kernel[i] : attr->kernel[i];
        w->stride[i] = attr->stride[i];
        w->dilation[i] = attr->dilation[i];
        w->before[i] = auto_pad == RML_AUTO_PAD_NONE ? attr->before[i] : 0;
        w->after[i] = auto_pad == RML_AUTO_PAD_NONE ? attr->after[i] : 0;
    }
    RML_TRY(check(w, kernel != NULL, err));
    for (int i = 0; i < w->rank; i++) {
        const bool same =
            auto_pad == RML_AUTO_PAD_SAME_UPPER || auto_pad == RML_AUTO_PAD_SAME_LOWER;
        if (w->kernel[i] < 0)
            continue;
        if (same)
            pad_to_same(w, i, auto_pad == RML_AUTO_PAD_SAME_UPPER);
        else
            RML_TRY(size_axis(w, i, attr->ceil_mode, err));
    }
    return RML_OK;
}

rml_window_attr rml_window_explicit(const rml_window *window)
{
    rml_window_attr attr = {.rank = window->rank};
    for (int i = 0; i < window->rank; i++) {
        attr.kernel[i] = window->kernel[i];
        attr.stride[i] = window->stride[i];
        attr.dilation[i] = window->dilation[i];
        attr.before[i] = window->before[i];
        attr.after[i] = window->after[i];
    }
    return attr;
}

rml_window rml_window_row(int64_t taps, int64_t stride, int64_t size)
{
    return (rml_window){.rank = 2,
                        .in = {1, size},
                        .out = {1, (size - taps) / stride + 1},
                        .kernel = {1, taps},
                        .stride = {1, stride},
                        .dilation = {1, 1}};
}

size_t rml_sizes_count(const int64_t *size, int rank)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count = rml_sat_mul(count, (size_t)size[i]);
    return count;
}

void rml_sizes_seek(const int64_t *size, int rank, size_t index, int64_t *at)
{
    for (int i = rank - 1; i >= 0; i--) {
        at[i] = (int64_t)(index % (size_t)size[i]);
        index /= (size_t)size[i];
    }
}

void rml_sizes_next(const int64_t *size, int rank, int64_t *at)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++at[i] < size[i])
            return;
        at[i] = 0;
    }
}

// ---- two dimensions -----------------------------------------------------------------------------

rml_window_at rml_window_seek(const rml_window *window, size_t pixel)
{
    const size_t cols = (size_t)window->out[1], per_image = cols * (size_t)window->out[0];
    const size_t rest = pixel % per_image;
    return (rml_window_at){(int64_t)(pixel / per_image), (int64_t)(rest / cols),
                           (int64_t)(rest % cols)};
}

void rml_window_next(const rml_window *window, rml_window_at *at)
{
    if (++at->col < window->out[1])
        return;
    at->col = 0;
    if (++at->row < window->out[0])
        return;
    at->row = 0;
    at->image++;
}

float *rml_window_out(const rml_window_at *at, const rml_tensor *out)
{
    return out->data + at->image * out->stride[0] + at->row * out->stride[2] +
           at->col * out->stride[3];
}

bool rml_window_inside_cols(const rml_window *window, const rml_window_at *at, const rml_tensor *in)
{
    const int64_t x = at->col * window->stride[1] - window->before[1];
    return x >= 0 && x + (window->kernel[1] - 1) * window->dilation[1] < in->dim[3];
}

void rml_window_pointers(const rml_window *window, const rml_window_at *at, const rml_tensor *in,
                         int64_t channel, const void *zeros, bool merge, const void **ptr,
                         size_t pitch)
{
    const int64_t x0 = at->col * window->stride[1] - window->before[1];
    const int64_t columns = merge ? 1 : window->kernel[1];
    const int64_t dx = window->dilation[1];
    const int64_t bytes = (int64_t)rml_dtype_size(in->dtype);
    const char *image = (const char *)in->raw + (at->image * in->stride[0] + channel) * bytes;
    int64_t y = at->row * window->stride[0] - window->before[0];
    for (int64_t ty = 0; ty < window->kernel[0]; ty++, y += window->dilation[0]) {
        const bool row_inside = y >= 0 && y < in->dim[2];
        const char *row = row_inside ? image + y * in->stride[2] * bytes : zeros;
        for (int64_t tx = 0; tx < columns; tx++, ptr += pitch) {
            const int64_t x = x0 + tx * dx;
            *ptr = row_inside && x >= 0 && x < in->dim[3] ? row + x * in->stride[3] * bytes : zeros;
        }
    }
}
