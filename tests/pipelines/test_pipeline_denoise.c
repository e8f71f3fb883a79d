// The denoiser: bands against the whole, kinds of pictures, memory, estimate and quality.
#include "tests/support/check.h"
#include "tests/support/uniform.h"
#include "engine/session.h"
#include "loaders/weights/weights.h"
#include "pipelines/denoise/denoise.h"
#include "pipelines/denoise/noise_level.h"
#include "pipelines/denoise/quality.h"

#include <math.h>
#include <stdlib.h>

#define WIDTH 20 // from 16 channels on Winograd is chosen
#define DEPTH 5

static rml_error error;
static uint64_t state = 1;

static int random_below(int limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)limit);
}

// The author's network for 1 or 3 colours.
static rml_weights *make_weights(int colours)
{
    rml_weights *weights = NULL;
    CHECK(rml_weights_create(&weights, NULL, &error) == RML_OK);
    for (int i = 0; i < DEPTH; i++) {
        const int64_t in = i ? WIDTH : 4 * colours + 1;
        const int64_t out = i < DEPTH - 1 ? WIDTH : 4 * colours;
        char name[32];
        float *data;
        snprintf(name, sizeof name, "model.%d.weight", 2 * i);
        const rml_shape shape = {4, {out, in, 3, 3}};
        CHECK(rml_weights_add_f32(weights, name, &shape, &data, &error) == RML_OK);
        for (int64_t k = 0; k < out * in * 9; k++)
            data[k] = sqrtf(3.0f / (float)(in * 9)) * uniform_f32(7u + (uint64_t)i, (size_t)k);
        snprintf(name, sizeof name, "model.%d.bias", 2 * i);
        CHECK(rml_weights_add_f32(weights, name, &(rml_shape){1, {out}}, &data, &error) == RML_OK);
        for (int64_t k = 0; k < out; k++)
            data[k] = i == DEPTH - 1 ? 0.5f : 0.05f * (float)k;
    }
    return weights;
}

// ---- bands, to the last bit of the floats -----------------------------------------------------

typedef struct plane {
    float *image, *level, *result;
    int width, height;
} plane;

static void bind(rml_session *session, const plane *p)
{
    const size_t pixels = (size_t)p->width * (size_t)p->height;
    const size_t blocks = (size_t)(p->width + 1) / 2 * ((size_t)(p->height + 1) / 2);
    rml_tensor_view view = rml_tensor_view_default();
    view.data = p->image;
    view.bytes = 3 * pixels * sizeof(float);
    CHECK(rml_session_bind_input(session, 0, &view, &error) == RML_OK);
    view.data = p->result;
    CHECK(rml_session_bind_output(session, 0, &view, &error) == RML_OK);
    view.data = p->level;
    view.bytes = blocks * sizeof(float);
    CHECK(rml_session_bind_input(session, 1, &view, &error) == RML_OK);
}

// Into p->result. Returns how many bands there were, 0 where the limit cannot be kept. *bytes are
// planned.
static size_t run(rml_model *model, rml_cpu_level cpu, size_t limit, const plane *p, size_t *bytes)
{
    const rml_shape image = {4, {1, 3, p->height, p->width}};
    const rml_shape level = {4, {1, 1, (p->height + 1) / 2, (p->width + 1) / 2}};
    rml_session_settings settings = rml_session_settings_default();
    rml_session *session = NULL;
    settings.cpu = cpu;
    settings.memory_limit = limit;
    CHECK(rml_session_create(&session, model, &settings, &error) == RML_OK);
    CHECK(rml_session_resize(session, "image", image, &error) == RML_OK);
    CHECK(rml_session_resize(session, "sigma", level, &error) == RML_OK);
    bind(session, p);
    const rml_status status = rml_session_prepare(session, &error);
    CHECK_MSG(status == RML_OK || (limit && status == RML_ERR_LIMIT), "%s", error.message);
    size_t bands = 0;
    if (status == RML_OK) {
        CHECK_MSG(rml_session_run(session, &error) == RML_OK, "%s", error.message);
        bands = rml_session_bands(session);
        *bytes = rml_session_planned_bytes(session);
        CHECK(!limit || *bytes <= limit);
    }
    rml_session_destroy(&session);
    return bands;
}

// Returns how many bands there were.
static size_t compare(rml_model *model, rml_cpu_level cpu, int width, int height, int share)
{
    const size_t pixels = (size_t)width * (size_t)height;
    const size_t blocks = (size_t)(width + 1) / 2 * ((size_t)(height + 1) / 2);
    plane p = {malloc(3 * pixels * sizeof(float)), malloc(blocks * sizeof(float)),
               calloc(3 * pixels, sizeof(float)), width, height};
    float *whole = p.result, *cut = calloc(3 * pixels, sizeof(float));
    size_t bytes = 0;
    for (size_t i = 0; i < 3 * pixels; i++)
        p.image[i] = 0.5f + 0.5f * uniform_f32(state, i);
    for (size_t i = 0; i < blocks; i++)
        p.level[i] = 0.2f + 0.2f * uniform_f32(state + 1, i);
    CHECK(run(model, cpu, 0, &p, &bytes) == 1);
    p.result = cut;
    const size_t bands = run(model, cpu, bytes * (size_t)share / 100, &p, &bytes);
    CHECK_MSG(!bands || memcmp(whole, cut, 3 * pixels * sizeof(float)) == 0,
              "%dx%d in %zu bands differs", width, height, bands);
    free(p.image);
    free(p.level);
    free(whole);
    free(cut);
    return bands;
}

static void test_bands(rml_cpu_level cpu, int cases)
{
    rml_weights *weights = make_weights(3);
    rml_model *model = NULL;
    CHECK_MSG(rml_model_create(&model, "ffdnet-map", weights, NULL, &error) == RML_OK, "%s",
              error.message);
    int cut = 0;
    size_t most = 0;
    for (int i = 0; i < cases; i++) {
        const int width = 1 + random_below(i % 4 ? 400 : 60), height = 1 + random_below(400);
        const size_t bands = compare(model, cpu, width, height, 10 + random_below(80));
        cut += bands > 1;
        most = bands > most ? bands : most;
    }
    printf("%s: %d of %d images were cut, into up to %zu bands\n", rml_cpu_level_name(cpu), cut,
           cases, most);
    CHECK(cut > cases / 2);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
}

// ---- the denoiser -----------------------------------------------------------------------------

static void make_picture(rml_picture *out, int width, int height, int channels, int bits)
{
    CHECK(rml_picture_create(out, width, height, channels, bits, rml_allocator_default(), NULL) ==
          RML_OK);
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    for (size_t i = 0; i < count; i++)
        if (bits == 16)
            ((uint16_t *)out->data)[i] = (uint16_t)random_below(65536);
        else
            ((uint8_t *)out->data)[i] = (uint8_t)random_below(256);
}

static int sample(const rml_picture *p, size_t i)
{
    return p->bits == 16 ? ((uint16_t *)p->data)[i] : ((uint8_t *)p->data)[i];
}

static void test_memory(void)
{
    rml_weights *weights = make_weights(3);
    rml_denoiser *whole = NULL, *tight = NULL;
    rml_denoiser_settings settings = {.session = rml_session_settings_default()};
    rml_picture in = {0}, a = {0}, b = {0}, map = {0};
    int bands = 0;
    CHECK_MSG(rml_denoiser_create(&whole, weights, &settings, &error) == RML_OK, "%s",
              error.message);
    make_picture(&in, 301, 220, 4, 16);
    make_picture(&map, 301, 220, 1, 8);
    const rml_noise noise = {.map = &map};
    CHECK_MSG(rml_denoise(whole, &a, &in, &noise, &bands, &error) == RML_OK, "%s", error.message);
    CHECK(bands == 1);
    const size_t most = rml_session_planned_bytes(rml_denoiser_session(whole));
    for (size_t part = 2; part <= 3; part++) {
        settings.session.memory_limit = most / part;
        CHECK(rml_denoiser_create(&tight, weights, &settings, &error) == RML_OK);
        CHECK_MSG(rml_denoise(tight, &b, &in, &noise, &bands, &error) == RML_OK, "%s",
                  error.message);
        CHECK(bands > 1);
        CHECK(memcmp(a.data, b.data, rml_picture_pitch(&a) * (size_t)a.height) == 0);
        const size_t planned = rml_session_planned_bytes(rml_denoiser_session(tight));
        CHECK_MSG(planned <= settings.session.memory_limit, "%zu of %zu", planned,
                  settings.session.memory_limit);
        rml_denoiser_destroy(&tight);
    }
    settings.session.memory_limit = 10000;
    CHECK(rml_denoiser_create(&tight, weights, &settings, &error) == RML_OK);
    CHECK(rml_denoise(tight, &b, &in, &noise, NULL, &error) == RML_ERR_LIMIT);
    CHECK_MSG(strstr(error.message, "301x220 pixels need") && strstr(error.message, "0.0 MB"), "%s",
              error.message);
    map.width = 300;
    CHECK(rml_denoise(whole, &b, &in, &noise, NULL, &error) == RML_ERR_SHAPE);
    rml_denoiser_destroy(&tight);
    rml_denoiser_destroy(&whole);
    rml_picture_release(&in);
    rml_picture_release(&a);
    rml_picture_release(&b);
    rml_picture_release(&map);
    rml_weights_close(&weights);
}

// Every kind of picture keeps its kind and its alpha, with both networks.
static void test_kinds(void)
{
    for (int colours = 1; colours <= 3; colours += 2) {
        rml_weights *weights = make_weights(colours);
        rml_denoiser *d = NULL;
        rml_denoiser_settings settings = {.session = rml_session_settings_default()};
        CHECK(rml_denoiser_create(&d, weights, &settings, &error) == RML_OK);
        for (int bits = 8; bits <= 16; bits += 8)
            for (int channels = 1; channels <= 4; channels++) {
                rml_picture in = {0}, out = {0};
                make_picture(&in, 33, 17, channels, bits);
                CHECK(rml_denoise(d, &out, &in, &(rml_noise){.sigma = 0.1}, NULL, &error) ==
                      RML_OK);
                CHECK(out.width == 33 && out.height == 17 && out.channels == channels &&
                      out.bits == bits);
                int changed = 0, alpha = 0;
                for (size_t i = 0; i < 33 * 17 * (size_t)channels; i++) {
                    const bool is_alpha =
                        channels % 2 == 0 && i % (size_t)channels == (size_t)channels - 1;
                    changed += sample(&in, i) != sample(&out, i);
                    alpha += is_alpha && sample(&in, i) != sample(&out, i);
                }
                CHECK(alpha == 0 && changed > 300);
                rml_picture_release(&in);
                rml_picture_release(&out);
            }
        rml_denoiser_destroy(&d);
        rml_weights_close(&weights);
    }
}

// A gray network takes each colour by itself, and truncation never gives more than rounding.
static void test_colours_apart(void)
{
    rml_weights *weights = make_weights(1);
    rml_denoiser *d = NULL, *down = NULL;
    rml_denoiser_settings settings = {.session = rml_session_settings_default()};
    CHECK(rml_denoiser_create(&d, weights, &settings, &error) == RML_OK);
    settings.truncate = true;
    CHECK(rml_denoiser_create(&down, weights, &settings, &error) == RML_OK);
    rml_picture colour = {0}, gray = {0}, all = {0}, one = {0}, cut = {0};
    const rml_noise noise = {.sigma = 0.1};
    make_picture(&colour, 40, 24, 3, 8);
    CHECK(rml_denoise(d, &all, &colour, &noise, NULL, &error) == RML_OK);
    CHECK(rml_denoise(down, &cut, &colour, &noise, NULL, &error) == RML_OK);
    make_picture(&gray, 40, 24, 1, 8);
    for (size_t c = 0; c < 3; c++) {
        int wrong = 0, less = 0;
        for (size_t i = 0; i < 40 * 24; i++)
            ((uint8_t *)gray.data)[i] = ((uint8_t *)colour.data)[3 * i + c];
        CHECK(rml_denoise(d, &one, &gray, &noise, NULL, &error) == RML_OK);
        for (size_t i = 0; i < 40 * 24; i++) {
            const int rounded = sample(&all, 3 * i + c), truncated = sample(&cut, 3 * i + c);
            wrong += sample(&one, i) != rounded;
            wrong += rounded - truncated < 0 || rounded - truncated > 1;
            less += truncated < rounded;
        }
        CHECK(wrong == 0 && less > 50);
    }
    rml_picture_release(&colour);
    rml_picture_release(&gray);
    rml_picture_release(&all);
    rml_picture_release(&one);
    rml_picture_release(&cut);
    rml_denoiser_destroy(&d);
    rml_denoiser_destroy(&down);
    rml_weights_close(&weights);
}

// ---- estimate ---------------------------------------------------------------------------------

static double normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += random_below(1 << 20) / (double)(1 << 20);
    return sum;
}

static void test_estimate(void)
{
    static const double levels[] = {5, 25, 50};
    state = 1; // the same noise, however many numbers were drawn before
    for (int bits = 8; bits <= 16; bits += 8)
        for (int k = 0; k < 3; k++) {
            const double full = bits == 16 ? 65535 : 255, unit = full / 255;
            rml_picture p = {0};
            double sigma = 0;
            make_picture(&p, 256, 240, 4, bits);
            for (size_t i = 0; i < 256 * 240 * 4; i++) {
                const double ramp = 128 + 70 * sin((double)(i % 1024) / 150);
                double value = (ramp + levels[k] * normal()) * unit;
                value = value < 0 ? 0 : value > full ? full : value;
                if (i % 4 == 3)
                    continue; // alpha stays wild and is not looked at
                if (bits == 16)
                    ((uint16_t *)p.data)[i] = (uint16_t)(value + 0.5);
                else
                    ((uint8_t *)p.data)[i] = (uint8_t)(value + 0.5);
            }
            CHECK(rml_noise_estimate(&sigma, &p, rml_allocator_default(), &error) == RML_OK);
            CHECK_MSG(fabs(sigma * 255 / levels[k] - 1) < 0.04, "%g is estimated as %g", levels[k],
                      sigma * 255);
            rml_picture_release(&p);
        }
    rml_picture small = {0};
    double sigma;
    make_picture(&small, 4, 4, 1, 8);
    CHECK(rml_noise_estimate(&sigma, &small, rml_allocator_default(), &error) == RML_OK);
    make_picture(&small, 3, 40, 1, 8);
    CHECK(rml_noise_estimate(&sigma, &small, rml_allocator_default(), &error) == RML_ERR_ARG);
    rml_picture_release(&small);
}

static void test_quality(void)
{
    rml_picture a = {0}, b = {0};
    rml_quality q;
    make_picture(&a, 20, 11, 3, 8);
    make_picture(&b, 20, 11, 4, 8);
    for (size_t i = 0; i < 20 * 11; i++)
        for (size_t c = 0; c < 3; c++)
            ((uint8_t *)b.data)[4 * i + c] = ((uint8_t *)a.data)[3 * i + c];
    CHECK(rml_quality_measure(&q, &a, &b, rml_allocator_default(), &error) == RML_OK);
    CHECK(isinf(q.psnr) && fabs(q.ssim - 1) < 1e-12);
    make_picture(&b, 20, 10, 3, 8);
    CHECK(rml_quality_measure(&q, &a, &b, rml_allocator_default(), &error) == RML_ERR_SHAPE);
    CHECK(strstr(error.message, "20x11") && strstr(error.message, "20x10"));
    rml_picture_release(&a);
    rml_picture_release(&b);
}

int main(void)
{
    static const rml_cpu_level levels[] = {RML_CPU_PORTABLE, RML_CPU_NEON, RML_CPU_AVX2,
                                           RML_CPU_AVX512};
    for (int i = 0; i < 4; i++)
        if (rml_cpu_level_available(levels[i]))
            test_bands(levels[i], levels[i] == rml_cpu_level_best() && !check_is_slow() ? 200 : 12);
    test_memory();
    test_kinds();
    test_colours_apart();
    test_estimate();
    test_quality();
    return check_result();
}
