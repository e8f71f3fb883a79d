// Pooling of regions of images to one size.
//   roi_pool: x [N,C,H,W]   regions [R,5]: image, left, top, right, bottom   y [R,C,height,width]
//   roi_align: x [N,C,H,W]   regions [R,4]   images [R] of i64   y [R,C,height,width]
// Source: ONNX MaxRoiPool and RoiAlign; torchvision.ops.roi_pool and roi_align.
#include "ops/op.h"

#include <math.h>

#define MOST_SAMPLES 1024 // on a side of a bin, where a region of any size asks for its pixels

static rml_status infer_regions(const rml_roi_attr *roi, const rml_shape *in, int columns,
                                rml_shape *out, rml_error *err)
{
    const rml_shape *x = &in[0], *regions = &in[1];
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    if (roi->height < 1 || roi->width < 1 || roi->samples < 0 || roi->samples > MOST_SAMPLES)
        return rml_fail(err, RML_ERR_ARG, "output %lldx%lld with %lld samples",
                        (long long)roi->height, (long long)roi->width, (long long)roi->samples);
    if (x->rank != 4 || regions->rank != 2 || (regions->dim[1] >= 0 && regions->dim[1] != columns))
        return rml_fail(err, RML_ERR_SHAPE, "input is %s and the regions %s", rml_shape_text(x, a),
                        rml_shape_text(regions, b));
    *out = (rml_shape){4, {regions->dim[0], x->dim[1], roi->height, roi->width}};
    return RML_OK;
}

// From a number of a region to a coordinate that can be counted with.
static double sane(double x, double limit)
{
    return x > -limit ? (x < limit ? x : limit) : -limit;
}

static const float *plane_of(const rml_tensor *x, int64_t image, size_t channel)
{
    if (image < 0 || image >= x->dim[0] || x->dim[2] == 0 || x->dim[3] == 0)
        return NULL;
    return x->data + ((size_t)(image * x->dim[1]) + channel) * (size_t)(x->dim[2] * x->dim[3]);
}

// Refuses a region of an image that is not there.
static rml_status check_image(const rml_op_node *node, int64_t region, double image, rml_error *err)
{
    const int64_t images = node->shape[0].dim[0];
    if (images < 0 || (image >= 0 && image < (double)images))
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE, "region %lld is of image %.17g, and there are %lld",
                    (long long)region, image, (long long)images);
}

// ---- roi_pool -----------------------------------------------------------------------------------

static rml_status infer_pool(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    RML_TRY(infer_regions(&node->attr->roi, node->shape, 5, out, err));
    const float *region = node->in[1].data;
    for (int64_t i = 0; region && i < out->dim[0]; i++)
        RML_TRY(check_image(node, i, (double)region[i * 5], err));
    return RML_OK;
}

// Rows or columns [first, stop) of bin `index`.
static void bin_of(double begin, double end, int64_t index, int64_t bins, int64_t size,
                   int64_t *first, int64_t *stop)
{
    const double length = end - begin + 1 > 1 ? end - begin + 1 : 1, bin = length / (double)bins;
    *first = (int64_t)sane(floor((double)index * bin) + begin, 1e15);
    *stop = (int64_t)sane(ceil((double)(index + 1) * bin) + begin, 1e15);
    *first = *first < 0 ? 0 : *first < size ? *first : size;
    *stop = *stop < 0 ? 0 : *stop < size ? *stop : size;
}

static void pool_planes(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_roi_attr *roi = &args->attr->roi;
    const rml_tensor *x = &args->in[0];
    const size_t channels = (size_t)x->dim[1];
    for (size_t item = begin; item < end; item++) {
        const float *region = args->in[1].data + item / channels * 5;
        float *dst = args->out[0].data + item * (size_t)(roi->height * roi->width);
        double side[4];
        for (int i = 0; i < 4; i++)
            side[i] = round(sane((double)region[i + 1] * roi->scale, 1e12));
        const float *src = plane_of(x, (int64_t)sane((double)region[0], 1e12), item % channels);
        for (int64_t i = 0; i < roi->height * roi->width; i++) {
            int64_t top, bottom, left, right;
            bin_of(side[1], side[3], i / roi->width, roi->height, x->dim[2], &top, &bottom);
            bin_of(side[0], side[2], i % roi->width, roi->width, x->dim[3], &left, &right);
            float most = src && top < bottom && left < right ? -INFINITY : 0;
            for (int64_t row = top; src && row < bottom; row++)
                for (int64_t col = left; col < right; col++)
                    most = src[row * x->dim[3] + col] > most ? src[row * x->dim[3] + col] : most;
            dst[i] = most;
        }
    }
}

static void run_pool(const rml_op_args *args)
{
    rml_op_parallel(args, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), SIZE_MAX,
                    pool_planes);
}

const rml_op rml_op_roi_pool = {.id = RML_OP_ROI_POOL,
                                .name = "roi_pool",
                                .inputs = {2, 2},
                                .checks_elements = true,
                                .infer = infer_pool,
                                .algorithms = RML_ONE_WAY("planes", run_pool)};

// ---- roi_align ----------------------------------------------------------------------------------

static rml_status infer_align(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    RML_TRY(infer_regions(&node->attr->roi, node->shape, 4, out, err));
    if (node->shape[2].rank != 1 ||
        (node->shape[2].dim[0] >= 0 && out->dim[0] >= 0 && node->shape[2].dim[0] != out->dim[0]))
        return rml_fail(err, RML_ERR_SHAPE, "the images of %lld regions are %s",
                        (long long)out->dim[0], rml_shape_text(&node->shape[2], text));
    if (out->dim[0] < 0)
        out->dim[0] = node->shape[2].dim[0];
    const int64_t *image = node->in[2].data;
    for (int64_t i = 0; image && i < node->shape[2].dim[0]; i++)
        RML_TRY(check_image(node, i, (double)image[i], err));
    return RML_OK;
}

// A region along one axis.
typedef struct side {
    double begin, bin;
    int64_t samples;
} side;

static side side_of(const rml_roi_attr *roi, double begin, double end, int64_t bins)
{
    const double offset = roi->half_pixel ? 0.5 : 0;
    begin = sane(begin * roi->scale, 1e12) - offset;
    end = sane(end * roi->scale, 1e12) - offset;
    double length = end - begin;
    if (!roi->half_pixel && length < 1)
        length = 1;
    const double own = ceil(length / (double)bins);
    return (side){begin, length / (double)bins,
                  roi->samples > 0 ? roi->samples
                  : own > 0        ? (int64_t)sane(own, MOST_SAMPLES)
                                   : 0};
}

// The two elements around a coordinate and how far it lies behind the first; false: outside.
static bool around(double at, int64_t size, int64_t *low, int64_t *high, double *behind)
{
    if (!(at >= -1 && at <= (double)size))
        return false;
    at = at > 0 ? at : 0;
    *low = (int64_t)at;
    if (*low >= size - 1) {
        *low = *high = size - 1;
        *behind = 0;
    } else {
        *high = *low + 1;
        *behind = at - (double)*low;
    }
    return true;
}

// One bin: the mean of its samples; or the largest of what their neighbours count for.
static float align_bin(const rml_roi_attr *roi, const rml_tensor *x, const float *src,
                       const side *rows, const side *cols, int64_t row, int64_t col)
{
    const double count = (double)(rows->samples * cols->samples);
    double sum = 0, most = 0;
    bool any = false;
    for (int64_t i = 0; i < rows->samples; i++)
        for (int64_t j = 0; j < cols->samples; j++) {
            const double y =
                rows->begin + ((double)row + ((double)i + 0.5) / (double)rows->samples) * rows->bin;
            const double z =
                cols->begin + ((double)col + ((double)j + 0.5) / (double)cols->samples) * cols->bin;
            int64_t top, bottom, left, right;
            double dy, dx, part[4] = {0, 0, 0, 0};
            if (around(y, x->dim[2], &top, &bottom, &dy) &&
                around(z, x->dim[3], &left, &right, &dx)) {
                const int64_t width = x->dim[3];
                part[0] = (1 - dy) * (1 - dx) * (double)src[top * width + left];
                part[1] = (1 - dy) * dx * (double)src[top * width + right];
                part[2] = dy * (1 - dx) * (double)src[bottom * width + left];
                part[3] = dy * dx * (double)src[bottom * width + right];
            }
            for (int k = 0; k < 4; k++) {
                sum += part[k];
                most = any && most > part[k] ? most : part[k];
                any = true;
            }
        }
    return (float)(roi->max ? most : count > 0 ? sum / count : 0);
}

static void align_planes(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_roi_attr *roi = &args->attr->roi;
    const rml_tensor *x = &args->in[0];
    const size_t channels = (size_t)x->dim[1];
    for (size_t item = begin; item < end; item++) {
        const size_t index = item / channels;
        const float *region = args->in[1].data + index * 4;
        const float *src = plane_of(x, ((const int64_t *)args->in[2].raw)[index], item % channels);
        float *dst = args->out[0].data + item * (size_t)(roi->height * roi->width);
        const side rows = side_of(roi, (double)region[1], (double)region[3], roi->height);
        const side cols = side_of(roi, (double)region[0], (double)region[2], roi->width);
        for (int64_t i = 0; i < roi->height * roi->width; i++)
            dst[i] = src ? align_bin(roi, x, src, &rows, &cols, i / roi->width, i % roi->width) : 0;
    }
}

static void run_align(const rml_op_args *args)
{
    rml_op_parallel(args, (size_t)(args->out[0].dim[0] * args->out[0].dim[1]), SIZE_MAX,
                    align_planes);
}

const rml_op rml_op_roi_align = {.id = RML_OP_ROI_ALIGN,
                                 .name = "roi_align",
                                 .inputs = {3, 3},
                                 .checks_elements = true,
                                 .signature = "ffl>f",
                                 .infer = infer_align,
                                 .algorithms = RML_ONE_WAY("planes", run_align)};
