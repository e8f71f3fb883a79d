// What is done to a store once all of its tensors are there: names without wrappers, an index of
// them, and which tensors share their elements.
#include "loaders/weights/weights_store.h"
#include "tensor/format.h"

#include <string.h>

// What wrappers put into names: Lightning's around DeepSpeed (which holds DataParallel's, and so
// comes first), DataParallel, torch.compile.
static const char *const wrappers[] = {"_forward_module.", "module.", "_orig_mod."};
#define WRAPPERS (sizeof wrappers / sizeof *wrappers)

// Bytes of the wrapper's name that stands at `text`, or 0.
static size_t wrapper_bytes(const char *text)
{
    for (size_t i = 0; i < WRAPPERS; i++)
        if (strncmp(text, wrappers[i], strlen(wrappers[i])) == 0)
            return strlen(wrappers[i]);
    return 0;
}

// Copies `name` without any wrapper's, as str.replace does: "a.module.b" is "a.b".
static rml_status without_wrappers(rml_weights *weights, const char *name, const char **out,
                                   rml_error *err)
{
    *out = name;
    if (!strstr(name, "module.") && !strstr(name, "_orig_mod."))
        return RML_OK;
    char *copy = rml_arena_text(&weights->arena, name);
    if (!copy)
        return rml_fail_nomem(err, strlen(name) + 1, "the name of a weight");
    char *to = copy;
    for (const char *from = name; *from;) {
        const size_t skip = wrapper_bytes(from);
        if (skip)
            from += skip;
        else
            *to++ = *from++;
    }
    *to = 0;
    *out = copy;
    return RML_OK;
}

// A name that nothing else has, for one that a network never asks for: "a" becomes "a~2".
static rml_status add_loose(rml_weights *weights, size_t index, rml_error *err)
{
    rml_weight *weight = &weights->weight[index];
    char name[RML_MAX_NAME_BYTES + 16];
    size_t now = 0;
    RML_TRY(rml_names_add(&weights->names, weight->name, strlen(weight->name), index, &now, err));
    if (now == index)
        return RML_OK;
    rml_format(name, sizeof name, "%s~%zu", weight->name, index);
    weight->name = rml_arena_text(&weights->arena, name);
    if (!weight->name)
        return rml_fail_nomem(err, sizeof name, "the name of a weight");
    return rml_names_add(&weights->names, weight->name, strlen(weight->name), index, &now, err);
}

// Indexes the names as they are; *collision is the first weight whose name is taken, or the count.
static rml_status index_names(rml_weights *weights, size_t *collision, rml_error *err)
{
    rml_names_release(&weights->names);
    *collision = weights->count;
    for (size_t i = 0; i < weights->count; i++) {
        const char *name = weights->weight[i].name;
        size_t now = i;
        if (!weights->weight[i].loose)
            RML_TRY(rml_names_add(&weights->names, name, strlen(name), i, &now, err));
        if (now != i) {
            *collision = i;
            return RML_OK;
        }
    }
    for (size_t i = 0; i < weights->count; i++)
        if (weights->weight[i].loose)
            RML_TRY(add_loose(weights, i, err));
    return RML_OK;
}

// ---- tied tensors -----------------------------------------------------------------------------

// What two tensors have in common whose elements are the same ones.
typedef struct place {
    const uint8_t *data;
    rml_dtype dtype;
    rml_coding_kind coding;
    int rank;
    double scale;
    int64_t zero;
    int64_t dim[RML_MAX_RANK], stride[RML_MAX_RANK];
} place;

static void set_place(place *out, const rml_weight *weight)
{
    const rml_stored *stored = &weight->stored;
    memset(out, 0, sizeof *out); // bytes between members, too: they are compared
    out->data = stored->data;
    out->dtype = stored->dtype;
    out->coding = stored->coding.kind;
    out->scale = stored->coding.scale;
    out->zero = stored->coding.zero;
    out->rank = stored->shape.rank;
    for (int i = 0; i < out->rank; i++) {
        out->dim[i] = stored->shape.dim[i];
        out->stride[i] = stored->stride[i];
    }
}

static bool has_elements(const rml_weight *weight)
{
    size_t count;
    return !weight->unreadable && rml_shape_count(&weight->stored.shape, &count) && count > 0;
}

static rml_status find_tied(rml_weights *weights, rml_names *places, place *all, rml_error *err)
{
    for (size_t i = 0; i < weights->count; i++) {
        size_t now = i;
        set_place(&all[i], &weights->weight[i]);
        if (has_elements(&weights->weight[i]))
            RML_TRY(rml_names_add(places, (const char *)&all[i], sizeof *all, i, &now, err));
        weights->weight[i].same_as = now == i ? 0 : (uint32_t)now + 1;
    }
    for (size_t i = 0; i < weights->beside_count; i++) {
        size_t now;
        place wanted;
        set_place(&wanted, &weights->beside[i]);
        if (has_elements(&weights->beside[i]) &&
            rml_names_find(places, (const char *)&wanted, sizeof wanted, &now))
            weights->beside[i].same_as = (uint32_t)now + 1;
    }
    return RML_OK;
}

static rml_status note_tied(rml_weights *weights, rml_error *err)
{
    rml_names places;
    place *all = NULL;
    if (weights->count == 0)
        return RML_OK;
    RML_TRY(rml_make(weights->allocator, &all, weights->count, sizeof *all, "the places of weights",
                     err));
    rml_names_init(&places, weights->allocator);
    const rml_status status = find_tied(weights, &places, all, err);
    rml_names_release(&places);
    rml_free(weights->allocator, all);
    return status;
}

// ---- both -------------------------------------------------------------------------------------

rml_status rml_weights_finish(rml_weights *weights, rml_error *err)
{
    size_t collision = 0;
    for (size_t i = 0; i < weights->count; i++) {
        rml_weight *weight = &weights->weight[i];
        RML_TRY(without_wrappers(weights, weights->stored_name[i], &weight->name, err));
    }
    RML_TRY(note_tied(weights, err));
    RML_TRY(index_names(weights, &collision, err));
    if (collision == weights->count)
        return RML_OK;
    // A file that holds both "module.a" and "a" is no DataParallel checkpoint: all names stay.
    for (size_t i = 0; i < weights->count; i++)
        weights->weight[i].name = weights->stored_name[i];
    RML_TRY(index_names(weights, &collision, err));
    if (collision == weights->count)
        return RML_OK;
    char quoted[RML_QUOTE_BYTES];
    const char *name = weights->stored_name[collision];
    return rml_fail(err, RML_ERR_FORMAT, "two tensors are named \"%s\"",
                    rml_quote(quoted, name, strlen(name)));
}
