// Resizing of channels-last images: a pixel is copied, or mixed of the four around its place.
#include "ops/image/resize.h"

#include "tensor/size.h"

#include <string.h>

typedef struct image_job {
    const rml_op_args *args;
    rml_resize_plan plan;
    rml_resize_table table[2]; // of rows and columns; linear only
} image_job;

static void nearest_rows(void *context, size_t begin, size_t end, int worker)
{
    const image_job *job = context;
    const rml_resize_attr *attr = &job->args->attr->resize;
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    const size_t channels = (size_t)in->dim[1];
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const int64_t image = (int64_t)item / out->dim[2], row = (int64_t)item % out->dim[2];
        const int64_t y = rml_resize_nearest(attr, &job->plan.axis[2], row);
        const float *src = in->data + image * in->stride[0] + y * in->stride[2];
        float *dst = out->data + image * out->stride[0] + row * out->stride[2];
        for (int64_t col = 0; col < out->dim[3]; col++, dst += out->stride[3]) {
            const int64_t x = rml_resize_nearest(attr, &job->plan.axis[3], col);
            memcpy(dst, src + x * in->stride[3], channels * sizeof(float));
        }
    }
}

void rml_resize_image_nearest(const rml_op_args *args)
{
    image_job job = {.args = args, .plan = rml_resize_plan_of(args)};
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, nearest_rows,
                 &job);
}

// ---- linear: one or two elements count along each axis ------------------------------------------

#define TAPS 2

static size_t table_bytes(int64_t size)
{
    return rml_aligned_bytes((size_t)size, 2 * sizeof(int64_t) + TAPS * sizeof(double));
}

size_t rml_resize_image_scratch_bytes(const rml_op_args *args)
{
    return rml_sat_add(table_bytes(args->out[0].dim[2]), table_bytes(args->out[0].dim[3]));
}

static void linear_rows(void *context, size_t begin, size_t end, int worker)
{
    const image_job *job = context;
    const rml_resize_table *rows = &job->table[0], *cols = &job->table[1];
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    const size_t channels = (size_t)in->dim[1];
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const int64_t image = (int64_t)item / out->dim[2], row = (int64_t)item % out->dim[2];
        const double *wy = &rows->weight[row * TAPS];
        const float *top = in->data + image * in->stride[0] + rows->first[row] * in->stride[2];
        const float *bottom = rows->count[row] > 1 ? top + in->stride[2] : top;
        const double lower = rows->count[row] > 1 ? wy[1] : 0;
        float *dst = out->data + image * out->stride[0] + row * out->stride[2];
        for (int64_t col = 0; col < out->dim[3]; col++, dst += out->stride[3]) {
            const double *wx = &cols->weight[col * TAPS];
            const int64_t left = cols->first[col] * in->stride[3];
            const bool two = cols->count[col] > 1;
            const int64_t right = two ? left + in->stride[3] : left;
            const double later = two ? wx[1] : 0;
            const float *src[4] = {top + left, top + right, bottom + left, bottom + right};
            const float weight[4] = {(float)(wy[0] * wx[0]), (float)(wy[0] * later),
                                     (float)(lower * wx[0]), (float)(lower * later)};
            RML_KERNEL(job->args->kernels, lerp)(src, weight, channels, dst);
        }
    }
}

void rml_resize_image_linear(const rml_op_args *args)
{
    image_job job = {.args = args, .plan = rml_resize_plan_of(args)};
    char *memory = args->scratch;
    for (int i = 0; i < 2; i++) {
        const rml_resize_axis *axis = &job.plan.axis[2 + i];
        rml_resize_table *table = &job.table[i];
        table->taps = TAPS;
        table->first = (int64_t *)(void *)memory;
        table->count = table->first + axis->out;
        table->weight = (double *)(void *)(table->count + axis->out);
        rml_resize_weights(&args->attr->resize, axis, table);
        memory += table_bytes(axis->out);
    }
    rml_pool_run(args->pool, (size_t)(args->out[0].dim[0] * args->out[0].dim[2]), 1, linear_rows,
                 &job);
}
