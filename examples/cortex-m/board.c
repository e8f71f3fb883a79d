// A core without a system, on the boards that qemu has: the first instructions and a place to print
// to. Behind main it prints how much of the stack was used, so that it can be made as small.
#include "examples/cortex-m/board.h"

#include <string.h>

#define STACK_PAINT 0xC5C5C5C5u

extern uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[];
extern uint32_t stack_begin[], stack_end[];

int main(void);
int puts(const char *text);
void reset(void);

// ---- semihosting: what qemu, or a debugger, does for the program --------------------------------

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20 };
#define APPLICATION_EXIT 0x20026u

static void ask_host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

// In place of the C library's, which would bring its files.
int puts(const char *text)
{
    ask_host(SYS_WRITE0, text);
    ask_host(SYS_WRITE0, "\n");
    return 0;
}

static _Noreturn void leave(uint32_t code)
{
    const uint32_t words[] = {APPLICATION_EXIT, code};
    ask_host(SYS_EXIT_EXTENDED, words);
    for (;;)
        ;
}

void board_print(const char *what, size_t number)
{
    char text[16];
    size_t at = sizeof text - 1;
    text[at] = 0;
    do
        text[--at] = (char)('0' + number % 10);
    while (number /= 10);
    ask_host(SYS_WRITE0, what);
    puts(text + at);
}

__attribute__((weak)) void board_end(void) {}

// ---- the first instructions ---------------------------------------------------------------------

__attribute__((used)) static void start(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; // CPACR: the FPU, and the vectors of an M55
    __asm__ volatile("dsb\n isb");
#endif
    memcpy(data_begin, data_load, (size_t)((char *)data_end - (char *)data_begin));
    memset(bss_begin, 0, (size_t)((char *)bss_end - (char *)bss_begin));
    const int code = main();
    const uint32_t *used = stack_begin;
    while (used < stack_end && *used == STACK_PAINT)
        used++;
    board_print("stack: ", (size_t)((const char *)stack_end - (const char *)used));
    board_end();
    leave((uint32_t)code);
}

// Paints the stack before anything lies on it.
__attribute__((naked)) void reset(void)
{
    __asm__ volatile("    ldr r0, =stack_begin\n"
                     "    ldr r1, =stack_end\n"
                     "    ldr r2, =%c0\n"
                     "1:  str r2, [r0], #4\n"
                     "    cmp r0, r1\n"
                     "    blo 1b\n"
                     "    bl start\n" ::"i"(STACK_PAINT));
}

static void fault(void)
{
    puts("fault");
    leave(2);
}

// Of the processor's own exceptions: none is expected.
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_end,           (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};
