#include "loaders/weights/config.h"

#include "loaders/formats/json.h"
#include "tensor/format.h"
#include "tensor/names.h"

#include <string.h>

typedef struct item {
    rml_json_type type; // TEXT, NUMBER, TRUE or FALSE
    const char *text;
    double number;
} item;

struct rml_config_entry {
    const char *key;
    const item *items;
    size_t count;
    bool other; // null is a list of none; this is an object, or a list with lists in it
};

void rml_config_init(rml_config *config, const rml_allocator *allocator)
{
    *config = (rml_config){.name = RML_CONFIG_FILE_NAME};
    rml_arena_init(&config->arena, allocator);
}

void rml_config_release(rml_config *config)
{
    rml_arena_release(&config->arena);
    config->entry = NULL;
    config->count = 0;
}

void rml_config_fail(rml_config *config, rml_status status, const char *format, ...)
{
    va_list args;
    if (config->error.status != RML_OK)
        return;
    va_start(args, format);
    rml_fail_v(&config->error, status, format, args);
    va_end(args);
    rml_error_prefix(&config->error, config->name);
}

// ---- reading ----------------------------------------------------------------------------------

static rml_status take_item(rml_config *config, const rml_json_token *token, item *out,
                            rml_error *err)
{
    *out = (item){.type = token->type, .number = token->number};
    if (token->type == RML_JSON_TEXT && !(out->text = rml_arena_text(&config->arena, token->text)))
        return rml_fail_nomem(err, token->text_bytes, "a text of the config");
    return RML_OK;
}

static bool is_plain(rml_json_type type)
{
    return type == RML_JSON_TEXT || type == RML_JSON_NUMBER || type == RML_JSON_TRUE ||
           type == RML_JSON_FALSE;
}

// Behind the opening bracket; reads to the closing one.
static rml_status read_list(rml_config *config, rml_json *json, struct rml_config_entry *entry,
                            rml_error *err)
{
    rml_json_token token;
    item items[RML_CONFIG_MAX_LIST];
    size_t count = 0;
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_ARRAY_END)
            break;
        if (!is_plain(token.type) || count == RML_CONFIG_MAX_LIST)
            entry->other = true;
        else
            RML_TRY(take_item(config, &token, &items[count++], err));
        RML_TRY(rml_json_skip(json, &token, err));
    }
    item *kept = rml_arena_alloc(&config->arena, count ? count : 1, sizeof *kept);
    if (!kept)
        return rml_fail_nomem(err, count * sizeof *kept, "a list of the config");
    memcpy(kept, items, count * sizeof *kept);
    entry->items = kept;
    entry->count = count;
    return RML_OK;
}

static rml_status read_value(rml_config *config, rml_json *json, struct rml_config_entry *entry,
                             rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_next(json, &token, err));
    if (token.type == RML_JSON_ARRAY_BEGIN)
        return read_list(config, json, entry, err);
    entry->other = token.type == RML_JSON_OBJECT_BEGIN;
    if (is_plain(token.type)) {
        item *kept = rml_arena_alloc(&config->arena, 1, sizeof *kept);
        if (!kept)
            return rml_fail_nomem(err, sizeof *kept, "a setting of the config");
        entry->items = kept;
        entry->count = 1;
        return take_item(config, &token, kept, err);
    }
    return rml_json_skip(json, &token, err);
}

static rml_status read_document(rml_config *config, rml_json *json, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "an object", &token, err));
    config->entry = rml_arena_alloc(&config->arena, RML_CONFIG_MAX_KEYS, sizeof *config->entry);
    if (!config->entry)
        return rml_fail_nomem(err, RML_CONFIG_MAX_KEYS * sizeof *config->entry, "the config");
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        if (config->count == RML_CONFIG_MAX_KEYS)
            return rml_fail(err, RML_ERR_LIMIT, "has more than %d keys", RML_CONFIG_MAX_KEYS);
        struct rml_config_entry *entry = &config->entry[config->count];
        entry->key = rml_arena_text(&config->arena, token.text);
        if (!entry->key)
            return rml_fail_nomem(err, token.text_bytes, "a key of the config");
        config->count++;
        RML_TRY(read_value(config, json, entry, err));
    }
    return rml_json_expect(json, RML_JSON_END, "the end", &token, err);
}

void rml_config_read_text(rml_config *config, const void *text, size_t bytes)
{
    rml_error error = {0};
    if (bytes > RML_CONFIG_MAX_BYTES) {
        rml_config_fail(config, RML_ERR_LIMIT, "has %zu bytes, the limit is %zu", bytes,
                        RML_CONFIG_MAX_BYTES);
        return;
    }
    rml_json json;
    rml_json_begin(&json, text, bytes, config->arena.allocator);
    const rml_status status = read_document(config, &json, &error);
    rml_json_release(&json);
    if (status != RML_OK)
        rml_config_fail(config, status, "%s", error.message);
    config->given = status == RML_OK;
}

// ---- asking -----------------------------------------------------------------------------------

// The last entry of this name, as Python has it; NULL when it is missing or null.
static const struct rml_config_entry *find(rml_config *config, const char *key)
{
    if (config->error.status != RML_OK)
        return NULL;
    for (size_t i = config->count; i-- > 0;) {
        const struct rml_config_entry *entry = &config->entry[i];
        if (strcmp(entry->key, key) != 0)
            continue;
        if (entry->other)
            rml_config_fail(config, RML_ERR_UNSUPPORTED, "%s is no plain value or list of these",
                            key);
        return entry->other || entry->count == 0 ? NULL : entry;
    }
    return NULL;
}

static const item *find_one(rml_config *config, const char *key)
{
    const struct rml_config_entry *entry = find(config, key);
    if (entry && entry->count > 1)
        rml_config_fail(config, RML_ERR_UNSUPPORTED, "%s is a list, where one value is expected",
                        key);
    return entry && entry->count == 1 ? entry->items : NULL;
}

static int64_t as_int(rml_config *config, const char *key, const item *from, int64_t min,
                      int64_t max)
{
    const double limit = 9007199254740992.0; // 2^53: whole numbers are exact up to there
    const bool whole = from->type == RML_JSON_NUMBER && from->number > -limit &&
                       from->number < limit && from->number == (double)(int64_t)from->number;
    if (!whole)
        rml_config_fail(config, RML_ERR_FORMAT, "%s is not a whole number", key);
    else if ((int64_t)from->number < min || (int64_t)from->number > max)
        rml_config_fail(config, RML_ERR_UNSUPPORTED, "%s is %lld, and must be from %lld to %lld",
                        key, (long long)from->number, (long long)min, (long long)max);
    return config->error.status == RML_OK ? (int64_t)from->number : min;
}

static int as_choice(rml_config *config, const char *key, const item *from,
                     const char *const *names)
{
    char known[512] = "", quoted[RML_QUOTE_BYTES];
    for (int i = 0; names[i]; i++) {
        if (from->type == RML_JSON_TEXT && strcmp(from->text, names[i]) == 0)
            return i;
        const size_t used = strlen(known);
        rml_format(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    }
    if (from->type == RML_JSON_TEXT)
        rml_config_fail(config, RML_ERR_UNSUPPORTED, "%s \"%s\" is not supported; supported: %s",
                        key, rml_quote(quoted, from->text, strlen(from->text)), known);
    else
        rml_config_fail(config, RML_ERR_FORMAT, "%s is no text; supported: %s", key, known);
    return 0;
}

int64_t rml_config_int(rml_config *config, const char *key, int64_t fallback, int64_t min,
                       int64_t max)
{
    const item *found = find_one(config, key);
    return found ? as_int(config, key, found, min, max) : fallback;
}

double rml_config_number(rml_config *config, const char *key, double fallback)
{
    const item *found = find_one(config, key);
    if (found && found->type != RML_JSON_NUMBER) {
        rml_config_fail(config, RML_ERR_FORMAT, "%s is not a number", key);
        return fallback;
    }
    return found ? found->number : fallback;
}

bool rml_config_bool(rml_config *config, const char *key, bool fallback)
{
    const item *found = find_one(config, key);
    if (found && found->type != RML_JSON_TRUE && found->type != RML_JSON_FALSE) {
        rml_config_fail(config, RML_ERR_FORMAT, "%s is neither true nor false", key);
        return fallback;
    }
    return found ? found->type == RML_JSON_TRUE : fallback;
}

int rml_config_choice(rml_config *config, const char *key, const char *const *names, int fallback)
{
    const item *found = find_one(config, key);
    return found ? as_choice(config, key, found, names) : fallback;
}

static const struct rml_config_entry *find_list(rml_config *config, const char *key,
                                                size_t capacity)
{
    const struct rml_config_entry *entry = find(config, key);
    if (entry && entry->count > capacity)
        rml_config_fail(config, RML_ERR_LIMIT, "%s has %zu items, the limit is %zu", key,
                        entry->count, capacity);
    return entry && entry->count <= capacity ? entry : NULL;
}

size_t rml_config_ints(rml_config *config, const char *key, int64_t min, int64_t max, int64_t *out,
                       size_t capacity)
{
    const struct rml_config_entry *entry = find_list(config, key, capacity);
    for (size_t i = 0; entry && i < entry->count; i++)
        out[i] = as_int(config, key, &entry->items[i], min, max);
    return entry && config->error.status == RML_OK ? entry->count : 0;
}

size_t rml_config_choices(rml_config *config, const char *key, const char *const *names, int *out,
                          size_t capacity)
{
    const struct rml_config_entry *entry = find_list(config, key, capacity);
    for (size_t i = 0; entry && i < entry->count; i++)
        out[i] = as_choice(config, key, &entry->items[i], names);
    return entry && config->error.status == RML_OK ? entry->count : 0;
}
