// Blocks of pixels as channels: Core ML's oldest layer and operation for it let the channels of one
// pixel follow one another, as ONNX's SpaceToDepth does, and torch those of one channel.
#ifndef RML_WRITERS_COREML_BLOCKS_H
#define RML_WRITERS_COREML_BLOCKS_H

#include "graph/graph.h"

// Changes the order of the channels of blocks that only a convolution reads, perhaps behind a
// concatenation, or writes, along with the convolution's weights: exact, and nothing is left to be
// put in order.
rml_status rml_coreml_order_blocks(rml_graph *graph, rml_error *err);

#endif
