// Packed weights: places, padding, sizes, against the formula in pack.h.
#include "kernels/cpu.h"
#include "kernels/pack.h"
#include "tests/support/check.h"

int main(void)
{
    enum { TAPS = 3, DEPTH = 5, MOST_COLS = 70 };
    static float src[TAPS * DEPTH * MOST_COLS], dst[TAPS * DEPTH * 2 * MOST_COLS];
    rml_kernels k;
    rml_kernels_init(&k, rml_cpu_probe());
    for (size_t i = 0; i < sizeof src / sizeof *src; i++)
        src[i] = (float)(i + 1);
    for (size_t cols = 1; cols <= MOST_COLS; cols++) {
        // Columns outermost, as in a [cols][depth][taps] weight.
        const size_t tap_stride = 1, depth_stride = TAPS, col_stride = TAPS * DEPTH;
        size_t total = rml_pack_count(&RML_KERNEL(&k, gemm_f32), TAPS, DEPTH, cols), end = 0;
        CHECK(total <= sizeof dst / sizeof *dst);
        for (size_t i = 0; i <= total; i++)
            dst[i] = -1.0f;
        for (size_t first = 0; first < cols; first += RML_KERNEL(&k, gemm_f32).nr) {
            size_t count = cols - first < RML_KERNEL(&k, gemm_f32).nr ? cols - first
                                                                      : RML_KERNEL(&k, gemm_f32).nr;
            float *panel = dst + first * TAPS * DEPTH;
            rml_pack_panel(&RML_KERNEL(&k, gemm_f32), panel, src + first * col_stride, TAPS, DEPTH,
                           count, tap_stride, depth_stride, col_stride);
            size_t pitch = rml_pack_pitch(&RML_KERNEL(&k, gemm_f32), count), wrong = 0;
            CHECK(pitch >= count && pitch % RML_KERNEL(&k, gemm_f32).nr_unit == 0 &&
                  pitch <= RML_KERNEL(&k, gemm_f32).nr);
            for (size_t t = 0; t < TAPS; t++) {
                for (size_t d = 0; d < DEPTH; d++) {
                    for (size_t n = 0; n < pitch; n++) {
                        float want =
                            n < count
                                ? src[t * tap_stride + d * depth_stride + (first + n) * col_stride]
                                : 0.0f;
                        wrong += panel[(t * DEPTH + d) * pitch + n] != want;
                    }
                }
            }
            CHECK_MSG(wrong == 0, "%zu columns, panel at %zu: %zu wrong", cols, first, wrong);
            end = first * TAPS * DEPTH + TAPS * DEPTH * pitch;
        }
        CHECK(end == total);
        CHECK(dst[total] == -1.0f);
    }
    return check_result();
}
