// What the files that read PyTorch's objects share while they walk through one pickle.
#ifndef RML_LOADERS_WEIGHTS_TORCH_H
#define RML_LOADERS_WEIGHTS_TORCH_H

#include "loaders/weights/readers.h"

typedef struct rml_torch {
    rml_weights *weights;
    const rml_pickle *pickle;
    const rml_storage_source *source;
    rml_error *err;
    bool beside; // what is found is no part of the weights
    bool loose;  // or none that a network must know
    size_t visits, added;
    size_t name_bytes;             // of all names so far
    size_t name_length;            // of the entry being looked at; its name may hold anything
    char name[RML_MAX_NAME_BYTES]; // of the entry being looked at
} rml_torch;

static inline const rml_pickle_value *rml_torch_value(const rml_torch *t, rml_pickle_ref ref)
{
    return &t->pickle->value[ref];
}

static inline const rml_pickle_value *rml_torch_item(const rml_torch *t,
                                                     const rml_pickle_value *container, size_t i)
{
    return rml_torch_value(t, rml_pickle_item(t->pickle, container, i));
}

// The name of the entry being looked at, for messages; `out` holds RML_QUOTE_BYTES.
const char *rml_torch_quote(const rml_torch *t, char *out);

// A key as it stands in a name; `out` holds RML_QUOTE_BYTES. Text stays as it is.
const char *rml_torch_key_text(const rml_torch *t, const rml_pickle_value *key, char *out,
                               size_t *bytes);

// Puts ".text", or a key, behind the first `at` bytes of the name. What is loose may have any name:
// it is made fit to be printed, and cut where it is too long.
rml_status rml_torch_set_name(rml_torch *t, size_t at, const char *text, size_t bytes);
rml_status rml_torch_set_key(rml_torch *t, size_t at, const rml_pickle_value *key);

// RML_ERR_FORMAT with `what` about the tensor being looked at.
rml_status rml_torch_damaged(const rml_torch *t, const char *what);

// A whole number from 0 up.
bool rml_torch_size(const rml_pickle_value *value, uint64_t *out);

// The part of a storage that is meant, as bytes of the file; NULL where its type is unknown.
rml_status rml_torch_storage(const rml_torch *t, rml_pickle_ref storage, rml_storage_id *id,
                             const uint8_t **data, size_t *bytes);

// Adds an entry under the present name. Its type, where it has one of its own, is "KIND:ELEMENT"
// without what is NULL.
rml_status rml_torch_add(rml_torch *t, rml_weight *weight, const char *kind, const char *element,
                         size_t available_bytes);

// Sizes or strides; those of more than RML_MAX_RANK dimensions give *rank and no sizes.
rml_status rml_torch_dims(const rml_torch *t, const rml_pickle_value *tuple, int64_t *dim,
                          int *rank);

// The attributes of an object: a dictionary, or the first of a pair, the second of which are slots.
// Without those the dictionary that it is made of, as torch.fx does. NULL: none.
const rml_pickle_value *rml_torch_attributes(const rml_pickle *pickle,
                                             const rml_pickle_value *object);

// A dictionary in a dictionary, or NULL.
const rml_pickle_value *rml_torch_dict(const rml_pickle *pickle, const rml_pickle_value *dict,
                                       const char *key);

// Whether attributes (which may be NULL) are those of a torch.nn.Module.
bool rml_torch_is_module(const rml_pickle *pickle, const rml_pickle_value *attributes);

bool rml_torch_object_is_module(const rml_pickle *pickle, const rml_pickle_value *value);

// The dictionary that a value is, or is by inheritance; the value itself otherwise.
rml_pickle_ref rml_torch_as_dict(const rml_pickle *pickle, rml_pickle_ref ref);

// What holds the weights.
rml_pickle_ref rml_torch_choose_top(const rml_pickle *pickle);

// Whether the key is one of those that hold the state of a training.
bool rml_torch_is_training_state(const rml_pickle_value *key);

// The items of a set, or of a call of set([...]) as protocol 2 writes it; NULL for anything else.
const rml_pickle_value *rml_torch_set_items(const rml_pickle *pickle, const rml_pickle_value *set);

bool rml_torch_has_text(const rml_pickle *pickle, const rml_pickle_value *items,
                        const rml_pickle_value *text);

// Whether the value is a call that makes a tensor, and adds it; what is of a type that cannot be
// read is only listed.
bool rml_torch_is_tensor(const rml_pickle *pickle, const rml_pickle_value *value);
rml_status rml_torch_add_tensor(rml_torch *t, const rml_pickle_value *object);

// The same of NumPy's arrays.
bool rml_torch_is_array(const rml_pickle *pickle, const rml_pickle_value *value);
rml_status rml_torch_add_array(rml_torch *t, const rml_pickle_value *object);

#endif
