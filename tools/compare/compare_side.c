#include "tools/compare/compare.h"

#include "tools/report.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>

// The built-in network that the weights fit, or NULL.
static const char *recognise(side *s, const rml_model_settings *built)
{
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL; i++)
        if (rml_model_create(&s->model, desc->name, s->weights, built, NULL) == RML_OK)
            return desc->name;
    return NULL;
}

static rml_status open_model(side *s, const char *network, const char *function,
                             const common_options *common, rml_error *err)
{
    rml_model_settings built = model_settings(common);
    built.disabled_passes = s->plain    ? "fold_bn,fuse_act,fuse_block"
                            : s->graphs ? "fuse_act,fuse_block"
                                        : "fuse_block";
    built.keep_types = true; // inputs are converted
    built.function = function && is_coreml_file(s->path) ? function : NULL;
    if (is_graph_file(s->path) && !network)
        return rml_model_open(&s->model, s->path, &built, err);
    TRY(rml_weights_open(&s->weights, s->path, NULL, err));
    if (strcmp(rml_weights_format(s->weights), "numpy archive") == 0)
        return RML_OK;
    s->network = network ? network : recognise(s, &built);
    if (s->model || !network)
        return RML_OK;
    return rml_model_create(&s->model, network, s->weights, &built, err);
}

rml_status side_open(side *s, const char *path, const char *network, const char *function,
                     const common_options *common, rml_error *err)
{
    *s = (side){.path = path,
                .plain = s->plain,
                .graphs = s->graphs,
                .layers.allocator = rml_allocator_default()};
    rml_status status = open_model(s, network, function, common, err);
    if (status == RML_OK && s->model) {
        rml_session_settings wanted = session_settings(common);
        wanted.observe = rml_layers_observe;
        wanted.observe_user = &s->layers;
        status = rml_session_create(&s->session, s->model, &wanted, err);
    }
    if (status != RML_OK)
        side_close(s);
    return status;
}

bool side_is_small(const side *s)
{
    rml_graph_file *file;
    if (!s->model || rml_graph_file_open(&file, s->path, NULL, NULL) != RML_OK)
        return false;
    const rml_graph_summary summary = rml_graph_file_summary(file);
    rml_graph_file_close(&file);
    return summary.numbers > 0 && summary.bytes < summary.numbers * 3;
}

static void print_warning(void *user, const rml_check_finding *finding)
{
    const side *s = user;
    if (finding->kind == RML_CHECK_WARNING)
        fprintf(stderr, "%s: %s: %s\n", s->path, finding->place, finding->text);
}

void side_warn(const side *s, bool quiet)
{
    size_t faults;
    side copy = *s;
    if (!quiet && is_coreml_file(s->path)) // what it cannot look at, opening has looked at
        (void)rml_model_check(s->path, NULL, print_warning, &copy, &faults, NULL);
}

void side_close(side *s)
{
    rml_layers_release(&s->layers);
    rml_session_destroy(&s->session);
    rml_model_destroy(&s->model);
    rml_weights_close(&s->weights);
    *s = (side){.path = s->path};
}

rml_status side_read(side *s, rml_error *err)
{
    for (size_t i = 0; i < rml_weights_count(s->weights); i++) {
        const rml_weight_info info = rml_weights_at(s->weights, i);
        size_t count = 0;
        if (info.unreadable) {
            fprintf(stderr, "compare: %s: %s is of type %s and is left out\n", s->path, info.name,
                    info.type);
            continue;
        }
        count_elements(&info.shape, &count);
        float *data = malloc((count + 1) * sizeof *data);
        if (!data)
            return no_memory(err, count * sizeof *data, "a stored tensor");
        const rml_status status = rml_weights_read_f32(s->weights, i, data, count, err);
        if (status == RML_OK)
            rml_layers_keep(&s->layers, info.name, NULL, RML_F32, &info.shape, data);
        free(data);
        TRY(status);
    }
    return s->layers.out_of_memory ? no_memory(err, 0, "stored tensors") : RML_OK;
}
