// The rows of a new face that the mask lets through: the network makes them with the bits that it
// makes whole faces with, and what is above them may be anything without the picture showing it.
#include "pipelines/lipsync/face_paste.h"
#include "pipelines/lipsync/wav2lip_net.h"
#include "tests/support/narrow.h"

#include <string.h>

enum { SIDE = 96, PATCH = 3 * SIDE * SIDE, ITEMS = 3, WIDTH = 220, HEIGHT = 240 };
static rml_error err;

static void fill(uint8_t *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(127.5f + 127.4f * uniform_f32(seed, i));
}

// Faces smooth enough for a filter, beside others.
static void shade(uint8_t *bytes, int width, int height, float phase)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                *bytes++ = (uint8_t)(128 + 90 * sinf(0.1f * (float)(x + c) + phase) *
                                               cosf(0.07f * (float)y + phase));
}

// ---- the network -------------------------------------------------------------------------------

static void run(rml_wav2lip_net *net, const int *tops, uint8_t *patches, float *sounds)
{
    rml_lip_item items[ITEMS], *at[ITEMS];
    fill(patches, ITEMS * PATCH, 5);
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (rml_lip_item){.patch = patches + i * PATCH,
                                  .sound = sounds + i * RML_MEL_BANDS * RML_MEL_CHUNK,
                                  .top = tops[i]};
        at[i] = &items[i];
    }
    CHECK_MSG(net->net.run(&net->net, at, ITEMS, true, &err) == RML_OK, "%s", err.message);
}

static void test_net(void)
{
    static const int tops[][ITEMS] = {{0, 0, 0}, {39, 39, 39}, {60, 39, 80}, {95, 90, 95}};
    static uint8_t whole[ITEMS * PATCH], cut[ITEMS * PATCH], given[ITEMS * PATCH];
    static float sounds[ITEMS * RML_MEL_BANDS * RML_MEL_CHUNK];
    const rml_session_settings settings = rml_session_settings_default();
    rml_model *model = NULL;
    rml_session *session = NULL;
    rml_wav2lip_net net;
    rml_weights *weights = narrow_weights("wav2lip", 8, NULL);
    CHECK(rml_model_create(&model, "wav2lip", weights, NULL, &err) == RML_OK);
    CHECK(rml_session_create(&session, model, &settings, &err) == RML_OK);
    CHECK(rml_wav2lip_net_init(&net, model, session, &err) == RML_OK);
    fill(given, sizeof given, 5);
    for (size_t i = 0; i < sizeof sounds / sizeof *sounds; i++)
        sounds[i] = 4 * uniform_f32(9, i);
    run(&net, tops[0], whole, sounds);
    for (size_t k = 0; k < sizeof tops / sizeof *tops; k++) {
        net.whole = k == 2;
        run(&net, tops[k], cut, sounds);
        for (size_t i = 0; i < ITEMS; i++) {
            const size_t at = i * PATCH, above = (size_t)tops[k][i] * 3 * SIDE;
            CHECK_MSG(memcmp(cut + at, given + at, above) == 0 &&
                          memcmp(cut + at + above, whole + at + above, PATCH - above) == 0,
                      "face %d from row %d on is not that of the whole", (int)i, tops[k][i]);
        }
    }
    CHECK(memcmp(whole, given, sizeof given) != 0);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
}

// ---- the picture -------------------------------------------------------------------------------

static void paste(rml_face_paster *paster, rml_box box, float angle, const uint8_t *given,
                  const uint8_t *made, uint8_t *picture)
{
    rml_planes planes = {.data = {picture},
                         .stride = {3 * WIDTH},
                         .width = WIDTH,
                         .height = HEIGHT,
                         .layout = {.components = 3, .rgb = true}};
    for (int c = 0; c < 3; c++)
        planes.layout.component[c] = (rml_component){.step = 3, .offset = (uint8_t)c, .depth = 8};
    shade(picture, WIDTH, HEIGHT, 0);
    float step;
    CHECK_MSG(rml_face_paste(paster, &planes, box, angle, NULL, given, made, SIDE, &step, &err) ==
                  RML_OK,
              "%s", err.message);
}

// Above the first row the face is what was given, and for once noise.
static void check_top(const rml_paste_settings *settings, rml_box box, float angle, bool cut)
{
    static uint8_t given[PATCH], made[PATCH], other[PATCH];
    static uint8_t want[3 * WIDTH * HEIGHT], got[3 * WIDTH * HEIGHT], film[3 * WIDTH * HEIGHT];
    rml_face_paster *paster = NULL;
    CHECK_MSG(rml_face_paster_create(&paster, settings, rml_allocator_default(), &err) == RML_OK,
              "%s", err.message);
    const int top = rml_face_paste_top(paster, box, angle, NULL, SIDE);
    const char *kind = rml_mask_kind_name(settings->mask);
    // turning reaches a few rows further
    CHECK_MSG(top >= 0 && top < SIDE && (top > (angle == 0 ? 30 : 20)) == cut, "%s: from row %d on",
              kind, top);
    shade(given, SIDE, SIDE, 0.3f);
    shade(made, SIDE, SIDE, 1.9f);
    memcpy(other, made, sizeof made);
    memcpy(made, given, (size_t)top * 3 * SIDE);
    fill(other, (size_t)top * 3 * SIDE, 3);
    paste(paster, box, angle, given, made, want);
    paste(paster, box, angle, given, other, got);
    shade(film, WIDTH, HEIGHT, 0);
    CHECK(memcmp(want, film, sizeof film) != 0);
    CHECK_MSG(memcmp(want, got, sizeof got) == 0, "%s, box of %dx%d: what is above row %d shows",
              kind, box.x2 - box.x1, box.y2 - box.y1, top);
    rml_face_paster_destroy(&paster);
}

static void test_picture(void)
{
    static const rml_box boxes[] = {{20, 30, 116, 126},
                                    {5, 3, 205, 235},
                                    {40, 50, 90, 105},
                                    {60, 100, 71, 111},
                                    {0, 0, 220, 240}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        for (int kind = 0; kind < 3; kind++)
            for (int keep = 0; keep < 2; keep++) {
                const rml_paste_settings settings = {
                    .mask = (rml_mask_kind)kind, .feather = 0.1f, .keep_colours = keep == 1};
                const bool small = boxes[i].y2 - boxes[i].y1 < 20;
                const bool cut = kind != RML_MASK_BOX && !small;
                check_top(&settings, boxes[i], 0, cut);
                check_top(&settings, boxes[i], 0.8f, cut);
                check_top(&settings, boxes[i], -2.5f, cut);
            }
}

int main(void)
{
    test_net();
    test_picture();
    return check_result();
}
