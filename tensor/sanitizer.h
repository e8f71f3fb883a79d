// Which sanitizer this is built with, where gcc and clang tell it in different ways, and blocks
// that AddressSanitizer is to take for freed.
#ifndef RML_TENSOR_SANITIZER_H
#define RML_TENSOR_SANITIZER_H

#ifdef __has_feature // clang; gcc defines macros
#define RML_SANITIZED_BY(feature) __has_feature(feature)
#else
#define RML_SANITIZED_BY(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || RML_SANITIZED_BY(address_sanitizer)
#define RML_WITH_ASAN 1
#include <sanitizer/asan_interface.h>
#define RML_POISON(memory, bytes) ASAN_POISON_MEMORY_REGION(memory, bytes)
#define RML_UNPOISON(memory, bytes) ASAN_UNPOISON_MEMORY_REGION(memory, bytes)
#else
#define RML_WITH_ASAN 0
#define RML_POISON(memory, bytes) ((void)0)
#define RML_UNPOISON(memory, bytes) ((void)0)
#endif

#if defined(__SANITIZE_THREAD__) || RML_SANITIZED_BY(thread_sanitizer) ||                          \
    RML_SANITIZED_BY(memory_sanitizer)
#define RML_WITH_SANITIZER 1
#else
#define RML_WITH_SANITIZER RML_WITH_ASAN
#endif

#endif
