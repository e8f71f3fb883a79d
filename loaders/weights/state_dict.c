// Walks through a checkpoint's object and adds the tensors in it.
#include "loaders/weights/torch.h"

#include "loaders/weights/weights_store.h"
#include "tensor/size.h"

#include <stdio.h>
#include <string.h>

enum { OPEN = 1, SEEN = 2 };

typedef struct walk {
    rml_torch torch;
    const rml_pickle *pickle; // of `torch`
    uint8_t *mark;            // of each value: OPEN while its insides are looked at, SEEN objects
    rml_pickle_ref top;       // holds the weights
    bool inside;              // a module that is the weights, while looking beside them
    int depth;
} walk;

static rml_status set_index_name(walk *w, size_t at, size_t index)
{
    char text[32];
    return rml_torch_set_name(&w->torch, at, text,
                              (size_t)snprintf(text, sizeof text, "%zu", index));
}

// ---- modules ----------------------------------------------------------------------------------

static rml_status add_value(walk *w, rml_pickle_ref ref);

// Counts `visits` entries as looked at.
static rml_status look(walk *w, size_t visits)
{
    rml_torch *t = &w->torch;
    t->visits += visits;
    if (t->visits <= w->pickle->used_bytes / RML_STATE_DICT_BYTES_PER_VISIT)
        return RML_OK;
    return rml_fail(t->err, RML_ERR_LIMIT,
                    "damaged or hostile checkpoint: more than %zu entries in %zu bytes",
                    t->visits - visits, w->pickle->used_bytes);
}

static bool holds_tensor(const walk *w, rml_pickle_ref ref)
{
    return rml_torch_value(&w->torch, ref)->holds_tensor;
}

// Entries of one of a module's dictionaries, but for those of which `without` has the key.
static rml_status add_members(walk *w, const rml_pickle_value *dict,
                              const rml_pickle_value *without, size_t at)
{
    for (size_t i = 0; dict && i < dict->count; i += 2) {
        const rml_pickle_value *key = rml_torch_item(&w->torch, dict, i);
        const rml_pickle_ref value = rml_pickle_item(w->pickle, dict, i + 1);
        RML_TRY(look(w, without ? 1 + without->count : 1));
        if (key->kind != RML_PICKLE_TEXT || !holds_tensor(w, value) ||
            (without && rml_torch_has_text(w->pickle, without, key)))
            continue;
        RML_TRY(rml_torch_set_name(&w->torch, at, key->u.text, key->count));
        RML_TRY(add_value(w, value));
    }
    return RML_OK;
}

// What state_dict() leaves out: buffers that are not persistent, tensors in other attributes.
static rml_status add_attributes(walk *w, const rml_pickle_value *module,
                                 const rml_pickle_value *passing, size_t at)
{
    // the last one are the parameters again, as cuDNN wants them
    static const char *const members[] = {"_parameters", "_buffers", "_modules", "_flat_weights"};
    const rml_pickle_value *buffers = rml_torch_dict(w->pickle, module, "_buffers");
    for (size_t i = 0; passing && buffers && i < buffers->count; i += 2) {
        const rml_pickle_value *key = rml_torch_item(&w->torch, buffers, i);
        RML_TRY(look(w, 1 + passing->count));
        if (key->kind != RML_PICKLE_TEXT || !rml_torch_has_text(w->pickle, passing, key))
            continue;
        RML_TRY(rml_torch_set_name(&w->torch, at, key->u.text, key->count));
        RML_TRY(add_value(w, rml_pickle_item(w->pickle, buffers, i + 1)));
    }
    for (size_t i = 0; i < module->count; i += 2) {
        const rml_pickle_value *key = rml_torch_item(&w->torch, module, i);
        const rml_pickle_ref value = rml_pickle_item(w->pickle, module, i + 1);
        bool is_member = key->kind != RML_PICKLE_TEXT;
        for (size_t k = 0; k < sizeof members / sizeof *members; k++)
            is_member |= rml_pickle_text_is(key, members[k]);
        RML_TRY(look(w, 1));
        if (is_member || !holds_tensor(w, value))
            continue;
        RML_TRY(rml_torch_set_name(&w->torch, at, key->u.text, key->count));
        RML_TRY(add_value(w, value));
    }
    return RML_OK;
}

// In the order of state_dict(). Beside the weights there is only what that leaves out of them.
static rml_status add_module(walk *w, rml_pickle_ref ref, const rml_pickle_value *module, size_t at)
{
    const bool was_inside = w->inside, beside = w->torch.beside;
    const bool is_listed = beside && (w->inside || ref == w->top);
    const rml_pickle_value *passing = rml_torch_set_items(
        w->pickle, rml_pickle_get(w->pickle, module, "_non_persistent_buffers_set"));
    if (!is_listed) {
        RML_TRY(add_members(w, rml_torch_dict(w->pickle, module, "_parameters"), NULL, at));
        RML_TRY(add_members(w, rml_torch_dict(w->pickle, module, "_buffers"), passing, at));
    }
    w->inside = false;
    if (beside)
        RML_TRY(add_attributes(w, module, passing, at));
    w->inside = is_listed;
    const rml_status status =
        add_members(w, rml_torch_dict(w->pickle, module, "_modules"), NULL, at);
    w->inside = was_inside;
    return status;
}

// ---- containers and other objects -------------------------------------------------------------

// A key that is itself a tensor, as in an optimizer, or another object is told by its place.
static rml_status set_key_name(walk *w, size_t at, const rml_pickle_value *key, size_t place)
{
    const bool is_object = key->kind == RML_PICKLE_OBJECT && key->holds_tensor;
    return is_object ? set_index_name(w, at, place) : rml_torch_set_key(&w->torch, at, key);
}

static rml_status add_dict(walk *w, rml_pickle_ref ref, size_t at)
{
    const rml_pickle_value *dict = rml_torch_value(&w->torch, ref);
    const bool was_loose = w->torch.loose;
    for (size_t i = 0; i < dict->count; i += 2) {
        const rml_pickle_value *key = rml_torch_item(&w->torch, dict, i);
        const rml_pickle_ref value = rml_pickle_item(w->pickle, dict, i + 1);
        RML_TRY(look(w, 1));
        if (!holds_tensor(w, value) ||
            (ref == w->top && rml_torch_is_training_state(key) != w->torch.beside))
            continue;
        w->torch.loose = was_loose || key->kind != RML_PICKLE_TEXT;
        RML_TRY(set_key_name(w, at, key, i / 2));
        RML_TRY(add_value(w, value));
    }
    w->torch.loose = was_loose;
    return RML_OK;
}

static rml_status add_items(walk *w, const rml_pickle_value *list, size_t at)
{
    for (size_t i = 0; i < list->count; i++) {
        const rml_pickle_ref value = rml_pickle_item(w->pickle, list, i);
        RML_TRY(look(w, 1));
        if (!holds_tensor(w, value))
            continue;
        RML_TRY(set_index_name(w, at, i));
        RML_TRY(add_value(w, value));
    }
    return RML_OK;
}

static rml_status add_inside(walk *w, rml_pickle_ref ref, size_t at)
{
    const rml_pickle_value *value = rml_torch_value(&w->torch, ref);
    if (!value->holds_tensor)
        return RML_OK;
    if (value->kind == RML_PICKLE_DICT)
        return add_dict(w, ref, at);
    if (value->kind == RML_PICKLE_LIST || value->kind == RML_PICKLE_TUPLE ||
        value->kind == RML_PICKLE_SET)
        return add_items(w, value, at);
    return RML_OK;
}

// (attributes, slots), either of which may be None.
static bool is_pair_of_attributes(const walk *w, const rml_pickle_value *state)
{
    bool good = state->kind == RML_PICKLE_TUPLE && state->count == 2;
    for (size_t i = 0; i < 2 && good; i++) {
        const rml_pickle_value *part = rml_torch_item(&w->torch, state, i);
        good = part->kind == RML_PICKLE_NONE || part->kind == RML_PICKLE_DICT;
    }
    return good;
}

// What is put into an object as into a dictionary has the names that it would have in one;
// attributes and what it is made of are loose.
static rml_status add_object(walk *w, rml_pickle_ref ref, size_t at)
{
    const rml_pickle_value *object = rml_torch_value(&w->torch, ref);
    const rml_pickle_value *attributes = rml_torch_attributes(w->pickle, object);
    const rml_pickle_ref state = object->u.pair.state;
    const bool was_loose = w->torch.loose;
    if (w->mark[ref] & SEEN)
        return RML_OK;
    RML_TRY(look(w, attributes ? attributes->count : 0)); // they may be shared
    if (rml_torch_is_module(w->pickle, attributes))
        return add_module(w, ref, attributes, at);
    w->mark[ref] |= SEEN;
    w->torch.loose |= rml_torch_value(&w->torch, object->u.pair.items)->kind != RML_PICKLE_DICT;
    RML_TRY(add_inside(w, object->u.pair.items, at));
    w->torch.loose = was_loose || !w->torch.source->is_script;
    const rml_pickle_value *both = rml_torch_value(&w->torch, state);
    if (is_pair_of_attributes(w, both)) {
        RML_TRY(add_inside(w, rml_pickle_item(w->pickle, both, 0), at));
        RML_TRY(add_inside(w, rml_pickle_item(w->pickle, both, 1), at));
    } else {
        RML_TRY(add_inside(w, state, at));
    }
    w->torch.loose = true;
    return add_inside(w, object->u.pair.second, at);
}

static rml_status add_container(walk *w, rml_pickle_ref ref)
{
    const size_t at = w->torch.name_length;
    const rml_pickle_value *value = rml_torch_value(&w->torch, ref);
    if (value->kind == RML_PICKLE_OBJECT)
        return add_object(w, ref, at);
    w->torch.loose |= value->kind != RML_PICKLE_DICT;
    return add_inside(w, ref, at);
}

// Lists what could not be read of what lies beside the weights, where nobody needs it.
static rml_status add_unknown(walk *w, const char *type)
{
    rml_weight unknown = {.unreadable = true, .stored.shape.rank = RML_RANK_UNKNOWN};
    return rml_torch_add(&w->torch, &unknown, NULL, type, 0);
}

static rml_status add_leaf(walk *w, const rml_pickle_value *value)
{
    const rml_status status = rml_torch_is_array(w->pickle, value)
                                  ? rml_torch_add_array(&w->torch, value)
                                  : rml_torch_add_tensor(&w->torch, value);
    if (status == RML_OK || status == RML_ERR_NOMEM || !w->torch.beside)
        return status;
    return add_unknown(w, "damaged");
}

// Whether something of what holds the weights may lie beside them.
static bool is_kept(const walk *w, const rml_pickle_value *top)
{
    return top->kind == RML_PICKLE_DICT || rml_torch_object_is_module(w->pickle, top);
}

static rml_status add_value(walk *w, rml_pickle_ref ref)
{
    const rml_pickle_value *value = rml_torch_value(&w->torch, ref);
    const bool was_loose = w->torch.loose;
    if (!value->holds_tensor || w->mark[ref] & OPEN ||
        (w->torch.beside && ref == w->top && !is_kept(w, value)))
        return RML_OK;
    if (rml_torch_is_tensor(w->pickle, value) || rml_torch_is_array(w->pickle, value))
        return add_leaf(w, value);
    if (w->depth == RML_STATE_DICT_MAX_DEPTH)
        return add_unknown(w, "nested_deeper");
    w->mark[ref] |= OPEN;
    w->depth++;
    const rml_status status = add_container(w, ref);
    w->depth--;
    w->mark[ref] &= (uint8_t)~OPEN;
    w->torch.loose = was_loose;
    return status;
}

// ---- the whole --------------------------------------------------------------------------------

// "epoch, arch, args" for the message about a checkpoint without weights.
static void list_keys(const walk *w, const rml_pickle_value *dict, char *out, size_t out_bytes)
{
    size_t at = 0, bytes;
    out[0] = 0;
    for (size_t i = 0; i < dict->count && at + RML_QUOTE_BYTES + 4 < out_bytes; i += 2) {
        char room[RML_QUOTE_BYTES], quoted[RML_QUOTE_BYTES];
        const char *text =
            rml_torch_key_text(&w->torch, rml_torch_item(&w->torch, dict, i), room, &bytes);
        at += (size_t)snprintf(out + at, out_bytes - at, "%s\"%s\"", at ? ", " : "",
                               rml_quote(quoted, text, bytes));
    }
}

static rml_status no_tensors(const walk *w, rml_error *err)
{
    const rml_pickle_ref ref = rml_torch_as_dict(w->pickle, w->pickle->root);
    const rml_pickle_value *root = &w->pickle->value[ref];
    char what[RML_QUOTE_BYTES], keys[1024];
    if (root->kind != RML_PICKLE_DICT)
        return rml_fail(err, RML_ERR_FORMAT, "holds %s%s, not a state_dict",
                        root->kind == RML_PICKLE_OBJECT ? "an object of " : "",
                        rml_pickle_describe(w->pickle, root, what));
    list_keys(w, root, keys, sizeof keys);
    return rml_fail(err, RML_ERR_FORMAT, "holds no tensors; its entries are %s",
                    keys[0] ? keys : "none");
}

// What lies beside the weights has no say in whether they can be used: where looking at it comes to
// a limit, what was found is listed.
static rml_status add_beside(walk *w)
{
    rml_torch *t = &w->torch;
    rml_error ignored, *err = t->err;
    t->beside = t->loose = true;
    t->visits = t->name_bytes = 0;
    t->err = &ignored;
    const rml_status status = add_value(w, w->pickle->root);
    t->err = err;
    return status == RML_ERR_NOMEM ? rml_fail(err, status, "%s", ignored.message) : RML_OK;
}

static rml_status add_all(walk *w)
{
    rml_torch *t = &w->torch;
    const rml_pickle_value *root = rml_torch_value(t, w->pickle->root);
    if (rml_torch_is_tensor(w->pickle, root) || rml_torch_is_array(w->pickle, root)) {
        t->loose = true;
        RML_TRY(rml_torch_set_name(&w->torch, 0, "tensor", strlen("tensor")));
    }
    RML_TRY(add_value(w, w->top));
    t->name_length = 0;
    RML_TRY(add_beside(w));
    return t->added || t->weights->beside_count ? RML_OK : no_tensors(w, t->err);
}

rml_status rml_state_dict_add(rml_weights *weights, const rml_pickle *pickle,
                              const rml_storage_source *source, rml_error *err)
{
    walk w = {.torch = {.weights = weights, .pickle = pickle, .source = source, .err = err},
              .pickle = pickle};
    RML_TRY(rml_make(weights->allocator, &w.mark, pickle->value_count, sizeof *w.mark,
                     "marks of values", err));
    w.top = rml_torch_choose_top(pickle);
    const rml_status status = add_all(&w);
    rml_free(weights->allocator, w.mark);
    return status;
}

rml_status rml_state_dict_add_beside(rml_weights *weights, const rml_pickle *pickle,
                                     const rml_storage_source *source, const char *name,
                                     rml_error *err)
{
    walk w = {.torch = {.weights = weights, .pickle = pickle, .source = source, .err = err},
              .pickle = pickle};
    RML_TRY(rml_make(weights->allocator, &w.mark, pickle->value_count, sizeof *w.mark,
                     "marks of values", err));
    rml_status status = rml_torch_set_name(&w.torch, 0, name, strlen(name));
    if (status == RML_OK)
        status = add_beside(&w);
    rml_free(weights->allocator, w.mark);
    return status;
}
