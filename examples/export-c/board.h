/* What a program of this folder needs of its board. */
#ifndef RML_EXAMPLES_EXPORT_C_BOARD_H
#define RML_EXAMPLES_EXPORT_C_BOARD_H

#include <stdint.h>

/* Fills the stack below the caller; the most that was used since, in bytes. */
void board_paint(void);
uint32_t board_stack_used(void);

/* Ticks of the processor's clock since the start, up to 2^24. */
void board_clock_start(void);
uint32_t board_clock(void);

void board_say(const char *text);
void board_say_number(const char *name, uint32_t number);
void board_exit(int code);

#endif
