# Toolchain file for Debian's cross compilers, and what runs their programs here:
#   cmake --toolchain cmake/cross.cmake -DRML_CROSS=aarch64|armv7|riscv64|i686
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RML_CROSS)
set(triple ${RML_CROSS}-linux-gnu)
set(emulator qemu-${RML_CROSS})
if(RML_CROSS STREQUAL "armv7")
  set(triple arm-linux-gnueabihf)
  set(emulator qemu-arm)
  # Of floats, compilers take scalars only: NEON of 32 bits has no denormal numbers.
  set(CMAKE_C_FLAGS_INIT "-march=armv7-a -mfpu=neon-vfpv4")
elseif(RML_CROSS STREQUAL "i686")
  set(CMAKE_C_FLAGS_INIT "-msse2 -mfpmath=sse") # the x87 keeps more digits than a float has
endif()
set(root /usr/${triple})
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${RML_CROSS})
set(CMAKE_C_COMPILER ${triple}-gcc)
set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
if(RML_CROSS STREQUAL "i686") # which an x86-64 kernel runs itself
  set(CMAKE_CROSSCOMPILING_EMULATOR ${root}/lib/ld-linux.so.2 --library-path ${root}/lib)
else()
  set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator} -L ${root})
endif()
