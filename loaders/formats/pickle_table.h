// The table of a pickle's values, as its machine fills it.
#ifndef RML_LOADERS_FORMATS_PICKLE_TABLE_H
#define RML_LOADERS_FORMATS_PICKLE_TABLE_H

#include "loaders/formats/pickle.h"

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

// Remembers a STORAGE value in the list of all.
rml_status rml_pickle_add_storage(rml_pickle *pickle, rml_pickle_ref ref, rml_error *err);

// OrderedDict([[key, value], ...]), as Python 2 writes it: puts the pairs in. Other arguments
// (none, a defaultdict's factory) leave the dictionary empty.
rml_status rml_pickle_fill_from_pairs(rml_pickle *pickle, rml_pickle_ref dict,
                                      rml_pickle_ref arguments, rml_error *err);

#endif
