#include "ops/matmul/pack_weight.h"

#include "kernels/pack.h"

#include <math.h>
#include <string.h>

typedef struct pack_job {
    const rml_weight_pack *pack;
    const rml_constant *weight;
    float *rows; // a worker's: one panel
} pack_job;

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const pack_job *job = context;
    const rml_weight_pack *pack = job->pack;
    const size_t nr = pack->gemm->nr, panels = rml_pack_panels(pack->gemm, pack->cols);
    float *rows = job->rows + (size_t)worker * nr * (pack->floats + pack->more);
    for (size_t item = begin; item < end; item++) {
        const size_t group = item / panels, column = item % panels * nr;
        const size_t count = rml_min_size(nr, pack->cols - column);
        rml_constant_read(job->weight, pack->axis, (int64_t)(group * pack->cols + column),
                          (int64_t)count, rows);
        pack->panel(pack, group, column, count, rows);
    }
}

rml_status rml_pack_weight(const rml_weight_pack *pack, const rml_constant *weight,
                           const rml_allocator *allocator, rml_error *err)
{
    const size_t bytes = rml_sat_mul((size_t)pack->args->threads * pack->gemm->nr * sizeof(float),
                                     rml_sat_add(pack->floats, pack->more));
    pack_job job = {.pack = pack, .weight = weight, .rows = rml_alloc(allocator, bytes)};
    if (!job.rows)
        return rml_fail_nomem(err, bytes, "packing weights");
    rml_pool_run(pack->args->pool, pack->groups * rml_pack_panels(pack->gemm, pack->cols), 1,
                 pack_panels, &job);
    rml_free(allocator, job.rows);
    return RML_OK;
}

static void pack_filters(const rml_weight_pack *pack, size_t group, size_t column, size_t count,
                         float *rows)
{
    const rml_gemm *gemm = pack->gemm;
    const size_t taps = *(const size_t *)pack->context, depth = pack->floats / taps;
    const size_t first = group * rml_pack_count(gemm, taps, depth, pack->cols) +
                         column * taps * rml_pack_depth(gemm, depth);
    rml_pack_panel(gemm, rml_pack_at(gemm, pack->packed, first), rows, taps, depth, count, 1, taps,
                   pack->floats);
}

rml_status rml_pack_filters(const rml_op_args *args, const rml_gemm *gemm,
                            const rml_constant *weight, size_t groups, size_t taps, void *packed,
                            const rml_allocator *allocator, rml_error *err)
{
    const rml_tensor *w = &args->in[1];
    const rml_weight_pack pack = {.args = args,
                                  .gemm = gemm,
                                  .groups = groups,
                                  .cols = (size_t)w->dim[0] / groups,
                                  .floats = (size_t)w->dim[1] * taps,
                                  .panel = pack_filters,
                                  .context = &taps,
                                  .packed = packed};
    return rml_pack_weight(&pack, weight, allocator, err);
}

void rml_pack_multiply(const rml_gemm *gemm, const float *a, size_t a_step, size_t rows,
                       size_t depth, const float *b, size_t cols, float *c, size_t c_step)
{
    const void *a_rows[RML_GEMM_MAX_MR];
    float *c_rows[RML_GEMM_MAX_MR];
    rml_gemm_tile tile = {
        .a = a_rows, .taps = 1, .depth = depth, .c = c_rows, .low = -INFINITY, .high = INFINITY};
    for (size_t row = 0; row < rows; row += tile.rows) {
        tile.rows = rml_min_size(gemm->mr, rows - row);
        for (size_t i = 0; i < tile.rows; i++)
            a_rows[i] = a + (row + i) * a_step;
        for (size_t column = 0; column < cols; column += gemm->nr) {
            tile.b = b + column * depth;
            tile.cols = rml_min_size(gemm->nr, cols - column);
            for (size_t i = 0; i < tile.rows; i++)
                c_rows[i] = c + (row + i) * c_step + column;
            if (depth) // else there is nothing for the kernel to read
                gemm->run(&tile);
            for (size_t i = 0; i < tile.rows && !depth; i++)
                memset(c_rows[i], 0, tile.cols * sizeof(float));
        }
    }
}
