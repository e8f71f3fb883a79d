// The stack machine that runs a pickle: its stack, marks, memo and input. Opcodes are in
// pickle_opcodes.c.
#ifndef RML_LOADERS_FORMATS_PICKLE_MACHINE_H
#define RML_LOADERS_FORMATS_PICKLE_MACHINE_H

#include "loaders/formats/pickle.h"

typedef struct rml_pickle_machine {
    rml_pickle *pickle;
    const uint8_t *data;
    size_t size, at, opcode_at;
    rml_pickle_ref *stack;
    size_t stack_count, stack_capacity;
    size_t *mark; // heights of the stack
    size_t mark_count, mark_capacity;
    rml_pickle_ref *memo; // 0: nothing there
    size_t memo_count, memo_capacity;
    rml_error *err;
} rml_pickle_machine;

// RML_ERR_FORMAT with `what` and the place of the opcode being run.
rml_status rml_pickle_damaged(rml_pickle_machine *m, const char *what);

rml_status rml_pickle_push(rml_pickle_machine *m, rml_pickle_ref ref);
rml_status rml_pickle_push_value(rml_pickle_machine *m, rml_pickle_value value); // a new one
rml_status rml_pickle_pop(rml_pickle_machine *m, rml_pickle_ref *ref);
rml_status rml_pickle_top(rml_pickle_machine *m, rml_pickle_ref *ref); // stays there

// Values above the last mark are all an opcode may take; without a mark, the whole stack.
size_t rml_pickle_reachable(const rml_pickle_machine *m);

rml_status rml_pickle_push_mark(rml_pickle_machine *m);

// Takes off the last mark and everything above it, which stays readable in *items until a push.
rml_status rml_pickle_pop_to_mark(rml_pickle_machine *m, const rml_pickle_ref **items,
                                  size_t *count);

// Remembers the top of the stack; pushes what was remembered.
rml_status rml_pickle_memo_put(rml_pickle_machine *m, size_t index);
rml_status rml_pickle_memo_get(rml_pickle_machine *m, size_t index);

// The next bytes of the pickle, and the next little-endian number.
rml_status rml_pickle_take(rml_pickle_machine *m, uint64_t bytes, const uint8_t **out);
rml_status rml_pickle_take_number(rml_pickle_machine *m, size_t bytes, uint64_t *out);

// The table of a pickle's values, as its machine fills it.

// Values every table begins with; an opcode that names one takes no new place.
enum {
    RML_PICKLE_REF_NONE,
    RML_PICKLE_REF_TRUE,
    RML_PICKLE_REF_FALSE,
    RML_PICKLE_REF_EMPTY, // the tuple without items
};

rml_status rml_pickle_add_constants(rml_pickle *pickle, rml_error *err);

rml_status rml_pickle_add(rml_pickle *pickle, rml_pickle_value value, rml_pickle_ref *ref,
                          rml_error *err);

// Appends to a container. `items` must not point into the table of items.
rml_status rml_pickle_extend(rml_pickle *pickle, rml_pickle_ref container,
                             const rml_pickle_ref *items, size_t count, rml_error *err);

// Adds to an object of an unknown class, which may be a dictionary or a list by inheritance
// (AttributeDict, EasyDict): `items` hang on it as a container of the kind that came first.
rml_status rml_pickle_add_to_object(rml_pickle *pickle, rml_pickle_ref object,
                                    const rml_pickle_ref *items, size_t count, rml_pickle_kind kind,
                                    rml_error *err);

// Remembers a STORAGE value in the list of all.
rml_status rml_pickle_add_storage(rml_pickle *pickle, rml_pickle_ref ref, rml_error *err);

// OrderedDict([[key, value], ...]), as Python 2 writes it: puts the pairs in. Other arguments
// (none, a defaultdict's factory) leave the dictionary empty.
rml_status rml_pickle_fill_from_pairs(rml_pickle *pickle, rml_pickle_ref dict,
                                      rml_pickle_ref arguments, rml_error *err);

#endif
