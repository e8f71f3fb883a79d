#include "engine/model.h"

#include "graph/passes/passes.h"

#include <string.h>

#define DROP_BYTES ((size_t)1 << 20) // smaller weights share pages with their neighbours

// One packed weight, or the elements of one constant (algorithm NULL).
struct rml_pack {
    const void *key; // node, or value
    const rml_algorithm *algorithm;
    rml_gemm_fn *gemm; // whose layout it has
    void *data;
    size_t bytes;
};

rml_model_settings rml_model_settings_default(void)
{
    return (rml_model_settings){.size = sizeof(rml_model_settings)};
}

rml_status rml_model_begin(rml_model **out, const rml_model_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings && settings->allocator ? settings->allocator : rml_allocator_default();
    *out = rml_alloc_zero(allocator, 1, sizeof **out);
    if (!*out)
        return rml_fail_nomem(err, sizeof **out, "the model");
    (*out)->allocator = allocator;
    rml_graph_init(&(*out)->graph, allocator);
    rml_lock_init(&(*out)->lock);
    return RML_OK;
}

void rml_model_destroy(rml_model **model_at)
{
    rml_model *model = *model_at;
    if (!model)
        return;
    for (size_t i = 0; i < model->pack_count; i++)
        rml_free(model->allocator, model->packs[i].data);
    rml_free(model->allocator, model->packs);
    rml_graph_release(&model->graph);
    if (model->release)
        model->release(model->user);
    rml_lock_release(&model->lock);
    rml_free(model->allocator, model);
    *model_at = NULL;
}

static const struct rml_pack *find(const rml_model *model, const void *key,
                                   const rml_algorithm *algorithm, rml_gemm_fn *gemm)
{
    for (size_t i = 0; i < model->pack_count; i++)
        if (model->packs[i].key == key && model->packs[i].algorithm == algorithm &&
            model->packs[i].gemm == gemm)
            return &model->packs[i];
    return NULL;
}

// Makes room for one more pack and allocates its data; the entry counts once the caller adds it.
static struct rml_pack *reserve(rml_model *model, size_t bytes, rml_error *err)
{
    struct rml_pack *packs = rml_grow(model->allocator, model->packs, &model->pack_capacity,
                                      model->pack_count + 1, sizeof *packs);
    if (!packs) {
        rml_fail_nomem(err, sizeof *packs, "the table of packed weights");
        return NULL;
    }
    model->packs = packs;
    struct rml_pack *pack = &packs[model->pack_count];
    pack->bytes = bytes;
    pack->data = rml_alloc(model->allocator, pack->bytes);
    if (!pack->data) {
        rml_fail_nomem(err, pack->bytes, "packed weights");
        return NULL;
    }
    return pack;
}

rml_status rml_model_pack(rml_model *model, const rml_graph *graph, const rml_node *node,
                          const rml_algorithm *algorithm, const rml_op_args *args,
                          const void **packed, size_t *bytes, rml_error *err)
{
    rml_status status = RML_OK;
    rml_lock_take(&model->lock);
    // Sessions of one model may differ in level, in precision, and in features of the CPU.
    rml_gemm_fn *gemm = algorithm->precision == RML_PRECISION_BF16 ? args->kernels->gemm_bf16.run
                                                                   : args->kernels->gemm_f32.run;
    const struct rml_pack *found = find(model, node, algorithm, gemm);
    if (!found) {
        const rml_op *op = rml_op_get(node->op);
        const rml_value *weight = &graph->values[node->in[op->packed_input]];
        struct rml_pack *pack = NULL;
        size_t wanted = 0;
        if (!weight->constant)
            status = rml_fail(err, RML_ERR_UNSUPPORTED, "%s (%s): weight %s is not a constant",
                              node->name, op->name, weight->name);
        else
            status = rml_op_memory(algorithm, args, node->name, &wanted, NULL, err);
        if (status == RML_OK && !(pack = reserve(model, wanted, err)))
            status = RML_ERR_NOMEM;
        if (pack) {
            status = algorithm->pack(args, weight->constant, pack->data, model->allocator, err);
            // At once, not after the last one: the peak stays near the size of the packed weights.
            if (model->drop_pages && pack->bytes >= DROP_BYTES)
                model->drop_pages(model->user);
            if (status == RML_OK) {
                pack->key = node;
                pack->algorithm = algorithm;
                pack->gemm = gemm;
                model->pack_count++;
                found = pack;
            } else {
                rml_free(model->allocator, pack->data);
            }
        }
    }
    if (found) {
        *packed = found->data;
        *bytes = found->bytes;
    }
    rml_lock_give(&model->lock);
    return status;
}

rml_status rml_model_constant(rml_model *model, const rml_value *value, const void **data,
                              size_t *bytes, rml_error *err)
{
    rml_status status = RML_OK;
    rml_lock_take(&model->lock);
    const struct rml_pack *found = find(model, value, NULL, NULL);
    if (!found) {
        size_t count = 0;
        struct rml_pack *pack = NULL;
        if (!rml_shape_count(&value->shape, &count))
            status = rml_fail(err, RML_ERR_LIMIT, "constant %s is too large", value->name);
        else if (!(pack = reserve(model, (count ? count : 1) * rml_dtype_size(value->dtype), err)))
            status = RML_ERR_NOMEM;
        if (pack) {
            rml_constant_copy(value->constant, value->dtype, pack->data);
            pack->key = value;
            pack->algorithm = NULL;
            pack->gemm = NULL;
            model->pack_count++;
            found = pack;
        }
    }
    if (found) {
        *data = found->data;
        *bytes = found->bytes;
    }
    rml_lock_give(&model->lock);
    return status;
}

size_t rml_model_input_count(const rml_model *model)
{
    return model->graph.input_count;
}

size_t rml_model_output_count(const rml_model *model)
{
    return model->graph.output_count;
}

rml_port rml_model_input(const rml_model *model, size_t index)
{
    rml_port port = {0};
    if (index < model->graph.input_count) {
        const rml_value *value = &model->graph.values[model->graph.inputs[index]];
        port = (rml_port){.name = value->name, .dtype = value->dtype, .shape = value->shape};
    }
    return port;
}

rml_port rml_model_output(const rml_model *model, size_t index)
{
    rml_port port = {0};
    if (index < model->graph.output_count)
        port = (rml_port){.name = model->graph.output_names[index],
                          .dtype = model->graph.values[model->graph.outputs[index]].dtype,
                          .shape = model->graph.values[model->graph.outputs[index]].shape};
    return port;
}

size_t rml_model_find_input(const rml_model *model, const char *name)
{
    const rml_graph *graph = &model->graph;
    for (size_t i = 0; i < graph->input_count; i++)
        if (strcmp(graph->values[graph->inputs[i]].name, name) == 0)
            return i;
    return RML_NO_PORT;
}

size_t rml_model_find_output(const rml_model *model, const char *name)
{
    for (size_t i = 0; i < model->graph.output_count; i++)
        if (strcmp(model->graph.output_names[i], name) == 0)
            return i;
    return RML_NO_PORT;
}

uint64_t rml_model_parameters(const rml_model *model)
{
    return model->parameters;
}
