// Transposed convolutions of plain images to few channels against the definition in double: lines
// and images, strides, dilations, padding and what is cut, phases without taps, wide rows; the
// same bits for any number of threads; and which images stay plain.
#include "tests/support/planes.h"

#include <math.h>

static planes random_conv(int i)
{
    const int rank = 1 + i % 2;
    const int64_t depth = i % 10 == 0 ? 64 : 1 + below(12);
    planes p = {.x = {rank + 2, {1 + below(2), depth}},
                .w = {rank + 2, {depth, 1 + below(4)}},
                .conv = {.groups = 1, .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}},
                .transposed = true};
    for (int axis = 0; axis < rank; axis++) {
        rml_window_attr *w = &p.conv.window;
        const bool last = axis == rank - 1, wide = last && i % 16 == 0;
        w->stride[axis] = below(2) ? 2 : 1 + below(7);
        w->dilation[axis] = below(3) ? 1 : 1 + below(3);
        p.w.dim[2 + axis] = 1 + below(9);
        p.conv.out_pad[axis] = below(w->stride[axis]);
        p.x.dim[2 + axis] = wide ? 2200 : 1 + below(last ? 70 : 20);
        const int64_t all = (p.x.dim[2 + axis] - 1) * w->stride[axis] +
                            w->dilation[axis] * (p.w.dim[2 + axis] - 1) + p.conv.out_pad[axis];
        w->before[axis] = below(all + 1 < 6 ? all + 1 : 6);
        w->after[axis] = below(all + 1 - w->before[axis] < 6 ? all + 1 - w->before[axis] : 6);
    }
    return p;
}

// All outputs, and the sum of the sizes of what each is made of.
static void define(const planes *p, const planes_run *run, double *sum, double *size)
{
    const rml_shape *y = &run->y;
    const rml_window_attr *w = &p->conv.window;
    const int rank = p->x.rank - 2;
    size_t plane = 1, taps = 1, out = 1;
    for (int i = 2; i < p->x.rank; i++) {
        plane *= (size_t)p->x.dim[i];
        taps *= (size_t)p->w.dim[i];
        out *= (size_t)y->dim[i];
    }
    const size_t cols = (size_t)p->w.dim[1], depth = (size_t)p->w.dim[0];
    for (size_t i = 0; i < (size_t)y->dim[0] * cols * out; i++)
        size[i] = fabs(sum[i] = (double)run->bias[i / out % cols]);
    for (size_t n = 0; n < (size_t)y->dim[0] * depth * plane; n++)
        for (size_t t = 0; t < cols * taps; t++) {
            size_t pixel = n % plane, tap = t % taps, to = 0, scale = 1;
            bool inside = true;
            for (int i = rank - 1; i >= 0; i--) {
                const int64_t in = (int64_t)(pixel % (size_t)p->x.dim[2 + i]);
                const int64_t k = (int64_t)(tap % (size_t)p->w.dim[2 + i]);
                const int64_t at = in * w->stride[i] - w->before[i] + k * w->dilation[i];
                inside = inside && at >= 0 && at < y->dim[2 + i];
                to += (size_t)at * scale;
                scale *= (size_t)y->dim[2 + i];
                pixel /= (size_t)p->x.dim[2 + i];
                tap /= (size_t)p->w.dim[2 + i];
            }
            if (!inside)
                continue;
            to += (n / plane / depth * cols + t / taps) * out;
            const double product =
                (double)run->x[n] * (double)run->weight[n / plane % depth * cols * taps + t];
            sum[to] += product;
            size[to] += fabs(product);
        }
}

static void check_conv(const planes *p, bool computed, const char *algorithm, int number)
{
    planes_run run = planes_run_all(p, computed, algorithm);
    double *sum = malloc(2 * run.count * sizeof *sum), *size = sum + run.count;
    define(p, &run, sum, size);
    for (size_t i = 0; i < run.count; i++) {
        const double want = sum[i] < -1 ? -1 : sum[i];
        CHECK_MSG(fabs((double)run.out[i] - want) <= 2e-6 * size[i],
                  "%d: element %zu is %g, not %g", number, i, (double)run.out[i], want);
    }
    free(sum);
    planes_free(&run);
}

int main(void)
{
    for (int number = 0; number < 120; number++) {
        const planes p = random_conv(number);
        check_conv(&p, true, "phases-of-planes", number);
    }
    planes p = {.x = {4, {1, 10, 64, 64}},
                .w = {4, {10, 1, 4, 4}},
                .conv = {.groups = 1,
                         .window = {.stride = {2, 2}, .dilation = {1, 1}, .before = {1, 1}},
                         .act = {RML_UNARY_CLAMP, {-1.0f, INFINITY}}},
                .transposed = true};
    check_conv(&p, false, "phases-of-planes", -1);
    p.x.dim[3] = 13; // fills no vector
    check_conv(&p, false, "product-and-overlap", -2);
    p.w.dim[1] = 5; // outputs enough for a product
    check_conv(&p, false, "phases-indirect-gemm", -3);
    p.x = (rml_shape){4, {1, 8, 20, 20}};
    p.w = (rml_shape){4, {8, 1, 3, 3}};
    p.conv.window = (rml_window_attr){
        .stride = {1, 1}, .dilation = {999, 999}, .before = {999, 999}, .after = {999, 999}};
    check_conv(&p, true, "rows", -4); // taps far apart, whose rows would be padding
    return check_result();
}
