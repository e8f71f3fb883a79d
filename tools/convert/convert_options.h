// What a command line of run-model convert says, and what it means for the ports of a network.
#ifndef RML_TOOLS_CONVERT_CONVERT_OPTIONS_H
#define RML_TOOLS_CONVERT_CONVERT_OPTIONS_H

#include "pipelines/convert/convert.h"
#include "tools/options.h"

typedef struct convert_options {
    const char *model, *outfile; // outfile without slashes at its end
    bool is_file;                // the model is a graph file
    bool coreml;                 // so is the outfile: .mlmodel or .mlpackage
    option_list shapes, flexible, checks;
    option_list input_names, output_names, image_inputs, image_outputs; // names may lack
    option_list image_scale, red_bias, green_bias, blue_bias, gray_bias;
    const char *image_mean, *image_std, *normalize, *labels;
    bool no_normalize, bgr, unique_labels;
    const char *weights, *config, *function, *target, *mode, *quantize;
    bool fp16;
    int palette_bits;
} convert_options;

// Says on stderr what does not fit together, and returns EXIT_USAGE; else fills in what follows
// from the options, of `write` too.
int convert_options_check(convert_options *o, rml_write_settings *write);

// One input or output, with room for what its rml_write_port points to.
#define PORT_CHANNELS 4
typedef struct port_plan {
    bool is_output;
    bool assumed;                  // a size beside the batch is 1 since nothing tells it
    rml_port port;                 // of the network
    const char *const *size_names; // see rml_size_names
    rml_shape shape, low, high, usual;
    float scale[PORT_CHANNELS], bias[PORT_CHANNELS];
} port_plan;

typedef struct port_plans {
    port_plan *plans;
    rml_write_port *ports;   // what rml_write_settings is to have
    rml_check_input *checks; // what rml_conversion is to have
    size_t count;            // of plans and ports: inputs, then outputs
    size_t inputs;           // of these, and of checks
} port_plans;

// Makes the ports of a network as the options want them, and a built-in one's as the guides have
// them where they say nothing. To be released, also on failure.
rml_status port_plans_make(port_plans *out, const convert_options *o, const rml_model *model,
                           rml_error *err);
void port_plans_release(port_plans *plans);

// The plan of the port that is called `name` in the network or in the file, or NULL.
port_plan *port_plans_find(const port_plans *plans, const char *name);

// That there is none: fails, and says what there is. `asked` is the option that did for it.
rml_status port_plans_missing(const port_plans *plans, const char *asked, const char *name,
                              rml_error *err);

// Sets what makes images of ports: colours, scale and bias.
rml_status port_plans_make_images(port_plans *plans, const convert_options *o, rml_error *err);

// An input or output of a built-in network.
typedef struct guide_port {
    const char *network, *port;
    const char *name; // in the guide; NULL: it is in none
    rml_shape shape;  // there, or that it is tried with; rank 0: as the network has it
    float low, high;  // what it usually gets, where that is not 0 to 1; else both 0
} guide_port;

// NULL: nothing is known of it.
const guide_port *find_guide_port(const char *network, const char *port);

#endif
