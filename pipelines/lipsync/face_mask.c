#include "pipelines/lipsync/face_mask.h"

#include "media/image/resize_pillow.h"
#include "pipelines/faces/face_shape.h"
#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

#define KIND_COUNT 3
static const char *const kind_names[KIND_COUNT] = {"mouth", "lower", "box"};

// Marks beyond this are no places in a picture, and their squares would leave the range of floats.
#define MARK_LIMIT 1e6f

bool rml_mask_kind_parse(const char *name, rml_mask_kind *kind)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (rml_mask_kind)i;
            return true;
        }
    return false;
}

const char *rml_mask_kind_name(rml_mask_kind kind)
{
    return kind_names[kind];
}

// 3 t^2 - 2 t^3 within 0..1.
static float smoothstep(float t)
{
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}

// ---- the mouth --------------------------------------------------------------------------------

// Two halves of ellipses that meet on the line through the corners of the mouth: a flat one up to
// the nose and a long one down to below the chin, which an open mouth lowers.
typedef struct mouth {
    float x, y;             // the middle of the mouth
    float right_x, right_y; // direction from one corner to the other, of length 1
    float half_width, above, below;
} mouth;

// As shares of a face whose eyes and mouth are `distance` apart, as the marks of frontal faces have
// them; the chin is 0.75 below the mouth, the nose 0.46 above it.
#define BELOW_SHARE 0.95f
#define LEAST_ABOVE_SHARE 0.35f
#define MOST_ABOVE_SHARE 0.55f
#define LEAST_WIDTH_SHARE 0.4f // of a face seen from the side
#define EYES_SHARE 0.8f        // half the width, by the distance of the eyes
#define CORNERS_SHARE 0.9f     // or by that of the corners of the mouth, whichever is more

#define BOX_ABOVE_SHARE 0.5f // where the nose is not known

static mouth mouth_of_box(float width, float height)
{
    const float distance = RML_BOX_DISTANCE * height;
    return (mouth){.x = width / 2,
                   .y = RML_BOX_MOUTH_Y * height,
                   .right_x = 1,
                   .half_width = EYES_SHARE * distance,
                   .above = BOX_ABOVE_SHARE * distance,
                   .below = BELOW_SHARE * distance};
}

static bool marks_are_valid(const float (*marks)[2])
{
    for (int i = 0; i < RML_MASK_MARKS; i++)
        for (int axis = 0; axis < 2; axis++)
            if (!(fabsf(marks[i][axis]) < MARK_LIMIT)) // nor what is not a number
                return false;
    return true;
}

static float between(float value, float least, float most)
{
    return value < least ? least : value > most ? most : value;
}

// False where the marks are those of no face.
static bool mouth_of_marks(mouth *m, const float (*marks)[2])
{
    if (!marks || !marks_are_valid(marks))
        return false;
    const float *nose = marks[2];
    const float eyes_x = marks[1][0] - marks[0][0], eyes_y = marks[1][1] - marks[0][1];
    const float corners_x = marks[4][0] - marks[3][0], corners_y = marks[4][1] - marks[3][1];
    const rml_face_shape s = rml_face_shape_of(marks);
    const float length = hypotf(s.right_x, s.right_y), distance = hypotf(s.down_x, s.down_y);
    if (length < 1 || distance < 1)
        return false;
    m->x = s.x;
    m->y = s.y;
    m->right_x = s.right_x / length;
    m->right_y = s.right_y / length;
    m->half_width = fmaxf(
        fmaxf(EYES_SHARE * hypotf(eyes_x, eyes_y), CORNERS_SHARE * hypotf(corners_x, corners_y)),
        LEAST_WIDTH_SHARE * distance);
    m->above = between((nose[0] - m->x) * m->right_y - (nose[1] - m->y) * m->right_x,
                       LEAST_ABOVE_SHARE * distance, MOST_ABOVE_SHARE * distance);
    m->below = BELOW_SHARE * distance;
    return true;
}

static void draw_mouth(float *mask, int width, int height, const mouth *m, float soft)
{
    const float shortest = fminf(fminf(m->half_width, m->above), m->below);
    soft = fminf(soft, shortest);
    // Within this radius, as a share of the shape's, the edge is certainly further away than that.
    const float solid = 1 - soft / shortest;
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++, mask++) {
            const float x = (float)column + 0.5f - m->x, y = (float)row + 0.5f - m->y;
            const float across = (x * m->right_x + y * m->right_y) / m->half_width;
            const float down = y * m->right_x - x * m->right_y;
            const float along = down / (down < 0 ? m->above : m->below);
            const float radius = across * across + along * along; // squared
            if (radius >= 1) {
                *mask = 0;
            } else if (radius < solid * solid || soft == 0) {
                *mask = 1;
            } else {
                const float from_middle = sqrtf(x * x + y * y);
                *mask = smoothstep((from_middle / sqrtf(radius) - from_middle) / soft);
            }
        }
}

// ---- soft edges of rectangles -----------------------------------------------------------------

// Multiplies `count` lines of `length` weights, the outermost first, by a rising ramp. `line` and
// `step` are the distances from one line and from one weight to the next.
static void fade(float *mask, int count, ptrdiff_t line, int length, ptrdiff_t step, float soft)
{
    for (int i = 0; i < count && (float)i + 0.5f < soft; i++) {
        const float weight = smoothstep(((float)i + 0.5f) / soft);
        for (int k = 0; k < length; k++)
            mask[i * line + k * step] *= weight;
    }
}

// Two edges that overlap are scaled down to fit.
static void fade_both(float *mask, int count, ptrdiff_t line, int length, ptrdiff_t step,
                      float first, float last)
{
    const float both = first + last, fit = both > (float)count ? (float)count / both : 1;
    fade(mask, count, line, length, step, first * fit);
    fade(mask + (count - 1) * line, count, -line, length, step, last * fit);
}

static bool side_is_valid(int side)
{
    return side >= 1 && side <= RML_FRAME_MAX_SIDE;
}

rml_status rml_mask_draw(float *mask, int width, int height, const rml_mask_settings *settings,
                         rml_error *err)
{
    if (!side_is_valid(width) || !side_is_valid(height))
        return rml_fail(err, RML_ERR_ARG, "mask: the face is %dx%d", width, height);
    if (!(settings->feather >= 0 && settings->feather <= RML_MASK_FEATHER_MAX))
        return rml_fail(err, RML_ERR_ARG, "mask: a soft edge of %g, not of 0 to %g",
                        (double)settings->feather, (double)RML_MASK_FEATHER_MAX);
    const float soft = settings->feather * (float)(width < height ? width : height);
    const int top = settings->kind == RML_MASK_LOWER ? height / 2 : 0;
    float *const from = mask + (size_t)top * (size_t)width;
    memset(mask, 0, (size_t)(from - mask) * sizeof *mask);
    if (settings->kind == RML_MASK_MOUTH) {
        mouth m;
        if (!mouth_of_marks(&m, settings->marks))
            m = mouth_of_box((float)width, (float)height);
        draw_mouth(mask, width, height, &m, soft);
    } else {
        const size_t count = (size_t)(height - top) * (size_t)width;
        for (size_t i = 0; i < count; i++)
            from[i] = 1;
    }
    fade_both(from, height - top, width, width, 1, settings->border.top && !top ? 0 : soft,
              settings->border.bottom ? 0 : soft);
    fade_both(from, width, 1, height - top, width, settings->border.left ? 0 : soft,
              settings->border.right ? 0 : soft);
    return RML_OK;
}

// The pixels of a side of `size` that lie between two places, in part at least.
static void cover(float low, float high, int size, int *first, int *count)
{
    const int begin = low < 0 ? 0 : low > (float)size ? size : (int)low;
    const int end = high < 0 ? 0 : high > (float)size ? size : (int)ceilf(high);
    *first = begin;
    *count = end > begin ? end - begin : 0;
}

rml_part rml_mask_reach(int width, int height, const rml_mask_settings *settings)
{
    mouth m;
    const int top = settings->kind == RML_MASK_LOWER ? height / 2 : 0;
    rml_part part = {0, top, width, height - top};
    if (settings->kind != RML_MASK_MOUTH)
        return part;
    if (!mouth_of_marks(&m, settings->marks))
        m = mouth_of_box((float)width, (float)height);
    // of two half ellipses, each as if it were a whole one
    const float length = fmaxf(m.above, m.below);
    const float across = hypotf(m.half_width * m.right_x, length * m.right_y);
    const float along = hypotf(m.half_width * m.right_y, length * m.right_x);
    const bool upright = m.right_y == 0 && m.right_x > 0;
    cover(m.x - across, m.x + across, width, &part.x, &part.width);
    cover(m.y - (upright ? m.above : along), m.y + (upright ? m.below : along), height, &part.y,
          &part.height);
    return part;
}

rml_status rml_mask_stretch(float *mask, int width, int height, rml_pixels gray,
                            const rml_allocator *allocator, rml_error *err)
{
    if (!side_is_valid(width) || !side_is_valid(height))
        return rml_fail(err, RML_ERR_ARG, "mask: the face is %dx%d", width, height);
    const size_t count = (size_t)width * (size_t)height;
    uint8_t *levels = rml_alloc(allocator, count);
    if (!levels)
        return rml_fail_nomem(err, count, "a mask");
    const rml_pixels_out out = {levels, (size_t)width, width, height};
    const rml_resize_pillow_part whole = {.width = width, .height = height};
    rml_status status = rml_resize_pillow(gray, out, &whole, 1, allocator, err);
    if (status == RML_OK)
        for (size_t i = 0; i < count; i++)
            mask[i] = (float)levels[i] / 255.0f;
    rml_free(allocator, levels);
    return rml_named(status, err, "mask");
}

// ---- bounds -----------------------------------------------------------------------------------

rml_part rml_mask_bounds(const float *mask, int width, int height)
{
    int left = width, right = 0, top = height, bottom = 0;
    for (int y = 0; y < height; y++) {
        const float *row = mask + (size_t)y * (size_t)width;
        int first = 0, end = width;
        while (first < width && row[first] == 0)
            first++;
        if (first == width)
            continue;
        while (row[end - 1] == 0)
            end--;
        left = first < left ? first : left;
        right = end > right ? end : right;
        top = y < top ? y : top;
        bottom = y + 1;
    }
    return bottom ? (rml_part){left, top, right - left, bottom - top} : (rml_part){0};
}

rml_part rml_mask_surroundings(const float *mask, int width, int height)
{
    rml_part part = rml_mask_bounds(mask, width, height);
    const int right = part.x + part.width, bottom = part.y + part.height;
    if (!part.width)
        return part;
    part.x -= part.x > 0;
    part.y -= part.y > 0;
    part.width = right + (right < width) - part.x;
    part.height = bottom + (bottom < height) - part.y;
    return part;
}
