#include "tools/arrays.h"

#include "tools/options.h"
#include "tools/report.h"

#include <stdlib.h>

rml_shape array_shape(const rml_npy *array, const rml_model *model, size_t index)
{
    const rml_shape given = rml_npy_shape(array);
    return array_shape_of(&given, model, index);
}

rml_shape array_shape_of(const rml_shape *array, const rml_model *model, size_t index)
{
    const rml_shape given = *array, port = rml_model_input(model, index).shape;
    const int missing = port.rank - given.rank;
    rml_shape shape = {.rank = port.rank};
    if (missing <= 0)
        return given;
    for (int i = 0; i < port.rank; i++) {
        if (i < missing && port.dim[i] > 1)
            return given;
        shape.dim[i] = i < missing ? 1 : given.dim[i - missing];
    }
    return shape;
}

rml_status array_read(const rml_npy *array, const char *path, rml_session *session,
                      const rml_model *model, size_t index, rml_error *err)
{
    const rml_dtype dtype = rml_model_input(model, index).dtype;
    rml_shape shape;
    size_t count;
    void *data = rml_session_input_at(session, index, &shape);
    count_elements(&shape, &count);
    return named(rml_npy_read(array, dtype, data, count * rml_dtype_size(dtype), err), err, path);
}

rml_status array_number(double value, const rml_port *port, void *element, rml_error *err)
{
    const bool is_float = port->dtype == RML_F32 || port->dtype == RML_F64 ||
                          port->dtype == RML_F16 || port->dtype == RML_BF16;
    double back;
    rml_dtype_convert(RML_F64, &value, port->dtype, element, 1);
    rml_dtype_convert(port->dtype, element, RML_F64, &back, 1);
    if (!is_float && back != value)
        return rml_fail(err, RML_ERR_ARG, "--input %s=%.17g: %s cannot be that", port->name, value,
                        rml_dtype_name(port->dtype));
    return RML_OK;
}

bool parse_shape(const char *text, bool open, rml_shape *shape)
{
    for (*shape = (rml_shape){0}; shape->rank < RML_MAX_RANK; text++) {
        const bool any = open && *text == '?';
        char *end = (char *)(uintptr_t)text + any;
        const long long size = any ? -1 : strtoll(text, &end, 10);
        if (end == text || (!any && (*text < '0' || *text > '9' || size < 1 || size > INT32_MAX)))
            return false;
        shape->dim[shape->rank++] = size;
        text = end;
        if (*text != 'x')
            return !*text;
    }
    return false;
}
