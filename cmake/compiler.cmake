# rml_flags: what every source of this project is compiled with.
add_library(rml_flags INTERFACE)
target_include_directories(rml_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_options(rml_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes
  # A kernel's rounding must not depend on what the compiler chose to fuse.
  -ffp-contract=off
  # Function and data sections let a static user drop what it does not call.
  -ffunction-sections -fdata-sections)
# On 32 bits too, files above 2 GB and folders whose inodes have 64 bits. Not on 64 bits, where it
# changes nothing but names: MemorySanitizer does not know that stat64 writes to its argument.
if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  target_compile_definitions(rml_flags INTERFACE _FILE_OFFSET_BITS=64)
endif()
if(RML_WERROR)
  target_compile_options(rml_flags INTERFACE -Werror)
endif()
foreach(part THREADS LIBAV PNG JPEG TIFF WEBP STB)
  if(RML_${part})
    target_compile_definitions(rml_flags INTERFACE RML_WITH_${part}=1)
  endif()
endforeach()
# Nothing of ours unwinds: where bytes count, no tables for it.
add_compile_options($<$<CONFIG:MinSizeRel>:-fno-asynchronous-unwind-tables>)
