// How the outputs of a direct convolution are cut into blocks of at most one vector: some whole
// groups, or, where two groups do not fit a vector, a part of one. In packed weights a block has
// taps x depth rows of `lanes` floats, and block follows block. What is behind a block's outputs in
// a row is not used.
#ifndef RML_KERNELS_CONV_DIRECT_H
#define RML_KERNELS_CONV_DIRECT_H

#include <stddef.h>

// Channels that go into a group and come out of it, and all that come out.
typedef struct rml_conv_groups {
    size_t depth, cols, channels;
} rml_conv_groups;

typedef struct rml_conv_block {
    size_t first, count; // outputs
    size_t from, reach;  // input channels that it reads
} rml_conv_block;

// Groups of a whole block; 0: there are parts of one.
static inline size_t rml_conv_block_groups(const rml_conv_groups *g, size_t lanes)
{
    const size_t most = g->depth > g->cols ? g->depth : g->cols;
    return most == 1 || 2 * most <= lanes ? lanes / most : 0;
}

static inline size_t rml_conv_blocks(const rml_conv_groups *g, size_t lanes)
{
    const size_t some = rml_conv_block_groups(g, lanes) * g->cols;
    return some ? (g->channels + some - 1) / some
                : g->channels / g->cols * ((g->cols + lanes - 1) / lanes);
}

static inline rml_conv_block rml_conv_block_at(const rml_conv_groups *g, size_t lanes, size_t index)
{
    const size_t some = rml_conv_block_groups(g, lanes) * g->cols;
    rml_conv_block block = {0};
    if (some) {
        block.first = index * some;
        block.count = g->channels - block.first < some ? g->channels - block.first : some;
        block.from = block.first / g->cols * g->depth;
        block.reach = block.count / g->cols * g->depth;
    } else {
        const size_t parts = (g->cols + lanes - 1) / lanes;
        const size_t done = index % parts * lanes;
        block.first = index / parts * g->cols + done;
        block.count = g->cols - done < lanes ? g->cols - done : lanes;
        block.from = index / parts * g->depth;
        block.reach = g->depth;
    }
    return block;
}

#endif
