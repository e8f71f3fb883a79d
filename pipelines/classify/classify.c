#include "pipelines/classify/classify.h"

#include "tensor/alloc.h"

#define SIDE 224

struct rml_classifier {
    const rml_allocator *allocator;
    rml_model *model;
    rml_session *session;
    const char *input, *output;
    int side, classes, fixed_batch, count;
};

static rml_status find_input(rml_classifier *c, int side, rml_error *err)
{
    const rml_port port = rml_model_input(c->model, 0);
    const int64_t *dim = port.shape.dim;
    if (rml_model_input_count(c->model) != 1 || port.shape.rank != 4 || port.dtype != RML_F32 ||
        dim[1] != 3)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "not a classifier of pictures: its one input would have to be f32 and "
                        "(N,3,height,width)");
    if (dim[2] != dim[3] || dim[0] == 0)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the network takes pictures of %lldx%lld pixels in batches of %lld; only "
                        "squares are supported",
                        (long long)dim[3], (long long)dim[2], (long long)dim[0]);
    if (side && dim[2] > 0 && dim[2] != side)
        return rml_fail(err, RML_ERR_SHAPE, "the network takes %lld pixels a side, not %d",
                        (long long)dim[2], side);
    const int64_t wanted = side ? side : dim[2] > 0 ? dim[2] : SIDE;
    if (wanted > RML_VIEW_MAX_SIDE || dim[0] > RML_VIEW_MAX_SIDE)
        return rml_fail(err, RML_ERR_LIMIT,
                        "the network takes %lld pictures of %lld pixels a side, and the limit is "
                        "%d of both",
                        (long long)dim[0], (long long)wanted, RML_VIEW_MAX_SIDE);
    c->side = (int)wanted;
    c->fixed_batch = dim[0] > 0 ? (int)dim[0] : 0;
    c->input = port.name;
    return RML_OK;
}

// Sizes that the network leaves open are known once it is planned.
static rml_status find_output(rml_classifier *c, rml_error *err)
{
    float *planes;
    const int count = c->fixed_batch ? c->fixed_batch : 1;
    RML_TRY(rml_classifier_prepare(c, count, &planes, err));
    const rml_port port = rml_model_output(c->model, 0);
    rml_shape shape;
    c->output = port.name;
    if (!rml_session_output(c->session, port.name, &shape) || port.dtype != RML_F32 ||
        shape.rank != 2 || shape.dim[0] != count || shape.dim[1] < 1 || shape.dim[1] > INT32_MAX)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "not a classifier: its output %s would have to be f32 and (N,classes)",
                        port.name);
    c->classes = (int)shape.dim[1];
    return RML_OK;
}

rml_status rml_classifier_create(rml_classifier **out, rml_model *model, int side,
                                 const rml_session_settings *settings, rml_error *err)
{
    const rml_allocator *allocator =
        settings->allocator ? settings->allocator : rml_allocator_default();
    *out = NULL;
    rml_classifier *c;
    RML_TRY(rml_make(allocator, &c, 1, sizeof *c, "a classifier", err));
    c->allocator = allocator;
    c->model = model;
    rml_status status = find_input(c, side, err);
    if (status == RML_OK)
        status = rml_session_create(&c->session, model, settings, err);
    if (status == RML_OK)
        status = find_output(c, err);
    if (status != RML_OK)
        rml_classifier_destroy(&c);
    *out = c;
    return status;
}

void rml_classifier_destroy(rml_classifier **at)
{
    rml_classifier *c = *at;
    if (!c)
        return;
    rml_session_destroy(&c->session);
    rml_free(c->allocator, c);
    *at = NULL;
}

int rml_classifier_side(const rml_classifier *classifier)
{
    return classifier->side;
}

int rml_classifier_classes(const rml_classifier *classifier)
{
    return classifier->classes;
}

int rml_classifier_fixed_batch(const rml_classifier *classifier)
{
    return classifier->fixed_batch;
}

const rml_session *rml_classifier_session(const rml_classifier *classifier)
{
    return classifier->session;
}

rml_status rml_classifier_prepare(rml_classifier *c, int count, float **planes, rml_error *err)
{
    RML_TRY(rml_session_resize(c->session, c->input, (rml_shape){4, {count, 3, c->side, c->side}},
                               err));
    RML_TRY(rml_session_prepare(c->session, err));
    c->count = count;
    *planes = rml_session_input(c->session, c->input, NULL);
    return RML_OK;
}

rml_status rml_classifier_run(rml_classifier *c, const float **probabilities, rml_error *err)
{
    rml_shape shape;
    RML_TRY(rml_session_run(c->session, err));
    *probabilities = rml_session_output(c->session, c->output, &shape);
    // A file may make outputs of other shapes for other numbers of pictures.
    if (!*probabilities || shape.rank != 2 || shape.dim[0] != c->count ||
        shape.dim[1] != c->classes)
        return rml_fail(err, RML_ERR_SHAPE, "the network did not answer for each picture");
    return RML_OK;
}
