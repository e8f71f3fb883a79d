#include "ops/image/resize.h"

#include <math.h>

bool rml_resize_axis_is_same(const rml_resize_attr *attr, const rml_resize_axis *axis)
{
    return axis->in == axis->out && fabs(axis->scale - 1) <= 1e-9 &&
           (attr->coordinates != RML_COORDINATES_CROP || (axis->begin == 0 && axis->end == 1));
}

// Input coordinate of output `at`; false: outside what may be read.
static bool source(const rml_resize_attr *attr, const rml_resize_axis *axis, int64_t at, double *x)
{
    const double width = axis->scale * (double)axis->in, last = (double)(axis->in - 1);
    const double half = ((double)at + 0.5) / axis->scale - 0.5;
    // Divided once, places that are whole numbers are so: the nearest is not that before them.
    const bool once = attr->mode == RML_INTERPOLATION_NEAREST &&
                      axis->scale == (double)axis->out / (double)axis->in;
    switch (attr->coordinates) {
    case RML_COORDINATES_ALIGN_CORNERS:
        *x = width == 1 ? 0 : (double)at * last / (width - 1);
        break;
    case RML_COORDINATES_ASYMMETRIC:
        *x = once ? (double)at * (double)axis->in / (double)axis->out : (double)at / axis->scale;
        break;
    case RML_COORDINATES_HALF_PIXEL_FOR_NEAREST:
        *x = once ? ((double)at + 0.5) * (double)axis->in / (double)axis->out
                  : ((double)at + 0.5) / axis->scale;
        break;
    case RML_COORDINATES_PYTORCH_HALF_PIXEL:
        *x = width == 1 ? -0.5 : half;
        break;
    case RML_COORDINATES_HALF_PIXEL_SYMMETRIC:
        *x = half + (double)axis->in / 2 * (1 - (double)axis->out / width);
        break;
    case RML_COORDINATES_CROP:
        *x = axis->begin * last +
             (width == 1 ? (axis->end - axis->begin) * last / 2
                         : (double)at * (axis->end - axis->begin) * last / (width - 1));
        if (!(*x >= 0 && *x <= last))
            return false;
        break;
    default:
        *x = half;
    }
    // Far outside it makes no difference how far, and what is not a number goes to the start.
    const double far = 4 * (double)axis->in + 4 * (double)axis->out + 16;
    *x = *x > -far ? (*x < far ? *x : far) : -far;
    return true;
}

int64_t rml_resize_nearest(const rml_resize_attr *attr, const rml_resize_axis *axis, int64_t i)
{
    double x;
    if (!source(attr, axis, i, &x))
        return -1;
    switch (attr->nearest) {
    case RML_NEAREST_ROUND_PREFER_FLOOR:
        x = ceil(x - 0.5);
        break;
    case RML_NEAREST_ROUND_PREFER_CEIL:
        x = floor(x + 0.5);
        break;
    case RML_NEAREST_FLOOR:
        x = floor(x);
        break;
    case RML_NEAREST_OLD:
        x = axis->scale < 1 ? ceil(x) : floor(x);
        break;
    default:
        x = ceil(x);
    }
    const int64_t at = (int64_t)x;
    return at < 0 ? 0 : at < axis->in ? at : axis->in - 1;
}

// Half the width of what counts for one output, in input elements, where `scale` is below 1.
static double reach_of(const rml_resize_attr *attr, double scale)
{
    const double reach = attr->mode == RML_INTERPOLATION_CUBIC ? 2 : 1;
    return attr->antialias && scale < 1 ? reach / scale : reach;
}

size_t rml_resize_taps(const rml_resize_attr *attr, int64_t in, int64_t out)
{
    // sizes are rounded from scale * in, down or to the nearest
    const double taps = 2 * reach_of(attr, ((double)out - 0.5) / (double)in) + 2;
    return taps < (double)in ? (size_t)taps : (size_t)in;
}

static double kernel_at(const rml_resize_attr *attr, double x)
{
    const double a = attr->cubic;
    x = fabs(x);
    if (attr->mode == RML_INTERPOLATION_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// What lies outside the input counts for its edge, or with exclude_outside not at all.
static void weigh(const rml_resize_attr *attr, const rml_resize_axis *axis, double x,
                  const rml_resize_table *table, int64_t i)
{
    const double squeeze = attr->antialias && axis->scale < 1 ? axis->scale : 1;
    const double reach = reach_of(attr, axis->scale);
    const int64_t last = axis->in - 1, most = (int64_t)table->taps;
    const int64_t low = (int64_t)floor(x - reach) + 1, high = (int64_t)ceil(x + reach) - 1;
    const int64_t first = low < 0 ? 0 : low > last ? last : low;
    const int64_t stop = high < 0 ? 0 : high > last ? last : high;
    const int64_t count = stop - first + 1 < most ? stop - first + 1 : most;
    double *weight = table->weight + (size_t)i * table->taps;
    double sum = 0;
    for (int64_t t = 0; t < count; t++)
        weight[t] = 0;
    for (int64_t at = low; at <= high; at++) {
        if (attr->exclude_outside && (at < 0 || at > last))
            continue;
        const double w = kernel_at(attr, ((double)at - x) * squeeze);
        const int64_t to = at - first;
        weight[to < 0 ? 0 : to < count ? to : count - 1] += w;
        sum += w;
    }
    for (int64_t t = 0; t < count && sum != 0; t++)
        weight[t] /= sum;
    table->first[i] = first;
    table->count[i] = count;
}

void rml_resize_weights(const rml_resize_attr *attr, const rml_resize_axis *axis,
                        const rml_resize_table *table)
{
    for (int64_t i = 0; i < axis->out; i++) {
        double x;
        table->first[i] = table->count[i] = 0;
        if (source(attr, axis, i, &x))
            weigh(attr, axis, x, table, i);
    }
}
