// CHECK: the only assertion of the C tests. It counts and goes on, so that one run shows every
// fault; a test's main returns check_result().
#ifndef RML_TESTS_SUPPORT_CHECK_H
#define RML_TESTS_SUPPORT_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failures, check_count;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            printf("%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition);                   \
        }                                                                                          \
    } while (0)

// The same with a message: CHECK_MSG(a == b, "a is %d, b is %d", a, b).
#define CHECK_MSG(condition, ...)                                                                  \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            printf("%s:%d: CHECK(%s) failed: ", __FILE__, __LINE__, #condition);                   \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

// Whether the machine is emulated or instrumented, and takes minutes for what takes seconds: the
// steps of the test command say so.
static inline int check_is_slow(void)
{
    return getenv("RUN_MODEL_SLOW_TESTS") != NULL;
}

static inline int check_result(void)
{
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures ? 1 : 0;
}

#endif
