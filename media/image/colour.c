#include "media/image/colour.h"

#include <math.h>

// Weights of red and blue in luma (H.273, table 4).
static bool luma_weights(int matrix, double *red, double *blue)
{
    switch (matrix) {
    case RML_COLOUR_BT709:
        *red = 0.2126;
        *blue = 0.0722;
        return true;
    case 4: // FCC
        *red = 0.30;
        *blue = 0.11;
        return true;
    case 5: // BT.601 with 625 lines
    case RML_COLOUR_BT601:
        *red = 0.299;
        *blue = 0.114;
        return true;
    case 7: // SMPTE 240M
        *red = 0.212;
        *blue = 0.087;
        return true;
    case RML_COLOUR_BT2020:
        *red = 0.2627;
        *blue = 0.0593;
        return true;
    default:
        return false;
    }
}

bool rml_colour_matrix_of(rml_colour_matrix *out, int matrix)
{
    if (matrix == RML_COLOUR_YCGCO) {
        *out = (rml_colour_matrix){
            .to_rgb = {{1, -1, 1}, {1, 1, 0}, {1, -1, -1}},
            .from_rgb = {{0.25f, 0.5f, 0.25f}, {-0.25f, 0.5f, -0.25f}, {0.5f, 0, -0.5f}}};
        return true;
    }
    double r, b;
    if (!luma_weights(matrix, &r, &b))
        return false;
    const double g = 1 - r - b, cr = 2 * (1 - r), cb = 2 * (1 - b);
    const double to[3][3] = {{1, 0, cr}, {1, -cb * b / g, -cr * r / g}, {1, cb, 0}};
    const double from[3][3] = {
        {r, g, b}, {-r / cb, -g / cb, (1 - b) / cb}, {(1 - r) / cr, -g / cr, -b / cr}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            out->to_rgb[i][j] = (float)to[i][j];
            out->from_rgb[i][j] = (float)from[i][j];
        }
    return true;
}

bool rml_colour_is_hdr(int transfer)
{
    return transfer == RML_COLOUR_PQ || transfer == RML_COLOUR_HLG;
}

// ---- light, 1 = the white of a page (203 cd/m2 of PQ, 0.75 of HLG) -----------------------------

#define PQ_PEAK (10000.0f / 203.0f)
#define HLG_WHITE 0.26496256f // scene light of 0.75
#define HLG_PEAK (1.0f / HLG_WHITE)
#define GAMMA 2.2f

static const float pq_m1 = 0.1593017578125f, pq_m2 = 78.84375f, pq_c1 = 0.8359375f,
                   pq_c2 = 18.8515625f, pq_c3 = 18.6875f;
static const float hlg_a = 0.17883277f, hlg_b = 0.28466892f, hlg_c = 0.55991073f;

// The curve has a pole at 2; colours of that size are none.
static float pq_light(float code)
{
    const float e = powf(fminf(code, 1.25f), 1 / pq_m2), above = e - pq_c1;
    return above <= 0 ? 0 : PQ_PEAK * powf(above / (pq_c2 - pq_c3 * e), 1 / pq_m1);
}

static float pq_code(float light)
{
    const float p = powf(light / PQ_PEAK, pq_m1);
    return powf((pq_c1 + pq_c2 * p) / (1 + pq_c3 * p), pq_m2);
}

static float hlg_light(float code)
{
    return (code <= 0.5f ? code * code / 3 : (expf((code - hlg_c) / hlg_a) + hlg_b) / 12) /
           HLG_WHITE;
}

static float hlg_code(float light)
{
    const float e = light * HLG_WHITE;
    return e <= 1.0f / 12 ? sqrtf(3 * e) : hlg_a * logf(12 * e - hlg_b) + hlg_c;
}

// x (1 + x / peak^2) / (1 + x): about x where it is dark, 1 at the peak.
static float roll_off(float x, float peak)
{
    return x * (1 + x / (peak * peak)) / (1 + x);
}

static float roll_on(float y, float peak)
{
    const float a = 1 / (peak * peak), b = 1 - y;
    return 2 * y / (b + sqrtf(b * b + 4 * a * y));
}

static float keep_sign(float magnitude, float value)
{
    return value < 0 ? -magnitude : magnitude;
}

// BT.2087, linear light.
static const float to_709[3][3] = {
    {1.6605f, -0.5876f, -0.0728f}, {-0.1246f, 1.1329f, -0.0083f}, {-0.0182f, -0.1006f, 1.1187f}};

// Its inverse, to the precision of floats, so that going there and back changes nothing.
static void invert(const float (*m)[3], float (*out)[3])
{
    double det = 0;
    for (int i = 0; i < 3; i++)
        det += (double)m[0][i] * ((double)m[1][(i + 1) % 3] * m[2][(i + 2) % 3] -
                                  (double)m[1][(i + 2) % 3] * m[2][(i + 1) % 3]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            out[j][i] =
                (float)(((double)m[(i + 1) % 3][(j + 1) % 3] * m[(i + 2) % 3][(j + 2) % 3] -
                         (double)m[(i + 1) % 3][(j + 2) % 3] * m[(i + 2) % 3][(j + 1) % 3]) /
                        det);
}

static void multiply(const float (*m)[3], float v[3])
{
    const float a = v[0], b = v[1], c = v[2];
    for (int i = 0; i < 3; i++)
        v[i] = m[i][0] * a + m[i][1] * b + m[i][2] * c;
}

void rml_colour_to_network(const rml_colour *colour, float *planes, size_t pitch, size_t count)
{
    if (!rml_colour_is_hdr(colour->transfer))
        return;
    const bool pq = colour->transfer == RML_COLOUR_PQ,
               wide = colour->primaries == RML_COLOUR_BT2020;
    const float peak = pq ? PQ_PEAK : HLG_PEAK;
    for (size_t i = 0; i < count; i++) {
        float v[3];
        for (int c = 0; c < 3; c++) {
            const float code = planes[c * pitch + i], size = fabsf(code);
            v[c] = keep_sign(pq ? pq_light(size) : hlg_light(size), code);
        }
        if (wide)
            multiply(to_709, v);
        for (int c = 0; c < 3; c++)
            planes[c * pitch + i] = keep_sign(powf(roll_off(fabsf(v[c]), peak), 1 / GAMMA), v[c]);
    }
}

void rml_colour_from_network(const rml_colour *colour, float *planes, size_t pitch, size_t count)
{
    if (!rml_colour_is_hdr(colour->transfer))
        return;
    const bool pq = colour->transfer == RML_COLOUR_PQ,
               wide = colour->primaries == RML_COLOUR_BT2020;
    const float peak = pq ? PQ_PEAK : HLG_PEAK;
    float back[3][3];
    invert(to_709, back);
    for (size_t i = 0; i < count; i++) {
        float v[3];
        for (int c = 0; c < 3; c++) {
            const float value = planes[c * pitch + i];
            v[c] = keep_sign(roll_on(powf(fabsf(value), GAMMA), peak), value);
        }
        if (wide)
            multiply((const float(*)[3])back, v);
        for (int c = 0; c < 3; c++) {
            const float size = fabsf(v[c]);
            planes[c * pitch + i] = keep_sign(pq ? pq_code(size) : hlg_code(size), v[c]);
        }
    }
}
