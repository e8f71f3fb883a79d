// A plan written as C: what the files of this folder share.
//
// Each step becomes calls of the small kernels in kernels/, which compute as the session does: the
// same sums in the same order, with fused multiply-adds.
#ifndef RML_WRITERS_C_EMIT_H
#define RML_WRITERS_C_EMIT_H

#include "engine/session.h"
#include "tensor/outfile.h"

// Pieces of the text in kernels/, in the order in which they are written.
typedef enum rml_c_piece {
    RML_C_BASE,
    RML_C_CONV,
    RML_C_DEPTHWISE,
    RML_C_INVERTED,
    RML_C_POOL,
    RML_C_MATH,
    RML_C_SOFTMAX,
    RML_C_LSTM,
    RML_C_ELEMENTWISE,
    RML_C_COPY,
    RML_C_PIECES
} rml_c_piece;

// The lines of each, NULL behind the last; made of the files by cmake/embed.cmake.
extern const char *const *const rml_c_text[RML_C_PIECES];

typedef struct rml_c_emit {
    rml_session *session;
    const rml_plan *plan;
    const rml_graph *graph;
    const rml_allocator *allocator;
    const char *name; // prefix of functions
    rml_outfile file;
    unsigned pieces;      // bits of those in use
    int64_t most_taps;    // rows of the highest kernel
    rml_buffer *buffers;  // of the values, then of the scratch of each step
    size_t value_buffers; // how many are of values
    size_t arena;         // bytes
    bool *written;        // of every value: its constant is an array already
    uint64_t weight_bytes;
    bool copies_fit; // of the step at hand, see copies.c
    size_t copies;
    rml_status status; // the first failure behind the checks
    rml_error *err;
} rml_c_emit;

// What a step of one operator is to its kernel.
typedef struct rml_c_op {
    rml_op_id op;
    // Why the step cannot be written, or NULL. Notes the pieces and returns the scratch it needs.
    const char *(*check)(rml_c_emit *c, const rml_step *step, size_t *scratch);
    // Weights and shapes, named by the step's number; NULL: it has none.
    void (*data)(rml_c_emit *c, size_t step);
    void (*call)(rml_c_emit *c, size_t step);
} rml_c_op;

extern const rml_c_op rml_c_conv, rml_c_conv_transpose, rml_c_inverted, rml_c_matmul, rml_c_pool,
    rml_c_softmax, rml_c_lstm, rml_c_unary, rml_c_binary, rml_c_reshape, rml_c_layout,
    rml_c_transpose, rml_c_concat, rml_c_slice, rml_c_expand, rml_c_cast, rml_c_split, rml_c_resize,
    rml_c_space_to_depth, rml_c_depth_to_space;

static inline void rml_c_use(rml_c_emit *c, rml_c_piece piece)
{
    c->pieces |= 1u << piece;
}

static inline const rml_step *rml_c_step(const rml_c_emit *c, size_t step)
{
    return &c->plan->steps[step];
}

static inline const rml_node *rml_c_node(const rml_c_emit *c, size_t step)
{
    return &c->graph->nodes[c->plan->steps[step].node];
}

// What writes the operator of a step, or NULL.
const rml_c_op *rml_c_op_of(const rml_c_emit *c, size_t step);

// ---- the files (files.c) ------------------------------------------------------------------------

// Elements of a port; the inputs are counted first.
size_t rml_c_port_count(const rml_c_emit *c, size_t port);
void rml_c_say_header(rml_c_emit *c);
// `header`: its name; `expected`: what the self-test is to get.
void rml_c_say_source(rml_c_emit *c, const char *header, uint32_t expected);

// ---- text (text.c) ------------------------------------------------------------------------------

void rml_c_say(rml_c_emit *c, const char *format, ...) RML_PRINTF(2, 3);

// A float as a literal that gives its bits.
#define RML_C_FLOAT_BYTES 40
const char *rml_c_float(char text[RML_C_FLOAT_BYTES], float value);

// An array of floats, called name<number>, as hex words.
void rml_c_array(rml_c_emit *c, const char *name, size_t number, const float *data, size_t count);

#define RML_C_PLACE_BYTES 160
// The expression for where a value's first element lies.
const char *rml_c_place(const rml_c_emit *c, rml_value_id id, char text[RML_C_PLACE_BYTES]);
const char *rml_c_in(const rml_c_emit *c, size_t step, int k, char text[RML_C_PLACE_BYTES]);
const char *rml_c_out(const rml_c_emit *c, size_t step, int k, char text[RML_C_PLACE_BYTES]);
const char *rml_c_scratch(const rml_c_emit *c, size_t step, char text[RML_C_PLACE_BYTES]);

// A C identifier of a port's name.
void rml_c_identifier(char *out, size_t room, const char *name);

// Whether any step reads the value, or it is an output.
bool rml_c_is_read(const rml_c_emit *c, rml_value_id id);

// ---- images -------------------------------------------------------------------------------------

// A view of three or four dimensions as images; floats from one to the next.
typedef struct rml_c_image {
    int64_t images, channels, h, w;
    int64_t image, channel, row, pixel;
} rml_c_image;

rml_c_image rml_c_image_of(const rml_tensor *view);

// A constant input's elements as floats, with factors; to be freed.
rml_status rml_c_read(const rml_c_emit *c, const rml_constant *constant, float **out,
                      rml_error *err);

// ---- activations (elementwise.c) ----------------------------------------------------------------

// An activation that is no clamp, on an output just computed.
bool rml_c_activation_fits(rml_c_emit *c, const rml_activation *act);
void rml_c_activate(rml_c_emit *c, size_t step, const rml_activation *act);

#endif
