// Local response normalisation across channels, as AlexNet has it:
//   y[n][c] = x[n][c] / (bias + alpha / size * sum over the window of x[n][k]^2)^beta
// The window of channel c is (size - 1) / 2 channels before it to size / 2 behind, cut at the ends.
#include "ops/op.h"

#include "tensor/size.h"

#include <math.h>

#define PLACES 256 // of a work item

static rml_status infer_lrn(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank < 2 || node->attr->lrn.size < 1)
        return rml_fail(err, RML_ERR_SHAPE, "windows of %lld channels in %s",
                        (long long)node->attr->lrn.size, rml_shape_text(&node->shape[0], text));
    *out = node->shape[0];
    return RML_OK;
}

typedef struct job {
    const rml_op_args *args;
    size_t channels, places, blocks; // blocks of an item
} job;

// sum^-beta; the roots are exact and quicker where they do.
static float power(float sum, float beta)
{
    if (beta == 0.75f)
        return 1 / (sqrtf(sum) * sqrtf(sqrtf(sum)));
    return powf(sum, -beta);
}

static void lrn_channel(const job *at, const float *x, size_t channel, size_t count, float *y)
{
    const rml_lrn_attr *attr = &at->args->attr->lrn;
    const size_t before = rml_min_size(channel, (size_t)(attr->size - 1) / 2);
    const size_t last = rml_min_size(at->channels - 1 - channel, (size_t)attr->size / 2) + channel;
    float sum[PLACES] = {0};
    for (size_t k = channel - before; k <= last; k++)
        for (size_t i = 0; i < count; i++)
            sum[i] += x[k * at->places + i] * x[k * at->places + i];
    for (size_t i = 0; i < count; i++)
        y[channel * at->places + i] =
            x[channel * at->places + i] *
            power(attr->bias + attr->alpha / (float)attr->size * sum[i], attr->beta);
}

static void lrn_blocks(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t place = i % at->blocks * PLACES;
        const size_t from = i / at->blocks * at->channels * at->places + place;
        for (size_t c = 0; c < at->channels; c++)
            lrn_channel(at, at->args->in[0].data + from, c,
                        rml_min_size(PLACES, at->places - place), at->args->out[0].data + from);
    }
}

static void run_lrn(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    job at = {
        .args = args, .channels = (size_t)in->dim[1], .places = rml_tensor_span(in, 2, in->rank)};
    at.blocks = (at.places + PLACES - 1) / PLACES;
    rml_pool_run(args->pool, (size_t)in->dim[0] * at.blocks, 1, lrn_blocks, &at);
}

const rml_op rml_op_lrn = {.id = RML_OP_LRN,
                           .name = "lrn",
                           .inputs = {1, 1},
                           .infer = infer_lrn,
                           .algorithms = RML_ONE_WAY("windows", run_lrn)};
