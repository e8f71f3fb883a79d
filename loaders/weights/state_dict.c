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

// In the order of state_dict().
static rml_status add_module(walk *w, const rml_pickle_value *module, size_t at)
{
    const rml_pickle_value *passing = rml_torch_set_items(
        w->pickle, rml_pickle_get(w->pickle, module, "_non_persistent_buffers_set"));
    RML_TRY(add_members(w, rml_torch_dict(w->pickle, module, "_parameters"), NULL, at));
    RML_TRY(add_members(w, rml_torch_dict(w->pickle, module, "_buffers"), passing, at));
    return add_members(w, rml_torch_dict(w->pickle, module, "_modules"), NULL, at);
}

// ---- containers and other objects -------------------------------------------------------------

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

static rml_status add_dict(walk *w, rml_pickle_ref ref, size_t at)
{
    const rml_pickle_value *dict = rml_torch_value(&w->torch, ref);
    const bool was_loose = w->torch.loose;
    for (size_t i = 0; i < dict->count; i += 2) {
        const rml_pickle_value *key = rml_torch_item(&w->torch, dict, i);
        const rml_pickle_ref value = rml_pickle_item(w->pickle, dict, i + 1);
        RML_TRY(look(w, 1));
        if (!holds_tensor(w, value) || (ref == w->top && is_training_state(key) != w->torch.beside))
            continue;
        w->torch.loose = was_loose || key->kind != RML_PICKLE_TEXT;
        RML_TRY(rml_torch_set_key(&w->torch, at, key));
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
        return add_module(w, attributes, at);
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

static rml_status add_value(walk *w, rml_pickle_ref ref)
{
    const rml_pickle_value *value = rml_torch_value(&w->torch, ref);
    const bool was_loose = w->torch.loose;
    if (!value->holds_tensor || w->mark[ref] & OPEN ||
        (w->torch.beside && ref == w->top && value->kind != RML_PICKLE_DICT))
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

// The dictionary that a value is, or is by inheritance; the value itself otherwise.
static rml_pickle_ref as_dict(const rml_pickle *pickle, rml_pickle_ref ref)
{
    const rml_pickle_value *value = &pickle->value[ref];
    const bool is_dict = value->kind == RML_PICKLE_OBJECT &&
                         pickle->value[value->u.pair.items].kind == RML_PICKLE_DICT;
    return is_dict ? value->u.pair.items : ref;
}

// The place of a text key's value in a dictionary; 0 when absent.
static rml_pickle_ref find_key(const rml_pickle *pickle, const rml_pickle_value *dict,
                               const char *key)
{
    for (size_t i = dict->count; dict->kind == RML_PICKLE_DICT && i >= 2; i -= 2)
        if (rml_pickle_text_is(&pickle->value[rml_pickle_item(pickle, dict, i - 2)], key))
            return rml_pickle_item(pickle, dict, i - 1);
    return 0;
}

static bool is_module(const rml_pickle *pickle, const rml_pickle_value *value)
{
    return value->kind == RML_PICKLE_OBJECT &&
           rml_torch_is_module(pickle, rml_torch_attributes(pickle, value));
}

// The container described at rml_state_dict_add.
static rml_pickle_ref choose_top(const rml_pickle *pickle)
{
    static const char *const containers[] = {"state_dict", "model_state_dict", "model",
                                             "params_ema", "params",           "module",
                                             "net",        "network"};
    rml_pickle_ref top = as_dict(pickle, pickle->root);
    for (int depth = 0; depth < RML_STATE_DICT_MAX_CHOICES; depth++) {
        rml_pickle_ref inner = 0;
        for (size_t i = 0; i < sizeof containers / sizeof *containers && !inner; i++) {
            inner = as_dict(pickle, find_key(pickle, &pickle->value[top], containers[i]));
            const rml_pickle_value *entry = &pickle->value[inner];
            if (!entry->holds_tensor ||
                (entry->kind != RML_PICKLE_DICT && !is_module(pickle, entry)))
                inner = 0;
        }
        if (!inner)
            break;
        top = inner;
    }
    return top;
}

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
    const rml_pickle_ref ref = as_dict(w->pickle, w->pickle->root);
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
static rml_status add_all(walk *w)
{
    rml_torch *t = &w->torch;
    rml_error ignored, *err = t->err;
    const rml_pickle_value *root = rml_torch_value(t, w->pickle->root);
    if (rml_torch_is_tensor(w->pickle, root) || rml_torch_is_array(w->pickle, root)) {
        t->loose = true;
        RML_TRY(rml_torch_set_name(&w->torch, 0, "tensor", strlen("tensor")));
    }
    RML_TRY(add_value(w, w->top));
    t->beside = t->loose = true;
    t->visits = t->name_bytes = t->name_length = 0;
    t->err = &ignored;
    const rml_status status = add_value(w, w->pickle->root);
    t->err = err;
    if (status == RML_ERR_NOMEM)
        return rml_fail(err, status, "%s", ignored.message);
    return t->added ? RML_OK : no_tensors(w, err);
}

rml_status rml_state_dict_add(rml_weights *weights, const rml_pickle *pickle,
                              const rml_storage_source *source, rml_error *err)
{
    walk w = {.torch = {.weights = weights, .pickle = pickle, .source = source, .err = err},
              .pickle = pickle};
    RML_TRY(rml_make(weights->allocator, &w.mark, pickle->value_count, sizeof *w.mark,
                     "marks of values", err));
    w.top = choose_top(pickle);
    const rml_status status = add_all(&w);
    rml_free(weights->allocator, w.mark);
    return status;
}
