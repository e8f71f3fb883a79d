// Convolution that reads between pixels, where its offsets say.
//   x [N,C,H,W]   w [O,C/groups,Kh,Kw]   offset [N,offset_groups*Kh*Kw*2,Ho,Wo]: rows, then columns
//   bias [O] and mask [N,offset_groups*Kh*Kw,Ho,Wo] (a factor for each tap), optional   y
//   [N,O,Ho,Wo]
// Pixels outside count as zeros. Source: ONNX DeformConv; torchvision.ops.deform_conv2d.
#include "ops/conv/im2col.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { X, WEIGHT, OFFSET, BIAS, MASK };

static bool sizes_fit(const rml_shape *shape, const rml_shape *out, int64_t channels)
{
    bool fits = shape->rank == 4 && rml_dims_agree(shape->dim[1], channels);
    for (int i = 0; i < 4 && fits; i++)
        fits = i == 1 || rml_dims_agree(shape->dim[i], out->dim[i]);
    return fits;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_conv_attr *conv = &node->attr->conv;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const int64_t *w = node->shape[WEIGHT].dim, *told = conv->window.kernel;
    const int64_t height = told[0] ? told[0] : w[2], width = told[1] ? told[1] : w[3];
    RML_TRY(rml_conv_infer(conv, node->shape, node->in_count, BIAS, false, out, err));
    int64_t taps = -1;
    bool fits = out->rank == 4 && conv->offset_groups >= 1 &&
                (node->shape[X].dim[1] < 0 || node->shape[X].dim[1] % conv->offset_groups == 0);
    if (fits && height > 0 && width > 0)
        fits = rml_i64_mul(height, width, &taps) && rml_i64_mul(taps, conv->offset_groups, &taps) &&
               taps <= INT64_MAX / 2;
    fits = fits && sizes_fit(&node->shape[OFFSET], out, taps < 0 ? -1 : 2 * taps);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "offset %s with %lld groups does not fit input %s",
                        rml_shape_text(&node->shape[OFFSET], a), (long long)conv->offset_groups,
                        rml_shape_text(&node->shape[X], b));
    if (node->in_count > MASK && node->shape[MASK].rank >= 0 &&
        !sizes_fit(&node->shape[MASK], out, taps))
        return rml_fail(err, RML_ERR_SHAPE, "mask %s does not fit output %s",
                        rml_shape_text(&node->shape[MASK], a), rml_shape_text(out, b));
    return RML_OK;
}

// The four pixels around a place and how much each counts.
typedef struct sample {
    int64_t offset[4];
    float weight[4];
} sample;

static sample sample_at(const rml_window *w, double y, double x, double factor)
{
    sample s = {{0}, {0}};
    // Also keeps what is not a number or far outside away from the integers.
    if (!(y > -1 && y < (double)w->in[0] && x > -1 && x < (double)w->in[1]))
        return s;
    const double top = floor(y), left = floor(x);
    for (int i = 0; i < 4; i++) {
        const int64_t row = (int64_t)top + i / 2, col = (int64_t)left + i % 2;
        if (row < 0 || row >= w->in[0] || col < 0 || col >= w->in[1])
            continue;
        const double down = i / 2 ? y - top : 1 - (y - top);
        const double right = i % 2 ? x - left : 1 - (x - left);
        s.offset[i] = row * w->in[1] + col;
        s.weight[i] = (float)(down * right * factor);
    }
    return s;
}

static void find(const rml_im2col *columns, const rml_im2col_part *part, size_t offset_group,
                 size_t tap, sample *samples)
{
    const rml_window *w = &columns->window;
    const rml_tensor *in = columns->args->in;
    const bool masked = rml_op_input(columns->args, MASK);
    const int64_t groups = columns->args->attr->conv.offset_groups;
    const size_t channel = offset_group * columns->taps + tap;
    const size_t image = part->image * (size_t)groups * columns->taps;
    const float *rows = in[OFFSET].data + (2 * (image + channel)) * columns->pixels + part->pixel;
    const float *cols = rows + columns->pixels;
    const float *mask =
        masked ? in[MASK].data + (image + channel) * columns->pixels + part->pixel : NULL;
    const int64_t ky = (int64_t)tap / w->kernel[1], kx = (int64_t)tap % w->kernel[1];
    int64_t at[2];
    rml_sizes_seek(w->out, 2, part->pixel, at);
    for (size_t i = 0; i < part->pixels; i++, rml_sizes_next(w->out, 2, at))
        samples[i] = sample_at(
            w,
            (double)(at[0] * w->stride[0] - w->before[0] + ky * w->dilation[0]) + (double)rows[i],
            (double)(at[1] * w->stride[1] - w->before[1] + kx * w->dilation[1]) + (double)cols[i],
            masked ? (double)mask[i] : 1.0);
}

static void fill(const rml_im2col *columns, const rml_im2col_part *part)
{
    const rml_window *w = &columns->window;
    const size_t plane = (size_t)(w->in[0] * w->in[1]);
    const size_t all = columns->groups * columns->depth;
    const size_t per_offset = all / (size_t)columns->args->attr->conv.offset_groups;
    sample *samples = (sample *)(void *)part->scratch;
    for (size_t t = 0; t < columns->taps; t++)
        for (size_t c = 0, known = SIZE_MAX; c < part->channels; c++) {
            const size_t channel = part->channel + c;
            if (channel / per_offset != known) {
                known = channel / per_offset;
                find(columns, part, known, t, samples);
            }
            const float *src = columns->in->data + (part->image * all + channel) * plane;
            float *dst = part->dst + (c * columns->taps + t) * part->pitch;
            for (size_t i = 0; i < part->pixels; i++) {
                const sample *s = &samples[i];
                dst[i] = src[s->offset[0]] * s->weight[0] + src[s->offset[1]] * s->weight[1] +
                         src[s->offset[2]] * s->weight[2] + src[s->offset[3]] * s->weight[3];
            }
            memset(dst + part->pixels, 0, (part->pitch - part->pixels) * sizeof *dst);
        }
}

static void run(const rml_op_args *args)
{
    rml_im2col columns = rml_im2col_make(args, BIAS);
    columns.fill = fill;
    rml_im2col_run(&columns);
}

const rml_op rml_op_deform_conv = {.id = RML_OP_DEFORM_CONV,
                                   .name = "deform_conv",
                                   .inputs = {3, 5},
                                   .infer = infer,
                                   .macs = rml_conv_macs,
                                   .algorithms =
                                       RML_ONE_WAY_IN("im2col", rml_im2col_scratch_bytes, run)};
