// The message Model: its version, what kind it is, its description; and the stages of a pipeline.
#include "loaders/check/check.h"

#include "loaders/coreml/model.h"

#include <stdio.h>
#include <string.h>

enum { VERSION = 1, DESCRIPTION = 2, UPDATABLE = 10, FIRST_TYPE = 200, LAST_TYPE = 3000 };

// The smallest specification that has this kind of model.
static int64_t version_of_kind(int type)
{
    switch (type) {
    case RML_COREML_PROGRAM:
        return 6;
    case RML_COREML_NMS:
        return 3;
    case 501: // item similarity recommender
    case 404: // nearest neighbours
        return 4;
    case 555: // custom model
        return 3;
    default:
        return 1;
    }
}

static rml_status read_fields(rml_checker *checker, const rml_protobuf *message,
                              rml_coreml_model *model, rml_protobuf *description, bool *updatable)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    rml_error why;
    bool more = true;
    for (;;) {
        rml_status status = rml_protobuf_next(&rest, &field, &more, &why);
        if (status == RML_OK && more && field.number == VERSION)
            model->version = (int64_t)field.value;
        else if (status == RML_OK && more && field.number == UPDATABLE)
            *updatable = field.value != 0;
        else if (status == RML_OK && more && field.number == DESCRIPTION)
            status = rml_protobuf_enter(&rest, &field, "the description", description, &why);
        else if (status == RML_OK && more && field.number >= FIRST_TYPE &&
                 field.number <= LAST_TYPE) {
            if (model->type)
                rml_check_fault(checker, "", "it holds two models, of kinds %d and %u", model->type,
                                field.number);
            model->type = (int)field.number;
            status = rml_protobuf_enter(&rest, &field, "the model", &model->body, &why);
        }
        if (status != RML_OK)
            return rml_check_read(checker, "", status, &why);
        if (!more)
            return RML_OK;
    }
}

static rml_status check_stages(rml_checker *checker, rml_coreml *file,
                               const rml_coreml_model *model, int depth)
{
    const rml_message_reader reader = rml_coreml_messages(file, checker->err);
    rml_protobuf pipeline = model->body, inside;
    const rml_message_want wants[] = {{1, RML_WANT_MESSAGE, "a pipeline", &pipeline}, {0}};
    const char *around = checker->around;
    bool more = true;
    rml_error why;
    rml_status status = RML_OK;
    if (model->type != RML_COREML_PIPELINE)
        status = rml_message_read(&reader, &model->body, wants);
    for (int stage = 1; status == RML_OK && stage <= RML_COREML_MAX_STAGES; stage++) {
        char place[64];
        status = rml_message_inside(&pipeline, 1, "a stage", &inside, &more, &why);
        if (status != RML_OK || !more)
            break;
        snprintf(place, sizeof place, "%.24spipeline stage %d: ", around, stage);
        checker->around = place;
        status = rml_check_model(checker, file, &inside, depth + 1);
        checker->around = around;
        RML_TRY(status);
    }
    return rml_check_read(checker, "", status, &why);
}

rml_status rml_check_model(rml_checker *checker, rml_coreml *file, const rml_protobuf *message,
                           int depth)
{
    rml_coreml_model model = {.default_function = "",
                              .ports = {.function = "", .predicted = "", .probabilities = ""}};
    rml_protobuf description = {0};
    bool updatable = false;
    rml_error why;
    RML_TRY(read_fields(checker, message, &model, &description, &updatable));
    if (model.version < 1 || model.version > RML_COREML_MAX_VERSION)
        rml_check_fault(checker, "", "specification version %lld is not known, 1 to %d are",
                        (long long)model.version, RML_COREML_MAX_VERSION);
    if (!model.type) {
        rml_check_fault(checker, "", "it holds no model");
        return RML_OK;
    }
    if (model.version < version_of_kind(model.type))
        rml_check_fault(checker, "", "a model of kind %d needs specification %lld, it says %lld",
                        model.type, (long long)version_of_kind(model.type),
                        (long long)model.version);
    if (updatable && model.version < 4)
        rml_check_fault(checker, "", "an updatable model needs specification 4, it says %lld",
                        (long long)model.version);
    if (!description.data)
        rml_check_fault(checker, "", "it has no description");
    else
        RML_TRY(rml_check_description(checker, file, &description, &model));
    switch (model.type) {
    case RML_COREML_PROGRAM:
        return rml_check_program(checker, file, &model);
    case RML_COREML_NETWORK:
    case RML_COREML_NETWORK_CLASSIFIER:
    case RML_COREML_NETWORK_REGRESSOR:
        return rml_check_network(checker, file, &model);
    case RML_COREML_PIPELINE:
    case RML_COREML_PIPELINE_CLASSIFIER:
    case RML_COREML_PIPELINE_REGRESSOR:
        if (depth >= RML_COREML_MAX_DEPTH)
            return RML_OK;
        return check_stages(checker, file, &model, depth);
    default:
        if (rml_coreml_check_kind(model.type, &why) == RML_ERR_UNSUPPORTED)
            rml_check_note(checker, "%swhat is inside is not looked at: %s", checker->around,
                           why.message);
        return RML_OK;
    }
}
