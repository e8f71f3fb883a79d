// Objects of Python classes as pickles describe them, torch.nn.Module above all.
#include "loaders/weights/torch.h"

#include <string.h>

const rml_pickle_value *rml_torch_attributes(const rml_pickle *pickle,
                                             const rml_pickle_value *object)
{
    const rml_pickle_value *state = &pickle->value[object->u.pair.state];
    const rml_pickle_value *given = &pickle->value[object->u.pair.second];
    if (state->kind == RML_PICKLE_TUPLE && state->count > 0)
        state = &pickle->value[rml_pickle_item(pickle, state, 0)];
    if (state->kind != RML_PICKLE_DICT && given->count > 0)
        state = &pickle->value[rml_pickle_item(pickle, given, 0)];
    return state->kind == RML_PICKLE_DICT ? state : NULL;
}

const rml_pickle_value *rml_torch_dict(const rml_pickle *pickle, const rml_pickle_value *dict,
                                       const char *key)
{
    const rml_pickle_value *value = rml_pickle_get(pickle, dict, key);
    return value && value->kind == RML_PICKLE_DICT ? value : NULL;
}

bool rml_torch_is_module(const rml_pickle *pickle, const rml_pickle_value *attributes)
{
    return attributes && rml_torch_dict(pickle, attributes, "_parameters") &&
           rml_torch_dict(pickle, attributes, "_modules");
}

const rml_pickle_value *rml_torch_set_items(const rml_pickle *pickle, const rml_pickle_value *set)
{
    if (set && set->kind == RML_PICKLE_OBJECT) {
        const rml_pickle_value *given = &pickle->value[set->u.pair.second];
        set = given->count ? &pickle->value[rml_pickle_item(pickle, given, 0)] : NULL;
    }
    return set && (set->kind == RML_PICKLE_SET || set->kind == RML_PICKLE_LIST) ? set : NULL;
}

bool rml_torch_has_text(const rml_pickle *pickle, const rml_pickle_value *items,
                        const rml_pickle_value *text)
{
    for (size_t i = 0; i < items->count; i++) {
        const rml_pickle_value *item = &pickle->value[rml_pickle_item(pickle, items, i)];
        if (item->kind == RML_PICKLE_TEXT && item->count == text->count &&
            memcmp(item->u.text, text->u.text, text->count) == 0)
            return true;
    }
    return false;
}
