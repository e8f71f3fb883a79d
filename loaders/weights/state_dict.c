#include "loaders/weights/readers.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

typedef struct walk {
    rml_weights *weights;
    const rml_pickle *pickle;
    const rml_storage_source *source;
    rml_error *err;
    size_t visits, added;
    size_t name_bytes;             // of all names so far
    size_t name_length;            // of the entry being looked at; its name may hold anything
    char name[RML_MAX_NAME_BYTES]; // of the entry being looked at
} walk;

// A tensor's parts after all wrappers are off.
typedef struct tensor_parts {
    const rml_global *rebuild;
    rml_pickle_ref storage;
    int64_t offset;
    rml_shape shape;
    int64_t stride[RML_MAX_RANK];
    const rml_global *dtype; // NULL: the storage's
} tensor_parts;

static const rml_pickle_value *value_at(const walk *w, rml_pickle_ref ref)
{
    return &w->pickle->value[ref];
}

static const rml_pickle_value *item_at(const walk *w, const rml_pickle_value *container, size_t i)
{
    return value_at(w, rml_pickle_item(w->pickle, container, i));
}

static const char *quoted_name(const walk *w, char *out)
{
    return rml_quote(out, w->name, w->name_length);
}

static rml_status bad_tensor(const walk *w, const char *what)
{
    char name[RML_QUOTE_BYTES];
    return rml_fail(w->err, RML_ERR_FORMAT, "damaged checkpoint: tensor \"%s\" %s",
                    quoted_name(w, name), what);
}

// ---- storages ---------------------------------------------------------------------------------

static bool as_size(const rml_pickle_value *value, uint64_t *out)
{
    if (value->kind != RML_PICKLE_INT || value->u.integer < 0)
        return false;
    *out = (uint64_t)value->u.integer;
    return true;
}

bool rml_storage_id_is(const rml_pickle *pickle, rml_pickle_ref storage)
{
    const rml_pickle_value *id = &pickle->value[pickle->value[storage].u.pair.first];
    return id->kind == RML_PICKLE_TUPLE && id->count > 0 &&
           rml_pickle_text_is(&pickle->value[rml_pickle_item(pickle, id, 0)], "storage");
}

rml_status rml_storage_id_read(const rml_pickle *pickle, rml_pickle_ref storage,
                               rml_storage_id *out, rml_error *err)
{
    const rml_pickle_value *id = &pickle->value[pickle->value[storage].u.pair.first];
    const rml_pickle_value *part[6] = {NULL};
    if (!rml_storage_id_is(pickle, storage) || (id->count != 5 && id->count != 6))
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged checkpoint: a storage is not named by a tuple "
                        "of 5 or 6");
    for (size_t i = 0; i < id->count; i++)
        part[i] = &pickle->value[rml_pickle_item(pickle, id, i)];
    *out = (rml_storage_id){.type = rml_pickle_global(pickle, part[1])};
    if (part[1]->kind != RML_PICKLE_GLOBAL || !out->type || out->type->kind != RML_GLOBAL_STORAGE) {
        char what[RML_QUOTE_BYTES];
        return rml_fail(err, RML_ERR_UNSUPPORTED, "checkpoint with a storage of unknown type %s",
                        rml_pickle_describe(pickle, part[1], what));
    }
    if (part[2]->kind != RML_PICKLE_TEXT || !as_size(part[4], &out->elements))
        return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: a storage has no key or no size");
    out->key = part[2]->u.text;
    out->key_bytes = part[2]->count;
    out->view_elements = out->elements;
    if (part[5] && part[5]->kind != RML_PICKLE_NONE) { // (key, offset, elements), files before 0.4
        const rml_pickle_value *view = part[5];
        if (view->kind != RML_PICKLE_TUPLE || view->count != 3 ||
            !as_size(&pickle->value[rml_pickle_item(pickle, view, 1)], &out->view_offset) ||
            !as_size(&pickle->value[rml_pickle_item(pickle, view, 2)], &out->view_elements) ||
            !rml_range_inside(out->view_offset, out->view_elements, out->elements))
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged checkpoint: a storage's view leaves the storage");
    }
    return RML_OK;
}

// ---- tensors ----------------------------------------------------------------------------------

static rml_status read_dims(const walk *w, const rml_pickle_value *tuple, int64_t *dim, int *rank)
{
    if (tuple->kind == RML_PICKLE_OBJECT) { // torch.Size((2, 3))
        const rml_pickle_value *arguments = value_at(w, tuple->u.pair.second);
        if (arguments->count == 1)
            tuple = item_at(w, arguments, 0);
    }
    if (tuple->kind != RML_PICKLE_TUPLE && tuple->kind != RML_PICKLE_LIST)
        return bad_tensor(w, "has no sizes");
    if (tuple->count > RML_MAX_RANK) {
        char name[RML_QUOTE_BYTES];
        return rml_fail(w->err, RML_ERR_LIMIT, "tensor \"%s\" has %u dimensions, the limit is %d",
                        quoted_name(w, name), tuple->count, RML_MAX_RANK);
    }
    *rank = (int)tuple->count;
    for (int i = 0; i < *rank; i++) {
        uint64_t size;
        if (!as_size(item_at(w, tuple, (size_t)i), &size))
            return bad_tensor(w, "has a size or stride that is no whole number from 0 up");
        dim[i] = (int64_t)size;
    }
    return RML_OK;
}

static const rml_pickle_value *call_arguments(const walk *w, const rml_pickle_value *object)
{
    return value_at(w, object->u.pair.second);
}

// Takes Parameter and subclass wrappers off until a plain tensor is left.
static rml_status unwrap(const walk *w, const rml_pickle_value *object,
                         const rml_pickle_value **arguments, const rml_global **rebuild)
{
    *arguments = call_arguments(w, object);
    *rebuild = rml_pickle_global(w->pickle, object);
    for (int depth = 0; depth < RML_STATE_DICT_MAX_DEPTH; depth++) {
        if (!*rebuild)
            break;
        if ((*rebuild)->kind == RML_GLOBAL_PARAMETER) {
            if ((*arguments)->count < 1)
                break;
            object = item_at(w, *arguments, 0);
            if (object->kind != RML_PICKLE_OBJECT)
                break;
            *arguments = call_arguments(w, object);
            *rebuild = rml_pickle_global(w->pickle, object);
        } else if ((*rebuild)->kind == RML_GLOBAL_SUBCLASS) {
            if ((*arguments)->count < 3)
                break;
            *rebuild = rml_pickle_global(w->pickle, item_at(w, *arguments, 0));
            *arguments = item_at(w, *arguments, 2);
            if ((*arguments)->kind != RML_PICKLE_TUPLE)
                break;
        } else {
            return RML_OK;
        }
    }
    return bad_tensor(w, "is wrapped in something unknown");
}

static rml_status read_parts(const walk *w, const rml_pickle_value *object, tensor_parts *out)
{
    const rml_pickle_value *arguments = NULL;
    *out = (tensor_parts){0};
    RML_TRY(unwrap(w, object, &arguments, &out->rebuild));
    char name[RML_QUOTE_BYTES];
    size_t least = 0;
    switch (out->rebuild->kind) {
    case RML_GLOBAL_TENSOR_V1:
        least = 4;
        break;
    case RML_GLOBAL_TENSOR_V2:
        least = 6;
        break;
    case RML_GLOBAL_TENSOR_V3:
        least = 7;
        break;
    default:
        return rml_fail(w->err, RML_ERR_UNSUPPORTED, "\"%s\" is a %s, which is not supported",
                        quoted_name(w, name), out->rebuild->label);
    }
    if (arguments->kind != RML_PICKLE_TUPLE || arguments->count < least)
        return bad_tensor(w, "lacks a part");
    out->storage = rml_pickle_item(w->pickle, arguments, 0);
    uint64_t offset;
    if (value_at(w, out->storage)->kind != RML_PICKLE_STORAGE ||
        !as_size(item_at(w, arguments, 1), &offset))
        return bad_tensor(w, "has no storage or no offset");
    out->offset = (int64_t)offset;
    int stride_rank = 0;
    RML_TRY(read_dims(w, item_at(w, arguments, 2), out->shape.dim, &out->shape.rank));
    RML_TRY(read_dims(w, item_at(w, arguments, 3), out->stride, &stride_rank));
    if (stride_rank != out->shape.rank)
        return bad_tensor(w, "has not as many strides as sizes");
    if (out->rebuild->kind == RML_GLOBAL_TENSOR_V3) {
        const rml_pickle_value *dtype = item_at(w, arguments, 6);
        out->dtype = dtype->kind == RML_PICKLE_GLOBAL ? rml_pickle_global(w->pickle, dtype) : NULL;
        if (!out->dtype || out->dtype->kind != RML_GLOBAL_DTYPE)
            return bad_tensor(w, "has an unknown element type");
    }
    return RML_OK;
}

static rml_status add_tensor(walk *w, const rml_pickle_value *object)
{
    tensor_parts parts;
    rml_storage_id id;
    char name[RML_QUOTE_BYTES];
    RML_TRY(read_parts(w, object, &parts));
    RML_TRY(rml_storage_id_read(w->pickle, parts.storage, &id, w->err));
    const rml_global *type = parts.dtype ? parts.dtype : id.type;
    if (type->dtype < 0)
        return rml_fail(w->err, RML_ERR_UNSUPPORTED,
                        "\"%s\" has elements of type %s, which is not supported",
                        quoted_name(w, name), type->label);
    const uint8_t *data = NULL;
    size_t bytes = 0;
    RML_TRY(w->source->find(w->source->context, id.key, id.key_bytes, &data, &bytes, w->err));
    // Exactly as many elements as announced: a mismatch is how CVE-2026-24747 corrupts memory.
    size_t element_bytes = (size_t)id.type->element_bytes;
    if (bytes / element_bytes != id.elements) {
        char key[RML_QUOTE_BYTES];
        return rml_fail(w->err, RML_ERR_FORMAT,
                        "damaged checkpoint: storage \"%s\" of \"%s\" is announced with %llu "
                        "elements of %zu bytes, and the file holds %zu bytes",
                        rml_quote(key, id.key, id.key_bytes), quoted_name(w, name),
                        (unsigned long long)id.elements, element_bytes, bytes);
    }
    size_t from = (size_t)id.view_offset * element_bytes; // inside `bytes`, see above
    size_t room = (size_t)id.view_elements * element_bytes;
    size_t skip = 0, count;
    if ((uint64_t)parts.offset <= room / (size_t)type->element_bytes)
        skip = (size_t)parts.offset * (size_t)type->element_bytes;
    else if (!rml_shape_count(&parts.shape, &count) || count > 0) // an empty one may point anywhere
        return bad_tensor(w, "starts past the end of its storage");
    RML_TRY(rml_weights_add_mapped(w->weights, w->name, w->name_length, (rml_dtype)type->dtype,
                                   &parts.shape, parts.stride, data + from + skip, room - skip,
                                   w->err));
    w->added++;
    return RML_OK;
}

static bool is_tensor(const rml_pickle *pickle, const rml_pickle_value *value)
{
    const rml_global *known =
        value->kind == RML_PICKLE_OBJECT ? rml_pickle_global(pickle, value) : NULL;
    return known && known->kind >= RML_GLOBAL_TENSOR_V1;
}

// ---- dictionaries -----------------------------------------------------------------------------

static bool is_training_state(const rml_pickle_value *key)
{
    static const char *const names[] = {"optimizer",
                                        "optimizers",
                                        "optimizer_states",
                                        "optim",
                                        "optimizer_state_dict",
                                        "lr_scheduler",
                                        "lr_schedulers",
                                        "scheduler",
                                        "scheduler_state_dict",
                                        "scaler",
                                        "callbacks",
                                        "loops"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (rml_pickle_text_is(key, names[i]))
            return true;
    return false;
}

static rml_status add_dict(walk *w, const rml_pickle_value *dict, size_t name_bytes, int depth);

static rml_status add_entry(walk *w, const rml_pickle_value *value, size_t name_bytes, int depth)
{
    char name[RML_QUOTE_BYTES], what[RML_QUOTE_BYTES];
    if (is_tensor(w->pickle, value))
        return add_tensor(w, value);
    if (value->kind == RML_PICKLE_DICT && value->holds_storage)
        return add_dict(w, value, name_bytes, depth + 1);
    if (value->kind == RML_PICKLE_OBJECT && value->holds_storage)
        return rml_fail(w->err, RML_ERR_UNSUPPORTED,
                        "\"%s\" is an object of %s with tensors inside, not a tensor; save a "
                        "state_dict instead",
                        quoted_name(w, name), rml_pickle_describe(w->pickle, value, what));
    return RML_OK;
}

static rml_status add_dict(walk *w, const rml_pickle_value *dict, size_t name_bytes, int depth)
{
    char name[RML_QUOTE_BYTES];
    if (depth > RML_STATE_DICT_MAX_DEPTH)
        return rml_fail(w->err, RML_ERR_LIMIT, "checkpoint nested deeper than %d at \"%s\"",
                        RML_STATE_DICT_MAX_DEPTH, quoted_name(w, name));
    for (size_t i = 0; i < dict->count; i += 2) {
        const rml_pickle_value *key = item_at(w, dict, i);
        if (++w->visits > w->pickle->used_bytes / RML_STATE_DICT_BYTES_PER_VISIT)
            return rml_fail(w->err, RML_ERR_LIMIT,
                            "damaged or hostile checkpoint: more than %zu entries in %zu bytes",
                            w->visits - 1, w->pickle->used_bytes);
        if (key->kind != RML_PICKLE_TEXT || (depth == 0 && is_training_state(key)))
            continue;
        size_t at = name_bytes;
        size_t dot = at > 0 ? 1 : 0;
        if (key->count + dot + 1 > sizeof w->name - at)
            return rml_fail(w->err, RML_ERR_LIMIT,
                            "checkpoint with a name of %zu bytes, the limit is %d",
                            at + dot + key->count, RML_MAX_NAME_BYTES - 1);
        if (dot)
            w->name[at++] = '.';
        memcpy(w->name + at, key->u.text, key->count);
        at += key->count;
        w->name[at] = 0;
        w->name_bytes += at;
        if (w->name_bytes / RML_STATE_DICT_NAME_BYTES_PER_BYTE > w->pickle->used_bytes)
            return rml_fail(w->err, RML_ERR_LIMIT,
                            "damaged or hostile checkpoint: names of %zu bytes in %zu bytes",
                            w->name_bytes, w->pickle->used_bytes);
        w->name_length = at;
        RML_TRY(add_entry(w, item_at(w, dict, i + 1), at, depth));
    }
    return RML_OK;
}

// The container described at rml_state_dict_add.
static const rml_pickle_value *choose_top(const rml_pickle *pickle)
{
    static const char *const containers[] = {"state_dict", "model_state_dict", "model",
                                             "params_ema", "params",           "module",
                                             "net",        "network"};
    const rml_pickle_value *top = &pickle->value[pickle->root];
    for (int depth = 0; depth < RML_STATE_DICT_MAX_DEPTH; depth++) {
        const rml_pickle_value *inner = NULL;
        for (size_t i = 0; i < sizeof containers / sizeof *containers && !inner; i++) {
            const rml_pickle_value *entry = rml_pickle_get(pickle, top, containers[i]);
            if (entry && entry->kind == RML_PICKLE_DICT && entry->holds_storage)
                inner = entry;
        }
        if (!inner)
            break;
        top = inner;
    }
    return top;
}

// "epoch, arch, args" for the message about a checkpoint without weights.
static void list_keys(const rml_pickle *pickle, const rml_pickle_value *dict, char *out,
                      size_t out_bytes)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < dict->count && at + RML_QUOTE_BYTES + 4 < out_bytes; i += 2) {
        const rml_pickle_value *key = &pickle->value[rml_pickle_item(pickle, dict, i)];
        char quoted[RML_QUOTE_BYTES];
        if (key->kind == RML_PICKLE_TEXT)
            at += (size_t)snprintf(out + at, out_bytes - at, "%s\"%s\"", at ? ", " : "",
                                   rml_quote(quoted, key->u.text, key->count));
    }
}

rml_status rml_state_dict_add(rml_weights *weights, const rml_pickle *pickle,
                              const rml_storage_source *source, rml_error *err)
{
    const rml_pickle_value *root = &pickle->value[pickle->root];
    char what[RML_QUOTE_BYTES], keys[1024];
    if (root->kind == RML_PICKLE_OBJECT && is_tensor(pickle, root))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "holds one tensor without a name, not a state_dict");
    if (root->kind == RML_PICKLE_OBJECT && root->holds_storage)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "holds a whole pickled model (%s), which only its own program can rebuild; "
                        "save model.state_dict() instead",
                        rml_pickle_describe(pickle, root, what));
    if (root->kind != RML_PICKLE_DICT)
        return rml_fail(err, RML_ERR_FORMAT, "holds %s%s, not a state_dict",
                        root->kind == RML_PICKLE_OBJECT ? "an object of " : "",
                        rml_pickle_describe(pickle, root, what));
    walk w = {.weights = weights, .pickle = pickle, .source = source, .err = err};
    RML_TRY(add_dict(&w, choose_top(pickle), 0, 0));
    if (w.added == 0) {
        list_keys(pickle, root, keys, sizeof keys);
        return rml_fail(err, RML_ERR_FORMAT, "holds no tensors; its entries are %s",
                        keys[0] ? keys : "none");
    }
    return RML_OK;
}
