// One input of a fuzz target. Each target defines this function, which libFuzzer or replay.c calls.
#ifndef RML_TESTS_FUZZ_FUZZ_H
#define RML_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

// Fails by crashing: with abort() where a promise is broken, or in a sanitizer.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
