// The third difference along both axes takes smooth shapes away and keeps noise; its mean square
// over a block is the block's level. The smooth blocks have the lowest, so a low quantile of all
// blocks is taken, after those are left out in which black or white cut the noise off.
#include "pipelines/denoise/noise_level.h"

#include "tensor/alloc.h"

#include <math.h>
#include <stdlib.h>

#define TAPS 4
#define BLOCK 16
#define QUANTILE 0.1
// What that quantile is for white noise of deviation 1 with blocks enough: 16x16 differences that
// overlap are worth fewer. Measured on 4096x4096 normal numbers.
#define QUANTILE_OF_NOISE 0.8731
#define CUT_OFF_ALLOWED 0.01  // share of black and white pixels of a block
#define CUT_OFF_QUANTILE 0.25 // so many blocks are kept, however much is cut off

static const double taps[TAPS] = {1, -3, 3, -1}; // squares sum up to 20

typedef struct block {
    double level, cut_off;
} block;

// A block of width x height differences that begins at pixel (x, y).
static block measure(const rml_picture *p, int x, int y, int width, int height, int channel)
{
    const double full = rml_picture_full(p);
    double rows[BLOCK + TAPS - 1][BLOCK], sum = 0;
    int cut_off = 0;
    for (int j = 0; j < height + TAPS - 1; j++)
        for (int i = 0; i < width; i++) {
            const double value = rml_picture_sample(p, x + i, y + j, channel);
            cut_off += j < height && (value <= 0 || value >= full);
            rows[j][i] = 0;
            for (int k = 0; k < TAPS; k++)
                rows[j][i] += taps[k] * rml_picture_sample(p, x + i + k, y + j, channel);
        }
    for (int j = 0; j < height; j++)
        for (int i = 0; i < width; i++) {
            double difference = 0;
            for (int k = 0; k < TAPS; k++)
                difference += taps[k] * rows[j + k][i];
            sum += difference * difference;
        }
    const double count = (double)width * height;
    return (block){sqrt(sum / count) / (20 * full), cut_off / count};
}

static int by_level(const void *a, const void *b)
{
    const double x = ((const block *)a)->level, y = ((const block *)b)->level;
    return x < y ? -1 : x > y;
}

static int by_cut_off(const void *a, const void *b)
{
    const double x = ((const block *)a)->cut_off, y = ((const block *)b)->cut_off;
    return x < y ? -1 : x > y;
}

static double channel_level(const rml_picture *p, int channel, block *blocks)
{
    const int across = (p->width - TAPS + 1) / BLOCK, down = (p->height - TAPS + 1) / BLOCK;
    size_t count = 0;
    for (int j = 0; j < down; j++)
        for (int i = 0; i < across; i++)
            blocks[count++] = measure(p, i * BLOCK, j * BLOCK, BLOCK, BLOCK, channel);
    if (count == 0) { // too small for one block
        const int width = p->width - TAPS + 1, height = p->height - TAPS + 1;
        return measure(p, 0, 0, width < BLOCK ? width : BLOCK, height < BLOCK ? height : BLOCK,
                       channel)
            .level;
    }
    qsort(blocks, count, sizeof *blocks, by_cut_off);
    double allowed = blocks[(size_t)(CUT_OFF_QUANTILE * (double)(count - 1))].cut_off;
    allowed = allowed > CUT_OFF_ALLOWED ? allowed : CUT_OFF_ALLOWED;
    size_t kept = 0;
    while (kept < count && blocks[kept].cut_off <= allowed)
        kept++;
    qsort(blocks, kept, sizeof *blocks, by_level);
    // The quantile of few blocks lies nearer to their middle.
    const double level = blocks[(size_t)(QUANTILE * (double)(kept - 1))].level;
    return level / QUANTILE_OF_NOISE;
}

rml_status rml_noise_estimate(double *sigma, const rml_picture *picture,
                              const rml_allocator *allocator, rml_error *err)
{
    if (picture->width < TAPS || picture->height < TAPS)
        return rml_fail(err, RML_ERR_ARG, "%dx%d pixels are too few to estimate their noise",
                        picture->width, picture->height);
    const size_t room =
        ((size_t)picture->width / BLOCK + 1) * ((size_t)picture->height / BLOCK + 1);
    block *blocks = rml_alloc(allocator, room * sizeof *blocks);
    if (!blocks)
        return rml_fail_nomem(err, room * sizeof *blocks, "the blocks of a picture");
    const int colours = rml_picture_colours(picture);
    double sum = 0;
    for (int channel = 0; channel < colours; channel++) {
        const double level = channel_level(picture, channel, blocks);
        sum += level * level;
    }
    rml_free(allocator, blocks);
    *sigma = sqrt(sum / colours);
    return RML_OK;
}
