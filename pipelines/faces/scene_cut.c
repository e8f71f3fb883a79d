#include "pipelines/faces/scene_cut.h"

#include <stdlib.h>

// Samples taken along each side of a field: the mean needs no more, and a large picture costs no
// more than a small one.
#define SAMPLES 8
// Mean difference of the fields. A head that moves, or a hand in front of it, stays below 10; cuts
// between shots of one room begin at about 25.
#define CUT_DIFFERENCE 20

void rml_signature_make(rml_signature *signature, const rml_frame *frame)
{
    const int grid = RML_SIGNATURE_SIDE * SAMPLES;
    for (int row = 0; row < RML_SIGNATURE_SIDE; row++) {
        for (int column = 0; column < RML_SIGNATURE_SIDE; column++) {
            unsigned sum = 0;
            for (int i = 0; i < SAMPLES * SAMPLES; i++) {
                int64_t sample_y = row * SAMPLES + i / SAMPLES;
                int64_t sample_x = column * SAMPLES + i % SAMPLES;
                size_t y = (size_t)(sample_y * frame->height / grid);
                size_t x = (size_t)(sample_x * frame->width / grid);
                const uint8_t *p = frame->data + y * frame->pitch + x * RML_FRAME_CHANNELS;
                sum += p[0] + 2u * p[1] + p[2];
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
