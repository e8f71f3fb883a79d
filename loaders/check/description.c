// What a model says of its inputs and outputs, against its version.
#include "loaders/check/check.h"

#include <string.h>

typedef struct described {
    rml_checker *checker;
    rml_coreml *file;
    const rml_coreml_model *model;
} described;

static void check_version(const described *d, const char *place, const char *what, int64_t needed)
{
    if (d->model->version < needed)
        rml_check_fault(d->checker, place, "%s need%s specification %lld, the model says %lld",
                        what, what[strlen(what) - 1] == 's' ? "" : "s", (long long)needed,
                        (long long)d->model->version);
}

static void check_array(const described *d, const char *place, const rml_coreml_feature *feature,
                        bool is_input)
{
    switch (feature->element) {
    case RML_COREML_F32:
    case RML_COREML_F64:
    case RML_COREML_I32:
        break;
    case RML_COREML_F16:
        check_version(d, place, "FLOAT16 arrays", 7);
        break;
    case RML_COREML_I8:
        check_version(d, place, "INT8 arrays", 10);
        break;
    default:
        rml_check_fault(d->checker, place, "its element type %lld is not known",
                        (long long)feature->element);
    }
    if (feature->shape_count || feature->range_count)
        check_version(d, place, "flexible shapes", 3);
    if (is_input && feature->rank == 0 && !feature->shape_count && !feature->range_count)
        rml_check_fault(d->checker, place, "an array without a shape");
    if (is_input && feature->fill != 0)
        check_version(d, place, "default values", 5);
}

static void check_feature(const described *d, const char *place, const rml_coreml_feature *feature,
                          bool is_input)
{
    switch (feature->kind) {
    case RML_COREML_ARRAY:
        check_array(d, place, feature, is_input);
        break;
    case RML_COREML_IMAGE:
        if (feature->color == RML_COREML_GRAY_F16)
            check_version(d, place, "GRAYSCALE_FLOAT16 images", 7);
        if (feature->shape_count || feature->range_count)
            check_version(d, place, "flexible sizes", 3);
        break;
    case RML_COREML_STATE:
        check_version(d, place, "states", 9);
        if (feature->element != RML_COREML_F16 && feature->element != RML_COREML_I8)
            rml_check_fault(d->checker, place, "a state is FLOAT16 or INT8");
        if (feature->shape_count || feature->range_count || feature->rank == 0)
            rml_check_fault(d->checker, place, "a state has one shape");
        break;
    case RML_COREML_SEQUENCE:
        check_version(d, place, "sequences", 3);
        break;
    default:
        break;
    }
}

// Every feature in field `number`, into a list that leaves out those that cannot be read.
static rml_status check_features(const described *d, const rml_protobuf *message, uint32_t number,
                                 const char *what, bool is_input, rml_coreml_feature **out,
                                 size_t *count)
{
    rml_checker *checker = d->checker;
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(d->file, &why);
    rml_protobuf rest = *message, inside;
    bool more = true;
    size_t all = 0, kept = 0;
    *count = 0;
    rml_status status = rml_message_count(message, number, &all, &why);
    if (status == RML_OK && all > RML_COREML_MAX_FEATURES)
        status = rml_fail(&why, RML_ERR_LIMIT, "%zu features", all);
    if (status == RML_OK)
        status = rml_message_array(&reader, all, sizeof **out, out);
    if (status != RML_OK)
        return rml_check_read(checker, what, status, &why);
    for (size_t i = 0; i < all; i++) {
        rml_coreml_feature *feature = &(*out)[kept];
        char place[RML_PLACE_BYTES];
        status = rml_message_inside(&rest, number, "a feature", &inside, &more, &why);
        if (status != RML_OK || !more)
            return rml_check_read(checker, what, status, &why);
        *feature = (rml_coreml_feature){0};
        status = rml_coreml_read_feature(&reader, &inside, is_input, feature);
        rml_check_place(place, what, feature->name ? feature->name : "", "");
        if (status != RML_OK) {
            RML_TRY(rml_check_read(checker, place, status, &why));
            continue;
        }
        for (size_t k = 0; k < kept; k++)
            if (strcmp((*out)[k].name, feature->name) == 0)
                rml_check_fault(checker, place, "it is described twice");
        check_feature(d, place, feature, is_input);
        kept++;
    }
    *count = kept;
    return RML_OK;
}

static rml_status check_ports(const described *d, const rml_protobuf *message, bool is_function,
                              rml_coreml_ports *out)
{
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(d->file, &why);
    const rml_message_want wants[] = {
        {1, RML_WANT_NAME, "a function's name", is_function ? &out->function : NULL},
        {is_function ? 4 : 11, RML_WANT_NAME, "the predicted feature", &out->predicted},
        {is_function ? 5 : 12, RML_WANT_NAME, "the probabilities", &out->probabilities},
        {0},
    };
    *out = (rml_coreml_ports){.function = "", .predicted = "", .probabilities = ""};
    RML_TRY(rml_check_read(d->checker, "description",
                           rml_message_read(&reader, message, is_function ? wants : wants + 1),
                           &why));
    RML_TRY(check_features(d, message, is_function ? 2 : 1, "input", true, &out->input,
                           &out->input_count));
    RML_TRY(check_features(d, message, is_function ? 3 : 10, "output", false, &out->output,
                           &out->output_count));
    RML_TRY(check_features(d, message, is_function ? 6 : 13, "state", false, &out->state,
                           &out->state_count));
    size_t optional = 0;
    for (size_t i = 0; i < out->input_count; i++)
        optional += out->input[i].optional;
    if (d->model->version < 9 && out->input_count == 0 && !d->checker->unreadable)
        rml_check_fault(d->checker, "description", "it has no inputs, which needs specification 9");
    else if (out->input_count > 0 && optional == out->input_count)
        rml_check_fault(d->checker, "description", "all its inputs are optional");
    return RML_OK;
}

rml_status rml_check_description(rml_checker *checker, rml_coreml *file,
                                 const rml_protobuf *message, rml_coreml_model *model)
{
    enum { FUNCTIONS = 20, DEFAULT = 21 };
    const described d = {checker, file, model};
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(file, &why);
    rml_protobuf rest = *message, inside;
    bool more = true, found = false;
    const rml_message_want wants[] = {
        {DEFAULT, RML_WANT_NAME, "the default function", &model->default_function}, {0}};
    rml_status status = rml_message_read(&reader, message, wants);
    if (status == RML_OK)
        status = rml_message_count(message, FUNCTIONS, &model->function_count, &why);
    if (status == RML_OK && model->function_count > RML_COREML_MAX_FEATURES)
        status = rml_fail(&why, RML_ERR_LIMIT, "%zu functions", model->function_count);
    if (status == RML_OK)
        status = rml_message_array(&reader, model->function_count, sizeof *model->function,
                                   &model->function);
    if (status != RML_OK) {
        model->function_count = 0;
        return rml_check_read(checker, "description", status, &why);
    }
    if (model->function_count == 0)
        return check_ports(&d, message, false, &model->ports);
    check_version(&d, "description", "several functions", 9);
    for (size_t i = 0; i < model->function_count; i++) {
        status = rml_message_inside(&rest, FUNCTIONS, "a function", &inside, &more, &why);
        if (status != RML_OK)
            return rml_check_read(checker, "description", status, &why);
        RML_TRY(check_ports(&d, &inside, true, &model->function[i]));
        found = found || strcmp(model->function[i].function, model->default_function) == 0;
    }
    if (!found)
        rml_check_fault(checker, "description", "the default function \"%.80s\" is not described",
                        model->default_function);
    return RML_OK;
}

// ---- classifiers --------------------------------------------------------------------------------

static const rml_coreml_feature *find_output(const rml_coreml_ports *ports, const char *name)
{
    for (size_t i = 0; i < ports->output_count; i++)
        if (strcmp(ports->output[i].name, name) == 0)
            return &ports->output[i];
    return NULL;
}

void rml_check_classifier(rml_checker *checker, const rml_coreml_ports *ports, size_t texts,
                          size_t numbers)
{
    const char *const keys = texts ? "texts" : "integers";
    const rml_coreml_feature *label = find_output(ports, ports->predicted);
    const rml_coreml_feature *scores = find_output(ports, ports->probabilities);
    char place[RML_PLACE_BYTES];
    if (texts == 0 && numbers == 0)
        rml_check_fault(checker, "labels", "a classifier without labels");
    if (texts && numbers)
        rml_check_fault(checker, "labels", "they are texts and integers at once");
    if (!*ports->predicted)
        rml_check_fault(checker, "description", "a classifier without a predictedFeatureName");
    else if (!label)
        rml_check_fault(checker, "description", "the predicted feature \"%.80s\" is no output",
                        ports->predicted);
    else if (label->kind != (texts ? RML_COREML_TEXT : RML_COREML_INT64))
        rml_check_fault(checker, rml_check_place(place, "output", label->name, ""),
                        "it is the predicted label, and labels are %s", keys);
    if (!*ports->probabilities)
        return;
    if (!scores)
        rml_check_fault(checker, "description", "the probabilities \"%.80s\" are no output",
                        ports->probabilities);
    else if (scores->kind != RML_COREML_DICTIONARY || scores->text_keys != (texts > 0))
        rml_check_fault(checker, rml_check_place(place, "output", scores->name, ""),
                        "it has the probabilities, which are a dictionary whose keys are %s", keys);
}
