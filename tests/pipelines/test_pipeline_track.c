// Box padding and smoothing: upstream's quirks to the integer, and the default that keeps cuts
// apart.
#include "pipelines/faces/face_track.h"

#include "pipelines/faces/face_tilt.h"

#include "tests/support/check.h"

#include <math.h>

static rml_face face_at(int x, int side)
{
    return (rml_face){
        .box = {x, 10, x + side, 10 + side}, .score = 0.9f, .source = RML_FACE_DETECTED};
}

static rml_track *make(bool smooth, bool compat)
{
    rml_track_settings settings = {
        .width = 1000, .height = 1000, .smooth = smooth, .compat = compat};
    rml_track *track = NULL;
    CHECK(rml_track_create(&track, &settings, rml_allocator_default(), NULL) == RML_OK);
    return track;
}

static void test_compat(void)
{
    // Worked by hand from upstream's in-place rule on integers, x = 3, 13, 23, ...
    static const int expected[7][6] = {
        {0},
        {3},
        {8, 10},
        {18, 18, 20},
        {33, 33, 33, 33},
        {23, 27, 29, 31, 30},
        {23, 33, 37, 39, 41, 40},
    };
    for (int n = 1; n <= 6; n++) {
        rml_track *track = make(true, true);
        for (int i = 0; i < n; i++) {
            rml_face face = face_at(3 + 10 * i, 100);
            CHECK(rml_track_push(track, &face, false, NULL) == RML_OK);
            CHECK(rml_track_ready(track) == (i >= 4 ? i - 3 : 0));
        }
        CHECK(rml_track_finish(track, NULL) == RML_OK);
        CHECK(rml_track_ready(track) == n);
        for (int i = 0; i < n; i++)
            CHECK_MSG(rml_track_box(track, i).x1 == expected[n][i], "n=%d i=%d: %d, expected %d", n,
                      i, rml_track_box(track, i).x1, expected[n][i]);
        rml_track_destroy(&track);
    }
}

// The same rule over the clip followed by itself backwards; worked by hand.
static void test_doubled(void)
{
    static const int expected[4][6] = {
        {0},
        {3, 3},                   // 3 3
        {3, 3, 3, 3},             // 3 13 13 3: the slice from -1 is the last box
        {15, 15, 15, 13, 11, 11}, // 3 13 23 23 13 3
    };
    for (int n = 1; n <= 3; n++) {
        rml_track_settings settings = {
            .width = 2000, .height = 1000, .smooth = true, .compat = true, .doubled = true};
        rml_track *track = NULL;
        CHECK(rml_track_create(&track, &settings, rml_allocator_default(), NULL) == RML_OK);
        for (int i = 0; i < n; i++) {
            rml_face face = face_at(3 + 10 * i, 100);
            CHECK(rml_track_push(track, &face, false, NULL) == RML_OK);
        }
        CHECK(rml_track_finish(track, NULL) == RML_OK && rml_track_finish(track, NULL) == RML_OK);
        CHECK(rml_track_count(track) == n && rml_track_ready(track) == 2 * n);
        for (int i = 0; i < 2 * n; i++)
            CHECK_MSG(rml_track_box(track, i).x1 == expected[n][i], "n=%d i=%d: %d, expected %d", n,
                      i, rml_track_box(track, i).x1, expected[n][i]);
        rml_track_destroy(&track);
    }
}

static void test_default(void)
{
    // A face that moves evenly stays where it is: the filter has no lag.
    rml_track *track = make(true, false);
    for (int i = 0; i < 20; i++) {
        // Frame 8 is a cut to a face somewhere else; frame 14 shows none; 17 jumps by itself.
        rml_face face = face_at(i < 8 ? 10 * i : i < 17 ? 500 + 10 * i : 100 + 10 * i, 100);
        if (i == 14)
            memset(&face, 0, sizeof face);
        CHECK(rml_track_push(track, &face, i == 8, NULL) == RML_OK);
        CHECK(rml_track_ready(track) >= i - 2);
    }
    CHECK(rml_track_finish(track, NULL) == RML_OK);
    for (int i = 0; i < 20; i++) {
        int expected = i == 14 ? 0 : i < 8 ? 10 * i : i < 17 ? 500 + 10 * i : 100 + 10 * i;
        CHECK_MSG(rml_track_box(track, i).x1 == expected, "frame %d: %d, expected %d", i,
                  rml_track_box(track, i).x1, expected);
    }
    rml_track_destroy(&track);

    // Trembling is taken out: mean of five, rounded.
    track = make(true, false);
    for (int i = 0; i < 9; i++) {
        rml_face face = face_at(100 + (i % 2) * 5, 100);
        CHECK(rml_track_push(track, &face, false, NULL) == RML_OK);
    }
    CHECK(rml_track_finish(track, NULL) == RML_OK);
    CHECK(rml_track_box(track, 0).x1 == 100);
    CHECK(rml_track_box(track, 1).x1 == 102); // 100 105 100
    CHECK(rml_track_box(track, 4).x1 == 102); // 100 105 100 105 100
    CHECK(rml_track_box(track, 5).x1 == 103);
    rml_track_destroy(&track);
}

// Marks are smoothed over the frames that the box is: without lag, and not across a cut.
static void test_marks(void)
{
    for (int compat = 0; compat < 2; compat++) {
        float marks[RML_FACE_MARKS][2];
        rml_track *track = make(true, compat);
        for (int i = 0; i < 16; i++) {
            rml_face face = face_at(i < 8 ? 100 : 150, 100);
            face.has_marks = i != 12;
            for (int k = 0; k < RML_FACE_MARKS; k++) {
                face.marks[k][0] = (float)(face.box.x1 + 10 * k + (i % 2) * 5);
                face.marks[k][1] = (float)(10 * k + i);
            }
            CHECK(rml_track_push(track, &face, i == 8, NULL) == RML_OK);
        }
        CHECK(rml_track_finish(track, NULL) == RML_OK);
        for (int i = 0; i < 16; i++) {
            // Frame 12 has no marks; the window of 14 is short, since 15 is the last.
            const bool known = !compat && (i < 10 || i > 13);
            CHECK_MSG(rml_track_marks(track, i, marks) == known, "frame %d", i);
            for (int k = 0; k < RML_FACE_MARKS && known; k++)
                CHECK_MSG(fabsf(marks[k][1] - (float)(10 * k + i)) < 1e-4f, "frame %d: %g", i,
                          (double)marks[k][1]);
        }
        if (!compat) {
            CHECK(rml_track_marks(track, 4, marks) && fabsf(marks[1][0] - 112) < 1e-4f);
            CHECK(rml_track_marks(track, 7, marks) && marks[1][0] == 115); // the last of its shot
            CHECK(rml_track_marks(track, 8, marks) && marks[1][0] == 160);
        }
        rml_track_destroy(&track);
    }
}

static void test_padding(void)
{
    rml_track_settings settings = {
        .width = 200, .height = 120, .top = 20, .bottom = 10, .left = 30, .right = 200};
    rml_track *track = NULL;
    CHECK(rml_track_create(&track, &settings, rml_allocator_default(), NULL) == RML_OK);
    rml_face face = {.box = {20, 30, 80, 115}, .score = 1, .source = RML_FACE_BY_HAND};
    CHECK(rml_track_push(track, &face, false, NULL) == RML_OK);
    CHECK(rml_track_finish(track, NULL) == RML_OK);
    rml_box b = rml_track_box(track, 0);
    CHECK(b.x1 == 0 && b.y1 == 10 && b.x2 == 200 && b.y2 == 120);
    rml_track_destroy(&track);

    settings.left = -50;
    settings.right = -50;
    CHECK(rml_track_create(&track, &settings, rml_allocator_default(), NULL) == RML_OK);
    rml_error err;
    CHECK(rml_track_push(track, &face, false, &err) == RML_ERR_ARG);
    CHECK(strstr(err.message, "(20,30)-(80,115)") != NULL);
    rml_track_destroy(&track);
    rml_track_destroy(&track);
}

// The marks of an upright face, turned clockwise by so much about (100, 100).
static void turned_marks(float angle, float marks[RML_FACE_MARKS][2])
{
    static const float upright[RML_FACE_MARKS][2] = {
        {85, 90}, {115, 90}, {100, 103}, {90, 115}, {110, 115}};
    const float c = cosf(angle), s = sinf(angle);
    for (int i = 0; i < RML_FACE_MARKS; i++) {
        const float x = upright[i][0] - 100, y = upright[i][1] - 100;
        marks[i][0] = 100 + c * x - s * y;
        marks[i][1] = 100 + s * x + c * y;
    }
}

static float tilt_at(float angle)
{
    float marks[RML_FACE_MARKS][2];
    turned_marks(angle, marks);
    return rml_face_tilt((const float(*)[2])marks);
}

static void test_tilt(void)
{
    const float least = RML_FACE_TILT_LEAST;
    CHECK(tilt_at(0) == 0 && tilt_at(0.99f * least) == 0 && tilt_at(-0.99f * least) == 0);
    CHECK(fabsf(tilt_at(-1.5f * least) + least) < 1e-4f); // it catches up
    CHECK(fabsf(tilt_at(2.01f * least) - 2.01f * least) < 1e-4f);
    for (int i = -3; i <= 3; i++)
        CHECK(i == 0 || fabsf(tilt_at((float)i) - (float)i) < 1e-4f);
    float none[RML_FACE_MARKS][2] = {{0}};
    CHECK(rml_face_tilt((const float(*)[2])none) == 0);
    none[0][0] = NAN;
    CHECK(rml_face_tilt((const float(*)[2])none) == 0);
    none[0][0] = INFINITY;
    CHECK(rml_face_tilt((const float(*)[2])none) == 0);

    // The box around an ellipse of 78 x 100 that is turned gives that back, with its padding.
    for (int i = -12; i <= 12; i++) {
        const double a = i * 0.25, c = cos(a), s = sin(a);
        const int x = (int)lround(hypot(39 * c, 50 * s)), y = (int)lround(hypot(39 * s, 50 * c));
        const rml_box found = {500 - x, 400 - y, 500 + x, 400 + y};
        const rml_box padded = {found.x1 - 4, found.y1, found.x2 + 4, found.y2 + 10};
        const rml_box got = rml_face_turned_box(found, padded, (float)a);
        CHECK_MSG(abs(got.x2 - got.x1 - 86) <= 2 && abs(got.y2 - got.y1 - 110) <= 2, "%g: %d x %d",
                  a, got.x2 - got.x1, got.y2 - got.y1);
        // below the chin there are 10 more, so the middle is 5 lower in the face
        CHECK(fabs((got.x1 + got.x2) / 2.0 - (500 - 5 * s)) <= 1);
        CHECK(fabs((got.y1 + got.y2) / 2.0 - (400 + 5 * c)) <= 1);
        CHECK(i != 0 || memcmp(&got, &padded, sizeof got) == 0);
    }

    // A head that tilts evenly: the mean of five frames lags nothing; at the ends there are fewer.
    rml_track *track = make(true, false);
    for (int i = 0; i < 20; i++) {
        rml_face face = face_at(50, 100);
        face.has_marks = true;
        turned_marks(0.05f * (float)i, face.marks);
        CHECK(rml_track_push(track, &face, false, NULL) == RML_OK);
    }
    CHECK(rml_track_finish(track, NULL) == RML_OK);
    rml_box box;
    for (int i = 3; i < 20; i++)
        CHECK(fabsf(rml_track_turn(track, i, &box) - 0.05f * (float)i) < 1e-4f);
    CHECK(rml_track_turn(track, 0, &box) == 0 && box.y2 == 110);
    rml_track_destroy(&track);
}

static const float left_profile[RML_FACE_MARKS][2] = {
    {85, 90}, {92, 90}, {80, 103}, {86, 115}, {92, 115}};

static rml_face face_with_marks(bool turned)
{
    rml_face face = {.box = {60, 50, 140, 150}, .source = RML_FACE_DETECTED, .has_marks = true};
    if (turned)
        memcpy(face.marks, left_profile, sizeof face.marks);
    else
        turned_marks(0, face.marks);
    return face;
}

static void test_fit(void)
{
    rml_face face = face_with_marks(false);
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_FITS);
    for (int i = 0; i < 8; i++) { // tilted is not turned away
        turned_marks(0.8f * (float)i, face.marks);
        CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_FITS);
    }
    face = face_with_marks(true);
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_TURNED);
    face.source = RML_FACE_BY_HAND;
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_FITS);
    // The tip of the nose beside an eye: who was turned away still is.
    face = face_with_marks(false);
    face.marks[2][0] = 116;
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_FITS);
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_TURNED) == RML_FACE_TURNED);
    face.marks[2][0] = 118;
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_TURNED);
    // The mouth is at 115, its lip at 120.
    face = face_with_marks(false);
    CHECK(rml_face_fit_of(&face, 200, 119, RML_FACE_FITS) == RML_FACE_CUT_OFF);
    CHECK(rml_face_fit_of(&face, 200, 121, RML_FACE_FITS) == RML_FACE_FITS);
    CHECK(rml_face_fit_of(&face, 200, 121, RML_FACE_CUT_OFF) == RML_FACE_CUT_OFF);
    CHECK(rml_face_fit_of(&face, 99, 200, RML_FACE_FITS) == RML_FACE_CUT_OFF);
    face.has_marks = false;
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_FITS);
    CHECK(rml_face_fit_of(&face, 200, 120, RML_FACE_FITS) == RML_FACE_CUT_OFF);
    face.box = (rml_box){60, 50, 75, 90};
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_SMALL);
    face.box.x2 = 78;
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_FITS) == RML_FACE_FITS);
    CHECK(rml_face_fit_of(&face, 200, 200, RML_FACE_SMALL) == RML_FACE_SMALL);
}

// Turned away in frames 8 to 10; a cut before frame 13 ends the fade.
static void test_share(bool smooth, bool any_fit, bool compat)
{
    static const float expected[16] = {1, 1, 1, 1,     1,    0.75f, 0.5f, 0.25f,
                                       0, 0, 0, 0.25f, 0.5f, 1,     1,    1};
    const rml_track_settings settings = {
        .width = 200, .height = 200, .smooth = smooth, .any_fit = any_fit, .compat = compat};
    rml_track *track = NULL;
    CHECK(rml_track_create(&track, &settings, rml_allocator_default(), NULL) == RML_OK);
    int64_t ready = 0;
    for (int i = 0; i <= 16; i++) {
        const rml_face face = face_with_marks(i >= 8 && i <= 10);
        CHECK((i < 16 ? rml_track_push(track, &face, i == 13, NULL)
                      : rml_track_finish(track, NULL)) == RML_OK);
        for (; ready < rml_track_ready(track); ready++) { // as soon as they are
            const float want = any_fit || compat ? 1 : expected[ready];
            CHECK_MSG(rml_track_share(track, ready) == want, "frame %d: %g", (int)ready,
                      (double)rml_track_share(track, ready));
            CHECK(rml_track_fit(track, ready) == (want == 0 ? RML_FACE_TURNED : RML_FACE_FITS));
        }
    }
    CHECK(ready == 16);
    rml_track_destroy(&track);
}

// A blurred frame: its box lies elsewhere than those around it.
static void test_outlier(void)
{
    for (int far = 0; far < 3; far++)
        for (int at = 1; at < 11; at++) {
            rml_track *track = make(true, false);
            for (int i = 0; i < 12; i++) {
                rml_face face = face_at(100 + 2 * i, 100);
                face.has_marks = true;
                turned_marks(0, face.marks);
                if (i == at) {
                    face.box = (rml_box){150 + 300 * far, 40, 300 + 300 * far, 190};
                    face.marks[0][0] = 500;
                }
                CHECK(rml_track_push(track, &face, false, NULL) == RML_OK);
            }
            CHECK(rml_track_finish(track, NULL) == RML_OK);
            for (int i = 0; i < 12; i++) {
                const rml_box b = rml_track_box(track, i);
                float marks[RML_FACE_MARKS][2];
                CHECK_MSG(b.x1 == 100 + 2 * i && b.x2 == 200 + 2 * i && b.y1 == 10 && b.y2 == 110,
                          "%d, outlier %d: %d", i, at, b.x1);
                CHECK(rml_track_marks(track, i, marks) && fabsf(marks[0][0] - 85) < 1e-3f);
                CHECK(!rml_track_jumps(track, i));
            }
            CHECK(rml_track_raw(track, at)->box.x1 == 150 + 300 * far);
            rml_track_destroy(&track);
        }
}

int main(void)
{
    test_fit();
    test_share(true, false, false);
    test_share(false, false, false);
    test_share(true, true, false);
    test_share(true, false, true);
    test_outlier();
    test_tilt();
    test_compat();
    test_doubled();
    test_default();
    test_marks();
    test_padding();
    rml_box a = {0, 0, 10, 10}, b = {5, 0, 15, 10}, c = {20, 0, 30, 10};
    CHECK(fabs(rml_box_overlap(a, b) - 1.0 / 3) < 1e-12 && rml_box_overlap(a, c) == 0);
    return check_result();
}
