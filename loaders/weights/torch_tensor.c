// Tensors of PyTorch: what the calls that rebuild them say.
#include "loaders/weights/torch.h"

#include "loaders/weights/weights_store.h"
#include "tensor/dtype.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#define MAX_WRAPPERS 16 // parameters and subclasses around one tensor

const char *rml_torch_quote(const rml_torch *t, char *out)
{
    return rml_quote(out, t->name, t->name_length);
}

rml_status rml_torch_damaged(const rml_torch *t, const char *what)
{
    char name[RML_QUOTE_BYTES];
    return rml_fail(t->err, RML_ERR_FORMAT, "damaged checkpoint: tensor \"%s\" %s",
                    rml_torch_quote(t, name), what);
}

rml_status rml_torch_add(rml_torch *t, rml_weight *weight, const char *kind, const char *element,
                         size_t available_bytes)
{
    char type[RML_QUOTE_BYTES * 2];
    weight->loose = t->loose;
    if (kind || element) {
        snprintf(type, sizeof type, "%s%s%s", kind ? kind : "", kind && element ? ":" : "",
                 element ? element : "");
        weight->type = rml_arena_text(&t->weights->arena, type);
        if (!weight->type)
            return rml_fail_nomem(t->err, sizeof type, "the type of a weight");
    }
    RML_TRY(rml_weights_add(t->weights, t->name, t->name_length, weight, available_bytes, t->beside,
                            t->err));
    t->added++;
    return RML_OK;
}

rml_status rml_torch_dims(const rml_torch *t, const rml_pickle_value *tuple, int64_t *dim,
                          int *rank)
{
    if (tuple->kind == RML_PICKLE_OBJECT) { // torch.Size((2, 3))
        const rml_pickle_value *arguments = rml_torch_value(t, tuple->u.pair.second);
        if (arguments->count == 1)
            tuple = rml_torch_item(t, arguments, 0);
    }
    if (tuple->kind != RML_PICKLE_TUPLE && tuple->kind != RML_PICKLE_LIST)
        return rml_torch_damaged(t, "has no sizes");
    *rank = tuple->count < INT32_MAX ? (int)tuple->count : INT32_MAX;
    for (size_t i = 0; i < tuple->count; i++) {
        uint64_t size;
        if (!rml_torch_size(rml_torch_item(t, tuple, i), &size))
            return rml_torch_damaged(t, "has a size or stride that is no whole number from 0 up");
        if (i < RML_MAX_RANK)
            dim[i] = (int64_t)size;
    }
    return RML_OK;
}

// A call that rebuilds a tensor, with what is around it taken off.
typedef struct call {
    const rml_global *rebuild;
    const rml_pickle_value *arguments; // a tuple
    size_t count;
} call;

static const rml_pickle_value *argument(const rml_torch *t, const call *c, size_t i)
{
    return rml_torch_item(t, c->arguments, i);
}

// Takes Parameter and subclass wrappers off until a tensor is left; false where none is.
static bool unwrap(const rml_torch *t, const rml_pickle_value *object, call *c)
{
    c->arguments = rml_torch_value(t, object->u.pair.second);
    c->rebuild = rml_pickle_global(t->pickle, object);
    for (int depth = 0; depth < MAX_WRAPPERS && c->rebuild; depth++) {
        c->count = c->arguments->count;
        if (c->rebuild->kind == RML_GLOBAL_PARAMETER && c->count >= 1) {
            object = argument(t, c, 0);
            if (object->kind != RML_PICKLE_OBJECT)
                break;
            c->arguments = rml_torch_value(t, object->u.pair.second);
            c->rebuild = rml_pickle_global(t->pickle, object);
        } else if (c->rebuild->kind == RML_GLOBAL_SUBCLASS && c->count >= 3) {
            c->rebuild = rml_pickle_global(t->pickle, argument(t, c, 0));
            c->arguments = argument(t, c, 2);
            if (c->arguments->kind != RML_PICKLE_TUPLE)
                break;
        } else if (c->rebuild->kind >= RML_GLOBAL_TENSOR_V1) {
            return true;
        } else {
            break;
        }
    }
    return false;
}

// (storage, offset, size, stride, ...): what is stored, and its strides and offset.
typedef struct parts {
    rml_storage_id id;
    const uint8_t *data; // NULL: the storage is of a type that nothing is known of
    size_t bytes;
    uint64_t offset;
    int rank;
    int64_t stride[RML_MAX_RANK];
} parts;

static rml_status read_parts(const rml_torch *t, const call *c, size_t least, parts *p,
                             rml_shape *shape)
{
    if (c->count < least)
        return rml_torch_damaged(t, "lacks a part");
    const rml_pickle_ref storage = rml_pickle_item(t->pickle, c->arguments, 0);
    if (rml_torch_value(t, storage)->kind != RML_PICKLE_STORAGE ||
        !rml_torch_size(argument(t, c, 1), &p->offset))
        return rml_torch_damaged(t, "has no storage or no offset");
    int stride_rank = 0;
    RML_TRY(rml_torch_dims(t, argument(t, c, 2), shape->dim, &shape->rank));
    RML_TRY(rml_torch_dims(t, argument(t, c, 3), p->stride, &stride_rank));
    if (stride_rank != shape->rank)
        return rml_torch_damaged(t, "has not as many strides as sizes");
    p->rank = shape->rank;
    return rml_torch_storage(t, storage, &p->id, &p->data, &p->bytes);
}

// What is known of the elements is in *type; NULL where nothing is.
static rml_status place_elements(const rml_torch *t, const parts *p, const rml_global *type,
                                 rml_weight *weight, size_t *room)
{
    size_t count;
    *room = p->bytes;
    weight->stored.dtype = (rml_dtype)type->dtype;
    weight->stored.data = p->data;
    memcpy(weight->stored.stride, p->stride, sizeof p->stride);
    if (p->offset <= p->bytes / (size_t)type->element_bytes) {
        const size_t skip = (size_t)p->offset * (size_t)type->element_bytes;
        weight->stored.data += skip;
        *room -= skip;
        return RML_OK;
    }
    *room = 0;
    if (rml_shape_count(&weight->stored.shape, &count) && count == 0)
        return RML_OK; // an empty one may point anywhere
    return rml_torch_damaged(t, "starts past the end of its storage");
}

static const char *element_name(const rml_global *type)
{
    if (!type)
        return "unknown";
    const bool is_own = type->dtype >= 0 && type->coding == RML_CODING_NONE;
    return is_own ? rml_dtype_name((rml_dtype)type->dtype) : type->label;
}

static uint32_t element_bits(const rml_global *type)
{
    return type ? (uint32_t)type->element_bytes * 8 : 0;
}

// Whether metadata of _rebuild_tensor_v2 and v3 ask for a change of sign.
static bool is_negated(const rml_torch *t, const call *c, size_t at)
{
    const rml_pickle_value *metadata = c->count > at ? argument(t, c, at) : NULL;
    const rml_pickle_value *neg = metadata && metadata->kind == RML_PICKLE_DICT
                                      ? rml_pickle_get(t->pickle, metadata, "neg")
                                      : NULL;
    return neg && neg->kind == RML_PICKLE_BOOL && neg->u.integer;
}

static rml_status add_plain(rml_torch *t, const call *c)
{
    const bool is_v1 = c->rebuild->kind == RML_GLOBAL_TENSOR_V1;
    const bool is_v3 = c->rebuild->kind == RML_GLOBAL_TENSOR_V3;
    parts p = {.data = NULL};
    rml_weight weight = {.name = NULL};
    size_t room = 0;
    RML_TRY(read_parts(t, c, is_v1 ? 4 : is_v3 ? 7 : 6, &p, &weight.stored.shape));
    const rml_global *type = p.id.type;
    if (is_v3) {
        const rml_pickle_value *dtype = argument(t, c, 6);
        type = dtype->kind == RML_PICKLE_GLOBAL ? rml_pickle_global(t->pickle, dtype) : NULL;
        type = type && type->kind == RML_GLOBAL_DTYPE ? type : NULL;
    }
    weight.element_bits = element_bits(type);
    if (p.rank > RML_MAX_RANK)
        return rml_torch_add(t, &weight, NULL, element_name(type), 0);
    const bool negated = is_negated(t, c, is_v3 ? 7 : 6);
    if (!p.data || !type || type->dtype < 0 || type->coding == RML_CODING_AFFINE || negated) {
        weight.unreadable = true;
        return rml_torch_add(t, &weight, negated ? "negated" : NULL, element_name(type), 0);
    }
    RML_TRY(place_elements(t, &p, type, &weight, &room));
    weight.stored.coding = (rml_coding){.kind = type->coding, .swapped = t->source->swapped};
    return rml_torch_add(t, &weight, NULL,
                         type->coding == RML_CODING_NONE ? NULL : element_name(type), room);
}

static rml_status add_quantized(rml_torch *t, const call *c)
{
    parts p = {.data = NULL};
    rml_weight weight = {.name = NULL};
    size_t room = 0;
    RML_TRY(read_parts(t, c, 5, &p, &weight.stored.shape));
    const rml_global *type = p.id.type;
    weight.element_bits = element_bits(type);
    if (p.rank > RML_MAX_RANK)
        return rml_torch_add(t, &weight, NULL, element_name(type), 0);
    const rml_pickle_value *quantizer = argument(t, c, 4);
    const bool is_tuple = quantizer->kind == RML_PICKLE_TUPLE && quantizer->count >= 3;
    const rml_global *scheme =
        is_tuple ? rml_pickle_global(t->pickle, rml_torch_item(t, quantizer, 0)) : NULL;
    const rml_pickle_value *scale = is_tuple ? rml_torch_item(t, quantizer, 1) : NULL;
    const rml_pickle_value *zero = is_tuple ? rml_torch_item(t, quantizer, 2) : NULL;
    const bool per_tensor = scheme && scheme->kind == RML_GLOBAL_PER_TENSOR &&
                            scale->kind == RML_PICKLE_FLOAT && zero->kind == RML_PICKLE_INT;
    if (!per_tensor || !p.data || !type || type->coding != RML_CODING_AFFINE) {
        weight.unreadable = true;
        return rml_torch_add(t, &weight, per_tensor ? NULL : "per_channel", element_name(type), 0);
    }
    RML_TRY(place_elements(t, &p, type, &weight, &room));
    weight.stored.coding = (rml_coding){.kind = RML_CODING_AFFINE,
                                        .swapped = t->source->swapped,
                                        .scale = scale->u.number,
                                        .zero = zero->u.integer};
    return rml_torch_add(t, &weight, NULL, element_name(type), room);
}

// ---- tensors that are only listed -------------------------------------------------------------

// The type of the elements of a tensor inside another; NULL where that is not to be told.
static const rml_global *type_inside(const rml_torch *t, const rml_pickle_value *object)
{
    call c;
    if (!rml_torch_is_tensor(t->pickle, object) || !unwrap(t, object, &c) || c.count < 1)
        return NULL;
    const rml_global *type = NULL;
    rml_storage_id id = {.type = NULL};
    const rml_pickle_ref first = rml_pickle_item(t->pickle, c.arguments, 0);
    if (c.rebuild->kind == RML_GLOBAL_TENSOR_V3 && c.count >= 7)
        type = rml_pickle_global(t->pickle, argument(t, &c, 6));
    else if (rml_torch_value(t, first)->kind == RML_PICKLE_STORAGE &&
             rml_storage_id_read(t->pickle, first, &id, NULL) == RML_OK)
        type = id.type;
    return type && (type->kind == RML_GLOBAL_DTYPE || type->kind == RML_GLOBAL_STORAGE) ? type
                                                                                        : NULL;
}

// Where a call of each kind says the type of the elements and the sizes.
typedef struct listing {
    const rml_pickle_value *element, *sizes; // NULL: nowhere
    char kind[RML_QUOTE_BYTES];
} listing;

static listing read_sparse(const rml_torch *t, const call *c)
{
    listing out = {.kind = "sparse"};
    const rml_pickle_value *layout = c->count ? argument(t, c, 0) : NULL;
    const rml_pickle_value *data = c->count > 1 ? argument(t, c, 1) : NULL;
    if (layout && layout->kind == RML_PICKLE_OBJECT) { // _get_layout("torch.sparse_coo")
        const rml_pickle_value *arguments = rml_torch_value(t, layout->u.pair.second);
        layout = arguments->count ? rml_torch_item(t, arguments, 0) : NULL;
    }
    if (layout && layout->kind == RML_PICKLE_TEXT && layout->count > strlen("torch."))
        rml_quote(out.kind, layout->u.text + strlen("torch."), layout->count - strlen("torch."));
    if (!data || data->kind != RML_PICKLE_TUPLE)
        return out;
    const size_t values = strcmp(out.kind, "sparse_coo") == 0 ? 1 : 2;
    if (data->count > values + 1) {
        out.element = rml_torch_item(t, data, values);
        out.sizes = rml_torch_item(t, data, values + 1);
    }
    return out;
}

static rml_status add_listed(rml_torch *t, const call *c)
{
    const rml_global_kind kind = c->rebuild->kind;
    const rml_global *type = NULL;
    rml_weight weight = {.unreadable = true};
    listing l = {.element = NULL};
    strcpy(l.kind, c->rebuild->label);
    if (kind == RML_GLOBAL_SPARSE)
        l = read_sparse(t, c);
    else if (kind == RML_GLOBAL_NESTED && c->count)
        l.element = argument(t, c, 0);
    else if (kind == RML_GLOBAL_META && c->count > 1)
        l.element = argument(t, c, 0), l.sizes = argument(t, c, 1);
    else if (kind == RML_GLOBAL_WRAPPER && c->count > 2)
        l.element = argument(t, c, 1), l.sizes = argument(t, c, 2);
    else if (kind == RML_GLOBAL_NUMPY_BACKED && c->count > 1)
        l.element = argument(t, c, 1);
    if (l.element)
        type = l.element->kind == RML_PICKLE_GLOBAL ? rml_pickle_global(t->pickle, l.element)
                                                    : type_inside(t, l.element);
    if (type && type->kind != RML_GLOBAL_DTYPE && type->kind != RML_GLOBAL_STORAGE)
        type = NULL;
    weight.stored.shape.rank = RML_RANK_UNKNOWN;
    if (l.sizes) {
        RML_TRY(rml_torch_dims(t, l.sizes, weight.stored.shape.dim, &weight.stored.shape.rank));
        if (weight.stored.shape.rank > RML_MAX_RANK)
            weight.stored.shape.rank = RML_RANK_UNKNOWN;
    }
    return rml_torch_add(t, &weight, l.kind, type ? element_name(type) : NULL, 0);
}

// ---- all of them ------------------------------------------------------------------------------

bool rml_torch_is_tensor(const rml_pickle *pickle, const rml_pickle_value *value)
{
    const rml_global *known =
        value->kind == RML_PICKLE_OBJECT ? rml_pickle_global(pickle, value) : NULL;
    return known && known->kind >= RML_GLOBAL_TENSOR_V1 && known->kind < RML_GLOBAL_ARRAY;
}

rml_status rml_torch_add_tensor(rml_torch *t, const rml_pickle_value *object)
{
    call c = {.rebuild = NULL};
    if (!unwrap(t, object, &c)) {
        rml_weight unknown = {.unreadable = true, .stored.shape.rank = RML_RANK_UNKNOWN};
        return rml_torch_add(t, &unknown, NULL, "unknown", 0);
    }
    switch (c.rebuild->kind) {
    case RML_GLOBAL_TENSOR_V1:
    case RML_GLOBAL_TENSOR_V2:
    case RML_GLOBAL_TENSOR_V3:
        return add_plain(t, &c);
    case RML_GLOBAL_QUANTIZED:
        return add_quantized(t, &c);
    default:
        return add_listed(t, &c);
    }
}
