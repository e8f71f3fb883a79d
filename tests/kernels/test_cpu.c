// CPU levels: names, what is available, RML_CPU, and tables that are complete.
#define _POSIX_C_SOURCE 200112L // setenv
#include "kernels/cpu.h"
#include "kernels/kernels.h"
#include "tests/support/check.h"

static void check_table(rml_cpu_level level)
{
    rml_kernels k;
    memset(&k, 0, sizeof k);
    rml_kernels_init(&k, level);
    CHECK(k.level == level);
    CHECK(k.mr >= 1 && k.mr <= RML_GEMM_MAX_MR);
    CHECK(k.nr >= 1 && k.nr <= RML_GEMM_MAX_NR && k.nr % k.nr_unit == 0);
    CHECK(k.gemm && k.conv_dw && k.pool_max && k.pool_sum && k.lerp);
    CHECK(k.winograd_input && k.winograd_output && k.softmax && k.l2norm && k.layer_norm &&
          k.transpose);
    for (int i = 0; i < RML_UNARY_COUNT; i++)
        CHECK_MSG(k.unary[i], "unary %d at level %s", i, rml_cpu_level_name(level));
    for (int i = 0; i < RML_BINARY_COUNT; i++)
        CHECK_MSG(k.binary[i] && k.binary_scalar[i], "binary %d at level %s", i,
                  rml_cpu_level_name(level));
}

int main(void)
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

    unsetenv(RML_CPU_ENVIRONMENT);
    rml_cpu_level best = rml_cpu_level_best();
    CHECK(best != RML_CPU_BEST && rml_cpu_level_available(best));
    for (int level = RML_CPU_PORTABLE; level <= RML_CPU_AVX512; level++) {
        setenv(RML_CPU_ENVIRONMENT, rml_cpu_level_name((rml_cpu_level)level), 1);
        rml_cpu_level lowered = rml_cpu_level_best();
        CHECK((int)lowered <= level && lowered <= best && rml_cpu_level_available(lowered));
        if (rml_cpu_level_available((rml_cpu_level)level)) {
            CHECK((int)lowered == level);
            check_table((rml_cpu_level)level);
        }
    }
    setenv(RML_CPU_ENVIRONMENT, "sse9", 1); // unknown: as if it were not there
    CHECK(rml_cpu_level_best() == best);
    setenv(RML_CPU_ENVIRONMENT, "portable", 1);
    rml_kernels k;
    rml_kernels_init(&k, RML_CPU_BEST);
    CHECK(k.level == RML_CPU_PORTABLE);
    return check_result();
}
