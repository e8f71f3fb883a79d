#include "loaders/formats/pickle_machine.h"

#include <string.h>

rml_status rml_pickle_add(rml_pickle *pickle, rml_pickle_value value, rml_pickle_ref *ref,
                          rml_error *err)
{
    if (pickle->value_count >= RML_PICKLE_MAX_VALUES)
        return rml_fail(err, RML_ERR_LIMIT, "pickle of more than %zu values",
                        RML_PICKLE_MAX_VALUES);
    RML_TRY(rml_reserve(pickle->allocator, &pickle->value, &pickle->value_capacity,
                        pickle->value_count + 1, sizeof *pickle->value, "the values of a pickle",
                        err));
    *ref = (rml_pickle_ref)pickle->value_count++;
    pickle->value[*ref] = value;
    return RML_OK;
}

rml_status rml_pickle_add_constants(rml_pickle *pickle, rml_error *err)
{
    static const rml_pickle_value constant[] = {
        [RML_PICKLE_REF_NONE] = {.kind = RML_PICKLE_NONE},
        [RML_PICKLE_REF_TRUE] = {.kind = RML_PICKLE_BOOL, .u.integer = 1},
        [RML_PICKLE_REF_FALSE] = {.kind = RML_PICKLE_BOOL, .u.integer = 0},
        [RML_PICKLE_REF_EMPTY] = {.kind = RML_PICKLE_TUPLE},
    };
    rml_status status = RML_OK;
    rml_pickle_ref ref;
    for (size_t i = 0; status == RML_OK && i < sizeof constant / sizeof *constant; i++)
        status = rml_pickle_add(pickle, constant[i], &ref, err);
    return status;
}

// Room for `need` items in one run. A container that is the last one in the table grows where it
// is; another one moves to the end with twice its size, so that moves cost a constant factor in
// all.
static rml_status make_room(rml_pickle *pickle, rml_pickle_value *container, size_t need,
                            rml_error *err)
{
    if (need <= container->u.items.capacity)
        return RML_OK;
    bool is_last =
        (size_t)container->u.items.start + container->u.items.capacity == pickle->item_count;
    size_t start = is_last ? container->u.items.start : pickle->item_count;
    size_t capacity = is_last || container->count == 0 ? need : need * 2;
    if (start + capacity > pickle->item_limit)
        return rml_fail(err, RML_ERR_LIMIT, "pickle of more than %zu items", pickle->item_limit);
    RML_TRY(rml_reserve(pickle->allocator, &pickle->item, &pickle->item_capacity, start + capacity,
                        sizeof *pickle->item, "the items of a pickle", err));
    if (!is_last && container->count > 0)
        memcpy(pickle->item + start, pickle->item + container->u.items.start,
               container->count * sizeof *pickle->item);
    container->u.items.start = (uint32_t)start;
    container->u.items.capacity = (uint32_t)capacity;
    pickle->item_count = start + capacity;
    return RML_OK;
}

rml_status rml_pickle_extend(rml_pickle *pickle, rml_pickle_ref container,
                             const rml_pickle_ref *items, size_t count, rml_error *err)
{
    if (count == 0)
        return RML_OK;
    rml_pickle_value *value = &pickle->value[container];
    RML_TRY(make_room(pickle, value, value->count + count, err));
    memcpy(pickle->item + value->u.items.start + value->count, items, count * sizeof *items);
    value->count += (uint32_t)count;
    for (size_t i = 0; i < count; i++)
        value->holds_tensor |= pickle->value[items[i]].holds_tensor;
    return RML_OK;
}

rml_status rml_pickle_add_to_object(rml_pickle *pickle, rml_pickle_ref object,
                                    const rml_pickle_ref *items, size_t count, rml_pickle_kind kind,
                                    rml_error *err)
{
    rml_pickle_ref held = pickle->value[object].u.pair.items;
    if (held == RML_PICKLE_REF_NONE) {
        RML_TRY(rml_pickle_add(pickle, (rml_pickle_value){.kind = (uint8_t)kind}, &held, err));
        pickle->value[object].u.pair.items = held;
    }
    if (pickle->value[held].kind == kind)
        RML_TRY(rml_pickle_extend(pickle, held, items, count, err));
    pickle->value[object].holds_tensor |= pickle->value[held].holds_tensor;
    return RML_OK;
}

rml_status rml_pickle_add_storage(rml_pickle *pickle, rml_pickle_ref ref, rml_error *err)
{
    RML_TRY(rml_reserve(pickle->allocator, &pickle->storage, &pickle->storage_capacity,
                        pickle->storage_count + 1, sizeof *pickle->storage, "a list of storages",
                        err));
    pickle->storage[pickle->storage_count++] = ref;
    return RML_OK;
}

rml_status rml_pickle_fill_from_pairs(rml_pickle *pickle, rml_pickle_ref dict,
                                      rml_pickle_ref arguments, rml_error *err)
{
    const rml_pickle_value *given = &pickle->value[arguments];
    if (given->count != 1)
        return RML_OK;
    const rml_pickle_value *list = &pickle->value[rml_pickle_item(pickle, given, 0)];
    for (size_t i = 0; list->kind == RML_PICKLE_LIST && i < list->count; i++) {
        const rml_pickle_value *pair = &pickle->value[rml_pickle_item(pickle, list, i)];
        if ((pair->kind != RML_PICKLE_LIST && pair->kind != RML_PICKLE_TUPLE) || pair->count != 2)
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged pickle: a dictionary is made of no pairs");
        const rml_pickle_ref two[2] = {rml_pickle_item(pickle, pair, 0),
                                       rml_pickle_item(pickle, pair, 1)};
        RML_TRY(rml_pickle_extend(pickle, dict, two, 2, err));
    }
    return RML_OK;
}

void rml_pickle_release(rml_pickle *pickle)
{
    rml_free(pickle->allocator, pickle->value);
    rml_free(pickle->allocator, pickle->item);
    rml_free(pickle->allocator, pickle->storage);
    *pickle = (rml_pickle){.allocator = pickle->allocator};
}

rml_pickle_ref rml_pickle_item(const rml_pickle *pickle, const rml_pickle_value *container,
                               size_t index)
{
    return pickle->item[container->u.items.start + index];
}

bool rml_pickle_text_is(const rml_pickle_value *value, const char *text)
{
    return value->kind == RML_PICKLE_TEXT && value->count == strlen(text) &&
           memcmp(value->u.text, text, value->count) == 0;
}

const rml_pickle_value *rml_pickle_get(const rml_pickle *pickle, const rml_pickle_value *dict,
                                       const char *key)
{
    for (size_t i = dict->count; i >= 2; i -= 2)
        if (rml_pickle_text_is(&pickle->value[rml_pickle_item(pickle, dict, i - 2)], key))
            return &pickle->value[rml_pickle_item(pickle, dict, i - 1)];
    return NULL;
}

// The GLOBAL a value is or calls, or NULL.
static const rml_pickle_value *named_global(const rml_pickle *pickle, const rml_pickle_value *value)
{
    if (value->kind == RML_PICKLE_OBJECT)
        value = &pickle->value[value->u.pair.first];
    return value->kind == RML_PICKLE_GLOBAL ? value : NULL;
}

const rml_global *rml_pickle_global(const rml_pickle *pickle, const rml_pickle_value *value)
{
    const rml_pickle_value *global = named_global(pickle, value);
    if (!global)
        return NULL;
    const rml_pickle_value *module = &pickle->value[global->u.pair.first];
    const rml_pickle_value *name = &pickle->value[global->u.pair.second];
    return rml_global_find(module->u.text, module->count, name->u.text, name->count);
}

// ('module', class, file, source): how old files name the class of a whole model.
static const rml_pickle_value *persistent_class(const rml_pickle *pickle,
                                                const rml_pickle_value *value)
{
    if (value->kind != RML_PICKLE_STORAGE)
        return NULL;
    const rml_pickle_value *id = &pickle->value[value->u.pair.first];
    if (id->kind != RML_PICKLE_TUPLE || id->count < 2)
        return NULL;
    return named_global(pickle, &pickle->value[rml_pickle_item(pickle, id, 1)]);
}

const char *rml_pickle_describe(const rml_pickle *pickle, const rml_pickle_value *value, char *out)
{
    static const char *const kind_text[] = {
        [RML_PICKLE_NONE] = "None",        [RML_PICKLE_BOOL] = "a truth value",
        [RML_PICKLE_INT] = "an integer",   [RML_PICKLE_LONG] = "an integer",
        [RML_PICKLE_FLOAT] = "a number",   [RML_PICKLE_TEXT] = "a text",
        [RML_PICKLE_BYTES] = "bytes",      [RML_PICKLE_TUPLE] = "a tuple",
        [RML_PICKLE_LIST] = "a list",      [RML_PICKLE_DICT] = "a dictionary",
        [RML_PICKLE_SET] = "a set",        [RML_PICKLE_GLOBAL] = "a class or function",
        [RML_PICKLE_OBJECT] = "an object", [RML_PICKLE_STORAGE] = "a storage",
    };
    const rml_pickle_value *global = named_global(pickle, value);
    if (!global && value->kind == RML_PICKLE_OBJECT)
        global = persistent_class(pickle, &pickle->value[value->u.pair.first]);
    if (!global)
        return strcpy(out, kind_text[value->kind]);
    const rml_pickle_value *module = &pickle->value[global->u.pair.first];
    const rml_pickle_value *name = &pickle->value[global->u.pair.second];
    char text[RML_QUOTE_BYTES * 2];
    size_t room = RML_QUOTE_BYTES / 2, at = 0; // a long module must not hide the class
    size_t module_bytes = module->count < room ? module->count : room;
    memcpy(text, module->u.text, module_bytes);
    at = module_bytes;
    text[at++] = '.';
    size_t name_bytes = name->count < room ? name->count : room;
    memcpy(text + at, name->u.text, name_bytes);
    return rml_quote(out, text, at + name_bytes);
}
