// "model.safetensors.index.json" and its kin: {"weight_map": {"<tensor>": "<file>", ...}}.
#include "loaders/formats/json.h"
#include "loaders/weights/readers.h"

#include <string.h>

// A shard lies beside its index; anything that could lead elsewhere, or make a message move the
// cursor, is refused.
static bool is_plain_file_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            return false;
    return name[0] && name[0] != '.' && !strpbrk(name, "/\\:");
}

static rml_status file_place(rml_shard_index *index, rml_names *files, const rml_json_token *token,
                             size_t *place, rml_error *err)
{
    char quoted[RML_QUOTE_BYTES];
    if (rml_names_find(files, token->text, token->text_bytes, place))
        return RML_OK;
    if (!is_plain_file_name(token->text))
        return rml_fail(err, RML_ERR_FORMAT,
                        "shard index names \"%s\", which is not a file beside it",
                        rml_quote(quoted, token->text, token->text_bytes));
    if (index->file_count >= RML_MAX_SHARDS)
        return rml_fail(err, RML_ERR_LIMIT, "shard index names more than %d files", RML_MAX_SHARDS);
    RML_TRY(rml_reserve(files->allocator, &index->file, &index->file_capacity,
                        index->file_count + 1, sizeof *index->file, "a list of shards", err));
    const char *copy = rml_arena_text(&index->arena, token->text);
    if (!copy)
        return rml_fail_nomem(err, token->text_bytes, "the name of a shard");
    index->file[index->file_count] = copy;
    RML_TRY(rml_names_add(files, copy, token->text_bytes, index->file_count, place, err));
    index->file_count++;
    return RML_OK;
}

static rml_status add_tensor(rml_shard_index *index, const rml_json_token *token, char **name,
                             rml_error *err)
{
    if (token->text_bytes >= RML_MAX_NAME_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "shard index with a name of %zu bytes, the limit is %d",
                        token->text_bytes, RML_MAX_NAME_BYTES - 1);
    if (index->tensor_count >= RML_MAX_WEIGHTS)
        return rml_fail(err, RML_ERR_LIMIT, "shard index of more than %d tensors", RML_MAX_WEIGHTS);
    RML_TRY(rml_reserve(index->tensors.allocator, &index->tensor, &index->tensor_capacity,
                        index->tensor_count + 1, sizeof *index->tensor, "a list of tensors", err));
    *name = rml_arena_text(&index->arena, token->text);
    if (!*name)
        return rml_fail_nomem(err, token->text_bytes, "the name of a tensor");
    index->tensor[index->tensor_count++] = *name;
    return RML_OK;
}

static rml_status read_map(rml_shard_index *index, rml_json *json, rml_names *files, rml_error *err)
{
    rml_json_token token;
    char quoted[RML_QUOTE_BYTES];
    RML_TRY(
        rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "\"weight_map\" as an object", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        char *name = NULL;
        size_t place = 0, now = 0;
        RML_TRY(add_tensor(index, &token, &name, err));
        RML_TRY(rml_json_expect(json, RML_JSON_TEXT, "a file's name", &token, err));
        RML_TRY(file_place(index, files, &token, &place, err));
        size_t before = index->tensors.count;
        RML_TRY(rml_names_add(&index->tensors, name, strlen(name), place, &now, err));
        if (index->tensors.count == before)
            return rml_fail(err, RML_ERR_FORMAT, "shard index names \"%s\" twice",
                            rml_quote(quoted, name, strlen(name)));
    }
}

static rml_status read_document(rml_shard_index *index, rml_json *json, rml_names *files,
                                rml_error *err)
{
    rml_json_token token;
    bool found = false;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "an object", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        if (strcmp(token.text, "weight_map") == 0 && !found) {
            found = true;
            RML_TRY(read_map(index, json, files, err));
        } else {
            RML_TRY(rml_json_next(json, &token, err));
            RML_TRY(rml_json_skip(json, &token, err));
        }
    }
    RML_TRY(rml_json_expect(json, RML_JSON_END, "the end", &token, err));
    if (!found)
        return rml_fail(err, RML_ERR_FORMAT,
                        "JSON without \"weight_map\": neither weights nor the index of their "
                        "shards");
    if (index->file_count == 0)
        return rml_fail(err, RML_ERR_FORMAT, "shard index without tensors");
    return RML_OK;
}

rml_status rml_shard_index_read(rml_shard_index *out, const uint8_t *data, size_t size,
                                const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_shard_index){.file = NULL};
    rml_arena_init(&out->arena, allocator);
    rml_names_init(&out->tensors, allocator);
    rml_names files;
    rml_names_init(&files, allocator);
    rml_json json;
    rml_json_begin(&json, data, size, allocator);
    rml_status status = read_document(out, &json, &files, err);
    rml_json_release(&json);
    rml_names_release(&files);
    if (status != RML_OK)
        rml_shard_index_release(out);
    return status;
}

void rml_shard_index_release(rml_shard_index *index)
{
    const rml_allocator *allocator = index->arena.allocator;
    rml_free(allocator, index->file);
    rml_free(allocator, index->tensor);
    rml_names_release(&index->tensors);
    rml_arena_release(&index->arena);
    *index = (rml_shard_index){.file = NULL};
    rml_arena_init(&index->arena, allocator);
    rml_names_init(&index->tensors, allocator);
}
