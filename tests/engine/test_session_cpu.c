// What a session takes of the CPU: masks, levels, words that are not known, and tiles of AMX, which
// the system is asked for only where they will be used.
#define _GNU_SOURCE // setenv, syscall
#include "kernels/cpu.h"
#include "tests/support/net.h"

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>

// ARCH_GET_XCOMP_PERM, bit XFEATURE_XTILEDATA.
static bool has_tiles(void)
{
    uint64_t permitted = 0;
    return syscall(SYS_arch_prctl, 0x1022, &permitted) == 0 && (permitted >> 18 & 1);
}
#else
static bool has_tiles(void)
{
    return false;
}
#endif

static rml_status open_and_close(net *at, const rml_session_settings *settings,
                                 rml_cpu_level *level)
{
    rml_session *session;
    const rml_status status = rml_session_create(&session, at->model, settings, &at->err);
    if (session && level)
        *level = rml_session_cpu(session);
    rml_session_destroy(&session);
    return status;
}

// The system keeps what it gave for as long as the process lives, so this comes first.
static void test_tiles(net *at)
{
    rml_session_settings settings = rml_session_settings_default();
    const bool bf16 = rml_precision_available(RML_PRECISION_BF16, RML_CPU_BEST);
    CHECK_MSG(!has_tiles(), "asking whether bf16 is there takes tiles");
    CHECK(open_and_close(at, &settings, NULL) == RML_OK);
    CHECK_MSG(!has_tiles(), "a session in f32 takes tiles");
    settings.precision = RML_PRECISION_BF16;
    settings.cpu_mask = "amx-bf16";
    CHECK(open_and_close(at, &settings, NULL) == (bf16 ? RML_OK : RML_ERR_UNSUPPORTED));
    CHECK_MSG(!has_tiles(), "a session in bf16 without AMX takes tiles");
    settings.cpu_mask = NULL;
    CHECK(open_and_close(at, &settings, NULL) == (bf16 ? RML_OK : RML_ERR_UNSUPPORTED));
    if (rml_cpu_probe() & RML_CPU_FEATURE_AMX_BF16)
        CHECK_MSG(has_tiles() || rml_cpu_request_amx(rml_cpu_probe()) != rml_cpu_probe(),
                  "a session in bf16 does not ask for tiles");
    settings.cpu_mask = "avx512-bf16";
    CHECK(open_and_close(at, &settings, NULL) == RML_ERR_UNSUPPORTED);
}

int main(void)
{
    net at;
    rml_cpu_level level = RML_CPU_BEST;
    unsetenv(RML_CPU_ENVIRONMENT);
    unsetenv(RML_CPU_MASK_ENVIRONMENT);
    net_begin(&at, NULL);
    const rml_value_id x = rml_graph_input(at.graph, "x", &(rml_shape){1, {4}});
    rml_graph_output(at.graph, "y", rml_graph_binary(at.graph, RML_BINARY_ADD, x, x, "add"));
    CHECK(net_finish(&at, NULL));
    test_tiles(&at);

    rml_session_settings settings = rml_session_settings_default();
    for (int best = RML_CPU_AVX512; best > RML_CPU_PORTABLE; best--) {
        if (!rml_cpu_level_available((rml_cpu_level)best))
            continue;
        settings.cpu_mask = best == RML_CPU_NEON   ? "neon"
                            : best == RML_CPU_AVX2 ? "fma"
                                                   : "avx512f";
        settings.cpu = RML_CPU_BEST;
        CHECK(open_and_close(&at, &settings, &level) == RML_OK);
        CHECK_MSG((int)level < best, "without %s: level %s", settings.cpu_mask,
                  rml_cpu_level_name(level));
        settings.cpu = (rml_cpu_level)best;
        CHECK(open_and_close(&at, &settings, NULL) == RML_ERR_UNSUPPORTED);
        settings.cpu_mask = NULL;
        CHECK(open_and_close(&at, &settings, &level) == RML_OK && (int)level == best);
    }
    settings = rml_session_settings_default();
    settings.cpu_mask = "amx-bf16,sse9";
    CHECK(open_and_close(&at, &settings, NULL) == RML_ERR_ARG && strstr(at.err.message, "'sse9'"));
    settings.cpu_mask = NULL;
    setenv(RML_CPU_ENVIRONMENT, "avx9000", 1);
    CHECK(open_and_close(&at, &settings, NULL) == RML_ERR_ARG &&
          strstr(at.err.message, "'avx9000'"));
    settings.precision = (rml_precision)1;
    CHECK(open_and_close(&at, &settings, NULL) == RML_ERR_UNSUPPORTED);
    net_end(&at);
    return check_result();
}
