/* Runs the self-test of a network that run-model export-c wrote as net.c; tells what it took. */
#include "examples/export-c/board.h"
#include <net.h>

static char arena[NET_SELFTEST_BYTES] __attribute__((aligned(16)));

int main(void)
{
    int failed;
    uint32_t ticks;
    board_paint();
    board_clock_start();
    failed = net_selftest(arena);
    ticks = board_clock();
    board_say(failed ? "self-test: FAILED" : "self-test: the bits of the host");
    board_say_number(", ticks ", ticks);
    board_say_number(", arena ", NET_ARENA_BYTES);
    board_say_number(", stack ", board_stack_used());
    board_say("\n");
    return failed;
}
