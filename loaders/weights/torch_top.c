// Which part of a checkpoint holds the weights; see rml_state_dict_add.
#include "loaders/weights/torch.h"

bool rml_torch_is_training_state(const rml_pickle_value *key)
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

bool rml_torch_object_is_module(const rml_pickle *pickle, const rml_pickle_value *value)
{
    return value->kind == RML_PICKLE_OBJECT &&
           rml_torch_is_module(pickle, rml_torch_attributes(pickle, value));
}

rml_pickle_ref rml_torch_as_dict(const rml_pickle *pickle, rml_pickle_ref ref)
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

rml_pickle_ref rml_torch_choose_top(const rml_pickle *pickle)
{
    static const char *const containers[] = {"state_dict", "model_state_dict", "model",
                                             "params_ema", "params",           "module",
                                             "net",        "network"};
    rml_pickle_ref top = rml_torch_as_dict(pickle, pickle->root);
    for (int depth = 0; depth < RML_STATE_DICT_MAX_CHOICES; depth++) {
        rml_pickle_ref inner = 0;
        for (size_t i = 0; i < sizeof containers / sizeof *containers && !inner; i++) {
            inner = rml_torch_as_dict(pickle, find_key(pickle, &pickle->value[top], containers[i]));
            const rml_pickle_value *entry = &pickle->value[inner];
            if (!entry->holds_tensor ||
                (entry->kind != RML_PICKLE_DICT && !rml_torch_object_is_module(pickle, entry)))
                inner = 0;
        }
        if (!inner)
            break;
        top = inner;
    }
    return top;
}
