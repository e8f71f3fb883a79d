// A convolution as the kernels of C have it: what its writers share.
#ifndef RML_WRITERS_C_CONV_TEXT_H
#define RML_WRITERS_C_CONV_TEXT_H

#include "writers/c/emit.h"

typedef struct rml_c_window {
    rml_c_image in, out, residual;
    int64_t depth, cols, groups;
    int64_t kernel[2], stride[2], dilation[2], before[2];
    float low, high;
} rml_c_window;

static inline bool rml_c_is_depthwise(const rml_c_window *k)
{
    return k->depth == 1 && k->cols == 1;
}

// The limits of a clamp; none of other activations, which are calls of their own.
void rml_c_take_clamp(rml_c_window *k, const rml_activation *act);

// Notes the pieces it needs.
void rml_c_note_window(rml_c_emit *c, const rml_c_window *k);

// Constants called <name><number>: the shape, and weights [groups * cols][depth][taps] in the order
// of the kernels.
void rml_c_say_window(rml_c_emit *c, const rml_c_window *k, const char *name, size_t number);
void rml_c_say_weight(rml_c_emit *c, const rml_c_window *k, const rml_constant *constant,
                      const char *name, size_t number);
void rml_c_say_bias(rml_c_emit *c, const rml_constant *constant, const char *name, size_t number);

#endif
