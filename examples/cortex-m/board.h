// What the programs of this folder have of their board.
#ifndef RML_EXAMPLES_CORTEX_M_BOARD_H
#define RML_EXAMPLES_CORTEX_M_BOARD_H

#include <stddef.h>
#include <stdint.h>

// A line of a text and a number.
void board_print(const char *what, size_t number);

// Called behind main. A program may have its own, for more to print.
void board_end(void);

#endif
