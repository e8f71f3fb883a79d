// What a Core ML model says of itself, in both families: names, types and sizes of its inputs and
// outputs, its classes, who made it.
#ifndef RML_WRITERS_COREML_DESCRIPTION_H
#define RML_WRITERS_COREML_DESCRIPTION_H

#include "writers/elements.h"
#include "writers/fields.h"
#include "writers/writing.h"

typedef struct rml_coreml_port {
    const char *name;           // in the file
    const rml_write_port *port; // what is wanted of it, or NULL
    const rml_limits *limits;   // what the model allows of an input, or NULL
    bool optional;              // an input that may be left out: limits->fill stands for it
    rml_dtype dtype;            // of its array: RML_F32, RML_F16 or RML_I32
    rml_shape shape;            // of its array; -1: it may change. Both are the writer's to change
} rml_coreml_port;

typedef struct rml_coreml_description {
    const rml_writing *w;
    rml_coreml_port *inputs, *outputs; // in the order of the graph
    size_t input_count, output_count;
    size_t state_count; // behind the inputs: in halves, as the format has them
    // Of a classifier, whose first output is not described, but its largest element's label and the
    // dictionary of all elements. NULL: it is none.
    const char *label, *scores;
    const int64_t *numbers; // that its labels are; NULL: they are texts
} rml_coreml_description;

// Finds out names, types and sizes from the specialised graph, and gives them to the graph: its
// inputs and outputs are then called what they are called in the file, and each output is a value
// of its own that a node computes. Refuses what no description can hold. Lives in w's arena.
rml_status rml_coreml_describe_ports(rml_coreml_description *out, rml_writing *w, rml_error *err);

// Tells whoever hears what became of numbers in halves, where it matters.
void rml_coreml_say_losses(const rml_writing *w, const rml_half_losses *losses);

// What is wanted of a port as an image.
static inline rml_colours rml_coreml_colours(const rml_coreml_port *port)
{
    return port->port ? port->port->colours : RML_COLOURS_NONE;
}

// Whether it is known how far a size of an input goes that may change.
bool rml_coreml_is_bounded(const rml_coreml_port *port, int dimension);

// As field 3 of a FeatureDescription.
void rml_coreml_write_type(rml_fields *m, const rml_coreml_port *port, bool is_input);

// The same of a state.
void rml_coreml_write_state_type(rml_fields *m, const rml_coreml_port *port);

// Makes an input one that is needed, and says so.
void rml_coreml_need(const rml_writing *w, rml_coreml_port *input, const char *why);

// As field 2 of a Model.
void rml_coreml_write_description(rml_fields *m, const rml_coreml_description *description);

#endif
