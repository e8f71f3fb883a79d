// The clock of the system. A program without one gives its own in place of this file.
#define _POSIX_C_SOURCE 200809L
#include "engine/node_time.h"

#include <time.h>

double rml_clock_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}
