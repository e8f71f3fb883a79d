// Nearest and bilinear resize of images. Source: torch.nn.functional.interpolate, modes "nearest"
// and "bilinear" without antialiasing.
//   x [N,C,h,w]   like [.,.,H,W], optional: the result has its height and width and reads by
//   `scale`
#include "ops/op.h"

#include <math.h>
#include <string.h>

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    const rml_resize_attr *resize = &attr->resize;
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_shape *like = in_count > 1 && in[1].rank >= 0 ? &in[1] : NULL;
    if (in[0].rank != 4 || (like && like->rank != 4))
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(in[0].rank != 4 ? &in[0] : like, text));
    *out = in[0];
    for (int axis = 0; axis < 2; axis++) {
        const int64_t size = in[0].dim[2 + axis];
        if (resize->size[axis] > 0)
            out->dim[2 + axis] = resize->size[axis];
        else if (!(resize->scale[axis] > 0) || resize->scale[axis] > 1e6)
            return rml_fail(err, RML_ERR_ARG, "scale %g is not in range", resize->scale[axis]);
        else if (size >= 0)
            out->dim[2 + axis] = (int64_t)floor((double)size * resize->scale[axis]);
        if (like)
            out->dim[2 + axis] = like->dim[2 + axis];
        if (size == 0 && out->dim[2 + axis] != 0 && in[0].dim[0] != 0 && in[0].dim[1] != 0)
            return rml_fail(err, RML_ERR_SHAPE, "input %s has no pixels to take",
                            rml_shape_text(&in[0], text));
    }
    return RML_OK;
}

// Input coordinate of an output coordinate: the element before it and how far behind that it lies.
static void source(const rml_resize_attr *resize, int axis, int64_t at, int64_t in_size,
                   int64_t out_size, int64_t *low, float *fraction)
{
    // torch divides by a given scale, and otherwise by the quotient of the sizes
    const double ratio =
        resize->size[axis] > 0 ? (double)in_size / (double)out_size : 1.0 / resize->scale[axis];
    if (resize->kind == RML_RESIZE_NEAREST) {
        const int64_t index = (int64_t)floorf((float)at * (float)ratio);
        *low = index < in_size ? index : in_size - 1;
        *fraction = 0.0f;
        return;
    }
    float x;
    if (resize->align_corners)
        x = out_size > 1 ? (float)at * ((float)(in_size - 1) / (float)(out_size - 1)) : 0.0f;
    else
        x = ((float)at + 0.5f) * (float)ratio - 0.5f;
    if (x < 0)
        x = 0;
    *low = (int64_t)x < in_size - 1 ? (int64_t)x : in_size - 1;
    *fraction = *low == in_size - 1 ? 0.0f : x - (float)*low;
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_resize_attr *resize = &args->attr->resize;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const size_t channels = (size_t)in->dim[1];
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const int64_t image = (int64_t)item / out->dim[2], row = (int64_t)item % out->dim[2];
        int64_t y, x;
        float fy, fx;
        source(resize, 0, row, in->dim[2], out->dim[2], &y, &fy);
        const float *top = in->data + image * in->stride[0] + y * in->stride[2];
        const float *bottom = fy > 0 ? top + in->stride[2] : top;
        float *dst = out->data + image * out->stride[0] + row * out->stride[2];
        for (int64_t col = 0; col < out->dim[3]; col++, dst += out->stride[3]) {
            source(resize, 1, col, in->dim[3], out->dim[3], &x, &fx);
            const int64_t left = x * in->stride[3], right = fx > 0 ? left + in->stride[3] : left;
            if (resize->kind == RML_RESIZE_NEAREST) {
                memcpy(dst, top + left, channels * sizeof(float));
                continue;
            }
            const float *src[4] = {top + left, top + right, bottom + left, bottom + right};
            const float weight[4] = {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx};
            args->kernels->lerp(src, weight, channels, dst);
        }
    }
}

static void run(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, run_rows,
                 &copy);
}

static const rml_algorithm algorithms[] = {{.name = "pixel", .run = run}};

const rml_op rml_op_resize2d = {.name = "resize2d",
                                .min_inputs = 1,
                                .max_inputs = 2,
                                .layout = RML_OP_CHANNELS_LAST,
                                .packed_input = -1,
                                .infer = infer,
                                .algorithms = algorithms};
