// The mean of every channel of channels-last images: global average pooling, and the reduction over
// height and width. Pixels are added up side by side, some at a time, and large images are split by
// their channels.
#include "ops/image/pool.h"

#include "tensor/size.h"

#include <math.h>

#define MOST_PIXELS 256   // that are added at once, to what there is
#define MOST_CHANNELS 256 // of a work item: sums that stay in the first-level cache

typedef struct mean_job {
    const rml_op_args *args;
    size_t parts; // of the channels
} mean_job;

bool rml_pool_pixels_accepts(const rml_op_args *args)
{
    const rml_pool_attr *pool = &args->attr->pool;
    const rml_tensor *in = &args->in[0]; // a mean of nothing is 0 to pools
    return pool->global && pool->kind == RML_POOL_AVERAGE && in->dim[2] > 0 && in->dim[3] > 0;
}

static void add(const rml_op_args *args, const float *const *pixel, size_t count, size_t channels,
                float scale, float *dst)
{
    RML_KERNEL(args->kernels, pool_sum)
    (&(rml_pool_windows){
        .src = pixel, .taps = count, .channels = channels, .count = 1, .scale = scale, .dst = dst});
}

static void add_up(const rml_op_args *args, const float *image, size_t channels, float *dst)
{
    const rml_tensor *in = &args->in[0];
    const float *at[MOST_PIXELS + 1];
    float sums[2][MOST_CHANNELS];
    size_t used = 0, turn = 0;
    for (int64_t y = 0; y < in->dim[2]; y++)
        for (int64_t x = 0; x < in->dim[3]; x++) {
            if (used > MOST_PIXELS) {
                add(args, at, used, channels, 1.0f, sums[turn]);
                at[0] = sums[turn];
                used = 1;
                turn = !turn;
            }
            at[used++] = image + y * in->stride[2] + x * in->stride[3];
        }
    if (used)
        add(args, at, used, channels, 1.0f / (float)(in->dim[2] * in->dim[3]), dst);
    for (size_t c = 0; !used && c < channels; c++)
        dst[c] = NAN;
}

static void mean_part(void *context, size_t begin, size_t end, int worker)
{
    const mean_job *job = context;
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const int64_t image = (int64_t)(i / job->parts);
        const size_t first = i % job->parts * MOST_CHANNELS;
        add_up(job->args, in->data + image * in->stride[0] + first,
               rml_min_size(MOST_CHANNELS, (size_t)in->dim[1] - first),
               out->data + image * out->stride[0] + first);
    }
}

void rml_pool_pixels_run(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    mean_job job = {args, ((size_t)in->dim[1] + MOST_CHANNELS - 1) / MOST_CHANNELS};
    rml_pool_run(args->pool, (size_t)in->dim[0] * job.parts, 1, mean_part, &job);
}
