// Which layer is the first that a file computes otherwise.
#include "pipelines/compare/align.h"
#include "pipelines/convert/proving.h"

#include "tensor/alloc.h"

#include <stdio.h>

static rml_status trace(rml_proving *p, bool again, rml_layers *layers, rml_error *err)
{
    rml_session *session = NULL;
    rml_model *model = again ? p->again : p->conversion->source;
    rml_status status = rml_proving_begin(p, &session, model, rml_layers_observe, layers, err);
    if (status == RML_OK)
        status = again ? rml_proving_run_again(p, session, err)
                       : rml_proving_run_source(p, session, err);
    rml_session_destroy(&session);
    return status == RML_OK && layers->out_of_memory ? rml_fail_nomem(err, 0, "layers") : status;
}

// What aligns by order alone may be something else.
static void name_first(const rml_proving *p, const rml_aligned *pairs, size_t count, char *where,
                       size_t room)
{
    for (size_t i = 0; i < count && !*where; i++) {
        const rml_layer *left = pairs[i].left, *right = pairs[i].right;
        if (pairs[i].how == RML_BY_ORDER || left->count != right->count)
            continue;
        const double error = rml_layer_difference(left, right).error;
        if (error > p->result->bound)
            snprintf(where, room, "; %.160s is the first layer that differs, by %.1e",
                     *left->key ? left->key : left->name, error);
    }
}

static void find_first(rml_proving *p, char *where, size_t room)
{
    const rml_allocator *allocator = p->outputs.allocator;
    rml_layers layers[2] = {{.allocator = allocator}, {.allocator = allocator}};
    rml_aligned *pairs = NULL;
    size_t count = 0, lonely[2];
    if (trace(p, false, &layers[0], NULL) == RML_OK && trace(p, true, &layers[1], NULL) == RML_OK &&
        rml_layers_align(&layers[0], &layers[1], &pairs, &count, lonely, NULL) == RML_OK)
        name_first(p, pairs, count, where, room);
    rml_free(allocator, pairs);
    rml_layers_release(&layers[0]);
    rml_layers_release(&layers[1]);
}

rml_status rml_prove_fail(rml_proving *p, rml_error *err)
{
    const rml_conversion_result *r = p->result;
    const rml_write_weights weights = p->conversion->write->weights;
    char where[RML_LAYER_KEY_BYTES + 64] = "";
    find_first(p, where, sizeof where);
    if (weights != RML_WRITE_F32) // in floats it computes the same
        return rml_fail(err, RML_ERR_FORMAT,
                        "weights of fewer bits cost too much of %s: the error of %s is %.1e of the "
                        "largest value, above %.1e%s; what it costs inputs that the network is "
                        "for can be tried: --check-input",
                        p->conversion->from, r->output, r->error, r->bound, where);
    return rml_fail(err, RML_ERR_FORMAT,
                    "computes something else than %s: the error of %s is %.1e of the largest "
                    "value, above %.1e%s",
                    p->conversion->from, r->output, r->error, r->bound, where);
}
