// Runs that compute a region of an output: its bits are those of a whole run, for the kinds of
// Wav2Lip and for graphs whose transposed convolutions, activations and pads are others, for any
// region, batch and number of threads; and less is computed.
#include "engine/session.h"
#include "tests/support/narrow.h"
#include "tests/support/net.h"

#include <string.h>

enum { ITEMS = 2, HALF = 0, LOWER, MOUTH, SOME_REGIONS, REGIONS = 10 };
static rml_error err;

static rml_session *open_session(rml_model *model, int threads, rml_precision precision,
                                 rml_cpu_level cpu)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    settings.threads = threads;
    settings.precision = precision;
    settings.cpu = cpu;
    settings.profile = true;
    CHECK_MSG(rml_session_create(&session, model, &settings, &err) == RML_OK, "%s", err.message);
    return session;
}

// Rows of each plane that are not the whole run's within a region.
static int64_t unlike(const float *got, const float *want, const rml_shape *shape,
                      const rml_region *part)
{
    const rml_range rows = part->axis[RML_ROWS], columns = part->axis[RML_COLUMNS];
    const size_t bytes = (size_t)(columns.high - columns.low) * sizeof *got;
    int64_t count = 0;
    for (int64_t plane = 0; plane < shape->dim[0] * shape->dim[1]; plane++)
        for (int64_t y = rows.low; y < rows.high; y++) {
            const int64_t at = (plane * shape->dim[2] + y) * shape->dim[3] + columns.low;
            count += memcmp(got + at, want + at, bytes) != 0;
        }
    return count;
}

// Regions of h x w pixels: rows alone, columns alone, what a mouth takes, corners, single pixels.
static rml_region region_at(int i, int64_t h, int64_t w)
{
    const rml_region regions[REGIONS] = {
        [HALF] = {{{h / 2, h}, {0, w}}},
        [LOWER] = {{{h * 2 / 5, h}, {0, w}}},
        [MOUTH] = {{{h * 2 / 5, h}, {w / 8, w - w / 8}}}, // and what filters reach around it
        {{{0, h}, {w / 3, w / 2 + 1}}},
        {{{h - 1, h}, {0, 1}}},
        {{{0, h / 3}, {w - 1, w}}},
        {{{h / 3 + 1, h / 2 + 1}, {w / 2, w - 2}}},
        {{{0, h}, {w / 9 + 1, w}}},
        {{{h / 2, h / 2 + 1}, {w / 2 + 1, w / 2 + 2}}},
        {{{0, h}, {0, w}}},
    };
    return regions[i];
}

// Output 0 whole, then by regions; the session's memory is filled with other numbers in between, by
// other inputs. `cut`: half a picture takes clearly less than the whole, and so do fewer columns.
static void check_regions(rml_session *session, const rml_model *model, int count, bool cut,
                          const char *what)
{
    double share[REGIONS] = {0};
    rml_shape shape = {0};
    const char *name = rml_model_output(model, 0).name;
    CHECK_MSG(rml_session_prepare(session, &err) == RML_OK, "%s: %s", what, err.message);
    net_fill_inputs(session, model, 1);
    CHECK_MSG(rml_session_run(session, &err) == RML_OK, "%s: %s", what, err.message);
    const uint64_t whole = net_macs(session);
    const float *frames = rml_session_output(session, name, &shape);
    size_t floats = 0;
    rml_shape_count(&shape, &floats);
    float *want = malloc(floats * sizeof *want);
    memcpy(want, frames, floats * sizeof *want);
    const rml_region all = {{{0, shape.dim[2]}, {0, shape.dim[3]}}};
    for (int i = 0; i < count; i++) {
        const rml_region part = region_at(i, shape.dim[2], shape.dim[3]);
        rml_session_crop(session, 0, NULL);
        net_fill_inputs(session, model, 2);
        CHECK(rml_session_run(session, &err) == RML_OK);
        CHECK_MSG(unlike(frames, want, &shape, &all) > 0, "%s: the inputs say nothing", what);
        net_fill_inputs(session, model, 1);
        const uint64_t before = net_macs(session);
        rml_session_crop(session, 0, &part);
        CHECK_MSG(rml_session_run(session, &err) == RML_OK, "%s: %s", what, err.message);
        const uint64_t taken = net_macs(session) - before;
        const int64_t wrong = unlike(frames, want, &shape, &part);
        CHECK_MSG(wrong == 0, "%s: region %d: %d rows are not those of the whole", what, i,
                  (int)wrong);
        share[i] = (double)taken / (double)whole;
        CHECK_MSG(share[i] <= 1, "%s: region %d takes %.3f of the whole", what, i, share[i]);
    }
    CHECK_MSG(!cut || (share[HALF] < 0.85 && share[MOUTH] < share[LOWER]),
              "%s: half takes %.3f, a mouth %.3f, and all its columns %.3f", what, share[HALF],
              share[MOUTH], share[LOWER]);
    rml_session_crop(session, 0, NULL);
    CHECK(rml_session_run(session, &err) == RML_OK);
    CHECK_MSG(unlike(frames, want, &shape, &all) == 0, "%s: whole again", what);
    free(want);
}

// Few regions in f32, or many at several levels of the CPU, with threads and in bf16.
static void check_wav2lip(const char *network, int side, int64_t divisor, bool many)
{
    char config[96];
    rml_model *model = NULL;
    rml_model_settings settings = rml_model_settings_default();
    snprintf(config, sizeof config, "{\"network\": \"%s\"}", network);
    settings.config = config;
    rml_weights *weights = narrow_weights_of("wav2lip", config, divisor, NULL);
    CHECK_MSG(rml_model_create(&model, "wav2lip", weights, &settings, &err) == RML_OK, "%s",
              err.message);
    for (int i = 0; model && i < (many ? 4 : 1); i++) {
        const rml_precision precision = i == 3 ? RML_PRECISION_BF16 : RML_PRECISION_F32;
        const rml_cpu_level cpu = i == 1 ? RML_CPU_PORTABLE : RML_CPU_BEST;
        if (!rml_precision_available(precision, cpu))
            continue;
        rml_session *session = open_session(model, i == 2 ? net_threads() : 1, precision, cpu);
        const rml_shape audio = {4, {ITEMS, 1, 80, 16}}, face = {4, {ITEMS, 6, side, side}};
        CHECK(rml_session_resize(session, "audio", audio, &err) == RML_OK);
        CHECK(rml_session_resize(session, "face", face, &err) == RML_OK);
        check_regions(session, model, many ? REGIONS : SOME_REGIONS, true, network);
        rml_session_destroy(&session);
    }
    rml_model_destroy(&model);
    rml_weights_close(&weights);
}

// x -> transposed convolution -> activation -> convolution, and a second way through it that is
// added: kernels, strides and pads of all sorts.
static void check_transposed(int kernel, int stride, int pad, int out_pad, int channels)
{
    net at;
    char what[96];
    rml_conv_attr attr = rml_conv_square(kernel, stride, pad);
    const rml_conv_attr next = rml_conv_square(3, 1, 1);
    snprintf(what, sizeof what, "kernel %d, stride %d, pad %d, out_pad %d, %d channels", kernel,
             stride, pad, out_pad, channels);
    net_begin(&at, NULL);
    attr.out_pad[0] = attr.out_pad[1] = out_pad;
    rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){4, {-1, 8, 21, 17}});
    rml_value_id w = net_random(&at, "w", (rml_shape){4, {8, channels, kernel, kernel}}, 's');
    rml_value_id y = rml_graph_conv_transpose(at.graph, x, w, RML_NO_VALUE, &attr, "t");
    y = rml_graph_unary(at.graph, y, (rml_activation){.kind = RML_UNARY_SIGMOID}, "a");
    w = net_random(&at, "v", (rml_shape){4, {channels, channels, 3, 3}}, 's');
    rml_value_id z = rml_graph_conv(at.graph, y, w, RML_NO_VALUE, &next, "c");
    z = rml_graph_binary(at.graph, RML_BINARY_ADD, z, y, "sum");
    rml_graph_output(at.graph, "z", z);
    if (net_finish(&at, NULL)) {
        rml_session *session = open_session(at.model, 1, RML_PRECISION_F32, RML_CPU_BEST);
        CHECK(rml_session_resize(session, "x", (rml_shape){4, {ITEMS, 8, 21, 17}}, &err) == RML_OK);
        check_regions(session, at.model, REGIONS, false, what);
        rml_session_destroy(&session);
    }
    net_end(&at);
}

int main(void)
{
    check_wav2lip("96", 96, check_is_slow() ? 16 : 4, true);
    if (!check_is_slow()) {
        check_wav2lip("288", 288, 4, true);
        check_wav2lip("nota96", 96, 1, false);
        check_wav2lip("nota128", 128, 1, false);
        check_wav2lip("256", 256, 16, false);
        check_wav2lip("288-prelu", 288, 16, false);
        check_wav2lip("sam8\", \"side\": 192, \"last\": \"sigmoid", 192, 16, false);
        check_wav2lip("leaky384", 384, 1, false);
    }
    for (int kernel = 1; kernel <= 5; kernel++)
        for (int stride = 1; stride <= 3; stride++)
            for (int pad = 0; pad < kernel; pad += 2)
                for (int channels = 2; channels <= 24; channels += check_is_slow() ? 22 : 11)
                    check_transposed(kernel, stride, pad, stride > 1 ? 1 : 0, channels);
    return check_result();
}
