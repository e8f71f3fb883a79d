#include "ops/matmul/pairs.h"

#include "kernels/pack.h"
#include "tensor/convert.h"
#include "tensor/size.h"

#include <string.h>

#define CHUNK_PIXELS 64

bool rml_wants_bf16(const rml_op_args *args)
{
    return args->precision == RML_PRECISION_BF16 && args->kernels->gemm_bf16;
}

size_t rml_pairs_bytes(const rml_tensor *image)
{
    const size_t channels = (size_t)image->dim[1];
    const size_t pixels = (size_t)(image->dim[0] * image->dim[2] * image->dim[3]);
    return rml_aligned_bytes(rml_sat_mul(pixels, rml_pairs(channels)), sizeof(float));
}

typedef struct pairs_job {
    const rml_kernels *kernels;
    const rml_tensor *from, *to;
} pairs_job;

static void convert_pixels(void *context, size_t begin, size_t end, int worker)
{
    const pairs_job *job = context;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        job->kernels->pairs_bf16(job->from->data + (int64_t)i * job->from->stride[3],
                                 (size_t)job->from->dim[1],
                                 job->to->data + (int64_t)i * job->to->stride[3]);
}

rml_tensor rml_pairs_make(const rml_op_args *args, const rml_tensor *image, char *memory)
{
    rml_shape shape = rml_tensor_shape(image);
    shape.dim[1] = (int64_t)rml_pairs((size_t)image->dim[1]);
    const rml_tensor pairs = rml_tensor_make((float *)memory, &shape, RML_LAYOUT_CHANNELS_LAST);
    pairs_job job = {args->kernels, image, &pairs};
    rml_pool_run(args->pool, (size_t)(image->dim[0] * image->dim[2] * image->dim[3]), CHUNK_PIXELS,
                 convert_pixels, &job);
    return pairs;
}

void rml_pairs_pack_panel(const rml_kernels *kernels, float *dst, const float *src, size_t taps,
                          size_t depth, size_t count, size_t tap_stride, size_t depth_stride,
                          size_t col_stride)
{
    const size_t pitch = rml_pack_pitch(kernels, count);
    for (size_t t = 0; t < taps; t++)
        for (size_t k = 0; k < depth; k += 2, dst += pitch) {
            const float *row = src + t * tap_stride + k * depth_stride;
            memset(dst, 0, pitch * sizeof *dst);
            for (size_t n = 0; n < count; n++) {
                uint32_t pair = rml_f32_to_bf16(row[n * col_stride]);
                if (k + 1 < depth)
                    pair |= (uint32_t)rml_f32_to_bf16(row[n * col_stride + depth_stride]) << 16;
                memcpy(&dst[n], &pair, sizeof pair);
            }
        }
}
