// Convolution of few channels a group: the definition.
#include "kernels/conv_direct.h"
#include "kernels/kernels_internal.h"

#define LANES 8

void rml_conv_direct_f32_portable(const rml_conv_direct_row *row)
{
    const rml_conv_groups *g = &row->groups;
    const bool depthwise = g->depth == 1 && g->cols == 1;
    for (size_t index = 0; index < rml_conv_blocks(g, LANES); index++) {
        const rml_conv_block block = rml_conv_block_at(g, LANES, index);
        for (size_t i = 0; i < row->pixels; i++)
            for (size_t n = 0; n < block.count; n++) {
                const size_t c = block.first + n, at = i * row->src_step + c / g->cols * g->depth;
                const float *weight = row->weight + index * row->weight_step + n;
                const float bias = row->bias ? row->bias[c] : 0.0f;
                float sum = depthwise ? bias : 0.0f;
                for (size_t t = 0; t < row->taps; t++)
                    for (size_t k = 0; k < g->depth; k++, weight += LANES)
                        sum += row->src[t][at + k] * *weight;
                if (!depthwise)
                    sum += bias;
                if (row->residual)
                    sum += row->residual[i * row->residual_step + c];
                row->dst[i * row->dst_step + c] = clamp_f32(sum, row->low, row->high);
            }
    }
}
