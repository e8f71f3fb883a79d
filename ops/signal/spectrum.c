// Discrete Fourier transforms along an axis, and of frames of a signal. Computed in double.
#include "ops/op.h"

#include "ops/elementwise/widen.h"
#include "ops/signal/fourier.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

#include <string.h>

// The one number of an i64 input; false where only the run tells.
static bool number_of(const rml_fact *fact, int64_t *out)
{
    size_t count;
    if (!fact->data || !rml_shape_count(&fact->shape, &count) || count != 1)
        return false;
    *out = *(const int64_t *)fact->data;
    return true;
}

static rml_status check_length(int64_t length, rml_error *err)
{
    if (length < 1)
        return rml_fail(err, RML_ERR_SHAPE, "a transform of %lld points", (long long)length);
    if (length > (int64_t)RML_FOURIER_MAX)
        return rml_fail(err, RML_ERR_LIMIT, "a transform of %lld points, at most %zu",
                        (long long)length, RML_FOURIER_MAX);
    return RML_OK;
}

// Memory of both operators: the tables, then for each worker its points and what they run in.
static size_t table_bytes(size_t length)
{
    return rml_aligned_bytes(rml_fourier_table(length), sizeof(double));
}

static size_t worker_bytes(size_t length)
{
    return rml_aligned_bytes(2 * length + rml_fourier_work(length), sizeof(double));
}

// For the transforms that give `size` points, or `size` of a onesided spectrum, which an even and
// an odd number of points do. (While memory is planned, inputs have no elements.)
static size_t needed_bytes(const rml_op_args *args, int64_t size, bool halved)
{
    size_t most = 0;
    for (int64_t points = halved ? 2 * size - 2 : size; points <= (halved ? 2 * size - 1 : size);
         points++) {
        if (points < 1 || points > (int64_t)RML_FOURIER_MAX)
            continue;
        const size_t length = (size_t)points;
        const size_t bytes = rml_sat_add(table_bytes(length),
                                         rml_sat_mul((size_t)args->threads, worker_bytes(length)));
        most = bytes > most ? bytes : most;
    }
    return most;
}

static double *points_of(const rml_op_args *args, size_t length, int worker)
{
    return (double *)(void *)(args->scratch + table_bytes(length) +
                              (size_t)worker * worker_bytes(length));
}

// ---- dft: x [..., 1 or 2] along an axis, for real or complex numbers; length, axis i64

static rml_status dft_axis(const rml_op_node *node, int *axis, rml_error *err)
{
    const int rank = node->in[0].shape.rank;
    int64_t told = node->attr->dft.axis;
    *axis = -1;
    if (rml_op_given(node, 2) && !number_of(&node->in[2], &told))
        return RML_OK;
    told += told < 0 ? rank : 0;
    if (told < 0 || told >= rank - 1)
        return rml_fail(err, RML_ERR_SHAPE, "axis %lld of a signal of %d dimensions",
                        (long long)told, rank);
    *axis = (int)told;
    return RML_OK;
}

static rml_status infer_dft(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_dft_attr *dft = &node->attr->dft;
    const rml_shape *x = &node->in[0].shape;
    const int last = x->rank - 1;
    const int64_t kinds = dft->inverse && dft->onesided ? 1 : 2;
    int axis;
    char text[RML_SHAPE_TEXT_BYTES];
    *out = *x;
    if (x->rank == RML_RANK_UNKNOWN)
        return RML_OK;
    if (x->rank < 2 || x->dim[last] > 2 || x->dim[last] == 0)
        return rml_fail(err, RML_ERR_SHAPE, "signal %s has no real or complex numbers",
                        rml_shape_text(x, text));
    RML_TRY(dft_axis(node, &axis, err));
    if (axis < 0) {
        for (int i = 0; i < last; i++)
            out->dim[i] = -1;
        out->dim[last] = kinds;
        return RML_OK;
    }
    int64_t length = x->dim[axis];
    if (kinds == 1 && length >= 0)
        length = length > (int64_t)RML_FOURIER_MAX ? length : 2 * (length - 1);
    bool known = x->dim[axis] >= 0;
    if (rml_op_given(node, 1))
        known = number_of(&node->in[1], &length);
    out->dim[axis] = -1;
    out->dim[last] = kinds;
    if (!known)
        return RML_OK;
    RML_TRY(check_length(length, err));
    out->dim[axis] = dft->onesided && !dft->inverse ? length / 2 + 1 : length;
    return RML_OK;
}

typedef struct dft_job {
    const rml_op_args *args;
    const rml_dft_attr *dft;
    size_t length, taken, given, inner; // points; of these taken from the signal and written
    size_t in_parts, out_parts;
} dft_job;

static size_t told_length(const rml_op_args *args, int axis)
{
    const int64_t size = args->in[0].dim[axis];
    if (rml_op_input(args, 1))
        return (size_t) * (const int64_t *)args->in[1].raw;
    return (size_t)(args->attr->dft.inverse && args->attr->dft.onesided ? 2 * (size - 1) : size);
}

static int axis_of(const rml_op_args *args)
{
    int64_t axis = args->attr->dft.axis;
    if (rml_op_input(args, 2))
        axis = *(const int64_t *)args->in[2].raw;
    return (int)(axis < 0 ? axis + args->in[0].rank : axis);
}

static size_t scratch_dft(const rml_op_args *args)
{
    const bool halved = args->attr->dft.onesided && !args->attr->dft.inverse;
    const bool axis_known = !rml_op_input(args, 2);
    size_t most = 0;
    for (int i = 0; i < args->in[0].rank - 1; i++)
        if (!axis_known || i == axis_of(args)) {
            const size_t bytes = needed_bytes(args, args->out[0].dim[i], halved);
            most = bytes > most ? bytes : most;
        }
    return most;
}

static void read_line(const dft_job *job, size_t line, double *points)
{
    const rml_tensor *x = &job->args->in[0];
    const size_t size = (size_t)x->dim[axis_of(job->args)];
    const size_t first = line / job->inner * size * job->inner + line % job->inner;
    memset(points, 0, 2 * job->length * sizeof *points);
    for (size_t k = 0; k < job->taken; k++)
        for (size_t part = 0; part < job->in_parts; part++)
            points[2 * k + part] =
                rml_number_f64(x, (first + k * job->inner) * job->in_parts + part);
    if (job->out_parts == 2)
        return;
    // The other half of a real signal's spectrum; its ends are real.
    points[1] = 0;
    if (job->length % 2 == 0)
        points[job->length + 1] = 0;
    for (size_t k = 1; k < (job->length + 1) / 2; k++) {
        points[2 * (job->length - k)] = points[2 * k];
        points[2 * (job->length - k) + 1] = -points[2 * k + 1];
    }
}

static void dft_lines(void *context, size_t begin, size_t end, int worker)
{
    const dft_job *job = context;
    const rml_op_args *args = job->args;
    double *points = points_of(args, job->length, worker);
    for (size_t line = begin; line < end; line++) {
        const size_t first = line / job->inner * job->given * job->inner + line % job->inner;
        read_line(job, line, points);
        rml_fourier_run((const double *)(const void *)args->scratch, job->length, job->dft->inverse,
                        points, points + 2 * job->length);
        for (size_t k = 0; k < job->given; k++)
            rml_write_f64(&args->out[0], (first + k * job->inner) * job->out_parts, points + 2 * k,
                          job->out_parts);
    }
}

static void run_dft(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0], *y = &args->out[0];
    const int axis = axis_of(args), last = x->rank - 1;
    dft_job job = {.args = args, .dft = &args->attr->dft};
    const size_t count = rml_tensor_count(y);
    if (!count)
        return;
    job.length = told_length(args, axis);
    job.in_parts = (size_t)x->dim[last];
    job.out_parts = (size_t)y->dim[last];
    job.given = (size_t)y->dim[axis];
    job.taken =
        rml_min_size((size_t)x->dim[axis], job.out_parts == 1 ? job.length / 2 + 1 : job.length);
    job.inner = rml_tensor_span(x, axis + 1, last);
    rml_fourier_prepare((double *)(void *)args->scratch, job.length);
    rml_pool_run(args->pool, count / job.given / job.out_parts, 1, dft_lines, &job);
}

const rml_op rml_op_dft = {.id = RML_OP_DFT,
                           .name = "dft",
                           .inputs = {1, 3},
                           .signature = "rll>0",
                           .infer_values = infer_dft,
                           .algorithms = RML_ONE_WAY_IN("lines", scratch_dft, run_dft)};

// ---- stft: x [B,L,1 or 2], step i64, window [F], length i64 -> [B,frames,bins,2]

// The length of a frame: told, or the window's, or the signal's; -1: not known yet.
static rml_status frame_length(const rml_op_node *node, int64_t *length, rml_error *err)
{
    const rml_fact *in = node->in;
    const bool window = rml_op_given(node, 2);
    *length = in[0].shape.dim[1];
    if (window && in[2].shape.rank >= 0) {
        if (in[2].shape.rank != 1)
            return rml_fail(err, RML_ERR_SHAPE, "the window has %d dimensions, not 1",
                            in[2].shape.rank);
        *length = in[2].shape.dim[0];
    } else if (window) {
        *length = -1;
    }
    const int64_t size = *length;
    if (rml_op_given(node, 3) && !number_of(&in[3], length))
        *length = -1;
    if (window && *length >= 0 && size >= 0 && *length != size)
        return rml_fail(err, RML_ERR_SHAPE, "a window of %lld for frames of %lld", (long long)size,
                        (long long)*length);
    return *length < 0 ? RML_OK : check_length(*length, err);
}

static rml_status infer_stft(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->in[0].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t length, step;
    *out = (rml_shape){4, {-1, -1, -1, 2}};
    if (x->rank == RML_RANK_UNKNOWN)
        return RML_OK;
    if (x->rank < 2 || x->rank > 3 || (x->rank == 3 && (x->dim[2] > 2 || x->dim[2] == 0)))
        return rml_fail(err, RML_ERR_SHAPE, "signal %s has no real or complex numbers",
                        rml_shape_text(x, text));
    out->dim[0] = x->dim[0];
    RML_TRY(frame_length(node, &length, err));
    if (length < 0)
        return RML_OK;
    out->dim[2] = node->attr->dft.onesided ? length / 2 + 1 : length;
    if (!number_of(&node->in[1], &step) || x->dim[1] < 0)
        return RML_OK;
    if (step < 1 || x->dim[1] < length)
        return rml_fail(err, RML_ERR_SHAPE, "frames of %lld each %lld of a signal of %lld",
                        (long long)length, (long long)step, (long long)x->dim[1]);
    out->dim[1] = (x->dim[1] - length) / step + 1;
    return RML_OK;
}

static size_t scratch_stft(const rml_op_args *args)
{
    return needed_bytes(args, args->out[0].dim[2], args->attr->dft.onesided);
}

typedef struct stft_job {
    const rml_op_args *args;
    size_t length, step, frames, bins, parts, samples;
    bool window;
} stft_job;

static void stft_frames(void *context, size_t begin, size_t end, int worker)
{
    const stft_job *job = context;
    const rml_op_args *args = job->args;
    double *points = points_of(args, job->length, worker);
    for (size_t item = begin; item < end; item++) {
        const size_t first = item / job->frames * job->samples + item % job->frames * job->step;
        for (size_t k = 0; k < job->length; k++) {
            const double weight = job->window ? rml_number_f64(&args->in[2], k) : 1;
            points[2 * k + 1] = 0;
            for (size_t part = 0; part < job->parts; part++)
                points[2 * k + part] =
                    weight * rml_number_f64(&args->in[0], (first + k) * job->parts + part);
        }
        rml_fourier_run((const double *)(const void *)args->scratch, job->length, false, points,
                        points + 2 * job->length);
        rml_write_f64(&args->out[0], item * job->bins * 2, points, job->bins * 2);
    }
}

static void run_stft(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0], *y = &args->out[0];
    stft_job job = {.args = args,
                    .length = (size_t)x->dim[1],
                    .step = (size_t) * (const int64_t *)args->in[1].raw,
                    .frames = (size_t)y->dim[1],
                    .bins = (size_t)y->dim[2],
                    .parts = x->rank == 3 ? (size_t)x->dim[2] : 1,
                    .samples = (size_t)x->dim[1],
                    .window = rml_op_input(args, 2)};
    if (!rml_tensor_count(y))
        return;
    if (rml_op_input(args, 3))
        job.length = (size_t) * (const int64_t *)args->in[3].raw;
    else if (job.window)
        job.length = (size_t)args->in[2].dim[0];
    rml_fourier_prepare((double *)(void *)args->scratch, job.length);
    rml_pool_run(args->pool, (size_t)y->dim[0] * job.frames, 1, stft_frames, &job);
}

const rml_op rml_op_stft = {.id = RML_OP_STFT,
                            .name = "stft",
                            .inputs = {2, 4},
                            .signature = "rl0l>0",
                            .infer_values = infer_stft,
                            .algorithms = RML_ONE_WAY_IN("frames", scratch_stft, run_stft)};
