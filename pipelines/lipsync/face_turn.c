#include "pipelines/lipsync/face_turn.h"

#include <math.h>

#define PI 3.14159265358979323846

enum { COLOURS = 3, LANES = RML_TURN_LANES, TAPS = 2 * RML_TURN_REACH };

static double lanczos(double x)
{
    if (x == 0)
        return 1;
    const double at = PI * x, lobe = at / RML_TURN_REACH;
    return fabs(x) < RML_TURN_REACH ? sin(at) * sin(lobe) / (at * lobe) : 0;
}

void rml_turn_filter_init(rml_turn_filter *filter)
{
    for (int i = 0; i <= RML_TURN_PHASES; i++) {
        double weight[TAPS], sum = 0;
        for (int k = 0; k < TAPS; k++) {
            weight[k] = lanczos((double)i / RML_TURN_PHASES - (k - RML_TURN_REACH + 1));
            sum += weight[k];
        }
        for (int k = 0; k < TAPS; k++)
            filter->weight[i][k] = (float)(weight[k] / sum);
    }
}

static int within(double value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

// A crop of so many pixels about (x, y) of the picture.
static rml_turn turn_about(double x, double y, int crop_width, int crop_height, double cosine,
                           double sine, int picture_width, int picture_height)
{
    const double width = crop_width, height = crop_height;
    const double across = (fabs(cosine) * width + fabs(sine) * height) / 2 + RML_TURN_REACH + 1;
    const double down = (fabs(sine) * width + fabs(cosine) * height) / 2 + RML_TURN_REACH + 1;
    rml_turn turn = {
        .width = crop_width, .height = crop_height, .cosine = (float)cosine, .sine = (float)sine};
    turn.part.x = within(floor(x - across), 0, picture_width - 1);
    turn.part.y = within(floor(y - down), 0, picture_height - 1);
    turn.part.width = within(ceil(x + across), turn.part.x + 1, picture_width) - turn.part.x;
    turn.part.height = within(ceil(y + down), turn.part.y + 1, picture_height) - turn.part.y;
    turn.x = (float)(x - turn.part.x);
    turn.y = (float)(y - turn.part.y);
    return turn;
}

rml_turn rml_turn_of(rml_box box, float angle, int picture_width, int picture_height)
{
    const int width = box.x2 - box.x1, height = box.y2 - box.y1;
    return turn_about(box.x1 + width / 2.0, box.y1 + height / 2.0, width, height,
                      cos((double)angle), sin((double)angle), picture_width, picture_height);
}

rml_turn rml_turn_within(const rml_turn *t, const rml_part *within_crop, int picture_width,
                         int picture_height)
{
    const double cosine = (double)t->cosine, sine = (double)t->sine;
    const double x = within_crop->x + within_crop->width / 2.0 - t->width / 2.0;
    const double y = within_crop->y + within_crop->height / 2.0 - t->height / 2.0;
    return turn_about((double)t->x + t->part.x + cosine * x - sine * y,
                      (double)t->y + t->part.y + sine * x + cosine * y, within_crop->width,
                      within_crop->height, cosine, sine, picture_width, picture_height);
}

static void to_crop(const rml_turn *t, float x, float y, float out[2])
{
    x -= t->x;
    y -= t->y;
    out[0] = t->cosine * x + t->sine * y + 0.5f * (float)t->width;
    out[1] = t->cosine * y - t->sine * x + 0.5f * (float)t->height;
}

void rml_turn_point(const rml_turn *turn, const float in[2], float out[2])
{
    to_crop(turn, in[0] - (float)turn->part.x, in[1] - (float)turn->part.y, out);
}

// What a sample at `at` of a line of `length` is a sum of: places in steps of `step`, and weights.
static const float *find_taps(const rml_turn_filter *filter, float at, int length, size_t step,
                              size_t place[TAPS])
{
    const float limit = (float)length + RML_TURN_REACH; // all that is further out is the same
    at = at < -limit ? -limit : at > limit ? limit : at;
    const float whole = floorf(at);
    const int first = (int)whole - RML_TURN_REACH + 1;
    for (int k = 0; k < TAPS; k++) {
        const int i = first + k;
        place[k] = (size_t)(i < 0 ? 0 : i >= length ? length - 1 : i) * step;
    }
    return filter->weight[(int)((at - whole) * RML_TURN_PHASES + 0.5f)];
}

// Three planes as pixels of four numbers, which one vector holds.
static void join(const float *planes, size_t count, float *pixels)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < COLOURS; c++)
            pixels[LANES * i + c] = planes[c * count + i];
        pixels[LANES * i + COLOURS] = 0;
    }
}

// The colours at `at`, in pixels from the edge of the first, of width x height joined pixels.
static void sample(const rml_turn_filter *filter, const float *pixels, int width, int height,
                   const float at[2], float colour[LANES])
{
    size_t columns[TAPS], rows[TAPS];
    const float *across = find_taps(filter, at[0] - 0.5f, width, LANES, columns);
    const float *down = find_taps(filter, at[1] - 0.5f, height, LANES * (size_t)width, rows);
    float sum[LANES] = {0};
    for (int k = 0; k < TAPS; k++) {
        const float *row = pixels + rows[k];
        float line[LANES] = {0};
        for (int i = 0; i < TAPS; i++)
            for (int c = 0; c < LANES; c++)
                line[c] += across[i] * row[columns[i] + (size_t)c];
        for (int c = 0; c < LANES; c++)
            sum[c] += down[k] * line[c];
    }
    for (int c = 0; c < LANES; c++)
        colour[c] = sum[c];
}

void rml_turn_upright(const rml_turn *t, const rml_turn_filter *filter, const float *src,
                      float *scratch, float *dst)
{
    const size_t plane = (size_t)t->width * (size_t)t->height;
    join(src, (size_t)t->part.width * (size_t)t->part.height, scratch);
    for (int row = 0; row < t->height; row++)
        for (int column = 0; column < t->width; column++, dst++) {
            const float x = (float)column + 0.5f - 0.5f * (float)t->width;
            const float y = (float)row + 0.5f - 0.5f * (float)t->height;
            const float at[2] = {t->x + t->cosine * x - t->sine * y,
                                 t->y + t->sine * x + t->cosine * y};
            float colour[LANES];
            sample(filter, scratch, t->part.width, t->part.height, at, colour);
            for (int c = 0; c < COLOURS; c++)
                dst[(size_t)c * plane] = colour[c];
        }
}

static float weight_at(const float *mask, int width, int height, int x, int y)
{
    return x < 0 || y < 0 || x >= width || y >= height
               ? 0
               : mask[(size_t)y * (size_t)width + (size_t)x];
}

// That this place in the crop is in it or at most so many pixels beside it.
static bool is_near(const rml_turn *t, const float at[2], float beside)
{
    return at[0] > -beside && at[1] > -beside && at[0] < (float)t->width + beside &&
           at[1] < (float)t->height + beside;
}

// 0 beyond the crop.
static float mask_at(const rml_turn *t, const float *mask, const float at[2])
{
    if (!is_near(t, at, 1))
        return 0;
    const float x = at[0] - 0.5f, y = at[1] - 0.5f;
    const float left = floorf(x), top = floorf(y), right = x - left, below = y - top;
    const int column = (int)left, row = (int)top;
    const float upper = (1 - right) * weight_at(mask, t->width, t->height, column, row) +
                        right * weight_at(mask, t->width, t->height, column + 1, row);
    const float lower = (1 - right) * weight_at(mask, t->width, t->height, column, row + 1) +
                        right * weight_at(mask, t->width, t->height, column + 1, row + 1);
    return (1 - below) * upper + below * lower;
}

void rml_turn_back(const rml_turn *t, const rml_turn_filter *filter, const float *change,
                   const float *old, float *scratch, float *dst)
{
    const size_t plane = (size_t)t->part.width * (size_t)t->part.height;
    join(change, (size_t)t->width * (size_t)t->height, scratch);
    for (int row = 0; row < t->part.height; row++)
        for (int column = 0; column < t->part.width; column++, old++, dst++) {
            float at[2], colour[LANES] = {0};
            to_crop(t, (float)column + 0.5f, (float)row + 0.5f, at);
            if (is_near(t, at, RML_TURN_REACH))
                sample(filter, scratch, t->width, t->height, at, colour);
            for (int c = 0; c < COLOURS; c++)
                dst[(size_t)c * plane] = old[(size_t)c * plane] + colour[c];
        }
}

void rml_turn_mask(const rml_turn *t, const float *mask, float *spread)
{
    for (int row = 0; row < t->part.height; row++)
        for (int column = 0; column < t->part.width; column++, spread++) {
            float at[2];
            to_crop(t, (float)column + 0.5f, (float)row + 0.5f, at);
            *spread = mask_at(t, mask, at);
        }
}
