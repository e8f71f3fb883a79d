// Buffers with an inaccessible page on each side, for tests of "reads and writes exactly the
// elements described". Data lies against the page behind it or the page before it; the bytes on the
// open side are a known pattern.
#ifndef RML_TESTS_SUPPORT_GUARD_BUF_H
#define RML_TESTS_SUPPORT_GUARD_BUF_H

#include <stdbool.h>
#include <stddef.h>

typedef enum guard_side {
    GUARD_BEHIND, // the element after the last one faults; the start is aligned to a float only
    GUARD_BEFORE, // the element before the first one faults; the start is aligned to a page
    GUARD_SIDES
} guard_side;

typedef struct guard_buf {
    unsigned char *map;
    size_t page, capacity; // bytes of one page, and of what lies between the two
    float *data;
    size_t count;
} guard_buf;

// False when the system has no such memory.
bool guard_create(guard_buf *buf, size_t max_floats);
void guard_destroy(guard_buf *buf);

// Room for `count` floats (at most max_floats), filled with NaN. What was placed before is gone.
float *guard_place(guard_buf *buf, size_t count, guard_side side);

// True while nothing was written on the open side.
bool guard_intact(const guard_buf *buf);

#endif
