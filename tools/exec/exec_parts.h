// The parts of run-model exec: what goes in, what comes out.
#ifndef RML_TOOLS_EXEC_EXEC_PARTS_H
#define RML_TOOLS_EXEC_EXEC_PARTS_H

#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

typedef struct exec_settings {
    common_options common;
    const char *model, *config, *function;
    double memory_mb; // 0: no limit
    bool is_file;     // of a graph
    bool resize;      // pictures to the size of their inputs
    bool has_values;  // what levels are in images that nothing declares:
    float mean[3], deviation[3];
    bool in_order;
    bool steps; // arrays hold a step each along their first dimension
    int64_t step_count;
    int top;           // classes told of a classifier
    bool nothing_kept; // neither an output that is named nor classes: a usage error
    network network;
    option_list inputs, outputs;
} exec_settings;

// What a port stands for as an image of this shape: what is told, or else as --values has it. Of
// kind 0 where it is no image.
rml_meaning exec_image_meaning(const exec_settings *s, const rml_meaning *told,
                               const rml_shape *shape);

// Reads the inputs into a session that is prepared for their sizes.
rml_status exec_read_inputs(const exec_settings *s, rml_error *err);

// What the file says for optional inputs that are not given, in a session that is prepared.
void exec_fill_missing(const exec_settings *s);

rml_status exec_write_outputs(const exec_settings *s, rml_error *err);

// Runs the steps of a sequence, one after another, and writes outputs with their steps in front.
// The session keeps its states from step to step.
rml_status exec_steps(exec_settings *s, rml_error *err);

// The shape of all steps of an output together.
rml_shape exec_steps_shape(const rml_shape *step, int64_t steps);

// Whether the network tells classes by their labels.
bool exec_classifies(const rml_model *model);

// What was done, on standard output: a line an output that was kept, and the classes.
rml_status exec_report(const exec_settings *s, double run_ms, rml_error *err);

#endif
