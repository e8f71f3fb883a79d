// Names of tensors: paths of keys, joined with dots.
#include "loaders/weights/torch.h"

#include "tensor/size.h"

#include <stdio.h>
#include <string.h>

const char *rml_torch_key_text(const rml_torch *t, const rml_pickle_value *key, char *out,
                               size_t *bytes)
{
    const char *text = out;
    switch (key->kind) {
    case RML_PICKLE_TEXT:
        *bytes = key->count;
        return key->u.text;
    case RML_PICKLE_BYTES:
        rml_quote(out, key->u.text, key->count);
        break;
    case RML_PICKLE_INT:
        snprintf(out, RML_QUOTE_BYTES, "%lld", (long long)key->u.integer);
        break;
    case RML_PICKLE_BOOL:
        text = key->u.integer ? "True" : "False";
        break;
    case RML_PICKLE_FLOAT:
        snprintf(out, RML_QUOTE_BYTES, "%g", key->u.number);
        break;
    case RML_PICKLE_TUPLE: { // ("a", 1) as (a,1)
        size_t at = (size_t)snprintf(out, RML_QUOTE_BYTES, "(");
        for (size_t i = 0; i < key->count && at + 32 < RML_QUOTE_BYTES; i++) {
            const rml_pickle_value *item = rml_torch_item(t, key, i);
            const size_t shown = item->kind == RML_PICKLE_TEXT ? rml_min_size(item->count, 24) : 0;
            if (item->kind == RML_PICKLE_INT)
                at += (size_t)snprintf(out + at, RML_QUOTE_BYTES - at, "%s%lld", i ? "," : "",
                                       (long long)item->u.integer);
            else
                at += (size_t)snprintf(out + at, RML_QUOTE_BYTES - at, "%s%.*s", i ? "," : "",
                                       (int)shown, shown ? item->u.text : "");
        }
        snprintf(out + at, RML_QUOTE_BYTES - at, ")");
        break;
    }
    default:
        rml_pickle_describe(t->pickle, key, out);
        if (strcmp(out, "_codecs.encode") == 0) { // bytes of protocol 2
            const rml_pickle_value *given = rml_torch_value(t, key->u.pair.second);
            if (key->kind == RML_PICKLE_OBJECT && given->count > 0)
                key = rml_torch_item(t, given, 0);
            if (key->kind == RML_PICKLE_TEXT)
                rml_quote(out, key->u.text, key->count);
        }
    }
    *bytes = strlen(text);
    return text;
}

rml_status rml_torch_set_name(rml_torch *t, size_t at, const char *text, size_t bytes)
{
    const size_t dot = at > 0 ? 1 : 0, room = sizeof t->name - at;
    char clean[RML_QUOTE_BYTES];
    if (t->loose && (bytes + dot + 1 > room || !rml_text_is_clean(text, bytes))) {
        text = rml_text_clean(clean, sizeof clean, text, bytes);
        bytes = strlen(clean);
    }
    if (bytes + dot + 1 > room)
        return rml_fail(t->err, RML_ERR_LIMIT,
                        "checkpoint with a name of %zu bytes, the limit is %d", at + dot + bytes,
                        RML_MAX_NAME_BYTES - 1);
    if (dot)
        t->name[at++] = '.';
    memcpy(t->name + at, text, bytes);
    t->name_length = at + bytes;
    t->name[t->name_length] = 0;
    t->name_bytes += t->name_length;
    if (t->name_bytes / RML_STATE_DICT_NAME_BYTES_PER_BYTE > t->pickle->used_bytes)
        return rml_fail(t->err, RML_ERR_LIMIT,
                        "damaged or hostile checkpoint: names of %zu bytes in %zu bytes",
                        t->name_bytes, t->pickle->used_bytes);
    return RML_OK;
}

rml_status rml_torch_set_key(rml_torch *t, size_t at, const rml_pickle_value *key)
{
    char room[RML_QUOTE_BYTES];
    size_t bytes;
    const char *text = rml_torch_key_text(t, key, room, &bytes);
    return rml_torch_set_name(t, at, text, bytes);
}
