#include "tests/kernels/bench.h"
#include "tests/kernels/check_kernels.h"

#include "kernels/pack.h"
#include "tensor/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifdef RML_WITH_OPENBLAS
#include <cblas.h>
#endif

// A layer is cut to this many pixels, rows or tiles: more of the same says nothing new.
#define MOST_PIXELS 960
#define MOST_FLOATS ((size_t)6 << 20)
#define VECTOR_COUNT 16384 // elementwise: source and result stay in the second-level cache

// One program measures one case at a time, on the same memory.
static float *source, *weight, *packed, *result;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// What a case of `field` multiplies with; portable C, which has no bf16, takes as many floats.
static const rml_gemm *gemm_of(const rml_kernels *k, const bench_case *c)
{
    return c->bf16 && RML_KERNEL(k, gemm_bf16).run ? &RML_KERNEL(k, gemm_bf16)
                                                   : &RML_KERNEL(k, gemm_f32);
}

static void prepare_gemm(const rml_kernels *k, const bench_case *c)
{
    const rml_gemm *gemm = gemm_of(k, c);
    const size_t taps = c->size[0], depth = c->size[1], cols = c->size[2];
    for (size_t n = 0; n < cols; n += gemm->nr)
        rml_pack_panel(gemm, rml_pack_at(gemm, packed, n * taps * rml_pack_depth(gemm, depth)),
                       weight + n, taps, depth, least(gemm->nr, cols - n), depth * cols, cols, 1);
    if (gemm ==
        &RML_KERNEL(k,
                    gemm_bf16)) // rounded in place of the floats that they are read from otherwise
        memset(source, 0x3f, (c->size[3] + taps) * rml_pack_depth(gemm, depth) * sizeof(uint16_t));
}

// Panels outside, rows inside: a panel stays in the cache. Taps are neighbouring pixels.
static void run_gemm(const rml_kernels *k, const bench_case *c)
{
    const rml_gemm *gemm = gemm_of(k, c);
    const size_t taps = c->size[0], cols = c->size[2], pixels = c->size[3];
    const size_t depth = rml_pack_depth(gemm, c->size[1]);
    const void *a[MAX_TAPS * RML_GEMM_MAX_MR];
    float *rows[RML_GEMM_MAX_MR];
    rml_gemm_tile tile = {.a = a, .taps = taps, .depth = depth, .c = rows, .high = INFINITY};
    rml_gemm_begin(gemm);
    for (size_t n = 0; n < cols; n += gemm->nr) {
        tile.b = rml_pack_at(gemm, packed, n * taps * depth);
        tile.cols = least(gemm->nr, cols - n);
        for (size_t p = 0; p < pixels; p += gemm->mr) {
            tile.rows = least(gemm->mr, pixels - p);
            for (size_t t = 0; t < taps; t++) {
                for (size_t i = 0; i < tile.rows; i++)
                    a[t * gemm->mr + i] = rml_pack_at(gemm, source, (p + i + t) * depth);
            }
            for (size_t i = 0; i < tile.rows; i++)
                rows[i] = result + (p + i) * cols + n;
            gemm->run(&tile);
        }
    }
    rml_gemm_end(gemm);
}

static void run_to_bf16(const rml_kernels *k, const bench_case *c)
{
    if (RML_KERNEL(k, to_bf16))
        RML_KERNEL(k, to_bf16)(source, c->size[0], c->size[0], (uint16_t *)result);
    else
        memcpy(result, source, c->size[0] * sizeof *result);
}

static void run_lstm(const rml_kernels *k, const bench_case *c)
{
    const size_t depth = c->size[0];
    const float *h = source, *x = weight;
    float *cell = result, *out = result + depth;
    for (size_t u = 0; u < depth; u += 2 * RML_KERNEL(k, lstm_units)) {
        const float *gates = x + u;
        float *cell_at = cell + u, *out_at = out + u;
        const rml_lstm_tile tile = {.weight = packed + u * depth * 4,
                                    .depth = depth,
                                    .rows = 1,
                                    .units = least(2 * RML_KERNEL(k, lstm_units), depth - u),
                                    .gate = depth,
                                    .x = &gates,
                                    .h = &h,
                                    .c = &cell_at,
                                    .out = &out_at};
        RML_KERNEL(k, lstm)(&tile);
    }
}

#ifdef RML_WITH_OPENBLAS
// The yardstick: the same product by OpenBLAS on one thread, with the taps laid out beforehand, so
// that it gets for nothing what an im2col would cost.
static void run_sgemm(const rml_kernels *k, const bench_case *c)
{
    const int m = (int)c->size[3], n = (int)c->size[2], depth = (int)(c->size[0] * c->size[1]);
    (void)k;
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, depth, 1.0f, source, depth, weight,
                n, 0.0f, result, n);
}
#endif

// Windows of `taps` neighbouring pixels: the kernels that combine pixels channel by channel.
static const float *const *window(size_t taps, size_t channels, size_t pixel)
{
    static const float *src[RML_GEMM_MAX_NR];
    for (size_t t = 0; t < taps; t++)
        src[t] = source + (pixel + t) * channels;
    return src;
}

static void run_conv_direct(const rml_kernels *k, const bench_case *c)
{
    const size_t taps = c->size[0], channels = c->size[1], group = c->size[3];
    const rml_conv_direct_row row = {.src = window(taps, channels, 0),
                                     .taps = taps,
                                     .pixels = c->size[2],
                                     .src_step = channels,
                                     .dst_step = channels,
                                     .groups = {group, group, channels},
                                     .weight = weight,
                                     .weight_step = taps * group * RML_KERNEL(k, conv_lanes),
                                     .bias = weight,
                                     .dst = result,
                                     .high = 6.0f};
    RML_KERNEL(k, conv_direct)(&row);
}

// One channel of 56x56 numbers, four rows at once.
static void run_conv_plain(const rml_kernels *k, const bench_case *c)
{
    const size_t size = c->size[0], width = c->size[1], pitch = c->size[2], taps = size * size;
    const float *src[96];
    for (size_t t = 0; t < taps + 3 * size; t++)
        src[t] = source + t / size * pitch + t % size;
    rml_conv_plain_rows rows = {.src = src,
                                .planes = 1,
                                .taps = taps,
                                .lag = size,
                                .pointers = taps + 3 * size,
                                .outs = 4,
                                .count = width,
                                .rows = width / 4,
                                .src_step = 4 * pitch,
                                .dst_step = 4 * width,
                                .high = 6.0f};
    for (size_t o = 0; o < 4; o++) {
        rows.weight[o] = weight;
        rows.dst[o] = result + o * width;
    }
    RML_KERNEL(k, conv_plain)(&rows);
}

static void run_pad_rows(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, pad_rows)(source, c->size[0], c->size[0], 0.0f, c->size[1], result, c->size[2]);
}

static rml_pool_windows pool_windows(const bench_case *c, float scale)
{
    return (rml_pool_windows){.src = window(c->size[0], c->size[1], 0),
                              .taps = c->size[0],
                              .channels = c->size[1],
                              .count = c->size[2],
                              .src_step = c->size[1],
                              .dst_step = c->size[1],
                              .scale = scale,
                              .dst = result};
}

static void run_pool_max(const rml_kernels *k, const bench_case *c)
{
    const rml_pool_windows windows = pool_windows(c, 1.0f);
    RML_KERNEL(k, pool_max)(&windows);
}

static void run_pool_sum(const rml_kernels *k, const bench_case *c)
{
    const rml_pool_windows windows = pool_windows(c, 0.25f);
    RML_KERNEL(k, pool_sum)(&windows);
}

static void run_lerp(const rml_kernels *k, const bench_case *c)
{
    for (size_t p = 0; p < c->size[2]; p++)
        RML_KERNEL(k, lerp)(window(4, c->size[1], p), weight, c->size[1], result + p * c->size[1]);
}

// Planes are one cache line apart from a power of two: 36 streams would share few cache sets.
static size_t winograd_plane(size_t channels, size_t tiles)
{
    return channels * tiles + 16;
}

static void run_winograd_input(const rml_kernels *k, const bench_case *c)
{
    size_t channels = c->size[0], tiles = c->size[1];
    for (size_t t = 0; t < tiles; t++)
        RML_KERNEL(k, winograd_input)
    (window(36, channels, t * 4), channels, result + t * channels, winograd_plane(channels, tiles));
}

static void output_tiles(rml_winograd_output_f32_fn *output, const bench_case *c)
{
    size_t channels = c->size[0], tiles = c->size[1];
    float *dst[16];
    for (size_t t = 0; t < tiles; t++) {
        for (size_t q = 0; q < 16; q++)
            dst[q] = result + (t * 16 + q) * channels;
        output(source + t * channels, winograd_plane(channels, tiles), channels, weight, dst, NULL,
               0.0f, INFINITY);
    }
}

static void run_winograd_output(const rml_kernels *k, const bench_case *c)
{
    output_tiles(RML_KERNEL(k, winograd_output), c);
}

// Portable C has none: it takes those in f32.
static void run_complex_input(const rml_kernels *k, const bench_case *c)
{
    size_t channels = c->size[0], tiles = c->size[1];
    if (!RML_KERNEL(k, winograd_complex_input)) {
        run_winograd_input(k, c);
        return;
    }
    for (size_t t = 0; t < tiles; t++)
        RML_KERNEL(k, winograd_complex_input)
    (window(36, channels, t * 4), channels, (uint16_t *)result + t * channels,
     winograd_plane(channels, tiles));
}

static void run_complex_output(const rml_kernels *k, const bench_case *c)
{
    output_tiles(RML_KERNEL(k, winograd_complex_output) ? RML_KERNEL(k, winograd_complex_output)
                                                        : RML_KERNEL(k, winograd_output),
                 c);
}

static void run_softmax(const rml_kernels *k, const bench_case *c)
{
    for (size_t r = 0; r < c->size[1]; r++)
        RML_KERNEL(k, softmax)
    (source + r * c->size[0], result + r * c->size[0], c->size[0], c->size[2] != 0);
}

static void run_softmax_step(const rml_kernels *k, const bench_case *c)
{
    for (size_t r = 0; r < c->size[1]; r++) {
        float top = -INFINITY, sum = 0.0f;
        RML_KERNEL(k, softmax_step)
        (source + r * c->size[0], 0.125f, NULL, result + r * c->size[0], c->size[0], &top, &sum);
    }
}

static void run_moments(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, moments)(source, c->size[0], c->size[1], c->size[0], result, result + c->size[0]);
}

static void run_affine(const rml_kernels *k, const bench_case *c)
{
    for (size_t r = 0; r < c->size[1]; r++)
        RML_KERNEL(k, affine)
    (source + r * c->size[0], weight, weight + c->size[0], result + r * c->size[0], c->size[0]);
}

static void run_l2norm(const rml_kernels *k, const bench_case *c)
{
    for (size_t p = 0; p < c->size[1]; p++)
        RML_KERNEL(k, l2norm)
    (source + p * c->size[0], weight, 1e-10f, c->size[0], result + p * c->size[0]);
}

static void run_layer_norm(const rml_kernels *k, const bench_case *c)
{
    for (size_t r = 0; r < c->size[1]; r++)
        RML_KERNEL(k, layer_norm)
    (source + r * c->size[0], weight, weight, 1e-5f, false, c->size[0], result + r * c->size[0]);
}

static void run_transpose(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, transpose)(source, c->size[1], result, c->size[0], c->size[0], c->size[1]);
}

static void run_turn(const rml_kernels *k, const bench_case *c)
{
    const size_t bytes = c->size[2];
    RML_KERNEL(k, turn)
    (bytes, source, (int64_t)(c->size[1] * bytes), result, (int64_t)(c->size[0] * bytes),
     c->size[0], c->size[1]);
}

static void run_unary(const rml_kernels *k, const bench_case *c)
{
    static const float param[2] = {0.0f, 6.0f};
    RML_KERNEL(k, unary[c->which])(source, result, c->size[0], param);
}

static void run_binary(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, binary[c->which])(source, weight, result, c->size[0]);
}

static void run_scalar(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, binary_scalar[c->which])(source, 0.7f, result, c->size[0], false);
}

// ---- other types, and along axes: fields of the same memory as numbers of that type -------------

static void run_fold(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, fold)(RML_BINARY_MAX, source, c->size[0], c->size[1], c->size[0], result);
}

static void run_fold_rows(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, fold_rows)(RML_BINARY_ADD, source, c->size[0], c->size[1], c->size[0], result);
}

static void run_convert(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, convert)(RML_F32, source, RML_F16, result, c->size[0]);
}

static void run_quantize(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, quantize)(source, 0.02f, 128.0f, 0.0f, 255.0f, RML_U8, result, c->size[0]);
}

static void run_typed_binary(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, typed_binary)(RML_BINARY_ADD, RML_I64, source, weight, result, c->size[0] / 2);
}

static void run_typed_unary(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, typed_unary)(RML_UNARY_ABS, RML_I32, source, result, c->size[0], NULL);
}

static void run_add_scaled(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, add_scaled)(RML_I32, source, weight, result, c->size[0]);
}

static void run_select(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, select)
    (sizeof *source, (const uint8_t *)weight, source, weight, result, c->size[0]);
}

static void prepare_pick(const rml_kernels *k, const bench_case *c)
{
    (void)k;
    for (size_t i = 0; i < c->size[0]; i++)
        ((int32_t *)packed)[i] = (int32_t)(i * 37 % c->size[0]);
}

static void run_pick(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, pick)
    (sizeof *source, source, packed, true, (int64_t)c->size[0], 1, 0, result, c->size[0]);
}

// Sums, or the best so far.
static void prepare_lines(const rml_kernels *k, const bench_case *c)
{
    (void)k;
    memset(packed, 0, 2 * c->size[0] * sizeof *packed);
}

static void run_running(const rml_kernels *k, const bench_case *c)
{
    const size_t count = 64;
    RML_KERNEL(k, running)
    (RML_F32, source, (int64_t)count, c->size[0] / count, result, packed, count, false, false);
}

static void run_search_lines(const rml_kernels *k, const bench_case *c)
{
    RML_KERNEL(k, search_lines)
    (RML_F32, source, packed, (uint32_t *)result, 1, c->size[0], false, false);
}

static void run_search_row(const rml_kernels *k, const bench_case *c)
{
    int64_t where;
    RML_KERNEL(k, search_row)(RML_F32, source, c->size[0], false, false, &where);
}

// A whole product, since tiles of levels differ.
static void run_gemm_f64(const rml_kernels *k, const bench_case *c)
{
    const size_t rows = c->size[0], depth = c->size[1], cols = c->size[2];
    const size_t mr = RML_KERNEL(k, gemm_f64).mr, nr = RML_KERNEL(k, gemm_f64).nr;
    const double *a[RML_GEMM_MAX_MR];
    double *to[RML_GEMM_MAX_MR];
    for (size_t column = 0; column < cols; column += nr)
        for (size_t row = 0; row < rows; row += mr) {
            const size_t some = least(mr, rows - row);
            for (size_t i = 0; i < some; i++) {
                a[i] = (const double *)(const void *)source + (row + i) * depth;
                to[i] = (double *)(void *)result + (row + i) * cols + column;
            }
            RML_KERNEL(k, gemm_f64)
                .run(a, some, depth, (const double *)(const void *)weight + column * depth, nr, to);
        }
}

typedef struct case_list {
    bench_case *at;
    size_t count;
} case_list;

// Returns the new case, or NULL where the same shape is already there.
static bench_case *add(case_list *list, const char *field, const char *name, const size_t size[4],
                       double flops, double floats,
                       void (*run)(const rml_kernels *, const bench_case *))
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->at[i].field, field) == 0 &&
            memcmp(list->at[i].size, size, 4 * sizeof *size) == 0)
            return NULL;
    }
    if (list->count == BENCH_MAX_CASES)
        return NULL;
    bench_case *c = &list->at[list->count++];
    *c = (bench_case){.field = field, .flops = flops, .bytes = 4.0 * floats, .run = run};
    snprintf(c->name, sizeof c->name, "%s", name);
    memcpy(c->size, size, 4 * sizeof *size);
    return c;
}

static void add_conv(case_list *list, const shape *s)
{
    size_t cin = s->size[0], cout = s->size[1], taps = s->size[2] * s->size[3];
    size_t pixels = least(s->size[8] * s->size[9], MOST_PIXELS);
    char name[96];
    snprintf(name, sizeof name, "%zux%zu->%zu x%zu %.40s", taps, cin, cout, pixels, s->name);
    double macs = (double)taps * (double)cin * (double)cout * (double)pixels;
    bench_case *c = add(list, "gemm", name, (size_t[4]){taps, cin, cout, pixels}, 2.0 * macs,
                        (double)(taps * cin * cout) + (double)(pixels * (cin + cout)), run_gemm);
    if (c)
        c->prepare = prepare_gemm;
#ifdef RML_WITH_OPENBLAS
    if (taps * cin * pixels <= MOST_FLOATS)
        add(list, "gemm by OpenBLAS", name, (size_t[4]){taps, cin, cout, pixels}, 2.0 * macs,
            (double)(taps * cin * (cout + pixels)) + (double)(pixels * cout), run_sgemm);
#endif
    bool winograd = s->op == SHAPE_CONV && taps == 9 && s->size[4] == 1 && s->size[5] == 1;
    size_t tiles = least(pixels / 16 + 1, 24);
    if (!winograd || cin < 16 || cout < 16)
        return;
    snprintf(name, sizeof name, "channels %zu x%zu", cin, tiles);
    add(list, "winograd_input", name, (size_t[4]){cin, tiles}, 0.0, (double)(72 * cin * tiles),
        run_winograd_input);
    snprintf(name, sizeof name, "channels %zu x%zu", cout, tiles);
    add(list, "winograd_output", name, (size_t[4]){cout, tiles}, 0.0, (double)(52 * cout * tiles),
        run_winograd_output);
}

static void add_shape(case_list *list, const shape *s)
{
    size_t rows;
    switch (s->op) {
    case SHAPE_CONV:
    case SHAPE_CONV_TRANSPOSED:
        add_conv(list, s);
        break;
    case SHAPE_MAXPOOL:
        rows = least(s->size[3] * s->size[4], MOST_PIXELS);
        add(list, "pool_max", s->name, (size_t[4]){s->size[1] * s->size[1], s->size[0], rows}, 0.0,
            (double)(2 * rows * s->size[0]), run_pool_max);
        break;
    case SHAPE_L2NORM:
        rows = least(s->size[1], MOST_PIXELS);
        add(list, "l2norm", s->name, (size_t[4]){s->size[0], rows}, 0.0,
            (double)(2 * rows * s->size[0]), run_l2norm);
        break;
    case SHAPE_SOFTMAX:
        add(list, "softmax", s->name, (size_t[4]){s->size[0], s->size[1]}, 0.0,
            (double)(2 * s->size[0] * s->size[1]), run_softmax);
        break;
    case SHAPE_TRANSPOSE:
        add(list, "transpose", s->name, (size_t[4]){s->size[0], s->size[1]}, 0.0,
            (double)(2 * s->size[0] * s->size[1]), run_transpose);
        break;
    case SHAPE_UNARY: // every unary is measured below
        break;
    }
}

static void add_array(case_list *list, const char *const *fields, size_t count, double floats,
                      void (*run)(const rml_kernels *, const bench_case *))
{
    for (size_t i = 0; i < count; i++) {
        bench_case *c = add(list, fields[i], "16384", (size_t[4]){VECTOR_COUNT}, 0.0,
                            floats * VECTOR_COUNT, run);
        if (c)
            c->which = (int)i;
    }
}

static void add_typed(case_list *list)
{
    static const struct {
        const char *field, *name;
        double arrays; // of floats that are read and written
        void (*prepare)(const rml_kernels *, const bench_case *);
        void (*run)(const rml_kernels *, const bench_case *);
    } rows[] = {{"convert", "f32 to f16 16384", 1.5, NULL, run_convert},
                {"quantize", "u8 16384", 1.25, NULL, run_quantize},
                {"typed_binary", "add i64 8192", 3.0, NULL, run_typed_binary},
                {"typed_unary", "abs i32 16384", 2.0, NULL, run_typed_unary},
                {"add_scaled", "i32 16384", 3.0, NULL, run_add_scaled},
                {"select", "f32 16384", 3.25, NULL, run_select},
                {"pick", "f32 16384", 3.0, prepare_pick, run_pick},
                {"running", "f32 64 x256", 2.0, prepare_lines, run_running},
                {"search_lines", "f32 16384", 5.0, prepare_lines, run_search_lines},
                {"search_row", "f32 16384", 1.0, NULL, run_search_row}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench_case *c = add(list, rows[i].field, rows[i].name, (size_t[4]){VECTOR_COUNT}, 0.0,
                            rows[i].arrays * VECTOR_COUNT, rows[i].run);
        if (c)
            c->prepare = rows[i].prepare;
    }
    add(list, "fold", "768 x16", (size_t[4]){768, 16}, 0.0, 768.0 * 17, run_fold);
    add(list, "fold_rows", "96 x128", (size_t[4]){96, 128}, 0.0, 97.0 * 128, run_fold_rows);
    add(list, "gemm_f64", "48x256x64", (size_t[4]){48, 256, 64}, 2.0 * 48 * 256 * 64,
        2.0 * (48 * 256 + 256 * 64 + 48 * 64), run_gemm_f64);
}

static void add_general(case_list *list)
{
    static const char *const unary[] = {
#define UNARY(upper, lower, types, onnx) "unary[RML_UNARY_" #upper "]",
#include "kernels/functions.inc"
#undef UNARY
    };
    static const char *const binary[] = {
#define BINARY(upper, lower, types, onnx) "binary[RML_BINARY_" #upper "]",
#include "kernels/functions.inc"
#undef BINARY
    };
    static const char *const scalar[] = {
#define BINARY(upper, lower, types, onnx) "binary_scalar[RML_BINARY_" #upper "]",
#include "kernels/functions.inc"
#undef BINARY
    };
    add_array(list, unary, RML_UNARY_KERNELS, 2.0, run_unary);
    add_array(list, binary, RML_BINARY_KERNELS, 3.0, run_binary);
    add_array(list, scalar, RML_BINARY_KERNELS, 2.0, run_scalar);
    static const size_t depths[] = {96, 128, 512};
    for (size_t i = 0; i < 6; i++) {
        const size_t n = depths[i % 3], rows = 192, taps = i < 3 ? 1 : 9;
        char name[96];
        snprintf(name, sizeof name, "%zux%zu->%zu x%zu", taps, n, n, rows);
        bench_case *c = add(list, "gemm_bf16", name, (size_t[4]){taps, n, n, rows},
                            2.0 * (double)(taps * n * n * rows),
                            (double)(taps * n * n / 2 + rows * (n / 2 + n)), run_gemm);
        if (c) {
            c->prepare = prepare_gemm;
            c->bf16 = true;
        }
    }
    for (size_t channels = 128; channels <= 512; channels *= 2) {
        char name[96];
        snprintf(name, sizeof name, "channels %zu x24", channels);
        bench_case *in = add(list, "winograd_complex_input", name, (size_t[4]){channels, 24}, 0.0,
                             (double)((36 + 23) * channels * 24), run_complex_input);
        bench_case *out = add(list, "winograd_complex_output", name, (size_t[4]){channels, 24}, 0.0,
                              (double)((46 + 16) * channels * 24), run_complex_output);
        if (in && out)
            in->bf16 = out->bf16 = true;
    }
    bench_case *rounded = add(list, "to_bf16", "16384", (size_t[4]){VECTOR_COUNT}, 0.0,
                              1.5 * VECTOR_COUNT, run_to_bf16);
    if (rounded)
        rounded->bf16 = true;
    add(list, "lstm", "50 units", (size_t[4]){50}, 2.0 * 4 * 50 * 50, 4.0 * 50 * 50, run_lstm);
    const size_t channels = 192, pixels = 49;
    const double floats = 2.0 * (double)(channels * pixels);
    for (size_t group = 1; group <= 16; group *= 2) {
        char name[96];
        snprintf(name, sizeof name, "3x3 channels 192 in %zus x49", group);
        add(list, "conv_direct", name, (size_t[4]){9, channels, pixels, group},
            18.0 * (double)(channels * pixels * group), floats, run_conv_direct);
    }
    for (size_t size = 3; size <= 7; size += 2) {
        char name[96];
        snprintf(name, sizeof name, "%zux%zu of 56x56", size, size);
        add(list, "conv_plain", name, (size_t[4]){size, 56, 80},
            2.0 * 56 * 56 * (double)(size * size), 56.0 * (56 + 80), run_conv_plain);
    }
    add(list, "pad_rows", "56x56", (size_t[4]){56, 56, 64}, 0.0, 56.0 * (56 + 64), run_pad_rows);
    add(list, "pool_sum", "2x2 channels 192 x49", (size_t[4]){4, channels, pixels}, 0.0, floats,
        run_pool_sum);
    add(list, "lerp", "channels 192 x49", (size_t[4]){4, channels, pixels}, 0.0, floats, run_lerp);
    add(list, "softmax", "1000", (size_t[4]){1000, 1}, 0.0, 2000.0, run_softmax);
    add(list, "softmax", "logarithm of 1000", (size_t[4]){1000, 1, true}, 0.0, 2000.0, run_softmax);
    add(list, "softmax_step", "256 x12", (size_t[4]){256, 12}, 0.0, 2.0 * 256 * 12,
        run_softmax_step);
    add(list, "moments", "channels 320 x128", (size_t[4]){320, 128}, 0.0, 320.0 * 128, run_moments);
    add(list, "affine", "channels 320 x32", (size_t[4]){320, 32}, 0.0, 2.0 * 320 * 32, run_affine);
    add(list, "layer_norm", "768 x16", (size_t[4]){768, 16}, 0.0, 2.0 * 768 * 16, run_layer_norm);
    add(list, "transpose", "256 x 576", (size_t[4]){256, 576}, 0.0, 2.0 * 256 * 576, run_transpose);
    add(list, "turn", "bytes 64 x 256", (size_t[4]){64, 256, 1}, 0.0, 2.0 * 64 * 256 / 4, run_turn);
    add(list, "turn", "halves 64 x 256", (size_t[4]){64, 256, 2}, 0.0, 2.0 * 64 * 256 / 2,
        run_turn);
    add_typed(list);
}

bool bench_cases_create(bench_case *cases, size_t *count, const shape *shapes, size_t shape_count)
{
    source = rml_alloc(rml_allocator_default(), MOST_FLOATS * sizeof *source);
    weight = rml_alloc(rml_allocator_default(), MOST_FLOATS * sizeof *weight);
    packed = rml_alloc(rml_allocator_default(), MOST_FLOATS * sizeof *packed);
    result = rml_alloc(rml_allocator_default(), MOST_FLOATS * sizeof *result);
    if (!source || !weight || !packed || !result)
        return false;
    for (size_t i = 0; i < MOST_FLOATS; i++) {
        source[i] = (float)(i % 251) / 125.0f - 1.0f;
        weight[i] = (float)(i % 241) / 120.0f - 1.0f;
        result[i] = 0.0f;
    }
    case_list list = {cases, 0};
    for (size_t i = 0; i < shape_count; i++)
        add_shape(&list, &shapes[i]);
    add_general(&list);
    *count = list.count;
    return true;
}

void bench_cases_destroy(void)
{
    rml_free(rml_allocator_default(), source);
    rml_free(rml_allocator_default(), weight);
    rml_free(rml_allocator_default(), packed);
    rml_free(rml_allocator_default(), result);
    source = weight = packed = result = NULL;
}
