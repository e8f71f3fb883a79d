// The part of a new face that the mask lets through: the network makes it with the bits that it
// makes whole faces with, and what is around it may be anything without the picture showing it.
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

static bool is_inside(const rml_part *part, size_t pixel)
{
    const int x = (int)(pixel % SIDE), y = (int)(pixel / SIDE);
    return x >= part->x && x < part->x + part->width && y >= part->y && y < part->y + part->height;
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

static void run(rml_wav2lip_net *net, const rml_part *seen, uint8_t *patches, float *sounds)
{
    rml_lip_item items[ITEMS], *at[ITEMS];
    fill(patches, ITEMS * PATCH, 5);
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (rml_lip_item){.patch = patches + i * PATCH,
                                  .sound = sounds + i * RML_MEL_BANDS * RML_MEL_CHUNK,
                                  .seen = seen[i]};
        at[i] = &items[i];
    }
    CHECK_MSG(net->net.run(&net->net, at, ITEMS, true, &err) == RML_OK, "%s", err.message);
}

static void test_net(void)
{
    static const rml_part seen[][ITEMS] = {
        {{0, 0, SIDE, SIDE}, {0, 0, SIDE, SIDE}, {0, 0, SIDE, SIDE}},
        {{0, 39, SIDE, 57}, {0, 39, SIDE, 57}, {0, 39, SIDE, 57}},
        {{3, 60, 80, 36}, {20, 39, 60, 40}, {95, 80, 1, 1}}, // by a net that makes whole faces
        {{3, 60, 80, 36}, {20, 39, 60, 40}, {95, 80, 1, 1}},
        {{40, 50, 17, 9}, {38, 53, 20, 11}, {41, 50, 1, 2}},
        {{0, 95, SIDE, 1}, {7, 90, SIDE - 7, 6}, {95, 95, 1, 1}}};
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
    run(&net, seen[0], whole, sounds);
    for (size_t k = 0; k < sizeof seen / sizeof *seen; k++) {
        net.whole = k == 2;
        run(&net, seen[k], cut, sounds);
        for (size_t i = 0; i < ITEMS; i++)
            for (size_t p = 0; p < SIDE * SIDE; p++) {
                const uint8_t *want = is_inside(&seen[k][i], p) ? whole : given;
                const size_t at = i * PATCH + 3 * p;
                CHECK_MSG(memcmp(cut + at, want + at, 3) == 0,
                          "case %d, face %d: pixel %d, %d is not that of the %s", (int)k, (int)i,
                          (int)p % SIDE, (int)p / SIDE, want == whole ? "whole" : "film");
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

// Around what is seen the face is what was given, and for once noise.
static void check_seen(const rml_paste_settings *settings, rml_box box, float angle, bool cut)
{
    static uint8_t given[PATCH], made[PATCH], other[PATCH], noise[PATCH];
    static uint8_t want[3 * WIDTH * HEIGHT], got[3 * WIDTH * HEIGHT], film[3 * WIDTH * HEIGHT];
    rml_face_paster *paster = NULL;
    CHECK_MSG(rml_face_paster_create(&paster, settings, rml_allocator_default(), &err) == RML_OK,
              "%s", err.message);
    const rml_part seen = rml_face_paste_seen(paster, box, angle, NULL, SIDE);
    const char *kind = rml_mask_kind_name(settings->mask);
    const bool narrow = cut && settings->mask == RML_MASK_MOUTH;
    CHECK(seen.x >= 0 && seen.y >= 0 && seen.x + seen.width <= SIDE &&
          seen.y + seen.height <= SIDE);
    // turning reaches a few rows and columns further
    CHECK_MSG((seen.y > (angle == 0 ? 30 : 20)) == cut, "%s: from row %d on", kind, seen.y);
    CHECK_MSG(seen.width < SIDE ? narrow : !narrow || angle != 0, "%s: %d columns of a box %d wide",
              kind, seen.width, box.x2 - box.x1);
    shade(given, SIDE, SIDE, 0.3f);
    shade(made, SIDE, SIDE, 1.9f);
    fill(noise, PATCH, 3);
    for (size_t p = 0; p < SIDE * SIDE; p++) {
        const bool inside = is_inside(&seen, p);
        memcpy(other + 3 * p, (inside ? made : noise) + 3 * p, 3);
        memcpy(made + 3 * p, (inside ? made : given) + 3 * p, 3);
    }
    paste(paster, box, angle, given, made, want);
    paste(paster, box, angle, given, other, got);
    shade(film, WIDTH, HEIGHT, 0);
    CHECK(memcmp(want, film, sizeof film) != 0);
    CHECK_MSG(memcmp(want, got, sizeof got) == 0,
              "%s, box of %dx%d: what is around %dx%d from (%d,%d) shows", kind, box.x2 - box.x1,
              box.y2 - box.y1, seen.width, seen.height, seen.x, seen.y);
    rml_face_paster_destroy(&paster);
}

#ifdef RML_WITH_STB
// A white part of a black picture, as a BMP of gray pixels.
static void write_mask(const char *path, int width, int height, const rml_part *white)
{
    const size_t pitch = (size_t)(3 * width + 3) / 4 * 4;
    const uint8_t head[54] = {
        [0] = 'B', 'M',      [10] = 54, [14] = 40, [18] = (uint8_t)width, [22] = (uint8_t)height,
        [26] = 1,  [28] = 24};
    uint8_t row[256];
    FILE *file = fopen(path, "wb");
    CHECK(file && pitch <= sizeof row && fwrite(head, sizeof head, 1, file) == 1);
    for (int y = height - 1; y >= 0; y--) { // from the bottom up
        memset(row, 0, pitch);
        if (y >= white->y && y < white->y + white->height)
            memset(row + 3 * white->x, 255, 3 * (size_t)white->width);
        CHECK(fwrite(row, pitch, 1, file) == 1);
    }
    CHECK(fclose(file) == 0);
}

static void test_drawn(void)
{
    const char *path = "cut_net_mask.bmp";
    static const int sizes[][2] = {{31, 24}, {70, 80}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int at = 0; at < 4; at++) {
            const int w = sizes[i][0], h = sizes[i][1];
            const rml_part white = {at % 2 ? w / 2 : w / 4, at / 2 ? h - 5 : 2 * h / 3, 3, 4};
            const rml_paste_settings settings = {.mask = RML_MASK_MOUTH, .picture = path};
            write_mask(path, w, h, &white);
            check_seen(&settings, (rml_box){20, 30, 116, 126}, 0, true);
            check_seen(&settings, (rml_box){5, 3, 205, 235}, 0, true);
            check_seen(&settings, (rml_box){5, 3, 205, 235}, 0.4f, true);
        }
    remove(path);
}
#endif

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
                check_seen(&settings, boxes[i], 0, cut);
                check_seen(&settings, boxes[i], 0.8f, cut);
                check_seen(&settings, boxes[i], -2.5f, cut);
            }
}

int main(void)
{
    test_net();
    test_picture();
#ifdef RML_WITH_STB
    test_drawn();
#endif
    return check_result();
}
