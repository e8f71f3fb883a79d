// The passes of a model, as its kit has them.
#include "engine/kit.h"

rml_status rml_model_improve(rml_model **model, const rml_model_settings *settings, rml_error *err)
{
    rml_graph *graph = &(*model)->graph;
    const bool rounded = settings->precision == RML_PRECISION_F16_ROUNDED;
    rml_status status = RML_OK;
    (*model)->rounded = rounded;
    if (settings->precision != RML_PRECISION_F32 && !rounded)
        status =
            rml_fail(err, RML_ERR_ARG, "precision %d is chosen for a session, and not for a model",
                     (int)settings->precision);
    else if (!settings->as_written)
        status = rml_pass_list_run((*model)->kit->passes, rounded, graph, settings->disabled_passes,
                                   settings->log, settings->log_user, err);
    if (status != RML_OK)
        rml_model_destroy(model);
    return status;
}
