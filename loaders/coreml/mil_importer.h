// Inside of the importer of ML Programs.
#ifndef RML_LOADERS_COREML_MIL_IMPORTER_H
#define RML_LOADERS_COREML_MIL_IMPORTER_H

#include "loaders/coreml/mil_handler.h"
#include "loaders/coreml/model.h"
#include "loaders/coreml/refusals.h"

#define RML_MIL_REFUSED (UINT32_MAX - 1) // a value whose operation was refused

// What a name of the program has become.
typedef struct rml_mil_place {
    const rml_mil_value *constant; // NULL: computed
    const rml_graph *graph;        // that `value` is of; NULL: it is in none yet
    rml_value_id value;
    size_t state;     // 1 + its place among the states, 0: it is none
    bool half;        // the file types it as f16
    const char *name; // of a constant, or NULL
} rml_mil_place;

// What a graph inside a node reads of the one around it: an input of its own.
typedef struct rml_mil_capture {
    size_t place;
    rml_mil_place before; // what the place was outside, to which it goes back
} rml_mil_capture;

// Names of a block, and the block around it. A block in a graph of its own has captures.
typedef struct rml_mil_scope {
    struct rml_mil_scope *outer;
    rml_names names; // name -> place
    rml_graph *graph;
    rml_mil_capture *capture;
    size_t capture_count, capture_capacity;
} rml_mil_scope;

struct rml_mil_importer {
    rml_coreml *file;
    rml_coreml_values *values; // of the model
    const rml_allocator *allocator;
    rml_mil_scope *scope;
    rml_mil_place *place;
    size_t place_count, place_capacity;
    int opset;
    bool has_halves; // what the file types as f32 is so by intention
    rml_error *err;
    rml_coreml_refusals refusals;
    char reason[RML_MESSAGE_BYTES]; // of the operation in hand
};

// All operations of a block, in their order.
rml_status rml_mil_import_block(rml_mil_importer *importer, const rml_mil_block *block);

// Gives a name a place in the innermost scope. Names are given once in their block.
rml_status rml_mil_define(rml_mil_importer *importer, const char *name, const rml_mil_place *place);

// The place of a name, here or in a block around; NULL where it is given nowhere.
rml_mil_place *rml_mil_find(const rml_mil_importer *importer, const char *name);

// Enters a block: names that are given from now on are its own. `graph` is that of the block
// around, or one inside it. Leaving gives what was captured to `captures`, values of the graph
// around, whose memory lives as long as that.
void rml_mil_enter(rml_mil_importer *importer, rml_mil_scope *scope, rml_graph *graph);
rml_status rml_mil_leave(rml_mil_importer *importer, const rml_value_id **captures, size_t *count);

// A value of the graph that operations go to now; one of a graph around becomes an input of it.
rml_status rml_mil_materialise(rml_mil_importer *importer, rml_mil_place *place, rml_value_id *out);

// ---- states (mil_ops_states.c) ------------------------------------------------------------------

// States that operations of blocks write, also in blocks inside: a node that runs the blocks gives
// them, beside its outputs.
typedef struct rml_mil_written {
    size_t place[RML_MAX_OUTPUTS];
    int count;
} rml_mil_written;

void rml_mil_add_written(rml_mil_call *call, const rml_mil_block *block, rml_mil_written *out);

// The state in the graph that operations go to now, RML_NO_VALUE where that is refused; and another
// value for it, from now on.
rml_value_id rml_mil_find_state(rml_mil_call *call, size_t place);
void rml_mil_set_state(rml_mil_call *call, size_t place, rml_value_id value);

#endif
