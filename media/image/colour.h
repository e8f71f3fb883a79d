// What the numbers of a coded picture mean: matrix, range, transfer, primaries.
#ifndef RML_MEDIA_IMAGE_COLOUR_H
#define RML_MEDIA_IMAGE_COLOUR_H

#include <stdbool.h>
#include <stddef.h>

// How the numbers of a picture map to colours, as numbered in ITU-T H.273 (2 = not specified).
typedef struct rml_colour {
    int primaries, transfer, matrix;
    bool full_range;
} rml_colour;

#define RML_COLOUR_UNSPECIFIED 2
#define RML_COLOUR_RGB 0
#define RML_COLOUR_BT709 1
#define RML_COLOUR_BT601 6
#define RML_COLOUR_YCGCO 8
#define RML_COLOUR_BT2020 9
#define RML_COLOUR_PQ 16
#define RML_COLOUR_HLG 18

// Y, Cb, Cr (0..1, and -0.5..0.5) to R'G'B' and back: out[i] = sum of m[i][j] in[j].
typedef struct rml_colour_matrix {
    float to_rgb[3][3], from_rgb[3][3];
} rml_colour_matrix;

// False for a matrix that is not linear (constant luminance, ICtCp) or not known.
bool rml_colour_matrix_of(rml_colour_matrix *out, int matrix);

// Whether pictures of this transfer are brought to another one for a network.
bool rml_colour_is_hdr(int transfer);

// Networks know pictures as screens of old show them: BT.709, white at 1. Brings `count` colours of
// three planes, each `pitch` floats behind the last, from PQ or HLG (BT.2020 or BT.709 primaries)
// to that: light over the white of 203 cd/m2 is rolled off (Reinhard's curve with the white point
// at the peak of the format), and numbers keep their sign. from_network() is its inverse. Other
// transfers stay as they are.
void rml_colour_to_network(const rml_colour *colour, float *planes, size_t pitch, size_t count);
void rml_colour_from_network(const rml_colour *colour, float *planes, size_t pitch, size_t count);

#endif
