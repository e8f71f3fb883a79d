# One object library per CPU level, each with its own flags. Nothing outside these files may use the
# instructions: the program must start on a CPU that lacks them. Link-time optimisation stays off for
# them, because it could move code across that line.
set(rml_isa_objects "")
# Of all kernels, the portable ones too: none looks at errno, for which a root would be a call.
set(rml_kernel_options -fno-math-errno)

function(rml_isa_level level folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/${folder}/*_${level}.c)
  if(sources)
    add_library(rml_${level} OBJECT ${sources})
    target_link_libraries(rml_${level} PRIVATE rml_flags)
    target_compile_options(rml_${level} PRIVATE ${rml_kernel_options} ${ARGN})
    set_target_properties(rml_${level} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    set(rml_isa_objects ${rml_isa_objects} $<TARGET_OBJECTS:rml_${level}> PARENT_SCOPE)
    string(TOUPPER ${level} upper)
    target_compile_definitions(rml_flags INTERFACE RML_HAVE_${upper}=1)
  endif()
endfunction()

if(RML_ISA)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    # A small loop is up to a fifth slower where it crosses a line of the cache of decoded
    # instructions. Where a function begins must not be a matter of what lies in front of it.
    list(APPEND rml_kernel_options -falign-functions=64)
    set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512)
    rml_isa_level(avx2 x86 -mavx2 -mfma -mf16c -mbmi2)
    rml_isa_level(avx512 x86 ${avx512} -mf16c -mbmi2)
    include(CheckCCompilerFlag)
    check_c_compiler_flag(-mavx512bf16 RML_COMPILER_HAS_BF16)
    if(RML_COMPILER_HAS_BF16)
      rml_isa_level(avx512bf16 x86 -mavx512bf16 ${avx512})
    endif()
    check_c_compiler_flag("-mamx-tile;-mamx-bf16" RML_COMPILER_HAS_AMX)
    if(RML_COMPILER_HAS_BF16 AND RML_COMPILER_HAS_AMX AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
      rml_isa_level(amxbf16 x86 -mamx-tile -mamx-bf16 ${avx512})
    endif()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # GCC would begin so many loads early that tiles which fill all registers spill, and let stores
    # move pointers on, for which loads of the next round may have to wait.
    rml_isa_level(neon arm $<$<C_COMPILER_ID:GNU>:-fno-schedule-insns$<SEMICOLON>-fno-auto-inc-dec>)
  endif()
endif()
