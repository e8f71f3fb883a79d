#include "engine/model.h"

#include <string.h>

#define DROP_BYTES ((size_t)1 << 20) // smaller weights share pages with their neighbours

// One packed weight, or the elements of one constant (algorithm NULL).
struct rml_pack {
    const void *key; // node, or value; the table goes by it, and an entry without data is free
    const rml_algorithm *algorithm;
    rml_gemm_fn *gemm; // whose layout it has
    void *data;
    size_t bytes;
};

rml_model_settings rml_model_settings_default(void)
{
    return (rml_model_settings){.size = sizeof(rml_model_settings)};
}

rml_status rml_model_begin(rml_model **out, const rml_kit *kit, const rml_model_settings *settings,
                           rml_error *err)
{
    const rml_allocator *allocator =
        settings && settings->allocator ? settings->allocator : rml_allocator_default();
    RML_TRY(rml_make(allocator, out, 1, sizeof **out, "the model", err));
    (*out)->allocator = allocator;
    (*out)->kit = kit;
    (*out)->as_written = settings && settings->as_written;
    rml_graph_init(&(*out)->graph, allocator);
    rml_lock_init(&(*out)->lock);
    return RML_OK;
}

void rml_model_destroy(rml_model **model_at)
{
    rml_model *model = *model_at;
    if (!model)
        return;
    for (size_t i = 0; i < model->pack_capacity; i++)
        rml_free(model->allocator, model->packs[i].data);
    rml_free(model->allocator, model->packs);
    rml_graph_release(&model->graph);
    if (model->release)
        model->release(model->user);
    rml_lock_release(&model->lock);
    rml_free(model->allocator, model);
    *model_at = NULL;
}

// The entry that is there, or the free one where it belongs.
static struct rml_pack *probe(const rml_model *model, const struct rml_pack *want)
{
    const uint64_t hash = (uint64_t)(uintptr_t)want->key * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(hash >> 32) & (model->pack_capacity - 1);
    for (;; at = (at + 1) & (model->pack_capacity - 1)) {
        struct rml_pack *pack = &model->packs[at];
        if (!pack->data || (pack->key == want->key && pack->algorithm == want->algorithm &&
                            pack->gemm == want->gemm))
            return pack;
    }
}

// The same in a table with room for one more. NULL when memory is out.
static struct rml_pack *find(rml_model *model, const struct rml_pack *want, rml_error *err)
{
    const rml_model old = *model;
    if ((old.pack_count + 1) * 2 > old.pack_capacity) {
        model->pack_capacity = old.pack_capacity ? old.pack_capacity * 2 : 64;
        model->packs = rml_alloc_zero(model->allocator, model->pack_capacity, sizeof *model->packs);
        if (!model->packs) {
            rml_fail_nomem(err, model->pack_capacity * sizeof *model->packs,
                           "the table of packed weights");
            model->packs = old.packs;
            model->pack_capacity = old.pack_capacity;
            return NULL;
        }
        for (size_t i = 0; i < old.pack_capacity; i++)
            if (old.packs[i].data)
                *probe(model, &old.packs[i]) = old.packs[i];
        rml_free(model->allocator, old.packs);
    }
    return probe(model, want);
}

static rml_status allocate(const rml_model *model, struct rml_pack *pack, size_t bytes,
                           rml_error *err)
{
    pack->bytes = bytes;
    pack->data = rml_alloc(model->allocator, bytes);
    return pack->data ? RML_OK : rml_fail_nomem(err, bytes, "packed weights");
}

static rml_status make_pack(rml_model *model, const rml_graph *graph, const rml_node *node,
                            const rml_op_args *args, struct rml_pack *pack, rml_error *err)
{
    const rml_op *op = node->def;
    const rml_value *weight = &graph->values[node->in[op->packed_input]];
    size_t bytes = 0;
    if (!weight->constant)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s (%s): weight %s is not a constant",
                        node->name, op->name, weight->name);
    RML_TRY(rml_op_memory(pack->algorithm, args, node->name, &bytes, NULL, err));
    RML_TRY(allocate(model, pack, bytes, err));
    const rml_status status =
        pack->algorithm->pack(args, weight->constant, pack->data, model->allocator, err);
    // At once, not after the last one: the peak stays near the size of the packed weights.
    if (model->drop_pages && pack->bytes >= DROP_BYTES)
        model->drop_pages(model->user);
    if (status != RML_OK)
        rml_free(model->allocator, pack->data);
    return status;
}

rml_status rml_model_pack(rml_model *model, const rml_graph *graph, const rml_node *node,
                          const rml_algorithm *algorithm, const rml_op_args *args,
                          const void **packed, size_t *bytes, rml_error *err)
{
    // Sessions of one model may differ in level, in precision, and in features of the CPU.
    struct rml_pack want = {.key = node,
                            .algorithm = algorithm,
                            .gemm = algorithm->precision == RML_PRECISION_BF16
                                        ? RML_KERNEL(args->kernels, gemm_bf16).run
                                        : RML_KERNEL(args->kernels, gemm_f32).run};
    rml_lock_take(&model->lock);
    struct rml_pack *found = find(model, &want, err);
    rml_status status = found ? RML_OK : RML_ERR_NOMEM;
    if (found && !found->data &&
        (status = make_pack(model, graph, node, args, &want, err)) == RML_OK) {
        *found = want;
        model->pack_count++;
    }
    if (status == RML_OK) {
        *packed = found->data;
        *bytes = found->bytes;
    }
    rml_lock_give(&model->lock);
    return status;
}

rml_status rml_model_constant(rml_model *model, const rml_value *value, const void **data,
                              size_t *bytes, rml_error *err)
{
    struct rml_pack want = {.key = value};
    rml_lock_take(&model->lock);
    struct rml_pack *found = find(model, &want, err);
    rml_status status = found ? RML_OK : RML_ERR_NOMEM;
    if (found && !found->data) {
        size_t count = 0;
        status =
            rml_shape_count(&value->shape, &count)
                ? allocate(model, &want, (count ? count : 1) * rml_dtype_size(value->dtype), err)
                : rml_fail(err, RML_ERR_LIMIT, "constant %s is too large", value->name);
        if (status == RML_OK) {
            rml_constant_copy(value->constant, value->dtype, want.data);
            *found = want;
            model->pack_count++;
        }
    }
    if (status == RML_OK) {
        *data = found->data;
        *bytes = found->bytes;
    }
    rml_lock_give(&model->lock);
    return status;
}

size_t rml_model_input_count(const rml_model *model)
{
    return model->graph.input_count - model->graph.state_count;
}

size_t rml_model_output_count(const rml_model *model)
{
    return model->graph.output_count - model->graph.state_count;
}

static rml_port input_at(const rml_model *model, size_t index)
{
    const rml_value *value = &model->graph.values[model->graph.inputs[index]];
    return (rml_port){
        .name = value->name, .dtype = value->dtype, .shape = value->shape, .limits = value->limits};
}

rml_port rml_model_input(const rml_model *model, size_t index)
{
    rml_port port = {0};
    if (index < rml_model_input_count(model)) {
        port = input_at(model, index);
        port.meaning = rml_graph_meaning(&model->graph, false, index);
    }
    return port;
}

rml_port rml_model_output(const rml_model *model, size_t index)
{
    rml_port port = {0};
    if (index < rml_model_output_count(model))
        port = (rml_port){.name = model->graph.output_names[index],
                          .dtype = model->graph.values[model->graph.outputs[index]].dtype,
                          .shape = model->graph.values[model->graph.outputs[index]].shape,
                          .meaning = rml_graph_meaning(&model->graph, true, index)};
    return port;
}

size_t rml_model_find_input(const rml_model *model, const char *name)
{
    const size_t index = rml_graph_find_input(&model->graph, name);
    return index < rml_model_input_count(model) ? index : RML_NO_PORT;
}

size_t rml_model_find_output(const rml_model *model, const char *name)
{
    const size_t index = rml_graph_find_output(&model->graph, name);
    return index < rml_model_output_count(model) ? index : RML_NO_PORT;
}

rml_port rml_model_state(const rml_model *model, size_t index)
{
    return index < model->graph.state_count ? input_at(model, rml_model_input_count(model) + index)
                                            : (rml_port){0};
}

uint64_t rml_model_parameters(const rml_model *model)
{
    return model->parameters;
}
