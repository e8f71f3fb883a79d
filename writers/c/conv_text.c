#include "writers/c/conv_text.h"

#include <math.h>

#define PANEL 4 // output channels of a tile

void rml_c_take_clamp(rml_c_window *k, const rml_activation *act)
{
    const bool clamp = act->kind == RML_UNARY_CLAMP;
    k->low = clamp ? act->param[0] : -INFINITY;
    k->high = clamp ? act->param[1] : INFINITY;
}

void rml_c_note_window(rml_c_emit *c, const rml_c_window *k)
{
    rml_c_use(c, RML_C_CONV);
    if (rml_c_is_depthwise(k))
        rml_c_use(c, RML_C_DEPTHWISE);
    c->most_taps = k->kernel[0] > c->most_taps ? k->kernel[0] : c->most_taps;
}

void rml_c_say_window(rml_c_emit *c, const rml_c_window *k, const char *name, size_t number)
{
    char low[RML_C_FLOAT_BYTES], high[RML_C_FLOAT_BYTES];
    const rml_c_image *in = &k->in, *out = &k->out, *more = &k->residual;
    rml_c_say(
        c,
        "static const net_conv_shape %s%zu = {%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, "
        "%lld, %lld, %lld, %lld,\n    ",
        name, number, (long long)in->images, (long long)in->h, (long long)in->w,
        (long long)k->depth, (long long)in->image, (long long)in->row, (long long)in->pixel,
        (long long)in->channel, (long long)out->h, (long long)out->w, (long long)k->cols,
        (long long)k->groups);
    rml_c_say(c,
              "%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, "
              "%s, %s};\n",
              (long long)out->image, (long long)out->row, (long long)out->pixel,
              (long long)more->image, (long long)more->row, (long long)more->pixel,
              (long long)k->kernel[0], (long long)k->kernel[1], (long long)k->stride[0],
              (long long)k->stride[1], (long long)k->dilation[0], (long long)k->dilation[1],
              (long long)k->before[0], (long long)k->before[1], rml_c_float(low, k->low),
              rml_c_float(high, k->high));
}

// [groups * cols][depth][taps] to the order of the kernels.
void rml_c_say_weight(rml_c_emit *c, const rml_c_window *k, const rml_constant *constant,
                      const char *name, size_t number)
{
    const size_t taps = (size_t)(k->kernel[0] * k->kernel[1]), depth = (size_t)k->depth;
    const size_t cols = (size_t)k->cols, groups = (size_t)k->groups;
    const size_t panels = (cols + PANEL - 1) / PANEL;
    const size_t count =
        rml_c_is_depthwise(k) ? groups * taps : groups * panels * taps * depth * PANEL;
    float *src = NULL, *dst = NULL;
    if (c->status == RML_OK)
        c->status = rml_c_read(c, constant, &src, c->err);
    if (c->status == RML_OK)
        c->status = rml_make(c->allocator, &dst, count, sizeof *dst, "weights", c->err);
    if (c->status == RML_OK) {
        float *at = dst;
        if (rml_c_is_depthwise(k))
            for (size_t t = 0; t < taps; t++)
                for (size_t g = 0; g < groups; g++)
                    *at++ = src[g * taps + t];
        else
            for (size_t p = 0; p < groups * panels; p++)
                for (size_t t = 0; t < taps; t++)
                    for (size_t d = 0; d < depth; d++)
                        for (size_t n = 0; n < PANEL; n++) {
                            const size_t col = p % panels * PANEL + n;
                            const size_t o = p / panels * cols + col;
                            *at++ = col < cols ? src[(o * depth + d) * taps + t] : 0.0f;
                        }
        rml_c_array(c, name, number, dst, count);
    }
    rml_free(c->allocator, src);
    rml_free(c->allocator, dst);
}

void rml_c_say_bias(rml_c_emit *c, const rml_constant *constant, const char *name, size_t number)
{
    float *data = NULL;
    size_t count = 0;
    if (c->status == RML_OK)
        c->status = rml_c_read(c, constant, &data, c->err);
    if (c->status == RML_OK && rml_shape_count(&constant->stored.shape, &count))
        rml_c_array(c, name, number, data, count);
    rml_free(c->allocator, data);
}
