// Attributes of ops/norm/lrn.c and ops/norm/nll_loss.c.
#ifndef RML_OPS_ATTR_NORM_H
#define RML_OPS_ATTR_NORM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rml_lrn_attr {
    int64_t size; // channels of a window
    float alpha, beta, bias;
} rml_lrn_attr;

typedef enum rml_nll_reduction { RML_NLL_NONE, RML_NLL_SUM, RML_NLL_MEAN } rml_nll_reduction;

typedef struct rml_nll_attr {
    rml_nll_reduction reduction;
    bool ignores; // targets that are `ignored` count for nothing
    int64_t ignored;
} rml_nll_attr;

#endif
