// Text made of numbers and texts, as snprintf makes it, in every locale alike and without stdio: a
// small program needs no printf for messages that nobody may ever read.
#ifndef RML_TENSOR_FORMAT_H
#define RML_TENSOR_FORMAT_H

#include "runmodel.h"

#include <stdarg.h>

// Writes at most `room` bytes, the final 0 among them, and returns how many the whole text has
// without it. Flags, widths and precisions as in C, and the conversions d i u x X o c s p e E f F g
// G %; what is none of them ends the text. %Lg and its kin are rounded to double first.
int rml_format(char *out, size_t room, const char *format, ...) RML_PRINTF(3, 4);
int rml_format_v(char *out, size_t room, const char *format, va_list args);

#endif
