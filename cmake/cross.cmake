# Toolchain file for Debian's cross compilers, and what runs their programs here:
#   cmake --toolchain cmake/cross.cmake -DRML_CROSS=aarch64|i686
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RML_CROSS)
set(root /usr/${RML_CROSS}-linux-gnu)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${RML_CROSS})
set(CMAKE_C_COMPILER ${RML_CROSS}-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
if(RML_CROSS STREQUAL "i686") # which an x86-64 kernel runs itself
  set(CMAKE_C_FLAGS_INIT "-msse2 -mfpmath=sse") # the x87 keeps more digits than a float has
  set(CMAKE_CROSSCOMPILING_EMULATOR ${root}/lib/ld-linux.so.2 --library-path ${root}/lib)
else()
  set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${RML_CROSS} -L ${root})
endif()
