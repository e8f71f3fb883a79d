// Convolution to few output channels by kn2row (Vasudevan et al. 2017), as at the end of a network
// that makes an image. Three outputs would fill three columns of a panel of 16, for each tap anew;
// here one GEMM has a column for every tap of every output. Its results are partial sums, which are
// shifted and added in the order of the taps.
//
// A worker takes a band of rows and keeps the partial sums of as many input rows as a kernel is
// high.
#include "ops/conv/conv.h"

#include "kernels/pack.h"
#include "ops/matmul/pack_weight.h"
#include "tensor/prefetch.h"
#include "tensor/size.h"

// Fewer taps, or more outputs, fill the panels well enough; and the product of fewer channels would
// not outweigh the sums.
#define MIN_TAPS 4
#define MAX_OUT 4
#define MIN_DEPTH 32
#define BANDS_A_WORKER 4 // so that all end at about the same time

typedef struct small_oc {
    size_t taps, depth, out;
    size_t cols;  // partial sums of a pixel
    size_t pitch; // floats they take, panels rounded up
    rml_window window;
} small_oc;

static small_oc shape_of(const rml_op_args *args)
{
    small_oc f = {.taps = rml_conv_taps(args),
                  .window = rml_conv_window(args),
                  .depth = (size_t)args->in[0].dim[1],
                  .out = (size_t)args->out[0].dim[1]};
    f.cols = rml_sat_mul(f.taps, f.out);
    f.pitch = rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), 1, 1, f.cols);
    return f;
}

bool rml_conv_small_oc_accepts(const rml_op_args *args)
{
    const rml_conv_attr *conv = &args->attr->conv;
    const small_oc f = shape_of(args);
    const rml_window *w = &f.window;
    return w->stride[0] == 1 && w->stride[1] == 1 && w->dilation[0] == 1 && w->dilation[1] == 1 &&
           conv->groups == 1 && conv->act.kind == RML_UNARY_CLAMP && !rml_conv_residual(args) &&
           f.taps >= MIN_TAPS && f.out <= MAX_OUT && f.depth >= MIN_DEPTH;
}

size_t rml_conv_small_oc_packed_bytes(const rml_op_args *args)
{
    const small_oc f = shape_of(args);
    return rml_sat_mul(sizeof(float),
                       rml_pack_count(&RML_KERNEL(args->kernels, gemm_f32), 1, f.depth, f.cols));
}

rml_status rml_conv_small_oc_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err)
{
    const small_oc f = shape_of(args);
    const size_t count = f.cols * f.depth; // of the weight
    const size_t bytes = rml_sat_mul(count, 2 * sizeof(float));
    float *rows = rml_alloc(allocator, bytes);
    if (!rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    rml_constant_read(weight, 0, 0, (int64_t)f.out, rows); // [out][depth][taps]
    float *columns = rows + count;                         // [taps][out][depth]
    for (size_t o = 0; o < f.out; o++)
        for (size_t c = 0; c < f.depth; c++)
            for (size_t t = 0; t < f.taps; t++)
                columns[(t * f.out + o) * f.depth + c] = rows[(o * f.depth + c) * f.taps + t];
    const size_t nr = RML_KERNEL(args->kernels, gemm_f32).nr;
    for (size_t column = 0; column < f.cols; column += nr)
        rml_pack_panel(&RML_KERNEL(args->kernels, gemm_f32), (float *)packed + column * f.depth,
                       columns + column * f.depth, 1, f.depth, rml_min_size(nr, f.cols - column), 0,
                       1, f.depth);
    rml_free(allocator, rows);
    return RML_OK;
}

static size_t row_floats(const rml_op_args *args, const small_oc *f)
{
    return rml_sat_mul((size_t)args->in[0].dim[3], f->pitch);
}

static size_t worker_bytes(const rml_op_args *args, const small_oc *f)
{
    return rml_aligned_bytes(rml_sat_mul((size_t)f->window.kernel[0], row_floats(args, f)),
                             sizeof(float));
}

size_t rml_conv_small_oc_scratch_bytes(const rml_op_args *args)
{
    const small_oc f = shape_of(args);
    return rml_sat_mul((size_t)args->threads, worker_bytes(args, &f));
}

// The partial sums of a row of input pixels, [W][pitch].
static void compute_partials(const rml_op_args *args, const small_oc *f, const float *src,
                             float *partials)
{
    const rml_kernels *kernels = args->kernels;
    const rml_tensor *in = &args->in[0];
    const size_t width = (size_t)in->dim[3];
    const size_t step = (size_t)in->stride[3], mr = RML_KERNEL(kernels, gemm_f32).mr;
    for (size_t x = 0; x < width; x += mr) {
        const size_t rows = rml_min_size(mr, width - x);
        // The product reads as many streams as it has rows, too many for the hardware to follow.
        for (size_t i = x + rows; i < rml_min_size(x + 2 * rows, width); i++)
            rml_prefetch(src + i * step, f->depth * sizeof(float));
        rml_pack_multiply(&RML_KERNEL(kernels, gemm_f32), src + x * step, step, rows, f->depth,
                          args->packed, f->pitch, partials + x * f->pitch, f->pitch);
    }
}

// Adds to a row of outputs, [W][out], the partial sums of one row of the kernel. Inlined for every
// number of outputs, so that they are registers.
static inline __attribute__((always_inline)) void shift_add(const rml_op_args *args,
                                                            const small_oc *f,
                                                            const float *partials, rml_tensor *row,
                                                            const size_t out)
{
    const rml_window *window = &f->window;
    const size_t pitch = f->pitch;
    const int64_t width = args->in[0].dim[3];
    for (int64_t x = 0; x < row->dim[3]; x++) {
        const int64_t left = x - window->before[1];
        const int64_t begin = left < 0 ? -left : 0;
        const int64_t end = left + window->kernel[1] > width ? width - left : window->kernel[1];
        float sum[MAX_OUT], *y = row->data + x * row->stride[3];
        for (size_t o = 0; o < out; o++)
            sum[o] = y[o];
        for (int64_t kx = begin; kx < end; kx++)
            for (size_t o = 0; o < out; o++)
                sum[o] += partials[(size_t)(left + kx) * pitch + (size_t)kx * out + o];
        for (size_t o = 0; o < out; o++)
            y[o] = sum[o];
    }
}

static void add_row(const rml_op_args *args, const small_oc *f, int64_t ky, const float *partials,
                    rml_tensor *row)
{
    partials += (size_t)(ky * f->window.kernel[1]) * f->out;
    if (f->out == 4)
        shift_add(args, f, partials, row, 4);
    else if (f->out == 3)
        shift_add(args, f, partials, row, 3);
    else if (f->out == 2)
        shift_add(args, f, partials, row, 2);
    else
        shift_add(args, f, partials, row, 1);
}

static float clamp(float x, float low, float high)
{
    x = x < low ? low : x; // NaN passes
    return x > high ? high : x;
}

typedef struct run_job {
    const rml_op_args *args;
    small_oc shape;
    size_t bands, rows; // of an image, of a band
} run_job;

static void run_bands(void *context, size_t begin, size_t end, int worker)
{
    const run_job *job = context;
    const rml_op_args *args = job->args;
    const small_oc *f = &job->shape;
    const rml_conv_attr *conv = &args->attr->conv;
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const float *bias = rml_conv_bias(args);
    float *ring = (float *)(args->scratch + (size_t)worker * worker_bytes(args, f));
    for (size_t item = begin; item < end; item++) {
        const int64_t image = (int64_t)(item / job->bands);
        const size_t from = item % job->bands * job->rows;
        const int64_t first = (int64_t)from;
        const int64_t last = (int64_t)rml_min_size(from + job->rows, (size_t)out->dim[2]);
        int64_t made = first; // rows of input, counted from the first one that padding adds
        for (int64_t y = first; y < last; y++) {
            rml_tensor row = *out;
            row.data = out->data + image * out->stride[0] + y * out->stride[2];
            for (int64_t x = 0; x < out->dim[3]; x++)
                for (size_t o = 0; o < f->out; o++)
                    row.data[x * out->stride[3] + (int64_t)o] = bias ? bias[o] : 0.0f;
            for (int64_t ky = 0; ky < f->window.kernel[0]; ky++) {
                const int64_t at = y + ky, source = at - f->window.before[0];
                if (source < 0 || source >= in->dim[2])
                    continue;
                float *partials = ring + (size_t)(at % f->window.kernel[0]) * row_floats(args, f);
                if (at >= made) {
                    compute_partials(args, f,
                                     in->data + image * in->stride[0] + source * in->stride[2],
                                     partials);
                    made = at + 1;
                }
                add_row(args, f, ky, partials, &row);
            }
            for (int64_t x = 0; x < out->dim[3]; x++)
                for (size_t o = 0; o < f->out; o++) {
                    float *value = row.data + x * out->stride[3] + (int64_t)o;
                    *value = clamp(*value, conv->act.param[0], conv->act.param[1]);
                }
        }
    }
}

void rml_conv_small_oc_run(const rml_op_args *args)
{
    run_job job = {.args = args, .shape = shape_of(args)};
    const size_t height = (size_t)args->out[0].dim[2];
    const size_t want = BANDS_A_WORKER * (size_t)args->threads;
    job.rows = (height + want - 1) / want;
    job.bands = (height + job.rows - 1) / job.rows;
    rml_pool_run(args->pool, (size_t)args->out[0].dim[0] * job.bands, 1, run_bands, &job);
}
