// Change of layout: plain to channels-last and back, for values with three or four dimensions;
// others are copied.
#include "ops/elementwise/nd_iterator.h"

#include "tensor/size.h"

#define ROW_PIXELS 256 // pixels of a work item

typedef struct reorder_job {
    const rml_op_args *args;
    size_t lines, pixels, pieces; // of an image, of a line, of a line
} reorder_job;

// Pixels of a line as rows of a matrix: plain memory is [C][pixels] (parts of images have gaps
// between channels), channels-last [pixels][C].
static void run_items(void *context, size_t begin, size_t end, int worker)
{
    const reorder_job *job = context;
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    const size_t channels = (size_t)in->dim[1];
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        const size_t first = item % job->pieces * ROW_PIXELS, all = item / job->pieces;
        const size_t count = rml_min_size(ROW_PIXELS, job->pixels - first);
        const int64_t image = (int64_t)(all / job->lines), line = (int64_t)(all % job->lines);
        const float *src = in->data + image * in->stride[0] + line * in->stride[2];
        float *dst = out->data + image * out->stride[0] + line * out->stride[2];
        if (job->args->attr->layout_transform.layout == RML_LAYOUT_CHANNELS_LAST) {
            const size_t pitch = (size_t)out->stride[out->rank - 1];
            RML_KERNEL(job->args->kernels, transpose)
            (src + first, (size_t)in->stride[1], dst + first * pitch, pitch, channels, count);
        } else {
            const size_t pitch = (size_t)in->stride[in->rank - 1];
            RML_KERNEL(job->args->kernels, transpose)
            (src + first * pitch, pitch, dst + first, (size_t)out->stride[1], count, channels);
        }
    }
}

static void run(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    if (in->rank != 3 && in->rank != 4) { // no image after all
        rml_copy_view(args, in, out);
        return;
    }
    const bool to_last = args->attr->layout_transform.layout == RML_LAYOUT_CHANNELS_LAST;
    const rml_tensor *last = to_last ? out : in, *plain = to_last ? in : out;
    const bool gaps = in->rank == 4 && (plain->stride[2] != plain->dim[3] ||
                                        last->stride[2] != last->stride[3] * last->dim[3]);
    reorder_job job = {.args = args, .lines = 1, .pixels = (size_t)in->dim[2]};
    if (gaps) // rows that do not follow each other are no one matrix
        job.lines = (size_t)in->dim[2];
    if (in->rank == 4)
        job.pixels = (size_t)(gaps ? in->dim[3] : in->dim[2] * in->dim[3]);
    job.pieces = (job.pixels + ROW_PIXELS - 1) / ROW_PIXELS;
    if (last->stride[1] == 1 && plain->stride[in->rank - 1] == 1)
        rml_pool_run(args->pool, (size_t)in->dim[0] * job.lines * job.pieces,
                     ROW_PIXELS / (job.pixels + 1) + 1, run_items, &job);
    else
        rml_copy_view(args, in, out);
}

const rml_op rml_op_layout_transform = {.id = RML_OP_LAYOUT_TRANSFORM,
                                        .name = "layout_transform",
                                        .inputs = {1, 1},
                                        .layout = RML_OP_ANY,
                                        .infer = rml_infer_same,
                                        .algorithms = RML_ONE_WAY("transpose", run)};
