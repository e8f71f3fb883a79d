// Convolutions that run plain against the definition in double: lines, images and volumes, few
// channels and many outputs, strides, dilations and padding, windows that the image is narrower
// than, wide rows; and the same bits for any number of threads.
#include "tests/support/planes.h"

#include <math.h>

static planes random_conv(int i)
{
    const int rank = 1 + i % 3;
    const int64_t groups = 1 + below(i % 2 ? 4 : 1), depth = 1 + below(i % 2 ? 2 : 3);
    planes p = {.x = {rank + 2, {1 + below(2), groups * depth}},
                .w = {rank + 2, {groups * (1 + below(5)), depth}},
                .conv = {.groups = groups, .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}}};
    for (int axis = 0; axis < rank; axis++) {
        rml_window_attr *w = &p.conv.window;
        const bool last = axis == rank - 1, wide = last && i % 16 == 0;
        w->stride[axis] = below(2) ? 1 : 1 + below(4);
        w->dilation[axis] = below(3) ? 1 : 1 + below(3);
        p.w.dim[2 + axis] = 1 + below(5);
        w->before[axis] = below(4);
        w->after[axis] = below(4);
        p.x.dim[2 + axis] = wide ? 4500
                                 : 1 + w->dilation[axis] * (p.w.dim[2 + axis] - 1) +
                                       below(last        ? 70
                                             : rank == 2 ? 40
                                                         : 6);
    }
    if (rank > 1 && i % 5 == 0) { // one column: a line, or an image of the axes before
        p.x.dim[rank + 1] = p.w.dim[rank + 1] = 1;
        p.conv.window.before[rank - 1] = below(3) == 0;
        p.conv.window.after[rank - 1] = 0;
    }
    return p;
}

static double wanted(const planes *p, const planes_run *run, size_t image, size_t channel,
                     const int64_t *at, double *size)
{
    const int rank = p->x.rank - 2;
    const rml_window_attr *w = &p->conv.window;
    const size_t depth = (size_t)p->w.dim[1], cols = (size_t)(p->w.dim[0] / p->conv.groups);
    size_t plane = 1, taps = 1;
    for (int i = 2; i < p->x.rank; i++) {
        plane *= (size_t)p->x.dim[i];
        taps *= (size_t)p->w.dim[i];
    }
    double sum = run->bias[channel];
    *size = fabs(sum);
    for (size_t k = 0; k < depth; k++) {
        const float *src =
            run->x + (image * (size_t)p->x.dim[1] + channel / cols * depth + k) * plane;
        int64_t tap[3] = {0};
        for (size_t t = 0; t < taps; t++, rml_sizes_next(&p->w.dim[2], rank, tap)) {
            int64_t index = 0;
            bool inside = true;
            for (int i = 0; i < rank; i++) {
                const int64_t from = at[i] * w->stride[i] - w->before[i] + tap[i] * w->dilation[i];
                inside = inside && from >= 0 && from < p->x.dim[2 + i];
                index = index * p->x.dim[2 + i] + from;
            }
            if (!inside)
                continue;
            const double product =
                (double)src[index] * run->weight[(channel * depth + k) * taps + t];
            sum += product;
            *size += fabs(product);
        }
    }
    return sum < -1 ? -1 : sum;
}

static void check_conv(const planes *p, const char *algorithm, int number)
{
    planes_run run = planes_run_all(p, true, algorithm);
    size_t i = 0;
    for (size_t image = 0; image < (size_t)run.y.dim[0]; image++)
        for (size_t channel = 0; channel < (size_t)run.y.dim[1]; channel++) {
            int64_t at[3] = {0};
            do {
                double size;
                const double want = wanted(p, &run, image, channel, at, &size);
                CHECK_MSG(fabs(run.out[i] - want) <= 2e-6 * size, "%d: element %zu is %g, not %g",
                          number, i, (double)run.out[i], want);
                i++;
                rml_sizes_next(&run.y.dim[2], run.y.rank - 2, at);
            } while (at[0] || at[1] || at[2]);
        }
    CHECK(i == run.count);
    planes_free(&run);
}

int main(void)
{
    for (int number = 0; number < 150; number++) {
        const planes p = random_conv(number);
        check_conv(&p, "rows-of-planes", number);
    }
    const planes apart = {.x = {4, {1, 8, 20, 20}}, // taps whose rows would be padding mostly
                          .w = {4, {1, 8, 3, 3}},
                          .conv = {.groups = 1,
                                   .window = {.stride = {1, 1},
                                              .dilation = {999, 999},
                                              .before = {999, 999},
                                              .after = {999, 999}},
                                   .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}}};
    check_conv(&apart, "im2col-gemm", -1);
    return check_result();
}
