// Windows for spectra, and the matrix that weighs a spectrum in bands of the mel scale. Computed in
// double.
#include "ops/elementwise/widen.h"

#include <math.h>
#include <string.h>

static const double pi = 3.1415926535897932384626433832795;

#define MOST_NUMBERS ((int64_t)1 << 28)

static rml_status one_number(const rml_fact *fact, const char *what, double *out, bool *known,
                             rml_error *err)
{
    size_t count;
    *known = false;
    if (fact->shape.rank == RML_RANK_UNKNOWN || !rml_shape_known(&fact->shape))
        return RML_OK;
    if (!rml_shape_count(&fact->shape, &count) || count != 1)
        return rml_fail(err, RML_ERR_SHAPE, "%s is not one number", what);
    if (!fact->data)
        return RML_OK;
    rml_dtype_convert(fact->dtype, fact->data, RML_F64, out, 1);
    *known = true;
    return RML_OK;
}

static rml_status check_count(double value, const char *what, double low, rml_error *err)
{
    if (!(value >= low && value <= (double)MOST_NUMBERS))
        return rml_fail(err, RML_ERR_SHAPE, "%s is %g", what, value);
    return RML_OK;
}

static void write_number(const rml_tensor *out, size_t at, double value)
{
    rml_write_f64(out, at, &value, 1);
}

// ---- windows: size () -> [size] -----------------------------------------------------------------

static rml_status infer_taper(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    double size;
    bool known;
    *out = (rml_shape){1, {-1}};
    RML_TRY(one_number(&node->in[0], "the size", &size, &known, err));
    if (!known)
        return RML_OK;
    RML_TRY(check_count(size, "the size", 0, err));
    out->dim[0] = (int64_t)size;
    return RML_OK;
}

static void run_taper(const rml_op_args *args)
{
    const rml_window_function_attr *taper = &args->attr->window_function;
    const size_t size = (size_t)args->out[0].dim[0];
    const double period = (double)(taper->symmetric ? size - 1 : size);
    for (size_t i = 0; i < size; i++) {
        const double turn = period > 0 ? 2 * pi * (double)i / period : pi; // one number: the middle
        double value = 0;
        if (taper->kind == RML_WINDOW_HANN)
            value = sin(turn / 2) * sin(turn / 2);
        else if (taper->kind == RML_WINDOW_HAMMING)
            value = 25.0 / 46 - 21.0 / 46 * cos(turn);
        else
            value = 0.42 - 0.5 * cos(turn) + 0.08 * cos(2 * turn);
        write_number(&args->out[0], i, value);
    }
}

const rml_op rml_op_window_function = {.id = RML_OP_WINDOW_FUNCTION,
                                       .name = "window_function",
                                       .inputs = {1, 1},
                                       .signature = "*>t",
                                       .infer_values = infer_taper,
                                       .algorithms = RML_ONE_WAY("direct", run_taper)};

// ---- mel weights: bands, points of the transform, samples a second, lowest and highest frequency
// --

enum { BANDS, POINTS, RATE, LOW, HIGH };

static rml_status infer_mel(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    static const char *const names[] = {"the number of bands", "the length of the transform",
                                        "the sample rate", "the lowest frequency",
                                        "the highest frequency"};
    double value;
    bool known;
    *out = (rml_shape){2, {-1, -1}};
    for (int k = 0; k < node->in_count; k++) {
        RML_TRY(one_number(&node->in[k], names[k], &value, &known, err));
        if (!known || k > POINTS)
            continue;
        RML_TRY(check_count(value, names[k], k == POINTS ? 0 : 1, err));
        out->dim[k == BANDS ? 1 : 0] = k == BANDS ? (int64_t)value : (int64_t)value / 2 + 1;
    }
    return RML_OK;
}

// Index of the edge of a band in the spectrum; it may lie outside.
static int64_t edge_at(const rml_op_args *args, int64_t band)
{
    const double low = 2595 * log10(1 + rml_number_f64(&args->in[LOW], 0) / 700);
    const double high = 2595 * log10(1 + rml_number_f64(&args->in[HIGH], 0) / 700);
    const double mel = low + (double)band * ((high - low) / ((double)args->out[0].dim[1] + 2));
    const double hertz = 700 * (pow(10, mel / 2595) - 1);
    const double edge = floor((rml_number_f64(&args->in[POINTS], 0) + 1) * hertz /
                              rml_number_f64(&args->in[RATE], 0));
    const double most = (double)(4 * MOST_NUMBERS);
    return edge >= -most ? (edge <= most ? (int64_t)edge : (int64_t)most) : (int64_t)-most;
}

static void run_mel(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    const int64_t bins = out->dim[0], bands = out->dim[1];
    memset(out->raw, 0, rml_tensor_bytes(out));
    for (int64_t band = 0; band < bands; band++) {
        const int64_t left = edge_at(args, band), middle = edge_at(args, band + 1),
                      right = edge_at(args, band + 2);
        const int64_t first = left > 0 ? left : 0, end = right < bins ? right : bins;
        if (middle >= 0 && middle < bins)
            write_number(out, (size_t)(middle * bands + band), 1);
        for (int64_t j = first; j < middle && j < bins; j++)
            write_number(out, (size_t)(j * bands + band),
                         (double)(j - left) / (double)(middle - left));
        for (int64_t j = middle > 0 ? middle : 0; j < end; j++)
            write_number(out, (size_t)(j * bands + band),
                         (double)(right - j) / (double)(right - middle));
    }
}

const rml_op rml_op_mel_weights = {.id = RML_OP_MEL_WEIGHTS,
                                   .name = "mel_weights",
                                   .inputs = {5, 5},
                                   .signature = "*>t",
                                   .infer_values = infer_mel,
                                   .algorithms = RML_ONE_WAY("triangles", run_mel)};
