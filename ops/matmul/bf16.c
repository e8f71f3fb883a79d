#include "ops/matmul/bf16.h"

#include "kernels/pack.h"

#define CHUNK_PIXELS 256
#define ROUND 4.0f // multiply-adds that rounding an element takes

bool rml_wants_bf16(const rml_op_args *args)
{
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_bf16);
    return args->precision == RML_PRECISION_BF16 && gemm->run && gemm->rate > 1.0f;
}

float rml_bf16_cost(const rml_op_args *args, size_t depth, size_t cols, float rounds)
{
    const rml_gemm *gemm = &RML_KERNEL(args->kernels, gemm_bf16);
    return (float)rml_pack_depth(gemm, depth) * (float)cols / gemm->rate +
           ROUND * (float)depth * rounds;
}

bool rml_bf16_gains(const rml_op_args *args, size_t depth, size_t cols)
{
    return rml_wants_bf16(args) &&
           rml_bf16_cost(args, depth, cols, 1.0f) < RML_BF16_GAIN * (float)depth * (float)cols;
}

size_t rml_bf16_image_bytes(const rml_op_args *args, const rml_tensor *image)
{
    const size_t depth =
        rml_pack_depth(&RML_KERNEL(args->kernels, gemm_bf16), (size_t)image->dim[1]);
    const size_t pixels = (size_t)(image->dim[0] * image->dim[2] * image->dim[3]);
    return rml_aligned_bytes(rml_sat_mul(pixels, depth), sizeof(uint16_t));
}

typedef struct convert_job {
    const rml_kernels *kernels;
    const rml_tensor *from, *to;
} convert_job;

// Rows of a part of an image have gaps between them.
static void convert_pixels(void *context, size_t begin, size_t end, int worker)
{
    const convert_job *job = context;
    const rml_tensor *from = job->from;
    const size_t channels = (size_t)from->dim[1], padded = (size_t)job->to->dim[1];
    const size_t width = (size_t)from->dim[3], rows = (size_t)from->dim[2];
    uint16_t *to = job->to->raw;
    (void)worker;
    for (size_t i = begin; i < end;) {
        const size_t row = i / width, stop = rml_min_size(end, (row + 1) * width);
        const float *src = from->data + (int64_t)(row / rows) * from->stride[0] +
                           (int64_t)(row % rows) * from->stride[2] +
                           (int64_t)(i - row * width) * from->stride[3];
        for (; i < stop; i++, src += from->stride[3])
            RML_KERNEL(job->kernels, to_bf16)(src, channels, padded, to + i * padded);
    }
}

rml_tensor rml_bf16_image(const rml_op_args *args, const rml_tensor *image, void *memory)
{
    rml_shape shape = rml_tensor_shape(image);
    shape.dim[1] =
        (int64_t)rml_pack_depth(&RML_KERNEL(args->kernels, gemm_bf16), (size_t)image->dim[1]);
    rml_tensor converted = rml_tensor_make(memory, &shape, RML_LAYOUT_CHANNELS_LAST);
    converted.dtype = RML_BF16;
    convert_job job = {args->kernels, image, &converted};
    rml_pool_run(args->pool, (size_t)(image->dim[0] * image->dim[2] * image->dim[3]), CHUNK_PIXELS,
                 convert_pixels, &job);
    return converted;
}
