// Samples of an image at the places a grid tells, and the grid of an affine map.
//   grid_sample: x [N,C,...] and grid [N,out...,axes], both f32 or f64; a place is from -1 to 1 on
//   each axis, the last axis first   y [N,C,out...]
//   affine_grid: theta [N,axes,axes+1] of a float type   size [axes+2] of i64   y [N,size...,axes]
// Source: ONNX GridSample and AffineGrid; torch.nn.functional.grid_sample and affine_grid.
#include "ops/conv/window.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

// ---- grid_sample --------------------------------------------------------------------------------

static rml_status infer_sample(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->shape[0], *grid = &node->shape[1];
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    if (x->rank < 3 || grid->rank != x->rank ||
        (grid->dim[0] >= 0 && x->dim[0] >= 0 && grid->dim[0] != x->dim[0]) ||
        (grid->dim[grid->rank - 1] >= 0 && grid->dim[grid->rank - 1] != x->rank - 2))
        return rml_fail(err, RML_ERR_SHAPE, "grid %s does not fit input %s",
                        rml_shape_text(grid, a), rml_shape_text(x, b));
    *out = *x;
    for (int i = 2; i < x->rank; i++)
        out->dim[i] = grid->dim[i - 1];
    return RML_OK;
}

// The elements along one axis that count for a sample.
typedef struct axis_taps {
    int64_t count, at[4]; // at -1: a zero
    double weight[4];
} axis_taps;

static double reflect(double x, double low, double high)
{
    const double range = high - low;
    if (!(range > 0))
        return low;
    const double way = fmod(fabs(x - low), 2 * range);
    return low + (way > range ? 2 * range - way : way);
}

// Where the image ends: in the middle of its first element, or in front of it.
static double end_of(const rml_grid_sample_attr *attr)
{
    const bool other = attr->outside == RML_OUTSIDE_OTHER_REFLECTION;
    return attr->align_corners != other ? 0 : -0.5;
}

static int64_t element_at(const rml_grid_sample_attr *attr, double at, int64_t size)
{
    const double low = end_of(attr), last = (double)(size - 1);
    if (attr->outside == RML_OUTSIDE_ZEROS)
        return at >= 0 && at <= last ? (int64_t)at : -1;
    if (attr->outside >= RML_OUTSIDE_REFLECTION && (at < 0 || at > last))
        at = reflect(at, low, last - low);
    return at > 0 ? (at < last ? (int64_t)at : size - 1) : 0;
}

// Filled in place: a struct copied right after it is written waits for its fields.
static void find_taps(const rml_grid_sample_attr *attr, double x, int64_t size, axis_taps *t)
{
    static const double a = -0.75; // the coefficient torch takes
    const double low = end_of(attr), last = (double)(size - 1);
    t->count = attr->mode == RML_INTERPOLATION_LINEAR ? 2 : 1;
    if (t->count == 2 && x >= 0 && x < last) { // by far the most
        t->at[0] = (int64_t)x;
        t->at[1] = t->at[0] + 1;
        t->weight[1] = x - (double)t->at[0];
        t->weight[0] = 1 - t->weight[1];
        return;
    }
    if (!(fabs(x) < 0x1p52)) // also what is not a number
        x = -0x1p40;
    if (attr->mode == RML_INTERPOLATION_NEAREST)
        x = nearbyint(x);
    if (x < low || x > last - low) {
        if (attr->outside == RML_OUTSIDE_BORDER)
            x = x < 0 ? 0 : last;
        else if (attr->outside >= RML_OUTSIDE_REFLECTION)
            x = reflect(x, low, last - low);
    }
    const double first = floor(x), r = x - first;
    if (attr->mode == RML_INTERPOLATION_NEAREST) {
        t->at[0] = element_at(attr, x, size);
        t->weight[0] = 1;
    } else if (attr->mode == RML_INTERPOLATION_LINEAR) {
        for (int i = 0; i < 2; i++) {
            t->at[i] = element_at(attr, first + i, size);
            t->weight[i] = i ? r : 1 - r;
        }
    } else {
        t->count = 4;
        for (int i = 0; i < 4; i++) {
            const double d = fabs(i - 1 - r);
            t->at[i] = element_at(attr, first + i - 1, size);
            t->weight[i] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1
                                  : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
        }
    }
}

// The grid's place in elements. In the grid's own type, so that ties fall as they do in torch.
static double place(const rml_grid_sample_attr *attr, const rml_tensor *grid, size_t index,
                    int64_t size)
{
    if (grid->dtype == RML_F32) {
        const float n = grid->data[index];
        return attr->align_corners ? (n + 1) / 2 * (float)(size - 1)
                                   : ((n + 1) * (float)size - 1) / 2;
    }
    const double n = ((const double *)grid->raw)[index];
    return attr->align_corners ? (n + 1) / 2 * (double)(size - 1)
                               : ((n + 1) * (double)size - 1) / 2;
}

typedef struct sample_job {
    const rml_op_args *args;
    int axes;
    size_t in_plane, out_plane, channels;
} sample_job;

// Points whose places are found together; then each channel takes its samples.
enum { POINTS = 32 };

// Of one element that counts, for each point.
typedef struct tap {
    int64_t at[POINTS]; // in a plane; -1: a zero
    double weight[POINTS];
    float narrow[POINTS]; // the same in f32
} tap;

// At most so many count for a point.
static size_t most_taps(const rml_op_args *args)
{
    const rml_interpolation mode = args->attr->grid_sample.mode;
    const size_t each = mode == RML_INTERPOLATION_NEAREST  ? 1
                        : mode == RML_INTERPOLATION_LINEAR ? 2
                                                           : 4;
    size_t all = 1;
    for (int i = 2; i < args->in[0].rank; i++)
        all *= each;
    return all;
}

static size_t worker_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes(most_taps(args), sizeof(tap));
}

// Returns whether all of a point's taps lie inside the image.
static bool find_place(const sample_job *job, const axis_taps *taps, size_t point, tap *found)
{
    const rml_tensor *in = &job->args->in[0];
    size_t all = 1;
    bool whole = true;
    found[0].at[point] = 0;
    found[0].weight[point] = 1;
    // Each axis puts as many in the place of one as it has; from the back, for they lie in one
    // array.
    for (int i = 0; i < job->axes; i++) {
        const size_t many = (size_t)taps[i].count;
        for (size_t t = all; t-- > 0;) {
            const int64_t at = found[t].at[point];
            const double weight = found[t].weight[point];
            for (size_t k = many; k-- > 0;) {
                const int64_t along = taps[i].at[k];
                const bool inside = at >= 0 && along >= 0;
                found[t * many + k].at[point] = inside ? at * in->dim[i + 2] + along : -1;
                found[t * many + k].weight[point] = weight * taps[i].weight[k];
            }
        }
        all *= many;
    }
    for (size_t t = 0; t < all; t++) {
        found[t].narrow[point] = (float)found[t].weight[point];
        whole = whole && found[t].at[point] >= 0;
    }
    return whole;
}

// `planes` of them, a point after the other, which share its places and weights. Four taps, of
// which all count, are by far the most.
#define TAKE(type, weights, planes)                                                                \
    do {                                                                                           \
        const type *src = (const type *)in->raw + plane * job->in_plane;                           \
        type *dst = (type *)out->raw + plane * job->out_plane + point;                             \
        for (size_t p = 0; p < count; p++) {                                                       \
            type sum[planes] = {0};                                                                \
            if (taps == 4 && whole[p])                                                             \
                for (size_t t = 0; t < 4; t++)                                                     \
                    for (size_t k = 0; k < (planes); k++)                                          \
                        sum[k] += found[t].weights[p] * src[k * job->in_plane + found[t].at[p]];   \
            else                                                                                   \
                for (size_t t = 0; t < taps; t++)                                                  \
                    for (size_t k = 0; k < (planes) && found[t].at[p] >= 0; k++)                   \
                        sum[k] += found[t].weights[p] * src[k * job->in_plane + found[t].at[p]];   \
            for (size_t k = 0; k < (planes); k++)                                                  \
                dst[k * job->out_plane + p] = sum[k];                                              \
        }                                                                                          \
    } while (0)

static void take_samples(const sample_job *job, const tap *found, const bool *whole, size_t taps,
                         size_t image, size_t point, size_t count)
{
    const rml_tensor *in = &job->args->in[0], *out = &job->args->out[0];
    const size_t end = (image + 1) * job->channels;
    size_t plane = image * job->channels;
    for (; in->dtype == RML_F32 && plane + 4 <= end; plane += 4)
        TAKE(float, narrow, 4);
    for (; plane < end; plane++)
        if (in->dtype == RML_F32)
            TAKE(float, narrow, 1);
        else
            TAKE(double, weight, 1);
}

static void sample_points(void *context, size_t begin, size_t end, int worker)
{
    const sample_job *job = context;
    const rml_tensor *in = &job->args->in[0], *grid = &job->args->in[1];
    tap *found = rml_op_worker(job->args, worker);
    for (size_t first = begin, count; first < end; first += count) {
        const size_t point = first % job->out_plane;
        size_t all = 1;
        bool whole[POINTS];
        count = rml_min_size(rml_min_size(POINTS, end - first), job->out_plane - point);
        for (size_t p = 0; p < count; p++) {
            axis_taps taps[RML_MAX_SPATIAL];
            all = 1;
            for (int i = 0; i < job->axes; i++) {
                const size_t index = (first + p) * (size_t)job->axes + (size_t)(job->axes - 1 - i);
                const rml_grid_sample_attr *attr = &job->args->attr->grid_sample;
                find_taps(attr, place(attr, grid, index, in->dim[i + 2]), in->dim[i + 2], &taps[i]);
                all *= (size_t)taps[i].count;
            }
            whole[p] = find_place(job, taps, p, found);
        }
        take_samples(job, found, whole, all, first / job->out_plane, point, count);
    }
}

static void run_sample(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    sample_job job = {.args = args, .axes = in->rank - 2, .channels = (size_t)in->dim[1]};
    job.in_plane = rml_sizes_count(&in->dim[2], job.axes);
    job.out_plane = rml_sizes_count(&out->dim[2], job.axes);
    if (job.in_plane == 0) { // nothing to take samples from
        const size_t bytes = rml_tensor_bytes(out);
        for (size_t i = 0; i < bytes; i++)
            ((char *)out->raw)[i] = 0;
        return;
    }
    rml_pool_run(args->pool, (size_t)in->dim[0] * job.out_plane, 64, sample_points, &job);
}

const rml_op rml_op_grid_sample = {.id = RML_OP_GRID_SAMPLE,
                                   .name = "grid_sample",
                                   .inputs = {2, 2},
                                   .signature = "s0>0",
                                   .infer = infer_sample,
                                   .algorithms =
                                       RML_ONE_WAY_EACH("points", worker_bytes, run_sample)};

// ---- affine_grid --------------------------------------------------------------------------------

static rml_status infer_affine(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *theta = &node->in[0].shape;
    const int64_t *size = node->in[1].data;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (theta->rank < 0 || node->in[1].shape.rank < 0 ||
        (node->in[1].shape.rank == 1 && node->in[1].shape.dim[0] < 0))
        return RML_OK;
    const int64_t axes = node->in[1].shape.rank == 1 ? node->in[1].shape.dim[0] - 2 : -1;
    bool fits = theta->rank == 3 && axes >= 1 && axes <= RML_MAX_SPATIAL &&
                (theta->dim[1] < 0 || theta->dim[1] == axes) &&
                (theta->dim[2] < 0 || theta->dim[2] == axes + 1) &&
                (!size || theta->dim[0] < 0 || size[0] == theta->dim[0]);
    for (int i = 0; fits && size && i < axes; i++)
        fits = size[i + 2] >= 0;
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "theta is %s for a size of %s values",
                        rml_shape_text(theta, a), rml_shape_text(&node->in[1].shape, b));
    *out = (rml_shape){.rank = (int)axes + 2, .dim = {theta->dim[0]}};
    for (int i = 0; i < axes; i++)
        out->dim[i + 1] = size ? size[i + 2] : -1;
    out->dim[axes + 1] = axes;
    return RML_OK;
}

static void affine_points(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *theta = &args->in[0], *out = &args->out[0];
    const int axes = out->rank - 2;
    const size_t plane = rml_sizes_count(&out->dim[1], axes);
    const size_t width = rml_dtype_size(theta->dtype), cells = (size_t)(axes * (axes + 1));
    for (size_t item = begin; item < end; item++) {
        double matrix[RML_MAX_SPATIAL * (RML_MAX_SPATIAL + 1)], place[RML_MAX_SPATIAL];
        int64_t at[RML_MAX_SPATIAL];
        rml_dtype_convert(theta->dtype, (const char *)theta->raw + item / plane * cells * width,
                          RML_F64, matrix, cells);
        rml_sizes_seek(&out->dim[1], axes, item % plane, at);
        for (int r = 0; r < axes; r++) {
            const double *row = matrix + r * (axes + 1);
            place[r] = row[axes];
            for (int c = 0; c < axes; c++) {
                const int64_t size = out->dim[axes - c], i = at[axes - 1 - c];
                const double x = !args->attr->affine_grid.align_corners
                                     ? (2 * (double)i + 1) / (double)size - 1
                                 : size > 1 ? 2 * (double)i / (double)(size - 1) - 1
                                            : 0;
                place[r] += row[c] * x;
            }
        }
        rml_dtype_convert(RML_F64, place, out->dtype,
                          (char *)out->raw + item * (size_t)axes * width, (size_t)axes);
    }
}

static void run_affine(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    rml_op_parallel(args, rml_sizes_count(out->dim, out->rank - 1), 64, affine_points);
}

const rml_op rml_op_affine_grid = {.id = RML_OP_AFFINE_GRID,
                                   .name = "affine_grid",
                                   .inputs = {2, 2},
                                   .signature = "*l>0",
                                   .infer_values = infer_affine,
                                   .algorithms = RML_ONE_WAY("points", run_affine)};
