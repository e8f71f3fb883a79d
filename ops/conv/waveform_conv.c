// The first layer of a speech network: a convolution of a wave with few taps to many channels, each
// of which is normalised over the whole wave.
//
//   wave_norm  x [N,S]  w [C,1,K]  gamma, beta [C]  ->  scale and shift [N,2,C]
//   wave_conv  x [N,S]  w [C,1,K]  [N,2,C]  ->  act(conv(x, w) * scale + shift) [N,C,1,T]
//       T = (S - K) / stride + 1
//
// The output has hundreds of numbers for each few samples, so reading it again for its mean and
// variance is what costs time and memory. Both follow from the wave: with m the mean of the K
// samples that a place reads, and R the mean of their products, a channel's mean is w m and its
// mean square w R w'. In double nothing is lost. So a part of a long wave can be convolved with the
// scale and shift of the whole.
#include "ops/conv/igemm.h"

#include "kernels/pack.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define MAX_TAPS 64

static rml_status check(const rml_op_attr *attr, const rml_shape *in, rml_error *err)
{
    char x[RML_SHAPE_TEXT_BYTES], w[RML_SHAPE_TEXT_BYTES];
    if (in[0].rank != 2 || in[1].rank != 3 || !rml_shape_known(&in[1]) || in[1].dim[0] < 1 ||
        in[1].dim[1] != 1 || in[1].dim[2] < 1 || in[1].dim[2] > MAX_TAPS || attr->wave.stride < 1)
        return rml_fail(err, RML_ERR_SHAPE, "weight %s and stride %lld do not fit wave %s",
                        rml_shape_text(&in[1], w), (long long)attr->wave.stride,
                        rml_shape_text(&in[0], x));
    if (in[0].dim[1] >= 0 && in[0].dim[1] < in[1].dim[2])
        return rml_fail(err, RML_ERR_SHAPE, "the wave %s has fewer samples than the %lld needed",
                        rml_shape_text(&in[0], x), (long long)in[1].dim[2]);
    return RML_OK;
}

static int64_t places_of(const rml_op_attr *attr, const rml_shape *in)
{
    return in[0].dim[1] < 0 ? -1 : (in[0].dim[1] - in[1].dim[2]) / attr->wave.stride + 1;
}

// ---- wave_norm ----------------------------------------------------------------------------------

static rml_status infer_norm(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(check(node->attr, node->shape, err));
    for (int k = 2; k < 4; k++)
        if (node->shape[k].rank != 1 || node->shape[k].dim[0] != node->shape[1].dim[0])
            return rml_fail(err, RML_ERR_SHAPE, "gamma or beta is %s, expected (%lld)",
                            rml_shape_text(&node->shape[k], text),
                            (long long)node->shape[1].dim[0]);
    *out = (rml_shape){3, {node->shape[0].dim[0], 2, node->shape[1].dim[0]}};
    return RML_OK;
}

// Sums over all places of the samples they read, and of the products of these: upper triangle.
typedef struct moments {
    double sum[MAX_TAPS], product[MAX_TAPS][MAX_TAPS];
} moments;

static size_t norm_bytes(const rml_op_args *args)
{
    (void)args;
    return rml_round_up(sizeof(moments), RML_ALIGNMENT);
}

static void gather(const float *x, size_t places, size_t stride, size_t taps, moments *m)
{
    memset(m, 0, sizeof *m);
    for (size_t t = 0; t < places; t++, x += stride) {
        double sample[MAX_TAPS];
        for (size_t k = 0; k < taps; k++)
            sample[k] = (double)x[k];
        for (size_t k = 0; k < taps; k++) {
            m->sum[k] += sample[k];
            for (size_t l = k; l < taps; l++)
                m->product[k][l] += sample[k] * sample[l];
        }
    }
}

static void norm_items(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const rml_tensor *x = &args->in[0], *w = &args->in[1];
    const size_t channels = (size_t)w->dim[0], taps = (size_t)w->dim[2];
    const rml_shape in[2] = {rml_tensor_shape(x), rml_tensor_shape(w)};
    const size_t places = (size_t)places_of(args->attr, in);
    moments *m = rml_op_worker(args, worker);
    for (size_t n = begin; n < end; n++) {
        float *scale = args->out[0].data + n * 2 * channels, *shift = scale + channels;
        gather(x->data + n * (size_t)x->dim[1], places, (size_t)args->attr->wave.stride, taps, m);
        for (size_t c = 0; c < channels; c++) {
            const float *weight = w->data + c * taps;
            double mean = 0.0, square = 0.0;
            for (size_t k = 0; k < taps; k++) {
                mean += (double)weight[k] * m->sum[k];
                square += (double)weight[k] * (double)weight[k] * m->product[k][k];
                for (size_t l = k + 1; l < taps; l++)
                    square += 2.0 * (double)weight[k] * (double)weight[l] * m->product[k][l];
            }
            mean /= (double)places;
            const double variance = square / (double)places - mean * mean;
            const double factor = (double)args->in[2].data[c] /
                                  sqrt((variance < 0.0 ? 0.0 : variance) + args->attr->wave.eps);
            scale[c] = (float)factor;
            shift[c] = (float)((double)args->in[3].data[c] - mean * factor);
        }
    }
}

static void run_norm(const rml_op_args *args)
{
    rml_op_args copy = *args;
    rml_pool_run(args->pool, (size_t)args->in[0].dim[0], 1, norm_items, &copy);
}

const rml_op rml_op_wave_norm = {.id = RML_OP_WAVE_NORM,
                                 .name = "wave_norm",
                                 .inputs = {4, 4},
                                 .infer = infer_norm,
                                 .algorithms = RML_ONE_WAY_EACH("from-wave", norm_bytes, run_norm)};

// ---- wave_conv ----------------------------------------------------------------------------------

static rml_status infer_conv(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(check(node->attr, node->shape, err));
    if (node->shape[2].rank != 3 || node->shape[2].dim[1] != 2 ||
        node->shape[2].dim[2] != node->shape[1].dim[0] ||
        (node->shape[2].dim[0] != node->shape[0].dim[0] && node->shape[2].dim[0] >= 0 &&
         node->shape[0].dim[0] >= 0))
        return rml_fail(err, RML_ERR_SHAPE, "scale and shift are %s, expected (%lld,2,%lld)",
                        rml_shape_text(&node->shape[2], text), (long long)node->shape[0].dim[0],
                        (long long)node->shape[1].dim[0]);
    *out = (rml_shape){
        4, {node->shape[0].dim[0], node->shape[1].dim[0], 1, places_of(node->attr, node->shape)}};
    return RML_OK;
}

static uint64_t macs(const rml_op_args *args)
{
    return (uint64_t)rml_tensor_count(&args->out[0]) * (uint64_t)args->in[1].dim[2];
}

// Behind the scratch of the product: one panel's scaled weights, then all panels.
static size_t panel_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes((size_t)args->in[1].dim[2],
                             RML_KERNEL(args->kernels, gemm_f32).nr * sizeof(float));
}

static size_t conv_scratch(const rml_op_args *args)
{
    const size_t taps = (size_t)args->in[1].dim[2];
    const size_t packed =
        rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), taps, 1, (size_t)args->in[1].dim[0]);
    return rml_sat_add(
        rml_igemm_scratch_bytes(&RML_KERNEL(args->kernels, gemm_f32), args->threads, taps, 1),
        rml_sat_add(panel_bytes(args), rml_sat_mul(sizeof(float), packed)));
}

// The weights of one item, times its scale.
static void pack_item(const rml_op_args *args, const float *scale, float *rows, float *packed)
{
    const size_t channels = (size_t)args->in[1].dim[0], taps = (size_t)args->in[1].dim[2];
    for (size_t c = 0; c < channels; c += RML_KERNEL(args->kernels, gemm_f32).nr) {
        const size_t count = rml_min_size(RML_KERNEL(args->kernels, gemm_f32).nr, channels - c);
        for (size_t i = 0; i < count * taps; i++)
            rows[i] = args->in[1].data[c * taps + i] * scale[c + i / taps];
        rml_pack_panel(&RML_KERNEL(args->kernels, gemm_f32), packed + c * taps, rows, taps, 1,
                       count, 1, taps, taps);
    }
}

static void run_conv(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    const int64_t channels = args->in[1].dim[0], taps = args->in[1].dim[2];
    char *rows = args->scratch + rml_igemm_scratch_bytes(&RML_KERNEL(args->kernels, gemm_f32),
                                                         args->threads, (size_t)taps, 1);
    float *packed = (float *)(rows + panel_bytes(args));
    for (int64_t n = 0; n < x->dim[0]; n++) {
        const float *scale = args->in[2].data + n * 2 * channels;
        rml_tensor out = args->out[0];
        rml_tensor_advance(&out, n * out.stride[0]);
        out.dim[0] = 1;
        const rml_tensor in = {.data = x->data + n * x->dim[1],
                               .rank = 4,
                               .dim = {1, 1, 1, x->dim[1]},
                               .stride = {x->dim[1], 1, x->dim[1], 1}};
        const rml_igemm product = {.window =
                                       rml_window_row(taps, args->attr->wave.stride, x->dim[1]),
                                   .in = &in,
                                   .out = &out,
                                   .depth = 1,
                                   .cols = (size_t)channels,
                                   .gemm = &RML_KERNEL(args->kernels, gemm_f32),
                                   .packed = packed,
                                   .bias = scale + channels,
                                   .act = &args->attr->wave.act,
                                   .activate = rml_activate};
        pack_item(args, scale, (float *)rows, packed);
        rml_igemm_run(args, &product);
    }
}

const rml_op rml_op_wave_conv = {.id = RML_OP_WAVE_CONV,
                                 .name = "wave_conv",
                                 .inputs = {3, 3},
                                 .layout = RML_OP_CHANNELS_LAST,
                                 .infer = infer_conv,
                                 .macs = macs,
                                 .algorithms =
                                     RML_ONE_WAY_IN("indirect-gemm", conv_scratch, run_conv)};
