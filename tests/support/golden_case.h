// Reader of tests/golden/ops, written by tests/golden/make/make_golden.py.
#ifndef RML_TESTS_SUPPORT_GOLDEN_CASE_H
#define RML_TESTS_SUPPORT_GOLDEN_CASE_H

#include "tensor/tensor.h"
#include "tests/support/uniform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_MAX_INPUTS 16

typedef struct golden_input {
    char kind[8]; // "input", "const", "none"
    uint64_t seed;
    char mode;
    rml_shape shape;
    size_t count;
    float *data;
} golden_input;

typedef struct golden_case {
    char name[64], op[32], attrs[400];
    golden_input in[GOLDEN_MAX_INPUTS];
    int in_count;
    double absolute, relative;
    rml_shape shape;
    size_t count;
    float *expected;
} golden_case;

static inline void golden_shape(const char *text, rml_shape *shape, size_t *count)
{
    char *end;
    shape->rank = (int)strtol(text, &end, 10);
    *count = 1;
    for (int i = 0; i < shape->rank; i++) {
        shape->dim[i] = strtoll(end, &end, 10);
        *count *= (size_t)shape->dim[i];
    }
}

// Skips `words` words.
static inline const char *golden_skip(const char *text, int words)
{
    while (words-- > 0) {
        text += strspn(text, " ");
        text += strcspn(text, " ");
    }
    return text;
}

// Reads the next case; false at the end. Allocates inputs and the expected elements.
static inline bool golden_next(FILE *index, FILE *elements, golden_case *out)
{
    char line[1024];
    long offset = 0;
    memset(out, 0, sizeof *out);
    while (fgets(line, sizeof line, index)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "case ", 5) == 0) {
            sscanf(line, "case %63s %31s", out->name, out->op);
            snprintf(out->attrs, sizeof out->attrs, "%.390s ", golden_skip(line, 3));
        } else if (strncmp(line, "in ", 3) == 0 && out->in_count < GOLDEN_MAX_INPUTS) {
            golden_input *in = &out->in[out->in_count++];
            unsigned long long seed = 0;
            sscanf(line, "in %7s %llu %c", in->kind, &seed, &in->mode);
            in->seed = seed;
            golden_shape(golden_skip(line, 4), &in->shape, &in->count);
            in->data = malloc(in->count * sizeof *in->data);
            uniform_fill(in->data, in->count, in->seed, in->mode);
        } else if (sscanf(line, "out %ld %lf %lf", &offset, &out->absolute, &out->relative) == 3) {
            golden_shape(golden_skip(line, 4), &out->shape, &out->count);
            out->expected = malloc(out->count * sizeof *out->expected);
            return fseek(elements, offset * 4, SEEK_SET) == 0 &&
                   fread(out->expected, sizeof(float), out->count, elements) == out->count;
        }
    }
    return false;
}

static inline void golden_free(golden_case *at)
{
    for (int i = 0; i < at->in_count; i++)
        free(at->in[i].data);
    free(at->expected);
}

// The text behind "key=", or NULL.
static inline const char *golden_text(const golden_case *at, const char *key)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, " %s=", key);
    const char *found = strstr(at->attrs, pattern);
    return found ? found + strlen(pattern) : NULL;
}

static inline bool golden_is(const golden_case *at, const char *key, const char *word)
{
    const char *text = golden_text(at, key);
    const size_t length = strlen(word);
    return text && strncmp(text, word, length) == 0 && (text[length] == ' ' || text[length] == ',');
}

// Integers of "key=a,b,..."; returns how many, 0 when the key is absent.
static inline int golden_ints(const golden_case *at, const char *key, int64_t *dst, int capacity)
{
    const char *text = golden_text(at, key);
    int count = 0;
    while (text && count < capacity && *text && *text != ' ') {
        char *end;
        dst[count++] = strtoll(text, &end, 10);
        text = *end == ',' ? end + 1 : NULL;
    }
    return count;
}

static inline int64_t golden_int(const golden_case *at, const char *key)
{
    int64_t value = 0;
    golden_ints(at, key, &value, 1);
    return value;
}

// Numbers of "key=word,a,b" (skip_word) or "key=a,b".
static inline void golden_reals(const golden_case *at, const char *key, bool skip_word, double *dst,
                                int count)
{
    const char *text = golden_text(at, key);
    if (text && skip_word)
        text += strcspn(text, ",") + 1;
    for (int i = 0; text && i < count; i++) {
        char *end;
        dst[i] = strtod(text, &end);
        text = *end == ',' ? end + 1 : NULL;
    }
}

#endif
