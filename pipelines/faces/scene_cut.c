#include "pipelines/faces/scene_cut.h"

#include <stdlib.h>
#include <string.h>

// Samples taken along each side of a field: the mean needs no more, and a large picture costs no
// more than a small one.
#define SAMPLES 8
// Mean difference of the fields. A head that moves, or a hand in front of it, stays below 10; cuts
// between shots of one room begin at about 25.
#define CUT_DIFFERENCE 20

// Brightness of a pixel in 255ths, times four.
static unsigned brightness(const rml_planes *p, int x, int y)
{
    static const unsigned of_rgb[3] = {1, 2, 1};
    const int count = p->layout.rgb ? 3 : 1;
    unsigned sum = 0;
    for (int i = 0; i < count; i++) {
        const rml_component *c = &p->layout.component[i];
        const uint8_t *at =
            p->data[c->plane] + y * p->stride[c->plane] + (ptrdiff_t)x * c->step + c->offset;
        uint16_t code = *at;
        if (p->layout.wide)
            memcpy(&code, at, sizeof code);
        const unsigned level = (code >> c->shift & ((1u << c->depth) - 1)) >> (c->depth - 8);
        sum += level * (count == 3 ? of_rgb[i] : 4);
    }
    return sum;
}

void rml_signature_make(rml_signature *signature, const rml_planes *picture)
{
    const int grid = RML_SIGNATURE_SIDE * SAMPLES;
    for (int row = 0; row < RML_SIGNATURE_SIDE; row++) {
        for (int column = 0; column < RML_SIGNATURE_SIDE; column++) {
            unsigned sum = 0;
            for (int i = 0; i < SAMPLES * SAMPLES; i++) {
                const int64_t sample_y = row * SAMPLES + i / SAMPLES;
                const int64_t sample_x = column * SAMPLES + i % SAMPLES;
                sum += brightness(picture, (int)(sample_x * picture->width / grid),
                                  (int)(sample_y * picture->height / grid));
            }
            signature->field[row * RML_SIGNATURE_SIDE + column] =
                (uint8_t)(sum / (4 * SAMPLES * SAMPLES));
        }
    }
}

bool rml_signature_is_cut(const rml_signature *before, const rml_signature *after)
{
    const int fields = RML_SIGNATURE_SIDE * RML_SIGNATURE_SIDE;
    int sum = 0;
    for (int i = 0; i < fields; i++)
        sum += abs(before->field[i] - after->field[i]);
    return sum > CUT_DIFFERENCE * fields;
}
