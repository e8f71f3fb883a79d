// CPU levels and features: names, masks, RML_CPU, and tables that are complete whatever is missing.
#define _POSIX_C_SOURCE 200112L // setenv
#include "kernels/cpu.h"
#include "kernels/kernels.h"
#include "tests/support/check.h"

static void check_table(uint32_t features)
{
    rml_kernels k;
    memset(&k, 0x5a, sizeof k);
    rml_kernels_init(&k, features);
    const char *level = rml_cpu_level_name(k.level);
    CHECK(k.level == rml_cpu_level_of(features) && k.features == features);
    const rml_gemm *gemms[] = {&RML_KERNEL(&k, gemm_f32), &RML_KERNEL(&k, gemm_bf16)};
    for (size_t i = 0; i < 2 && gemms[i]->run; i++) {
        CHECK(gemms[i]->mr >= 1 && gemms[i]->mr <= RML_GEMM_MAX_MR && gemms[i]->kr >= 1);
        CHECK(gemms[i]->nr >= 1 && gemms[i]->nr <= RML_GEMM_MAX_NR &&
              gemms[i]->nr % gemms[i]->nr_unit == 0);
        CHECK(gemms[i]->pack && gemms[i]->element_bytes == (i ? 2 : 4) && gemms[i]->rate > 0.0f);
        CHECK(!gemms[i]->begin == !gemms[i]->end);
    }
    CHECK(RML_KERNEL(&k, gemm_f32).run && RML_KERNEL(&k, gemm_f64).run);
    CHECK(RML_KERNEL(&k, conv_lanes) && RML_KERNEL(&k, lstm_rows) && RML_KERNEL(&k, lstm_units));
#define KERNEL(type, place, ...)                                                                   \
    CHECK_MSG(RML_KERNEL(&k, place), "no kernel " #place " at level %s", level);
#define UNARY_KERNEL(...)
#define BINARY_KERNEL(...)
#define SCALAR_KERNEL(...)
#include "kernels/kernels.inc"
    for (int i = 0; i < RML_UNARY_KERNELS; i++)
        CHECK_MSG(RML_KERNEL(&k, unary[i]), "unary %d at level %s", i, level);
    for (int i = 0; i < RML_BINARY_KERNELS; i++)
        CHECK_MSG(RML_KERNEL(&k, binary[i]) && RML_KERNEL(&k, binary_scalar[i]),
                  "binary %d at level %s", i, level);
    CHECK_MSG(!RML_KERNEL(&k, gemm_bf16).run == !RML_KERNEL(&k, to_bf16) &&
                  !RML_KERNEL(&k, gemm_bf16).run == !RML_KERNEL(&k, winograd_complex_input) &&
                  !RML_KERNEL(&k, gemm_bf16).run == !RML_KERNEL(&k, winograd_complex_output),
              "kernels of bf16 at level %s are not all there", level);
}

// Each feature, and each two, taken away.
static void test_masks(void)
{
    uint32_t all, left;
    rml_error err;
    CHECK(rml_cpu_features(RML_CPU_BEST, NULL, &all, &err) == RML_OK);
    CHECK((all & ~rml_cpu_probe()) == 0);
    const char *name, *other;
    bool here;
    uint32_t seen = 0;
    for (size_t i = 0; (name = rml_cpu_feature(i, &here)) != NULL; i++) {
        CHECK_MSG(rml_cpu_features(RML_CPU_BEST, name, &left, &err) == RML_OK, "%s: %s", name,
                  err.message);
        const uint32_t bit = all & ~left;
        CHECK_MSG((bit != 0) == here && (bit & (bit - 1)) == 0 && (seen & bit) == 0,
                  "%s takes %x away", name, (unsigned)bit);
        seen |= bit;
        for (size_t j = 0; (other = rml_cpu_feature(j, NULL)) != NULL; j++) {
            char two[64];
            snprintf(two, sizeof two, "%s,%s", other, name);
            CHECK(rml_cpu_features(RML_CPU_BEST, two, &left, &err) == RML_OK);
            check_table(left);
            setenv(RML_CPU_MASK_ENVIRONMENT, two, 1);
            uint32_t same;
            CHECK(rml_cpu_features(RML_CPU_BEST, NULL, &same, &err) == RML_OK && same == left);
            CHECK(rml_cpu_level_best() == rml_cpu_level_of(left));
            unsetenv(RML_CPU_MASK_ENVIRONMENT);
        }
    }
    CHECK(seen == all);

    static const char *const wrong[] = {"sse9", "avx2,sse9,fma", "avx2 ", "-avx2", ",", "avx2,"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_MSG(rml_cpu_features(RML_CPU_BEST, wrong[i], &left, &err) == RML_ERR_ARG,
                  "mask '%s' is taken", wrong[i]);
        CHECK_MSG(strstr(err.message, "cpu_mask") && strstr(err.message, "amx-bf16, "), "%s",
                  err.message);
        setenv(RML_CPU_MASK_ENVIRONMENT, wrong[i], 1);
        CHECK(rml_cpu_check(&err) == RML_ERR_ARG && strstr(err.message, "RML_CPU_MASK"));
        unsetenv(RML_CPU_MASK_ENVIRONMENT);
    }
    CHECK(rml_cpu_features(RML_CPU_BEST, "", &left, &err) == RML_OK && left == all);
}

static void test_levels(void)
{
    rml_cpu_level parsed;
    for (int level = RML_CPU_BEST; level <= RML_CPU_AVX512; level++) {
        const char *name = rml_cpu_level_name((rml_cpu_level)level);
        CHECK(rml_cpu_level_parse(name, &parsed) && (int)parsed == level);
    }
    CHECK(!rml_cpu_level_parse("sse9", &parsed));
    CHECK(strcmp(rml_cpu_level_name((rml_cpu_level)99), "unknown") == 0);
    CHECK(!rml_cpu_level_available((rml_cpu_level)99));
    CHECK(rml_cpu_level_available(RML_CPU_PORTABLE));

    rml_error err;
    uint32_t features;
    rml_cpu_level best = rml_cpu_level_best();
    CHECK(best != RML_CPU_BEST && rml_cpu_level_available(best));
    for (int level = RML_CPU_PORTABLE; level <= RML_CPU_AVX512; level++) {
        setenv(RML_CPU_ENVIRONMENT, rml_cpu_level_name((rml_cpu_level)level), 1);
        rml_cpu_level lowered = rml_cpu_level_best();
        CHECK((int)lowered <= level && lowered <= best && rml_cpu_level_available(lowered));
        CHECK(rml_cpu_features(RML_CPU_BEST, NULL, &features, &err) == RML_OK);
        CHECK(rml_cpu_level_of(features) == lowered);
        unsetenv(RML_CPU_ENVIRONMENT);
        const bool here = rml_cpu_level_available((rml_cpu_level)level);
        CHECK(rml_cpu_features((rml_cpu_level)level, NULL, &features, &err) ==
              (here ? RML_OK : RML_ERR_UNSUPPORTED));
        if (here) {
            CHECK((int)lowered == level && (int)rml_cpu_level_of(features) == level);
            check_table(features);
        }
    }
    setenv(RML_CPU_ENVIRONMENT, "sse9", 1);
    CHECK(rml_cpu_check(&err) == RML_ERR_ARG && strstr(err.message, "RML_CPU is 'sse9'"));
    CHECK(rml_cpu_features(RML_CPU_PORTABLE, NULL, &features, &err) == RML_ERR_ARG);
    setenv(RML_CPU_ENVIRONMENT, "", 1); // as if it were not there
    CHECK(rml_cpu_check(&err) == RML_OK && rml_cpu_level_best() == best);
    unsetenv(RML_CPU_ENVIRONMENT);
    check_table(0);
}

int main(void)
{
    unsetenv(RML_CPU_ENVIRONMENT);
    unsetenv(RML_CPU_MASK_ENVIRONMENT);
    test_levels();
    test_masks();
    return check_result();
}
