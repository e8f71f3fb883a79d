# Toolchain file for cores without an operating system:
#   cmake --toolchain cmake/cortex-m.cmake -DRML_CROSS=cortex-m3|cortex-m4|cortex-m7|cortex-m55
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RML_CROSS)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY) # a program needs a board
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${RML_CROSS})
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_ASM_COMPILER arm-none-eabi-gcc)
set(flags "-mcpu=${RML_CROSS}")
if(RML_CROSS STREQUAL "cortex-m4")
  string(APPEND flags " -mfloat-abi=hard -mfpu=fpv4-sp-d16")
elseif(RML_CROSS STREQUAL "cortex-m7")
  string(APPEND flags " -mfloat-abi=hard -mfpu=fpv5-d16")
elseif(RML_CROSS STREQUAL "cortex-m55")
  # Without vectors: with them binutils 2.40 reads the vcvt of GCC under the condition ne as another
  # instruction.
  string(APPEND flags "+nomve -mfloat-abi=hard")
endif()
string(APPEND flags " -mthumb")
set(CMAKE_C_FLAGS_INIT "${flags}")
set(CMAKE_ASM_FLAGS_INIT "${flags}")
