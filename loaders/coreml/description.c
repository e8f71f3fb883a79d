// What a model says of its inputs and outputs: FeatureDescription and FeatureType.
#include "loaders/coreml/reader.h"

#include "tensor/tensor.h"

#include <string.h>

static bool is_given(const rml_protobuf *message)
{
    return message->data != NULL;
}

// ---- sizes --------------------------------------------------------------------------------------

static rml_status check_size(const rml_message_reader *reader, const rml_coreml_feature *feature,
                             int64_t size)
{
    if (size > 0)
        return RML_OK;
    return rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" has a size of %lld, they are above 0",
                    feature->name, (long long)size);
}

static rml_status read_range(const rml_message_reader *reader, const rml_protobuf *message,
                             const rml_coreml_feature *feature, rml_coreml_range *out)
{
    const rml_message_want wants[] = {{1, RML_WANT_INT, "a lower bound", &out->low},
                                      {2, RML_WANT_INT, "an upper bound", &out->high},
                                      {0}};
    *out = (rml_coreml_range){0, 0};
    RML_TRY(rml_message_read(reader, message, wants));
    if (out->low >= 0 && (out->high < 0 || out->low <= out->high))
        return RML_OK;
    return rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" has sizes from %lld to %lld",
                    feature->name, (long long)out->low, (long long)out->high);
}

// A list of sizes, each above 0.
static rml_status read_sizes(const rml_message_reader *reader, const rml_protobuf *message,
                             uint32_t number, const rml_coreml_feature *feature, rml_shape *out)
{
    const int64_t *list;
    size_t count;
    RML_TRY(rml_message_ints(reader, message, number, "a shape", RML_MAX_RANK, &list, &count));
    out->rank = (int)count;
    for (size_t i = 0; i < count; i++) {
        RML_TRY(check_size(reader, feature, list[i]));
        out->dim[i] = list[i];
    }
    return RML_OK;
}

static rml_status take_default(const rml_message_reader *reader, rml_coreml_feature *out,
                               const rml_shape *shape)
{
    out->rank = (size_t)shape->rank;
    RML_TRY(rml_message_array(reader, out->rank, sizeof *out->size, &out->size));
    if (out->rank)
        memcpy(out->size, shape->dim, out->rank * sizeof *out->size);
    return RML_OK;
}

// ---- arrays -------------------------------------------------------------------------------------

static rml_status read_enumeration(const rml_message_reader *reader, const rml_protobuf *message,
                                   bool is_image, rml_coreml_feature *out)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    RML_TRY(rml_message_count(message, 1, &out->shape_count, reader->err));
    if (out->shape_count == 0 || out->shape_count > RML_COREML_MAX_SHAPES)
        return rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" lists %zu shapes, 1 to %d are right",
                        out->name, out->shape_count, RML_COREML_MAX_SHAPES);
    RML_TRY(rml_message_array(reader, out->shape_count, sizeof *out->shapes, &out->shapes));
    for (size_t i = 0; i < out->shape_count; i++) {
        rml_shape *shape = &out->shapes[i];
        RML_TRY(rml_message_inside(&rest, 1, "a shape", &inside, &more, reader->err));
        if (!is_image) {
            RML_TRY(read_sizes(reader, &inside, 1, out, shape));
            if (shape->rank == 0)
                return rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" lists a shape without sizes",
                                out->name);
            continue;
        }
        const rml_message_want wants[] = {{1, RML_WANT_INT, "a width", &shape->dim[1]},
                                          {2, RML_WANT_INT, "a height", &shape->dim[0]},
                                          {0}};
        shape->rank = 2;
        RML_TRY(rml_message_read(reader, &inside, wants));
        RML_TRY(check_size(reader, out, shape->dim[0]));
        RML_TRY(check_size(reader, out, shape->dim[1]));
    }
    return RML_OK;
}

static rml_status read_array_ranges(const rml_message_reader *reader, const rml_protobuf *message,
                                    rml_coreml_feature *out)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    RML_TRY(rml_message_count(message, 1, &out->range_count, reader->err));
    if (out->range_count > RML_MAX_RANK)
        return rml_fail(reader->err, RML_ERR_LIMIT, "\"%s\" has %zu dimensions, the limit is %d",
                        out->name, out->range_count, RML_MAX_RANK);
    RML_TRY(rml_message_array(reader, out->range_count, sizeof *out->range, &out->range));
    for (size_t i = 0; i < out->range_count; i++) {
        RML_TRY(rml_message_inside(&rest, 1, "a range", &inside, &more, reader->err));
        RML_TRY(read_range(reader, &inside, out, &out->range[i]));
    }
    return RML_OK;
}

static rml_status read_array(const rml_message_reader *reader, const rml_protobuf *message,
                             rml_coreml_feature *out)
{
    rml_protobuf shapes = {0}, ranges = {0};
    rml_shape shape = {0};
    int64_t whole = 0;
    float number = 0;
    const rml_message_want wants[] = {
        {2, RML_WANT_INT, "an element type", &out->element},
        {21, RML_WANT_MESSAGE, "a list of shapes", &shapes},
        {31, RML_WANT_MESSAGE, "ranges of sizes", &ranges},
        {41, RML_WANT_INT, "a default", &whole},
        {51, RML_WANT_FLOAT, "a default", &number},
        {61, RML_WANT_DOUBLE, "a default", &out->fill},
        {0},
    };
    RML_TRY(rml_message_read(reader, message, wants));
    out->fill = whole != 0 ? (double)(int32_t)whole : number != 0 ? (double)number : out->fill;
    RML_TRY(read_sizes(reader, message, 1, out, &shape));
    RML_TRY(take_default(reader, out, &shape));
    if (is_given(&shapes))
        RML_TRY(read_enumeration(reader, &shapes, false, out));
    return is_given(&ranges) ? read_array_ranges(reader, &ranges, out) : RML_OK;
}

// ---- images -------------------------------------------------------------------------------------

static rml_status read_image_ranges(const rml_message_reader *reader, const rml_protobuf *message,
                                    rml_coreml_feature *out)
{
    rml_protobuf size[2] = {{0}, {0}};
    const rml_message_want wants[] = {
        {1, RML_WANT_MESSAGE, "widths", &size[1]}, {2, RML_WANT_MESSAGE, "heights", &size[0]}, {0}};
    RML_TRY(rml_message_read(reader, message, wants));
    out->range_count = 2;
    RML_TRY(rml_message_array(reader, 2, sizeof *out->range, &out->range));
    for (int i = 0; i < 2; i++) {
        out->range[i] = (rml_coreml_range){0, -1};
        if (is_given(&size[i]))
            RML_TRY(read_range(reader, &size[i], out, &out->range[i]));
    }
    return RML_OK;
}

static rml_status read_image(const rml_message_reader *reader, const rml_protobuf *message,
                             rml_coreml_feature *out)
{
    rml_protobuf sizes = {0}, ranges = {0};
    rml_shape shape = {.rank = 2};
    const rml_message_want wants[] = {
        {1, RML_WANT_INT, "a width", &shape.dim[1]},
        {2, RML_WANT_INT, "a height", &shape.dim[0]},
        {3, RML_WANT_INT, "a colour space", &out->color},
        {21, RML_WANT_MESSAGE, "a list of sizes", &sizes},
        {31, RML_WANT_MESSAGE, "ranges of sizes", &ranges},
        {0},
    };
    RML_TRY(rml_message_read(reader, message, wants));
    if (out->color != RML_COREML_GRAY && out->color != RML_COREML_RGB &&
        out->color != RML_COREML_BGR && out->color != RML_COREML_GRAY_F16)
        return rml_fail(reader->err, RML_ERR_FORMAT, "image \"%s\" has no colour space (%lld)",
                        out->name, (long long)out->color);
    if (shape.dim[0] || shape.dim[1] || (!is_given(&sizes) && !is_given(&ranges))) {
        RML_TRY(check_size(reader, out, shape.dim[0]));
        RML_TRY(check_size(reader, out, shape.dim[1]));
        RML_TRY(take_default(reader, out, &shape));
    }
    if (is_given(&sizes))
        RML_TRY(read_enumeration(reader, &sizes, true, out));
    return is_given(&ranges) ? read_image_ranges(reader, &ranges, out) : RML_OK;
}

// ---- features -----------------------------------------------------------------------------------

static rml_status read_type(const rml_message_reader *reader, const rml_protobuf *message,
                            rml_coreml_feature *out)
{
    rml_protobuf rest = *message, inside, array = {0};
    rml_protobuf_field field;
    bool more = true;
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->err));
        if (!more)
            break;
        if (field.number == 1000)
            out->optional = field.value != 0;
        if (field.number < RML_COREML_INT64 || field.number > RML_COREML_STATE)
            continue;
        out->kind = (rml_coreml_kind)field.number;
        RML_TRY(rml_protobuf_enter(&rest, &field, "a type", &inside, reader->err));
        if (out->kind == RML_COREML_IMAGE)
            RML_TRY(read_image(reader, &inside, out));
        if (out->kind == RML_COREML_ARRAY)
            RML_TRY(read_array(reader, &inside, out));
        const rml_message_want of_state[] = {{1, RML_WANT_MESSAGE, "a state's array", &array}, {0}};
        if (out->kind == RML_COREML_STATE)
            RML_TRY(rml_message_read(reader, &inside, of_state));
        if (out->kind == RML_COREML_DICTIONARY)
            RML_TRY(rml_message_next(&inside, 2, &field, &out->text_keys, reader->err));
        if (is_given(&array))
            RML_TRY(read_array(reader, &array, out));
    }
    return out->kind ? RML_OK
                     : rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" has no type", out->name);
}

// The default size lies inside of what is allowed.
static rml_status check_default(const rml_message_reader *reader, const rml_coreml_feature *feature)
{
    bool fits = feature->shape_count == 0;
    const rml_shape *shape = feature->shapes;
    for (size_t k = 0; k < feature->shape_count && !fits; k++, shape++)
        fits = (size_t)shape->rank == feature->rank &&
               memcmp(shape->dim, feature->size, feature->rank * sizeof *feature->size) == 0;
    if (feature->range_count > 0) {
        fits = feature->range_count == feature->rank;
        for (size_t i = 0; i < feature->rank && fits; i++)
            fits = feature->size[i] >= feature->range[i].low &&
                   (feature->range[i].high < 0 || feature->size[i] <= feature->range[i].high);
    }
    if (fits || feature->rank == 0)
        return RML_OK;
    return rml_fail(reader->err, RML_ERR_FORMAT,
                    "the default shape of \"%s\" is none of those that it allows", feature->name);
}

rml_status rml_coreml_read_feature(const rml_message_reader *reader, const rml_protobuf *message,
                                   bool is_input, rml_coreml_feature *out)
{
    rml_protobuf type = {0};
    const rml_message_want wants[] = {{1, RML_WANT_NAME, "a feature's name", &out->name},
                                      {2, RML_WANT_NAME, "a description", &out->about},
                                      {3, RML_WANT_MESSAGE, "a feature's type", &type},
                                      {0}};
    out->name = out->about = "";
    RML_TRY(rml_message_read(reader, message, wants));
    if (!*out->name)
        return rml_fail(reader->err, RML_ERR_FORMAT, "an input or output has no name");
    if (!is_given(&type))
        return rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" has no type", out->name);
    RML_TRY(read_type(reader, &type, out));
    return is_input ? check_default(reader, out) : RML_OK;
}

static rml_status read_features(const rml_message_reader *reader, const rml_protobuf *message,
                                uint32_t number, bool is_input, rml_coreml_feature **out,
                                size_t *count)
{
    rml_protobuf rest = *message, inside;
    bool more = true;
    RML_TRY(rml_message_count(message, number, count, reader->err));
    if (*count > RML_COREML_MAX_FEATURES)
        return rml_fail(reader->err, RML_ERR_LIMIT, "%zu inputs or outputs, the limit is %d",
                        *count, RML_COREML_MAX_FEATURES);
    RML_TRY(rml_message_array(reader, *count, sizeof **out, out));
    rml_names names;
    rml_names_init(&names, reader->arena->allocator);
    rml_status status = RML_OK;
    for (size_t i = 0; i < *count && status == RML_OK; i++) {
        size_t now = 0;
        rml_coreml_feature *feature = &(*out)[i];
        status = rml_message_inside(&rest, number, "a feature", &inside, &more, reader->err);
        if (status == RML_OK)
            status = rml_coreml_read_feature(reader, &inside, is_input, feature);
        if (status == RML_OK)
            status =
                rml_names_add(&names, feature->name, strlen(feature->name), i, &now, reader->err);
        if (status == RML_OK && now != i)
            status =
                rml_fail(reader->err, RML_ERR_FORMAT, "\"%s\" is described twice", feature->name);
    }
    rml_names_release(&names);
    return status;
}

rml_status rml_coreml_read_ports(const rml_message_reader *reader, const rml_protobuf *message,
                                 bool is_function, rml_coreml_ports *out)
{
    const rml_message_want own[] = {
        {11, RML_WANT_NAME, "the predicted feature", &out->predicted},
        {12, RML_WANT_NAME, "the probabilities", &out->probabilities},
        {0},
    };
    const rml_message_want of_function[] = {
        {1, RML_WANT_NAME, "a function's name", &out->function},
        {4, RML_WANT_NAME, "the predicted feature", &out->predicted},
        {5, RML_WANT_NAME, "the probabilities", &out->probabilities},
        {0},
    };
    *out = (rml_coreml_ports){.function = "", .predicted = "", .probabilities = ""};
    RML_TRY(rml_message_read(reader, message, is_function ? of_function : own));
    RML_TRY(
        read_features(reader, message, is_function ? 2 : 1, true, &out->input, &out->input_count));
    RML_TRY(read_features(reader, message, is_function ? 3 : 10, false, &out->output,
                          &out->output_count));
    return read_features(reader, message, is_function ? 6 : 13, true, &out->state,
                         &out->state_count);
}
