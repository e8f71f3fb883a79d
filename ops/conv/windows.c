#include "ops/conv/windows.h"

#include "tensor/size.h"

#define LIMIT ((int64_t)1 << 31) // of every number, so that sums and one product fit

rml_status rml_windows_check(const rml_windows *windows, rml_error *err)
{
    for (int i = 0; i < windows->rank; i++) {
        const int64_t kernel = windows->kernel[i], stride = windows->stride[i];
        const int64_t dilation = windows->dilation[i];
        const int64_t before = windows->before[i], after = windows->after[i];
        if (kernel == 0 || kernel < -1 || stride < 1 || dilation < 1 || kernel > LIMIT ||
            stride > LIMIT || dilation > LIMIT || before < 0 || after < 0 || before > LIMIT ||
            after > LIMIT || windows->in[i] > LIMIT * LIMIT)
            return rml_fail(err, RML_ERR_ARG,
                            "axis %d: kernel %lld, stride %lld, dilation %lld, padding %lld and "
                            "%lld are not in range",
                            i + 2, (long long)kernel, (long long)stride, (long long)dilation,
                            (long long)before, (long long)after);
    }
    return RML_OK;
}

static rml_status size_axis(rml_windows *w, int i, bool ceil_mode, rml_error *err)
{
    const int64_t span = rml_windows_span(w, i);
    const int64_t room = w->in[i] + w->before[i] + w->after[i] - span;
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

static void pad_to_same(rml_windows *w, int i, bool upper)
{
    w->out[i] = w->in[i] / w->stride[i] + (w->in[i] % w->stride[i] != 0);
    const int64_t last = w->out[i] > 0 ? (w->out[i] - 1) * w->stride[i] : 0;
    const int64_t missing = last + rml_windows_span(w, i) - w->in[i];
    const int64_t total = missing > 0 ? missing : 0;
    w->before[i] = upper ? total / 2 : total - total / 2;
    w->after[i] = total - w->before[i];
}

rml_status rml_windows_make(const rml_windows_attr *attr, const rml_shape *image,
                            const int64_t *kernel, rml_windows *w, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_auto_pad auto_pad = attr->auto_pad;
    *w = (rml_windows){.rank = image->rank - 2};
    if (w->rank < 1 || (attr->rank && attr->rank != w->rank))
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, the window has %d dimensions",
                        rml_shape_text(image, text), attr->rank);
    for (int i = 0; i < w->rank; i++) {
        w->in[i] = image->dim[i + 2];
        w->out[i] = -1;
        w->kernel[i] = attr->kernel[i] ? attr->kernel[i] : kernel ? kernel[i] : 0;
        w->stride[i] = attr->stride[i];
        w->dilation[i] = attr->dilation[i];
        w->before[i] = auto_pad == RML_AUTO_PAD_NONE ? attr->before[i] : 0;
        w->after[i] = auto_pad == RML_AUTO_PAD_NONE ? attr->after[i] : 0;
    }
    RML_TRY(rml_windows_check(w, err));
    for (int i = 0; i < w->rank; i++) {
        if (w->in[i] < 0 || w->kernel[i] < 0)
            continue;
        if (auto_pad == RML_AUTO_PAD_SAME_UPPER || auto_pad == RML_AUTO_PAD_SAME_LOWER)
            pad_to_same(w, i, auto_pad == RML_AUTO_PAD_SAME_UPPER);
        else
            RML_TRY(size_axis(w, i, attr->ceil_mode, err));
    }
    return RML_OK;
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
