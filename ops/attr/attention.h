// What the attention operator is told beside its inputs; see ops/attention/attention.c.
#ifndef RML_OPS_ATTR_ATTENTION_H
#define RML_OPS_ATTR_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

// Which numbers the second output has.
typedef enum rml_attention_scores {
    RML_ATTENTION_NO_SCORES, // there is no second output
    RML_ATTENTION_SCALED,
    RML_ATTENTION_CAPPED,
    RML_ATTENTION_MASKED,
    RML_ATTENTION_SOFTMAX
} rml_attention_scores;

typedef struct rml_attention_attr {
    int64_t heads;     // of queries of three dimensions, where heads lie side by side in the last
    int64_t key_heads; // of keys and values of three dimensions; 0: as many
    float scale;       // of the scores; 0: 1 / sqrt(size of a head of q)
    bool causal;       // a query sees no keys behind its own place
    bool window[2];    // it sees as many keys before, and behind, its own place as `side` says
    int64_t side[2];   // where `window` is set
    float softcap;     // scores become softcap * tanh(score / softcap); 0: they do not
    bool wide;         // in double, whatever the type
    rml_attention_scores scores;
} rml_attention_attr;

#endif
