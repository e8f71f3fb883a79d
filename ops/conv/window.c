#include "ops/conv/window.h"

rml_window rml_window_conv(const rml_tensor *out, const int64_t kernel[2], const int64_t stride[2],
                           const int64_t pad[4], const int64_t dilation[2])
{
    return (rml_window){.rows = out->dim[2],
                        .cols = out->dim[3],
                        .step = {stride[0], stride[1]},
                        .first = {-pad[0], -pad[1]},
                        .taps = {kernel[0], kernel[1]},
                        .tap_step = {dilation[0], dilation[1]},
                        .origin = {0, 0},
                        .out_step = {1, 1}};
}

rml_status rml_window_size(int64_t in, int axis, const int64_t kernel[2], const int64_t stride[2],
                           const int64_t pad[4], const int64_t dilation[2], bool ceil_mode,
                           int64_t *out, rml_error *err)
{
    static const char *const names[2] = {"height", "width"};
    const int64_t limit = (int64_t)1 << 31;
    const int64_t before = pad[axis], after = pad[axis + 2];
    if (kernel[axis] < 1 || stride[axis] < 1 || dilation[axis] < 1 || before < 0 || after < 0 ||
        kernel[axis] > limit || stride[axis] > limit || dilation[axis] > limit || before > limit ||
        after > limit)
        return rml_fail(
            err, RML_ERR_ARG,
            "%s: kernel %lld, stride %lld, dilation %lld, padding %lld and %lld are not "
            "in range",
            names[axis], (long long)kernel[axis], (long long)stride[axis],
            (long long)dilation[axis], (long long)before, (long long)after);
    const int64_t span = dilation[axis] * (kernel[axis] - 1) + 1;
    *out = stride[axis] == 1 && before + after == span - 1
               ? in
               : rml_size_symbol(in, before + after - span, 2 * stride[axis] + ceil_mode);
    if (in < 0)
        return RML_OK;
    const int64_t room = in + before + after - span;
    if (room < 0)
        return rml_fail(err, RML_ERR_SHAPE,
                        "%s %lld plus padding %lld and %lld is smaller than the kernel's %lld",
                        names[axis], (long long)in, (long long)before, (long long)after,
                        (long long)span);
    *out = room / stride[axis] + 1;
    // torch: a last window that would start in the padding behind the image does not count
    if (ceil_mode && room % stride[axis] != 0 && *out * stride[axis] < in + before)
        ++*out;
    return RML_OK;
}

rml_window_at rml_window_seek(const rml_window *window, size_t pixel)
{
    const size_t cols = (size_t)window->cols, per_image = cols * (size_t)window->rows;
    const size_t rest = pixel % per_image;
    return (rml_window_at){(int64_t)(pixel / per_image), (int64_t)(rest / cols),
                           (int64_t)(rest % cols)};
}

void rml_window_next(const rml_window *window, rml_window_at *at)
{
    if (++at->col < window->cols)
        return;
    at->col = 0;
    if (++at->row < window->rows)
        return;
    at->row = 0;
    at->image++;
}

float *rml_window_out(const rml_window *window, const rml_window_at *at, const rml_tensor *out)
{
    return out->data + at->image * out->stride[0] +
           (window->origin[0] + at->row * window->out_step[0]) * out->stride[2] +
           (window->origin[1] + at->col * window->out_step[1]) * out->stride[3];
}

bool rml_window_inside_cols(const rml_window *window, const rml_window_at *at, const rml_tensor *in)
{
    const int64_t x = at->col * window->step[1] + window->first[1];
    return x >= 0 && x + (window->taps[1] - 1) * window->tap_step[1] < in->dim[3];
}

void rml_window_pointers(const rml_window *window, const rml_window_at *at, const rml_tensor *in,
                         int64_t channel, const void *zeros, bool merge, const void **ptr,
                         size_t pitch)
{
    const int64_t x0 = at->col * window->step[1] + window->first[1];
    const int64_t columns = merge ? 1 : window->taps[1];
    const int64_t dx = window->tap_step[1];
    const int64_t bytes = (int64_t)rml_dtype_size(in->dtype);
    const char *image = (const char *)in->raw + (at->image * in->stride[0] + channel) * bytes;
    int64_t y = at->row * window->step[0] + window->first[0];
    for (int64_t ty = 0; ty < window->taps[0]; ty++, y += window->tap_step[0]) {
        const bool row_inside = y >= 0 && y < in->dim[2];
        const char *row = row_inside ? image + y * in->stride[2] * bytes : zeros;
        for (int64_t tx = 0; tx < columns; tx++, ptr += pitch) {
            const int64_t x = x0 + tx * dx;
            *ptr = row_inside && x >= 0 && x < in->dim[3] ? row + x * in->stride[3] * bytes : zeros;
        }
    }
}
