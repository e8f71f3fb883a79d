// What the attention operator is told beside its inputs; see ops/attention/attention.c.
#ifndef RML_OPS_ATTR_ATTENTION_H
#define RML_OPS_ATTR_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rml_attention_attr {
    int64_t heads;     // of q, which lie side by side in the last dimension; 0: inputs have four
                       // dimensions, of which the second one is the heads
    int64_t key_heads; // of k and v beside `heads`, a divisor of it; 0: as many
    float scale;       // of the scores; 0: 1 / sqrt(size of a head of q)
    bool causal;       // query i sees keys 0 .. i only
} rml_attention_attr;

#endif
