#include "tensor/format.h"
#include "tensor/format_number.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct sink {
    char *out;
    size_t room, used;
} sink;

// One conversion of a format.
typedef struct field {
    bool left, zeros, alternative;
    char plus;            // in front of numbers that are not negative, or 0
    int width, precision; // precision below 0: none is given
    char size;            // of an integer: 0, 'h', 'H' (hh), 'l', 'L' (ll), 'z', 'j' or 't'
    char kind;
} field;

static void put(sink *to, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++, to->used++)
        if (to->used + 1 < to->room)
            to->out[to->used] = text[i];
}

static void put_many(sink *to, char one, int count)
{
    for (int i = 0; i < count; i++)
        put(to, &one, 1);
}

// `prefix` and `zeros` zeros in front of the text, and the whole as wide as the field is.
static void put_field(sink *to, const field *f, const char *prefix, int zeros, const char *text,
                      size_t count)
{
    const int taken = (int)strlen(prefix) + (int)count + zeros;
    const int spaces = f->width > taken ? f->width - taken : 0;
    if (!f->left && !f->zeros)
        put_many(to, ' ', spaces);
    put(to, prefix, strlen(prefix));
    put_many(to, '0', zeros + (f->zeros && !f->left ? spaces : 0));
    put(to, text, count);
    if (f->left)
        put_many(to, ' ', spaces);
}

static int read_count(const char **at, va_list *args)
{
    int count = 0;
    if (**at == '*') {
        ++*at;
        return va_arg(*args, int);
    }
    for (; **at >= '0' && **at <= '9'; ++*at)
        count = count < 100000 ? count * 10 + (**at - '0') : count;
    return count;
}

static field read_field(const char **at, va_list *args)
{
    field f = {.precision = -1};
    for (bool flag = true; flag; *at += flag) {
        flag = **at && strchr("-0+ #", **at);
        f.left = f.left || **at == '-';
        f.zeros = f.zeros || **at == '0';
        f.alternative = f.alternative || **at == '#';
        if (**at == '+' || (**at == ' ' && !f.plus))
            f.plus = **at;
    }
    f.width = read_count(at, args);
    if (f.width < 0) {
        f.left = true;
        f.width = -f.width;
    }
    if (**at == '.') {
        ++*at;
        f.precision = read_count(at, args);
    }
    for (; **at && strchr("hlLzjt", **at); ++*at)
        f.size = f.size == 'l' ? 'L' : f.size == 'h' ? 'H' : **at;
    f.kind = **at;
    *at += f.kind != 0;
    return f;
}

static int64_t read_signed(char size, va_list *args)
{
    switch (size) {
    case 'H':
        return (signed char)va_arg(*args, int);
    case 'h':
        return (short)va_arg(*args, int);
    case 'l':
        return va_arg(*args, long);
    case 'L':
        return va_arg(*args, long long);
    case 'z':
    case 't':
        return va_arg(*args, ptrdiff_t);
    case 'j':
        return va_arg(*args, intmax_t);
    default:
        return va_arg(*args, int);
    }
}

static uint64_t read_unsigned(char size, va_list *args)
{
    switch (size) {
    case 'H':
        return (unsigned char)va_arg(*args, unsigned);
    case 'h':
        return (unsigned short)va_arg(*args, unsigned);
    case 'l':
        return va_arg(*args, unsigned long);
    case 'L':
        return va_arg(*args, unsigned long long);
    case 'z':
    case 't':
        return va_arg(*args, size_t);
    case 'j':
        return va_arg(*args, uintmax_t);
    default:
        return va_arg(*args, unsigned);
    }
}

static void put_integer(sink *to, field *f, uint64_t value, unsigned base, const char *prefix)
{
    char digits[24];
    size_t at = sizeof digits;
    for (; value; value /= base)
        digits[--at] = "0123456789abcdef0123456789ABCDEF"[value % base + (f->kind == 'X' ? 16 : 0)];
    const int count = (int)(sizeof digits - at), least = f->precision < 0 ? 1 : f->precision;
    int zeros = least > count ? least - count : 0;
    if (base == 8 && f->alternative && zeros == 0)
        zeros = 1;
    f->zeros = f->zeros && f->precision < 0;
    put_field(to, f, prefix, zeros, digits + at, (size_t)count);
}

static void put_number(sink *to, field *f, double value)
{
    char text[RML_NUMBER_BYTES], prefix[2] = {signbit(value) ? '-' : f->plus, 0};
    const bool large = f->kind < 'a';
    size_t count = 3;
    if (isfinite(value)) {
        const int precision = f->precision < 0 ? 6 : f->precision;
        count = rml_format_number(
            text, fabs(value), (char)(large ? f->kind + ('a' - 'A') : f->kind),
            precision < RML_NUMBER_PRECISION ? precision : RML_NUMBER_PRECISION, f->alternative);
        for (size_t i = 0; large && i < count; i++)
            text[i] = text[i] == 'e' ? 'E' : text[i];
    } else {
        memcpy(text, isnan(value) ? (large ? "NAN" : "nan") : large ? "INF" : "inf", count);
        f->zeros = false;
    }
    put_field(to, f, prefix, 0, text, count);
}

static void put_text(sink *to, field *f, const char *text)
{
    size_t count = 0;
    text = text ? text : "(null)";
    while ((f->precision < 0 || count < (size_t)f->precision) && text[count])
        count++;
    f->zeros = false;
    put_field(to, f, "", 0, text, count);
}

// False: there is no such conversion.
static bool put_one(sink *to, field *f, va_list *args)
{
    char sign[2] = {f->plus, 0}, one;
    switch (f->kind) {
    case 'd':
    case 'i': {
        const int64_t value = read_signed(f->size, args);
        if (value < 0)
            *sign = '-';
        put_integer(to, f, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, sign);
        return true;
    }
    case 'u':
        put_integer(to, f, read_unsigned(f->size, args), 10, "");
        return true;
    case 'o':
        put_integer(to, f, read_unsigned(f->size, args), 8, "");
        return true;
    case 'x':
    case 'X': {
        const uint64_t value = read_unsigned(f->size, args);
        const bool told = f->alternative && value;
        put_integer(to, f, value, 16, !told ? "" : f->kind == 'X' ? "0X" : "0x");
        return true;
    }
    case 'p':
        put_integer(to, f, (uintptr_t)va_arg(*args, void *), 16, "0x");
        return true;
    case 'c':
        one = (char)va_arg(*args, int);
        f->zeros = false;
        put_field(to, f, "", 0, &one, 1);
        return true;
    case 's':
        put_text(to, f, va_arg(*args, const char *));
        return true;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        put_number(to, f,
                   f->size == 'L' ? (double)va_arg(*args, long double) : va_arg(*args, double));
        return true;
    case '%':
        put(to, "%", 1);
        return true;
    default:
        return false;
    }
}

int rml_format_v(char *out, size_t room, const char *format, va_list given)
{
    sink to = {.out = out, .room = room};
    va_list args;
    va_copy(args, given);
    for (bool known = true; known && *format;) {
        const char *at = format;
        while (*at && *at != '%')
            at++;
        put(&to, format, (size_t)(at - format));
        format = at;
        if (!*at)
            break;
        format++;
        field f = read_field(&format, &args);
        known = put_one(&to, &f, &args);
    }
    va_end(args);
    if (room)
        out[to.used < room ? to.used : room - 1] = 0;
    return (int)to.used;
}

int rml_format(char *out, size_t room, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int used = rml_format_v(out, room, format, args);
    va_end(args);
    return used;
}
