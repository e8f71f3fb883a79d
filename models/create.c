// How a model is made of one network, which the caller names, and of weights. What names all
// networks, and takes the file of a graph for one, is registry.c.
#include "engine/model.h"
#include "models/networks.h"

rml_status rml_network_build(rml_graph *graph, const rml_network *chosen,
                             const rml_params_source *source, uint64_t *trained, rml_error *err)
{
    rml_params *params;
    RML_TRY(rml_params_create(&params, graph, source, err));
    chosen->build(params);
    // What is wrong with the weights explains a graph error better than the graph error itself.
    rml_status status = rml_params_finish(params, chosen->name, err);
    if (status == RML_OK)
        status = rml_graph_finish(graph, err);
    *trained = rml_params_trained(params);
    rml_params_destroy(&params);
    return status;
}

static void drop_pages(void *user)
{
    rml_weights_drop_pages(user);
}

static rml_status assemble(rml_model **out, const rml_network *chosen, const rml_weights *weights,
                           const rml_model_settings *settings, int64_t *part, rml_error *err)
{
    RML_TRY(rml_model_begin(out, chosen->kit, settings, err));
    const rml_params_source source = {.weights = weights, .config = settings->config, .part = part};
    const rml_status status =
        rml_network_build(&(*out)->graph, chosen, &source, &(*out)->parameters, err);
    if (status != RML_OK && weights && *rml_weights_path(weights))
        rml_error_prefix(err, rml_weights_path(weights));
    if (status != RML_OK)
        rml_model_destroy(out);
    else if (weights)
        (*out)->drop_pages = drop_pages;
    if (status == RML_OK)
        (*out)->user = (void *)(uintptr_t)weights; // only handed back to rml_weights_drop_pages
    return status;
}

rml_status rml_model_create_network(rml_model **out, const rml_network *network,
                                    const rml_weights *weights, const rml_model_settings *settings,
                                    rml_error *err)
{
    rml_model_settings given;
    *out = NULL;
    RML_TRY(rml_settings_take(&given, sizeof given, settings, "rml_model_settings", err));
    if (weights && rml_weights_is_graph(weights, NULL, NULL))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the weights of %s are a graph file, which rml_model_create takes",
                        network->name);
    RML_TRY(assemble(out, network, weights, &given, NULL, err));
    return rml_model_improve(out, &given, err);
}

rml_status rml_model_create_part(rml_model **out, void (*build_part)(rml_params *params),
                                 int64_t *part, const rml_weights *weights,
                                 const rml_model_settings *settings, rml_error *err)
{
    const rml_network chosen = {"a part of a network", build_part, &rml_kit_whole};
    rml_model_settings given;
    *out = NULL;
    RML_TRY(rml_settings_take(&given, sizeof given, settings, "rml_model_settings", err));
    RML_TRY(assemble(out, &chosen, weights, &given, part, err));
    return rml_model_improve(out, &given, err);
}
