// Arrays of NumPy inside a pickle.
#include "loaders/formats/npy.h"
#include "loaders/weights/torch.h"
#include "loaders/weights/weights_store.h"
#include "tensor/dtype.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <string.h>

// NULL where a part is not there.
typedef struct array {
    const rml_pickle_value *shape, *dtype, *contents;
    bool fortran;
} array;

bool rml_torch_is_array(const rml_pickle *pickle, const rml_pickle_value *value)
{
    const rml_global *known =
        value->kind == RML_PICKLE_OBJECT ? rml_pickle_global(pickle, value) : NULL;
    return known && (known->kind == RML_GLOBAL_ARRAY || known->kind == RML_GLOBAL_BUFFER);
}

static array read_array(const rml_torch *t, const rml_pickle_value *object)
{
    array out = {.shape = NULL};
    const rml_pickle_value *given = rml_torch_value(t, object->u.pair.second);
    const rml_pickle_value *state = rml_torch_value(t, object->u.pair.state);
    if (rml_pickle_global(t->pickle, object)->kind == RML_GLOBAL_BUFFER && given->count == 4) {
        out.contents = rml_torch_item(t, given, 0);
        out.dtype = rml_torch_item(t, given, 1);
        out.shape = rml_torch_item(t, given, 2);
        out.fortran = rml_pickle_text_is(rml_torch_item(t, given, 3), "F");
    } else if (state->kind == RML_PICKLE_TUPLE && state->count == 5) {
        const rml_pickle_value *fortran = rml_torch_item(t, state, 3);
        out.shape = rml_torch_item(t, state, 1);
        out.dtype = rml_torch_item(t, state, 2);
        out.fortran = fortran->kind == RML_PICKLE_BOOL && fortran->u.integer;
        out.contents = rml_torch_item(t, state, 4);
    }
    return out;
}

// numpy.dtype("f4", ...), whose state is (version, byte order, ...). `code` holds RML_QUOTE_BYTES.
static void read_dtype(const rml_torch *t, const rml_pickle_value *dtype, char *code, bool *swapped)
{
    strcpy(code, "unknown");
    if (!dtype || dtype->kind != RML_PICKLE_OBJECT)
        return;
    const rml_pickle_value *given = rml_torch_value(t, dtype->u.pair.second);
    const rml_pickle_value *state = rml_torch_value(t, dtype->u.pair.state);
    const rml_pickle_value *name = given->count ? rml_torch_item(t, given, 0) : NULL;
    if (name && name->kind == RML_PICKLE_TEXT)
        rml_quote(code, name->u.text, name->count);
    *swapped = state->kind == RML_PICKLE_TUPLE && state->count > 1 &&
               rml_pickle_text_is(rml_torch_item(t, state, 1), ">");
}

// Text in which each character stands for a byte: protocols before 3 have no bytes. The store owns
// what is made. *out is NULL where it is something else.
static rml_status decode(const rml_torch *t, const rml_pickle_value *text, const uint8_t **out,
                         size_t *bytes)
{
    uint8_t *copy = rml_alloc(t->weights->allocator, (size_t)text->count + 1);
    if (!copy)
        return rml_fail_nomem(t->err, text->count, "an array");
    RML_TRY(rml_weights_own(t->weights, copy, t->err));
    const uint8_t *from = (const uint8_t *)text->u.text, *end = from + text->count;
    *bytes = 0;
    while (from < end) {
        const bool is_pair = (*from == 0xC2 || *from == 0xC3) && end - from > 1;
        if (*from >= 0x80 && !is_pair)
            return RML_OK;
        copy[(*bytes)++] = is_pair ? (uint8_t)(*from << 6 | (from[1] & 0x3F)) : *from;
        from += is_pair ? 2 : 1;
    }
    *out = copy;
    return RML_OK;
}

static rml_status find_contents(const rml_torch *t, const rml_pickle_value *contents,
                                const uint8_t **data, size_t *bytes)
{
    *data = NULL;
    if (contents && contents->kind == RML_PICKLE_OBJECT && !t->beside) {
        // _codecs.encode("...", "latin1"), which has no more arguments
        const rml_pickle_value *given = rml_torch_value(t, contents->u.pair.second);
        if (given->count == 0) // bytes()
            *data = (const uint8_t *)"";
        if (given->count == 2 && rml_torch_item(t, given, 0)->kind == RML_PICKLE_TEXT &&
            rml_pickle_text_is(rml_torch_item(t, given, 1), "latin1"))
            return decode(t, rml_torch_item(t, given, 0), data, bytes);
    }
    if (contents && (contents->kind == RML_PICKLE_BYTES || contents->kind == RML_PICKLE_TEXT)) {
        *data = (const uint8_t *)contents->u.text;
        *bytes = contents->count;
    }
    return RML_OK;
}

rml_status rml_torch_add_array(rml_torch *t, const rml_pickle_value *object)
{
    const array a = read_array(t, object);
    rml_weight weight = {.stored.shape.rank = RML_RANK_UNKNOWN};
    const uint8_t *data = NULL;
    size_t bytes = 0;
    char code[RML_QUOTE_BYTES];
    rml_dtype dtype = RML_F32;
    bool swapped = false;
    rml_shape shape = {.rank = 0};
    read_dtype(t, a.dtype, code, &swapped);
    const bool is_own = rml_npy_type(code, &dtype);
    if (a.shape)
        RML_TRY(rml_torch_dims(t, a.shape, shape.dim, &shape.rank));
    if (is_own)
        RML_TRY(find_contents(t, a.contents, &data, &bytes));
    if (a.shape && shape.rank > RML_MAX_RANK)
        weight.stored.shape.rank = shape.rank;
    else if (a.shape)
        weight.stored = rml_stored_plain(data, dtype, &shape);
    if (a.fortran)
        rml_stored_turn(&weight.stored);
    weight.stored.dtype = dtype;
    weight.stored.coding.swapped = swapped;
    weight.unreadable = !data || !a.shape;
    const bool was_loose = t->loose;
    t->loose = true; // no tensor, and so nothing that a network must know
    const rml_status status =
        rml_torch_add(t, &weight, is_own ? NULL : "numpy", is_own ? NULL : code, bytes);
    t->loose = was_loose;
    return status;
}
