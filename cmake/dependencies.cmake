# Optional libraries, each behind its option.
set(rml_threads_library "")
if(RML_THREADS)
  set(THREADS_PREFER_PTHREAD_FLAG ON)
  find_package(Threads REQUIRED)
  set(rml_threads_library Threads::Threads)
endif()

add_library(rml_av INTERFACE)
if(RML_LIBAV)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(AV REQUIRED IMPORTED_TARGET libavformat libavcodec libavutil libswscale
                    libswresample)
  target_link_libraries(rml_av INTERFACE PkgConfig::AV)
endif()

add_library(rml_stb INTERFACE)
if(RML_STB)
  find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)
  target_include_directories(rml_stb SYSTEM INTERFACE ${STB_INCLUDE_DIR})
endif()

# Only the benchmarks use it: no network runs on it.
add_library(rml_openblas INTERFACE)
if(RML_OPENBLAS)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
  target_link_libraries(rml_openblas INTERFACE PkgConfig::OPENBLAS)
  target_compile_definitions(rml_openblas INTERFACE RML_WITH_OPENBLAS=1)
endif()
