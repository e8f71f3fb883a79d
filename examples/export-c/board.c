/* A Cortex-M board without a system: vectors, memory, a stack that is painted, and what the
   debugger prints (semihosting). Replace the last part by your board's serial line and lamp. */
#include "examples/export-c/board.h"

#define PAINT 0xa5a5a5a5u
#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define SYSTICK_NOW (*(volatile uint32_t *)0xe000e018u)
#define SYSTICK_MOST 0xffffffu

enum { WRITE_TEXT = 0x04, EXIT = 0x20, APPLICATION_EXIT = 0x20026 };

extern uint32_t board_data_from[], board_data[], board_data_end[], board_bss[], board_bss_end[];
extern uint32_t board_stack_low[], board_stack[];
int main(void);

void start(void);
void start(void)
{
    uint32_t *from = board_data_from, *to;
    for (to = board_data; to < board_data_end; to++)
        *to = *from++;
    for (to = board_bss; to < board_bss_end; to++)
        *to = 0;
    CPACR |= 0xfu << 20; /* the floating-point unit is off after a reset */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    board_exit(main());
}

static void fault(void)
{
    board_say("fault\n");
    board_exit(100);
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    board_stack,   (void *)start, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, (void *)fault};

/* ---- measuring ------------------------------------------------------------------------- */

__attribute__((noinline)) void board_paint(void)
{
    const uint32_t here = (uint32_t)__builtin_frame_address(0) - 64; /* what runs this stays */
    uint32_t *at;
    for (at = board_stack_low; (uint32_t)at < here; at++)
        *at = PAINT;
}

uint32_t board_stack_used(void)
{
    const uint32_t *at = board_stack_low;
    while (at < board_stack && *at == PAINT)
        at++;
    return (uint32_t)((const char *)board_stack - (const char *)at);
}

void board_clock_start(void)
{
    SYSTICK_RELOAD = SYSTICK_MOST;
    SYSTICK_NOW = 0;
    SYSTICK_CONTROL = 5; /* on, by the processor's clock */
}

uint32_t board_clock(void)
{
    return SYSTICK_MOST - SYSTICK_NOW;
}

/* ---- what the debugger does ------------------------------------------------------------ */

static int semihosting(uint32_t what, const void *with)
{
    register uint32_t r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = with;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int)r0;
}

void board_say(const char *text)
{
    semihosting(WRITE_TEXT, text);
}

void board_say_number(const char *name, uint32_t number)
{
    char digits[11];
    int i = 10;
    digits[i] = 0;
    do
        digits[--i] = (char)('0' + number % 10);
    while (number /= 10);
    board_say(name);
    board_say(&digits[i]);
}

void board_exit(int code)
{
    const uint32_t reason[2] = {APPLICATION_EXIT, (uint32_t)code};
    semihosting(EXIT, reason);
    for (;;) {
    }
}
