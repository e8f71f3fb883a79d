#include "pipelines/made_up.h"

#include "tensor/dtype.h"

#include <math.h>

void rml_make_up(float *out, size_t count, rml_dtype dtype, bool image, const rml_made_up *how)
{
    uint32_t state = how->seed;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const float part = (float)(state >> 8) * 0x1p-24f;
        out[i] = image                       ? floorf(how->least_pixel + part * how->pixels)
                 : rml_dtype_is_float(dtype) ? how->low + part * (how->high - how->low)
                 : part < 0.5f               ? 0
                                             : 1;
    }
}
