// What the profile knows of one node, over all plans.
#ifndef RML_ENGINE_NODE_TIME_H
#define RML_ENGINE_NODE_TIME_H

#include <stdint.h>

typedef struct rml_node_time {
    uint64_t runs, macs;
    double total_ms;
} rml_node_time;

// Milliseconds of a clock that never goes back.
double rml_clock_ms(void);

#endif
