// The names of a classifier's classes, and from its numbers to an answer.
#ifndef RML_PIPELINES_CLASSIFY_LABELS_H
#define RML_PIPELINES_CLASSIFY_LABELS_H

#include "runmodel.h"

#define RML_LABELS_MAX 65536
#define RML_LABELS_MAX_FILE_BYTES ((size_t)16 << 20)
#define RML_LABEL_BYTES 512 // a name with its terminator; longer ones end in "..."

// A zeroed list is empty and valid.
typedef struct rml_labels {
    const char **names; // fit to be printed
    int count;
    size_t capacity;
    struct rml_arena *arena; // owns the texts
} rml_labels;

// Reads from memory one of
//   a text of one name a line,
//   JSON {"0": ["n01440764", "tench"], ...} as Keras has it, or {"0": "tench", ...},
//   JSON ["tench", ...].
// On failure the list is empty.
rml_status rml_labels_parse(rml_labels *out, const void *data, size_t size,
                            const rml_allocator *allocator, rml_error *err);

// The same from a file, which errors name.
rml_status rml_labels_load(rml_labels *out, const char *path, const rml_allocator *allocator,
                           rml_error *err);

// RML_ERR_SHAPE, which names the file, unless there are `classes` of them.
rml_status rml_labels_check(const rml_labels *labels, const char *path, int classes,
                            rml_error *err);

// The name of a class, or NULL where there is none.
const char *rml_labels_name(const rml_labels *labels, int index);

// Classes whose name an earlier class has.
typedef struct rml_label_twins {
    size_t count;
    int first[2];     // the first two of one name
    const char *name; // which is theirs
} rml_label_twins;

// Finds them; with `rename` they become "name (2)" and so on. RML_ERR_FORMAT where a class has no
// name. The list is not empty.
rml_status rml_labels_find_twins(rml_labels *labels, bool rename, rml_label_twins *out,
                                 rml_error *err);

void rml_labels_release(rml_labels *labels);

typedef struct rml_top_class {
    int index;
    float probability;
} rml_top_class;

// Writes the softmax of `count` logits over them. Where one is not finite, all become NaN.
void rml_softmax(float *values, int count);

// The `most` largest of `count` values to `top`, the largest first, equal ones and those that are
// not numbers by index, the latter last. Returns how many there are: `most`, but not above `count`.
int rml_top_classes(const float *values, int count, rml_top_class *top, int most);

#endif
