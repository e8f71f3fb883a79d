#!/bin/sh
# run.sh m3|m4f|m7|m55 FOLDER: builds the example around FOLDER/net.c and runs it in qemu.
# Needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case $1 in
m3) cpu="-mcpu=cortex-m3" machine=mps2-an385 script=mps2.ld ;;
m4f) cpu="-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16" machine=mps2-an386 script=mps2.ld ;;
m7) cpu="-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-sp-d16" machine=mps2-an500 script=mps2.ld ;;
m55) cpu="-mcpu=cortex-m55 -mfloat-abi=hard" machine=mps3-an547 script=mps3.ld ;;
*) echo "run.sh: the CPU is m3, m4f, m7 or m55, not '$1'" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086
arm-none-eabi-gcc $cpu -mthumb -std=gnu99 ${NET_CFLAGS:--O3} -ffp-contract=off -Wall -Wextra \
    -ffunction-sections -fdata-sections -Wl,--gc-sections -nostartfiles -specs=nosys.specs \
    -DNET_WEIGHTS_SECTION='__attribute__((section(".weights")))' -I"$2" -I"$here/../.." \
    -L"$here" -T"$script" "$here/main.c" "$here/board.c" "$2/net.c" -lm -o "$2/net-$1.elf"
arm-none-eabi-size "$2/net-$1.elf"
# One instruction is a nanosecond: the clock of 25 MHz ticks once in 40 of them.
exec timeout 600 qemu-system-arm -M "$machine" -nographic -monitor none -serial none \
    -semihosting-config enable=on,target=native -icount shift=0 -kernel "$2/net-$1.elf"
