// Ways of transposed convolution over images, and the phases that some of them run.
#ifndef RML_OPS_CONV_CONV_TRANSPOSE_H
#define RML_OPS_CONV_CONV_TRANSPOSE_H

#include "ops/conv/conv.h"

// The taps of one phase along one axis. Output y = phase + stride*j reads input (y + pad -
// dilation*k) / stride for the kernel elements k where that is whole: k0, k0 + k_step, ... Input
// coordinates fall as k rises, so taps are walked from the last k to the first.
typedef struct rml_phase {
    int64_t count;          // taps; 0: this phase gets the bias only
    int64_t k_last, k_step; // kernel element of tap 0, and how much it falls a tap
    int64_t first, step;    // input offset of tap 0 relative to j, and how much it rises a tap
    int64_t outputs;        // positions j
} rml_phase;

// Phase number `index` of the two axes together: what it reads, and the pixels that it writes.
typedef struct rml_phases {
    rml_phase y, x;
    int64_t row, col; // of its first output
} rml_phases;

#define RML_MAX_PHASES 64 // that are run one by one

size_t rml_phase_count(const rml_window *window);
rml_phases rml_phases_of(const rml_window *window, size_t index);

// The kernel element of tap `t` of a phase.
size_t rml_phase_tap(const rml_window *window, const rml_phases *phase, size_t t);

// The convolution that a phase is, over the whole input.
rml_window rml_phase_window(const rml_window *window, const rml_phases *phase);

// The pixels that a phase writes, in a view of the output's shape.
rml_tensor rml_phase_view(const rml_tensor *view, const rml_window *window,
                          const rml_phases *phase);

// Channels of a group of a transposed convolution, whose weight is [C,O/groups,...].
static inline size_t rml_transpose_cols(const rml_op_args *args)
{
    return (size_t)args->in[1].dim[1];
}

static inline size_t rml_transpose_depth(const rml_op_args *args)
{
    return (size_t)(args->in[1].dim[0] / args->attr->conv.groups);
}

// Phases by direct.h: few channels a group.
bool rml_transpose_direct_accepts(const rml_op_args *args);
size_t rml_transpose_direct_packed_bytes(const rml_op_args *args);
rml_status rml_transpose_direct_pack(const rml_op_args *args, const rml_constant *weight,
                                     void *packed, const rml_allocator *allocator, rml_error *err);
size_t rml_transpose_direct_scratch_bytes(const rml_op_args *args);
void rml_transpose_direct_run(const rml_op_args *args);

// Products for all taps, added up where they overlap: few outputs, or many phases.
bool rml_transpose_overlap_accepts(const rml_op_args *args);
size_t rml_transpose_overlap_packed_bytes(const rml_op_args *args);
rml_status rml_transpose_overlap_pack(const rml_op_args *args, const rml_constant *weight,
                                      void *packed, const rml_allocator *allocator, rml_error *err);
size_t rml_transpose_overlap_worker_bytes(const rml_op_args *args);
void rml_transpose_overlap_run(const rml_op_args *args);

// Plain images to few channels, phase by phase. `fits`: a plain image had better stay so.
bool rml_transpose_plain_fits(const rml_op_attr *attr, const rml_fact *in, int in_count);
bool rml_transpose_plain_accepts(const rml_op_args *args);
size_t rml_transpose_plain_bytes(const rml_op_args *args);
void rml_transpose_plain_run(const rml_op_args *args);

// One dimension, as an image of one row.
size_t rml_transpose_row_packed_bytes(const rml_op_args *args);
rml_status rml_transpose_row_pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                                  const rml_allocator *allocator, rml_error *err);
size_t rml_transpose_row_scratch_bytes(const rml_op_args *args);
void rml_transpose_row_run(const rml_op_args *args);

#endif
