// What a network needs of a board, on the boards that qemu has: the first instructions, a heap, a
// clock, a place to print to. With it examples/one_network.c runs on a core without a system. It
// prints how much of the stack and of the heap was used, so that both can be made as small.
#include "runmodel.h"

#include <string.h>

#define STACK_PAINT 0xC5C5C5C5u

extern uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[];
extern uint32_t stack_begin[], stack_end[];
extern unsigned char heap_begin[], heap_end[];

int main(void);
int puts(const char *text);
double rml_clock_ms(void);
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

static void print_number(const char *what, size_t number)
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

// ---- the heap: the first block that is large enough, between two symbols of the linker ----------

typedef struct block {
    size_t bytes; // of it and this head, a multiple of HEAD_BYTES; the next one lies behind
    size_t taken;
} block;

#define HEAD_BYTES ((size_t)64) // keeps what follows aligned as the library wants it

static size_t heap_top; // the most bytes that were ever in use, with what lies between

static block *behind(block *at)
{
    return (block *)(void *)((unsigned char *)at + at->bytes);
}

static void *take(void *user, size_t bytes)
{
    block *const end = (block *)(void *)heap_end;
    (void)user;
    if (bytes > (size_t)(heap_end - heap_begin))
        return NULL;
    bytes = (bytes + 2 * HEAD_BYTES - 1) / HEAD_BYTES * HEAD_BYTES;
    for (block *at = (block *)(void *)heap_begin; at < end; at = behind(at)) {
        while (!at->taken && behind(at) < end && !behind(at)->taken)
            at->bytes += behind(at)->bytes;
        if (at->taken || at->bytes < bytes)
            continue;
        if (at->bytes > bytes) {
            block *const rest = (block *)(void *)((unsigned char *)at + bytes);
            *rest = (block){at->bytes - bytes, 0};
            at->bytes = bytes;
        }
        at->taken = 1;
        const size_t top = (size_t)((unsigned char *)behind(at) - heap_begin);
        heap_top = top > heap_top ? top : heap_top;
        return (unsigned char *)at + HEAD_BYTES;
    }
    return NULL;
}

static void give(void *user, void *memory)
{
    (void)user;
    ((block *)(void *)((unsigned char *)memory - HEAD_BYTES))->taken = 0;
}

// ---- what the library asks for where there is no system -----------------------------------------

const rml_allocator *rml_allocator_default(void)
{
    static const rml_allocator allocator = {take, give, NULL};
    return &allocator;
}

double rml_clock_ms(void) // only a profile looks at it
{
    return 0;
}

// ---- the first instructions ---------------------------------------------------------------------

__attribute__((used)) static void start(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; // CPACR: the FPU, and the vectors of an M55
    __asm__ volatile("dsb\n isb");
#endif
    memcpy(data_begin, data_load, (size_t)((char *)data_end - (char *)data_begin));
    memset(bss_begin, 0, (size_t)((char *)bss_end - (char *)bss_begin));
    *(block *)(void *)heap_begin = (block){(size_t)(heap_end - heap_begin), 0};
    const int code = main();
    const uint32_t *used = stack_begin;
    while (used < stack_end && *used == STACK_PAINT)
        used++;
    print_number("stack: ", (size_t)((const char *)stack_end - (const char *)used));
    print_number("heap: ", heap_top);
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
