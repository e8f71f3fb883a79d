#include "models/params.h"

#include "tensor/format.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define LISTED 12 // keys of each kind that a message names

typedef enum problem_kind {
    MISSING,
    MISSHAPEN,
    UNREADABLE,
    UNEXPECTED,
    PROBLEM_KINDS
} problem_kind;

typedef struct problem_list {
    size_t count;
    char text[1200]; // the first LISTED, as many as fit
} problem_list;

struct rml_params {
    rml_graph *graph;
    const rml_weights *weights;
    rml_weights *fill;
    uint64_t random;
    const char *config_source;
    int64_t *part;
    rml_config config; // read when it is first asked for
    bool config_read;
    const char *prefix; // of all keys in the store
    const char *ignored[RML_PARAMS_IGNORED];
    size_t ignored_count;
    bool *used; // of each tensor in the store
    size_t asked;
    uint64_t trained;
    problem_list problems[PROBLEM_KINDS];
};

static void note(problem_list *list, const char *format, ...) RML_PRINTF(2, 3);

static void note(problem_list *list, const char *format, ...)
{
    const size_t length = strlen(list->text);
    if (list->count++ < LISTED) {
        va_list args;
        va_start(args, format);
        char item[300];
        rml_format_v(item, sizeof item, format, args);
        va_end(args);
        rml_format(list->text + length, sizeof list->text - length, "%s%s", length ? ", " : "",
                   item);
    }
}

rml_status rml_params_create(rml_params **out, rml_graph *graph, const rml_params_source *source,
                             rml_error *err)
{
    const rml_allocator *allocator = graph->arena.allocator;
    rml_params *params;
    *out = NULL;
    RML_TRY(rml_make(allocator, &params, 1, sizeof *params, "the parameters", err));
    params->graph = graph;
    params->weights = source->weights;
    params->fill = source->fill;
    params->random = source->seed;
    params->config_source = source->config;
    params->part = source->part;
    params->prefix = "";
    rml_config_init(&params->config, allocator);
    const size_t count = params->weights ? rml_weights_count(params->weights) : 0;
    params->used = rml_alloc_zero(allocator, count + 1, sizeof *params->used);
    if (!params->used) {
        rml_params_destroy(&params);
        return rml_fail_nomem(err, count, "the parameters");
    }
    *out = params;
    return RML_OK;
}

void rml_params_destroy(rml_params **params)
{
    if (!*params)
        return;
    const rml_allocator *allocator = (*params)->graph->arena.allocator;
    rml_config_release(&(*params)->config);
    rml_free(allocator, (*params)->used);
    rml_free(allocator, *params);
    *params = NULL;
}

rml_config *rml_params_config(rml_params *params)
{
    if (!params->config_read && params->config_source)
        rml_config_read(&params->config, params->config_source);
    else if (!params->config_read && params->weights && *rml_weights_path(params->weights))
        rml_config_read_beside(&params->config, rml_weights_path(params->weights));
    params->config_read = true;
    return &params->config;
}

bool rml_params_config_named(const rml_params *params)
{
    return params->config_source != NULL;
}

static const rml_weight *find(const rml_params *params, const char *prefix, const char *key)
{
    char name[RML_MAX_NAME_BYTES];
    const int length = rml_format(name, sizeof name, "%s%s", prefix, key);
    return length < (int)sizeof name ? rml_weights_find(params->weights, name) : NULL;
}

void rml_params_scope(rml_params *params, const char *anchor, const char *const *prefixes)
{
    if (!params->weights || find(params, "", anchor))
        return;
    for (; *prefixes; prefixes++)
        if (find(params, *prefixes, anchor)) {
            params->prefix = *prefixes;
            return;
        }
}

void rml_params_ignore(rml_params *params, const char *prefix)
{
    if (params->ignored_count < RML_PARAMS_IGNORED)
        params->ignored[params->ignored_count++] = prefix;
}

const rml_shape *rml_params_stored(const rml_params *params, const char *key)
{
    const rml_weight *weight = params->weights ? find(params, params->prefix, key) : NULL;
    return weight ? &weight->stored.shape : NULL;
}

bool rml_params_published(const rml_params *params)
{
    return !params->weights;
}

rml_graph *rml_params_graph(rml_params *params)
{
    return params->graph;
}

int64_t *rml_params_part(const rml_params *params)
{
    return params->part;
}

uint64_t rml_params_trained(const rml_params *params)
{
    return params->trained;
}

static uint64_t element_count(const rml_shape *shape)
{
    uint64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (uint64_t)shape->dim[i];
    return count;
}

void rml_params_not_trained(rml_params *params, rml_value_id value)
{
    if (value != RML_NO_VALUE)
        params->trained -= element_count(&params->graph->values[value].shape);
}

// splitmix64: a stream of well mixed numbers from any seed.
static float next_uniform(uint64_t *state) // [-1, 1)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)((double)(z >> 40) * 0x1p-23 - 1.0);
}

static rml_status make_random(rml_params *params, const char *key, const rml_shape *shape,
                              rml_init init, rml_error *err)
{
    float *data;
    RML_TRY(rml_weights_add_f32(params->fill, key, shape, &data, err));
    const size_t count = (size_t)element_count(shape);
    size_t outputs = 1;
    if (shape->rank > 1)
        outputs = (size_t)shape->dim[init == RML_INIT_WEIGHT_TRANSPOSED ? 1 : 0];
    const float range = sqrtf(6.0f / (float)(count / outputs));
    for (size_t i = 0; i < count; i++)
        data[i] = init == RML_INIT_ZERO      ? 0.0f
                  : init == RML_INIT_ONE     ? 1.0f
                  : init == RML_INIT_QUARTER ? 0.25f
                                             : range * next_uniform(&params->random);
    return RML_OK;
}

// A constant of the wanted shape, all zero, with one number behind it.
static rml_value_id placeholder(rml_params *params, const char *key, const rml_shape *shape)
{
    static const float nothing = 0.0f;
    rml_constant constant = {.stored = rml_stored_f32(&nothing, shape)};
    memset(constant.stored.stride, 0, sizeof constant.stored.stride);
    return rml_graph_constant(params->graph, key, &constant);
}

// A weight of a convolution of one pixel where one of a linear layer is wanted: the same numbers.
static rml_stored as_linear(const rml_stored *weight, const rml_shape *wanted)
{
    rml_stored out = *weight;
    while (wanted->rank == 2 && out.shape.rank > 2 && out.shape.dim[out.shape.rank - 1] == 1)
        out.shape.rank--;
    return out;
}

rml_value_id rml_params_get(rml_params *params, const char *key, const rml_shape *shape,
                            unsigned free, rml_init init)
{
    const rml_weights *weights = params->fill ? params->fill : params->weights;
    // After a graph error, such as memory running out, wanted shapes are made of guesses.
    if (params->graph->error.status != RML_OK)
        return RML_NO_VALUE;
    params->asked++;
    params->trained += element_count(shape);
    if (params->fill && make_random(params, key, shape, init, &params->graph->error) != RML_OK)
        return RML_NO_VALUE;
    if (!weights)
        return placeholder(params, key, shape);
    const rml_weight *weight =
        params->fill ? rml_weights_find(weights, key) : find(params, params->prefix, key);
    if (!weight) {
        note(&params->problems[MISSING], "%s%s", params->prefix, key);
        return placeholder(params, key, shape);
    }
    const rml_stored stored = as_linear(&weight->stored, shape);
    bool fits = stored.shape.rank == shape->rank;
    for (int i = 0; i < shape->rank && fits; i++)
        fits = free & (1u << i) ? stored.shape.dim[i] > 0 : stored.shape.dim[i] == shape->dim[i];
    if (!params->fill)
        params->used[weight - rml_weights_entry(weights, 0)] = true;
    if (weight->unreadable) {
        note(&params->problems[UNREADABLE], "%s is of type %s", weight->name, weight->type);
        return placeholder(params, key, fits ? &stored.shape : shape);
    }
    if (!fits) {
        char got[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
        rml_shape wanted = *shape;
        for (int i = 0; i < shape->rank; i++)
            if (free & (1u << i))
                wanted.dim[i] = -1;
        note(&params->problems[MISSHAPEN], "%s is %s, expected %s", weight->name,
             rml_shape_text(&weight->stored.shape, got), rml_shape_text(&wanted, want));
        // Widths that are there stay, so that the layers behind are not listed for this one's
        // fault.
        wanted = *shape;
        for (int i = 0; i < shape->rank && stored.shape.rank == shape->rank; i++)
            if (free & (1u << i) && stored.shape.dim[i] > 0)
                wanted.dim[i] = stored.shape.dim[i];
        return placeholder(params, key, &wanted);
    }
    params->trained += element_count(&stored.shape) - element_count(shape);
    const rml_constant constant = {.stored = stored};
    return rml_graph_constant(params->graph, key, &constant);
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

// True when the tensor belongs to something else, or is one that nothing needs.
static bool ignorable(const rml_params *params, const char *name)
{
    static const char suffix[] = "num_batches_tracked";
    const size_t length = strlen(name);
    if (!begins(name, params->prefix))
        return true;
    for (size_t i = 0; i < params->ignored_count; i++)
        if (begins(name + strlen(params->prefix), params->ignored[i]))
            return true;
    return length >= sizeof suffix - 1 && strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

rml_status rml_params_finish(rml_params *params, const char *model, rml_error *err)
{
    static const char *const titles[PROBLEM_KINDS] = {
        "missing", "wrong shape", "of types that are not supported", "unexpected"};
    problem_list *problems = params->problems;
    // Without memory a parameter is a placeholder, of which nothing else that is said is true.
    if (params->graph->error.status == RML_ERR_NOMEM)
        return rml_fail(err, RML_ERR_NOMEM, "%s", params->graph->error.message);
    if (params->config.error.status != RML_OK)
        return rml_fail(err, params->config.error.status, "%s", params->config.error.message);
    if (params->config_source && !params->config_read)
        return rml_fail(err, RML_ERR_ARG, "%s takes no config: its weights tell its shape", model);
    // What was not asked for is not known when building ended early.
    const bool whole = params->weights && params->graph->error.status == RML_OK;
    const size_t count = whole ? rml_weights_count(params->weights) : 0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const rml_weight *weight = rml_weights_entry(params->weights, i);
        used += params->used[i];
        if (!params->used[i] && !weight->loose && !ignorable(params, weight->name))
            note(&problems[UNEXPECTED], "%s", weight->name);
    }
    size_t troubles = 0;
    for (int kind = 0; kind < PROBLEM_KINDS; kind++)
        troubles += problems[kind].count;
    if (troubles == 0)
        return RML_OK;
    if (used == 0 && count > 0)
        return rml_fail(err, RML_ERR_FORMAT,
                        "these are not weights of %s: none of its %zu parameters is there, but %zu "
                        "other tensors are (%s, ...)",
                        model, params->asked, count, rml_weights_entry(params->weights, 0)->name);
    rml_fail(err, RML_ERR_SHAPE, "weights do not fit %s", model);
    for (int kind = 0; kind < PROBLEM_KINDS && err; kind++) {
        const problem_list *list = &problems[kind];
        if (list->count)
            rml_fail(err, RML_ERR_SHAPE, "%s; %zu %s: %s", err->message, list->count, titles[kind],
                     list->text);
        if (list->count > LISTED)
            rml_fail(err, RML_ERR_SHAPE, "%s and %zu more", err->message, list->count - LISTED);
    }
    return RML_ERR_SHAPE;
}
