// FeatureType: an array or an image, which sizes it may have, and whether it may be left out.
#include "writers/coreml/description.h"

#include "loaders/coreml/file.h"

// ---- sizes --------------------------------------------------------------------------------------

// Whether the model lists the shapes of an input, and nobody asked for others.
static bool is_listed(const rml_coreml_port *port)
{
    const rml_limits *limits = port->limits;
    bool listed = limits && limits->shape_count && !(port->port && port->port->low);
    for (size_t k = 0; listed && k < limits->shape_count; k++)
        listed = rml_shapes_agree(&limits->shapes[k], &port->shape);
    return listed;
}

// Sizes of dimension `i` of an input, when they are not the same in every run.
typedef struct size_range {
    int64_t low, high, usual;
} size_range;

// The size that is asked for, else the one that the model has, else `otherwise`.
static int64_t size_at(const rml_shape *asked, const rml_shape *have, int i, int64_t otherwise)
{
    return asked && asked->dim[i] > 0           ? asked->dim[i]
           : have->rank > i && have->dim[i] > 0 ? have->dim[i]
                                                : otherwise;
}

static size_range range_of(const rml_coreml_port *port, int i)
{
    const rml_write_port none = {0}, *given = port->port ? port->port : &none;
    const rml_limits any = {0}, *have = port->limits ? port->limits : &any;
    if (port->shape.dim[i] >= 0)
        return (size_range){port->shape.dim[i], port->shape.dim[i], port->shape.dim[i]};
    size_range range = {.low = size_at(given->low, &have->low, i, 1),
                        .high = size_at(given->high, &have->high, i, -1)};
    range.usual = size_at(given->usual, &have->usual, i, range.low);
    return range;
}

bool rml_coreml_is_bounded(const rml_coreml_port *port, int dimension)
{
    return (port->port && port->port->high) || is_listed(port) ||
           range_of(port, dimension).high >= 0;
}

// ... where the model lists what is allowed, as shapes, or as heights and widths.
static void write_list(rml_fields *m, const rml_coreml_port *port, bool is_image)
{
    rml_fields_begin(m, 21);
    for (size_t k = 0; k < port->limits->shape_count; k++) {
        int64_t sizes[RML_MAX_RANK];
        const int rank = port->shape.rank;
        for (int i = 0; i < rank; i++)
            sizes[i] = size_at(&port->limits->shapes[k], &port->limits->usual, i, 1);
        rml_fields_begin(m, 1);
        if (is_image) {
            rml_fields_int(m, 1, sizes[rank - 1]);
            rml_fields_int(m, 2, sizes[rank - 2]);
        } else {
            rml_fields_ints(m, 1, sizes, (size_t)rank);
        }
        rml_fields_end(m);
    }
    rml_fields_end(m);
}

static void write_range(rml_fields *m, uint32_t field, size_range range)
{
    rml_fields_begin(m, field);
    rml_fields_int(m, 1, range.low);
    rml_fields_int(m, 2, range.high);
    rml_fields_end(m);
}

// ---- types --------------------------------------------------------------------------------------

static void write_default(rml_fields *m, const rml_coreml_port *port)
{
    int32_t whole = 0;
    rml_dtype_convert(RML_F64, &port->limits->fill, RML_I32, &whole, 1);
    if (port->dtype == RML_I32)
        rml_fields_int(m, 41, whole);
    else
        rml_fields_float(m, 51, (float)port->limits->fill);
}

static void write_array(rml_fields *m, const rml_coreml_port *port, bool is_input)
{
    const bool fixed = rml_shape_known(&port->shape);
    int64_t sizes[RML_MAX_RANK] = {1};
    for (int i = 0; i < port->shape.rank; i++)
        sizes[i] = range_of(port, i).usual;
    rml_fields_begin(m, RML_COREML_ARRAY);
    if (fixed || is_input) // one number has one dimension here
        rml_fields_ints(m, 1, sizes, port->shape.rank ? (size_t)port->shape.rank : 1);
    rml_fields_int(m, 2,
                   port->dtype == RML_F32   ? RML_COREML_F32
                   : port->dtype == RML_F16 ? RML_COREML_F16
                                            : RML_COREML_I32);
    if (!fixed && is_listed(port)) {
        write_list(m, port, false);
    } else if (!fixed && is_input) {
        rml_fields_begin(m, 31);
        for (int i = 0; i < port->shape.rank; i++)
            write_range(m, 1, range_of(port, i));
        rml_fields_end(m);
    }
    if (port->optional && port->limits->fill != 0)
        write_default(m, port);
    rml_fields_end(m);
}

static void write_image(rml_fields *m, const rml_coreml_port *port, bool is_input)
{
    static const rml_coreml_color colors[] = {0, RML_COREML_GRAY, RML_COREML_RGB, RML_COREML_BGR};
    size_range size[2];
    const int first = port->shape.rank - 2;
    const bool fixed = port->shape.dim[first] >= 0 && port->shape.dim[first + 1] >= 0;
    for (int i = 0; i < 2; i++) {
        size[i] = range_of(port, first + i);
        if (!fixed && !is_input)
            size[i] = (size_range){1, -1, 1}; // whatever the run gives
    }
    rml_fields_begin(m, RML_COREML_IMAGE);
    rml_fields_int(m, 1, size[1].usual);
    rml_fields_int(m, 2, size[0].usual);
    rml_fields_int(m, 3, colors[port->port->colours]);
    if (!fixed && is_listed(port)) {
        write_list(m, port, true);
    } else if (!fixed) {
        rml_fields_begin(m, 31);
        write_range(m, 1, size[1]);
        write_range(m, 2, size[0]);
        rml_fields_end(m);
    }
    rml_fields_end(m);
}

void rml_coreml_write_type(rml_fields *m, const rml_coreml_port *port, bool is_input)
{
    rml_fields_begin(m, 3);
    if (rml_coreml_colours(port) == RML_COLOURS_NONE)
        write_array(m, port, is_input);
    else
        write_image(m, port, is_input);
    if (port->optional)
        rml_fields_int(m, 1000, true);
    rml_fields_end(m);
}

void rml_coreml_write_state_type(rml_fields *m, const rml_coreml_port *port)
{
    rml_fields_begin(m, 3);
    rml_fields_begin(m, 8);
    rml_fields_begin(m, 1);
    rml_fields_ints(m, 1, port->shape.dim, (size_t)port->shape.rank);
    rml_fields_int(m, 2, RML_COREML_F16);
    for (int i = 0; i < 3; i++)
        rml_fields_end(m);
}
