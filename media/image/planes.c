#include "media/image/planes.h"

#include <math.h>
#include <string.h>

// ---- numbers of one component ------------------------------------------------------------------

// value = (code - zero) * scale
typedef struct scale {
    float zero, scale;
} scale;

static scale scale_of(const rml_planes *p, int component, bool chroma)
{
    const int depth = p->layout.component[component].depth;
    const float most = (float)((1 << depth) - 1), step = ldexpf(1, depth - 8);
    if (p->layout.rgb || (p->colour.full_range && !chroma))
        return (scale){0, 1 / most};
    if (!chroma)
        return (scale){16 * step, 1 / (219 * step)};
    return (scale){128 * step, 1 / (p->colour.full_range ? most : 224 * step)};
}

static uint8_t *sample_at(const rml_planes *p, const rml_component *c, int x, int y)
{
    return p->data[c->plane] + y * p->stride[c->plane] + (ptrdiff_t)x * c->step + c->offset;
}

static int get(const uint8_t *at, const rml_component *c, bool wide)
{
    uint16_t word = *at;
    if (wide)
        memcpy(&word, at, sizeof word);
    return word >> c->shift & ((1 << c->depth) - 1);
}

static void put(uint8_t *at, const rml_component *c, bool wide, int code)
{
    const int most = (1 << c->depth) - 1;
    code = code < 0 ? 0 : code > most ? most : code;
    uint16_t word = *at;
    if (!wide) {
        *at = (uint8_t)code;
        return;
    }
    memcpy(&word, at, sizeof word);
    word = (uint16_t)((word & ~(most << c->shift)) | code << c->shift);
    memcpy(at, &word, sizeof word);
}

static void read_row(const rml_planes *p, int component, scale s, int x, int y, int count,
                     float *out)
{
    const rml_component *c = &p->layout.component[component];
    const uint8_t *at = sample_at(p, c, x, y);
    const float zero = s.zero * s.scale;
    if (!p->layout.wide && c->step == 1) {
        for (int i = 0; i < count; i++)
            out[i] = (float)at[i] * s.scale - zero;
        return;
    }
    for (int i = 0; i < count; i++, at += c->step)
        out[i] = (float)get(at, c, p->layout.wide) * s.scale - zero;
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

// lrintf() of numbers below 2^22, which unlike it is a matter of vectors.
static int rounded(float value)
{
    const float whole = 12582912; // 1.5 * 2^23: a sum with it has no bits behind the point
    return (int)(value + whole - whole);
}

static void add_row(const rml_planes *p, int component, scale s, int x, int y, int count,
                    const float *change, const float *mask)
{
    const rml_component *c = &p->layout.component[component];
    uint8_t *at = sample_at(p, c, x, y);
    if (!p->layout.wide && c->step == 1) {
        for (int i = 0; i < count; i++) {
            const int code = at[i] + (mask[i] > 0) * rounded(change[i] / s.scale);
            at[i] = (uint8_t)clamp(code, 0, 255);
        }
        return;
    }
    for (int i = 0; i < count; i++, at += c->step)
        if (mask[i] > 0)
            put(at, c, p->layout.wide, get(at, c, p->layout.wide) + rounded(change[i] / s.scale));
}

// ---- chroma of less resolution -----------------------------------------------------------------

// Chroma between which a luma sample lies: (at >> log2) + base[at % size] and the next one.
typedef struct between {
    int log2, base[4];
    float share[4]; // of the next one
} between;

static between between_of(int log2, float first)
{
    const int size = 1 << log2;
    between b = {.log2 = log2};
    for (int i = 0; i < size; i++) {
        const float at = ((float)i - first) / (float)size;
        b.base[i] = (int)floorf(at);
        b.share[i] = at - floorf(at);
    }
    return b;
}

static int chroma_size(int luma, int log2)
{
    return (luma + (1 << log2) - 1) >> log2;
}

// Samples low .. low + count - 1 of a row of chroma between two rows, the first and last repeated
// beyond the ends.
static void mix_rows(const rml_planes *p, const rml_component *c, scale s, int above, int below,
                     float share, int low, int count, float *row)
{
    const int width = chroma_size(p->width, p->layout.chroma_x);
    const int begin = low < 0 ? -low : 0;
    const int end = low + count > width ? width - low : count;
    const uint8_t *one = sample_at(p, c, low + begin, above);
    const uint8_t *two = sample_at(p, c, low + begin, below);
    const float zero = s.zero * s.scale, a = s.scale * (1 - share), b = s.scale * share;
    if (!p->layout.wide && c->step == 1) {
        for (int i = begin; i < end; i++)
            row[i] = (float)one[i - begin] * a + (float)two[i - begin] * b - zero;
    } else {
        for (int i = begin; i < end; i++, one += c->step, two += c->step)
            row[i] = (float)get(one, c, p->layout.wide) * a +
                     (float)get(two, c, p->layout.wide) * b - zero;
    }
    for (int i = 0; i < begin; i++)
        row[i] = row[begin];
    for (int i = end; i < count; i++)
        row[i] = row[end - 1];
}

// One row of a chroma component at the places of luma. `row` holds what it is made of.
static void read_chroma(const rml_planes *p, int component, scale s, const rml_part *part, int y,
                        const between *across, const between *down, float *out, float *row)
{
    const rml_component *c = &p->layout.component[component];
    const int height = chroma_size(p->height, p->layout.chroma_y);
    const int inside = y & ((1 << down->log2) - 1), j = (y >> down->log2) + down->base[inside];
    const int low = (part->x >> across->log2) - 1;
    const int high = ((part->x + part->width - 1) >> across->log2) + 1;
    mix_rows(p, c, s, clamp(j, 0, height - 1), clamp(j + 1, 0, height - 1), down->share[inside],
             low, high - low + 1, row);
    const int size = 1 << across->log2;
    for (int first = 0; first < size && first < part->width; first++) {
        const int at = part->x + first, phase = at & (size - 1);
        const float *from = row + (at >> across->log2) + across->base[phase] - low;
        const float f = across->share[phase], rest = 1 - f;
        for (int x = first, i = 0; x < part->width; x += size, i++)
            out[x] = f == 0 ? from[i] : rest * from[i] + f * from[i + 1];
    }
}

static rml_colour_matrix matrix_of(const rml_planes *p)
{
    rml_colour_matrix m;
    if (!rml_colour_matrix_of(&m, p->colour.matrix))
        (void)rml_colour_matrix_of(&m, RML_COLOUR_BT709); // gray: any will do
    return m;
}

void rml_planes_read(const rml_planes *p, const rml_part *part, float *rgb, float *scratch)
{
    const size_t count = (size_t)part->width, pixels = count * (size_t)part->height;
    const bool gray = p->layout.components < 3;
    const rml_colour_matrix m = matrix_of(p);
    const scale luma = scale_of(p, 0, false), chroma = scale_of(p, gray ? 0 : 1, true);
    const between across = between_of(p->layout.chroma_x, p->chroma_at[0]);
    const between down = between_of(p->layout.chroma_y, p->chroma_at[1]);
    for (int y = 0; y < part->height; y++) {
        float *r = rgb + (size_t)y * count, *g = r + pixels, *b = g + pixels;
        read_row(p, 0, luma, part->x, part->y + y, part->width, r);
        if (gray) {
            memcpy(g, r, count * sizeof *g);
            memcpy(b, r, count * sizeof *b);
        } else if (p->layout.rgb) {
            read_row(p, 1, luma, part->x, part->y + y, part->width, g);
            read_row(p, 2, luma, part->x, part->y + y, part->width, b);
        } else {
            read_chroma(p, 1, chroma, part, part->y + y, &across, &down, g, scratch);
            read_chroma(p, 2, chroma, part, part->y + y, &across, &down, b, scratch);
            for (size_t i = 0; i < count; i++) {
                const float l = r[i], u = g[i], v = b[i];
                r[i] = l + m.to_rgb[0][1] * u + m.to_rgb[0][2] * v;
                g[i] = l + m.to_rgb[1][1] * u + m.to_rgb[1][2] * v;
                b[i] = l + m.to_rgb[2][1] * u + m.to_rgb[2][2] * v;
            }
        }
    }
}

// ---- changes -----------------------------------------------------------------------------------

// How a chroma sample is made of what is interpolated between such: the shortest filters whose sum
// over the interpolation of any row is that row again, so that nothing that stays is smoothed, and
// nothing of what is replaced is left behind.
typedef struct taps {
    int first, count; // in luma samples, from that where the chroma sample's share begins
    float weight[9];
} taps;

static taps taps_of(int log2, float at)
{
    static const taps alone = {0, 1, {1}};
    static const taps upon[] = {{-2, 5, {-1 / 8.0f, 1 / 4.0f, 3 / 4.0f, 1 / 4.0f, -1 / 8.0f}},
                                {-4,
                                 9,
                                 {-5 / 22.0f, 1 / 11.0f, 2 / 11.0f, 3 / 11.0f, 4 / 11.0f, 3 / 11.0f,
                                  2 / 11.0f, 1 / 11.0f, -5 / 22.0f}}};
    static const taps middle[] = {
        {-1, 4, {-1 / 4.0f, 3 / 4.0f, 3 / 4.0f, -1 / 4.0f}},
        {-1, 6, {-1 / 3.0f, 5 / 12.0f, 5 / 12.0f, 5 / 12.0f, 5 / 12.0f, -1 / 3.0f}}};
    if (log2 == 0)
        return alone;
    if (at != floorf(at))
        return middle[log2 - 1];
    taps t = upon[log2 - 1];
    t.first += (int)at;
    return t;
}

// What a chroma sample changes by. Beyond the picture goes on what its edge does; what lies beside
// the part does not change.
static float gather(const float *change, const rml_planes *p, const rml_part *part, int i, int j,
                    const taps *across, const taps *down)
{
    const int left = (i << p->layout.chroma_x) + across->first;
    const int top = (j << p->layout.chroma_y) + down->first;
    float sum = 0;
    for (int k = 0; k < down->count; k++) {
        const int y = clamp(top + k, 0, p->height - 1) - part->y;
        if (y < 0 || y >= part->height)
            continue;
        const float *row = change + (size_t)y * (size_t)part->width;
        for (int l = 0; l < across->count; l++) {
            const int x = clamp(left + l, 0, p->width - 1) - part->x;
            if (x >= 0 && x < part->width)
                sum += down->weight[k] * across->weight[l] * row[x];
        }
    }
    return sum;
}

static bool covers(const float *mask, const rml_planes *p, const rml_part *part, int i, int j)
{
    const int across = 1 << p->layout.chroma_x, down = 1 << p->layout.chroma_y;
    for (int y = j * down - part->y; y < (j + 1) * down - part->y; y++)
        for (int x = i * across - part->x; x < (i + 1) * across - part->x; x++)
            if (x >= 0 && x < part->width && y >= 0 && y < part->height &&
                mask[(size_t)y * (size_t)part->width + (size_t)x] > 0)
                return true;
    return false;
}

// gather() for `count` samples of row j from the i-th on. Windows within the part are summed a tap
// at a time for all samples: the same sums, in vectors.
static void gather_row(const float *change, const rml_planes *p, const rml_part *part, int i, int j,
                       int count, const taps *across, const taps *down, float *restrict sums)
{
    const int log2 = p->layout.chroma_x;
    // First luma sample of the window of the i-th, in the part.
    const int left = (i << log2) + across->first - part->x;
    const int room = part->width - across->count - left; // for what the others lie behind it
    int from = left < 0 ? (-left + (1 << log2) - 1) >> log2 : 0;
    int to = room < 0 ? 0 : (room >> log2) + 1;
    from = from < count ? from : count;
    to = to < from ? from : to < count ? to : count;
    for (int n = 0; n < from; n++)
        sums[n] = gather(change, p, part, i + n, j, across, down);
    for (int n = to; n < count; n++)
        sums[n] = gather(change, p, part, i + n, j, across, down);
    memset(sums + from, 0, (size_t)(to - from) * sizeof *sums);
    const int top = (j << p->layout.chroma_y) + down->first;
    for (int k = 0; k < down->count; k++) {
        const int y = clamp(top + k, 0, p->height - 1) - part->y;
        if (y < 0 || y >= part->height)
            continue;
        const float *row = change + (ptrdiff_t)y * part->width + left;
        for (int l = 0; l < across->count; l++) {
            const float weight = down->weight[k] * across->weight[l];
            if (log2 == 1) // known to the compiler, it makes vectors
                for (int n = from; n < to; n++)
                    sums[n] += weight * row[2 * n + l];
            else
                for (int n = from; n < to; n++)
                    sums[n] += weight * row[(n << log2) + l];
        }
    }
}

// `sums` has room for a row of chroma.
static void add_chroma(const rml_planes *p, int component, scale s, const rml_part *part,
                       const float *change, const float *mask, float *sums)
{
    const rml_component *c = &p->layout.component[component];
    const taps across = taps_of(p->layout.chroma_x, p->chroma_at[0]);
    const taps down = taps_of(p->layout.chroma_y, p->chroma_at[1]);
    const int first_x = part->x >> p->layout.chroma_x;
    const int last_x = (part->x + part->width - 1) >> p->layout.chroma_x;
    const int last_y = (part->y + part->height - 1) >> p->layout.chroma_y;
    for (int j = part->y >> p->layout.chroma_y; j <= last_y; j++) {
        int begin = first_x, end = last_x;
        while (begin <= end && !covers(mask, p, part, begin, j))
            begin++;
        while (begin <= end && !covers(mask, p, part, end, j))
            end--;
        if (begin > end)
            continue;
        gather_row(change, p, part, begin, j, end - begin + 1, &across, &down, sums);
        for (int i = begin; i <= end; i++) {
            if (!covers(mask, p, part, i, j))
                continue;
            uint8_t *at = sample_at(p, c, i, j);
            put(at, c, p->layout.wide,
                get(at, c, p->layout.wide) + rounded(sums[i - begin] / s.scale));
        }
    }
}

static void add_plane(const rml_planes *p, int component, scale s, const rml_part *part,
                      const float *change, const float *mask)
{
    for (int y = 0; y < part->height; y++) {
        const size_t row = (size_t)y * (size_t)part->width;
        add_row(p, component, s, part->x, part->y + y, part->width, change + row, mask + row);
    }
}

void rml_planes_add(const rml_planes *p, const rml_part *part, const float *change,
                    const float *mask, float *scratch)
{
    const size_t pixels = (size_t)part->width * (size_t)part->height;
    const scale luma = scale_of(p, 0, false);
    if (p->layout.rgb) {
        for (int c = 0; c < 3; c++)
            add_plane(p, c, luma, part, change + (size_t)c * pixels, mask);
        return;
    }
    const rml_colour_matrix m = matrix_of(p);
    float *values[3] = {scratch, scratch + pixels, scratch + 2 * pixels};
    for (int c = 0; c < 3; c++) {
        const float *red = change, *green = red + pixels, *blue = green + pixels;
        const float r = m.from_rgb[c][0], g = m.from_rgb[c][1], b = m.from_rgb[c][2];
        float *restrict value = values[c];
        for (size_t i = 0; i < pixels; i++)
            value[i] = r * red[i] + g * green[i] + b * blue[i];
    }
    add_plane(p, 0, luma, part, values[0], mask);
    for (int c = 1; c < 3 && p->layout.components >= 3; c++)
        // Luma's values are not needed any more.
        add_chroma(p, c, scale_of(p, c, true), part, values[c], mask, values[0]);
}
