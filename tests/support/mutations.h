// Damage done to files at random, the same on every run.
#ifndef RML_TESTS_SUPPORT_MUTATIONS_H
#define RML_TESTS_SUPPORT_MUTATIONS_H

#include "tests/support/loader_files.h"

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static inline uint32_t next_random(void) // xorshift64*
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1Du >> 32);
}

// One to eight changes: a bit, a byte, a number at its limits, a run removed, a run doubled.
static inline void mutate(blob *b)
{
    static const uint64_t limits[] = {0,          1,          0x7F,       0x80,
                                      0xFF,       0xFFFF,     0x7FFFFFFF, 0x80000000,
                                      0xFFFFFFFF, UINT64_MAX, INT64_MAX,  1u << 20};
    for (uint32_t change = next_random() % 8 + 1; change > 0 && b->size > 16; change--) {
        size_t at = next_random() % b->size, bytes = (size_t)1 << (next_random() % 4);
        size_t run = next_random() % 64 + 1;
        switch (next_random() % 6) {
        case 0:
            b->data[at] ^= (uint8_t)(1u << (next_random() % 8));
            break;
        case 1:
            b->data[at] = (uint8_t)next_random();
            break;
        case 2:
            for (size_t i = 0; i < bytes && at + i < b->size; i++)
                b->data[at + i] = (uint8_t)(limits[next_random() % 12] >> (8 * i));
            break;
        case 3:
            if (run > b->size - at)
                run = b->size - at;
            memmove(b->data + at, b->data + at + run, b->size - at - run);
            b->size -= run;
            break;
        case 4: {
            if (run > b->size - at)
                run = b->size - at;
            blob tail = {NULL, 0, 0};
            put(&tail, b->data + at, b->size - at);
            b->size = at + run;
            put(b, tail.data, tail.size);
            blob_free(&tail);
            break;
        }
        default: { // a byte from elsewhere in the file: a valid opcode, digit or bracket
            b->data[at] = b->data[next_random() % b->size];
        }
        }
    }
}

static inline blob same(const blob *file)
{
    blob out = {NULL, 0, 0};
    put(&out, file->data, file->size);
    return out;
}

// How many mutations to try: RML_TEST_MUTATIONS, or 10000.
static inline long mutations_wanted(void)
{
    const char *wanted = getenv("RML_TEST_MUTATIONS");
    return wanted ? atol(wanted) : 10000;
}

#endif
