# rml_flags: what every source of this project is compiled with.
add_library(rml_flags INTERFACE)
target_include_directories(rml_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_options(rml_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes
  # A kernel's rounding must not depend on what the compiler chose to fuse.
  -ffp-contract=off
  # Function and data sections let a static user drop what it does not call.
  -ffunction-sections -fdata-sections)
# Of 32 bits too, files above 2 GB, and folders whose numbers of files are of 64 bits.
target_compile_definitions(rml_flags INTERFACE _FILE_OFFSET_BITS=64)
if(RML_WERROR)
  target_compile_options(rml_flags INTERFACE -Werror)
endif()
foreach(part THREADS LIBAV PNG JPEG TIFF WEBP STB)
  if(RML_${part})
    target_compile_definitions(rml_flags INTERFACE RML_WITH_${part}=1)
  endif()
endforeach()
