// Runs the self-test of a network that run-model export-c wrote as net.c, and tells what it took.
#include "examples/cortex-m/board.h"

#include <net.h>
#include <stdio.h>

// The counter of every Cortex-M, which goes down at the processor's clock.
#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_NOW (*(volatile uint32_t *)0xE000E018u)
#define SYSTICK_MOST 0xFFFFFFu

static char arena[NET_SELFTEST_BYTES] __attribute__((aligned(16)));

int main(void)
{
    SYSTICK_RELOAD = SYSTICK_MOST;
    SYSTICK_NOW = 0;
    SYSTICK_CONTROL = 5; // on, at the processor's clock
    const int failed = net_selftest(arena);
    const uint32_t ticks = SYSTICK_MOST - SYSTICK_NOW;
    puts(failed ? "self-test: FAILED" : "self-test: the bits of the host");
    board_print("ticks: ", ticks);
    board_print("arena: ", NET_ARENA_BYTES);
    return failed;
}
