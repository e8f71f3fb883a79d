#include "tensor/format_number.h"

#include <stdint.h>
#include <string.h>

#define WORD 1000000000u // a digit of the large number
#define WORD_DIGITS 9
#define MOST_WORDS 87 // 2^53 * 5^1074 has 767 digits, and so has no double more
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1075 // of a mantissa that is a whole number

typedef struct decimal {
    char digit[MOST_WORDS * WORD_DIGITS + 1]; // the first one behind a zero, to round up into
    int count;
    int point; // value = 0.digits * 10^point
} decimal;

static int multiply(uint32_t *word, int count, uint32_t factor)
{
    uint64_t carry = 0;
    for (int i = 0; i < count; i++) {
        carry += (uint64_t)word[i] * factor;
        word[i] = (uint32_t)(carry % WORD);
        carry /= WORD;
    }
    for (; carry; carry /= WORD)
        word[count++] = (uint32_t)(carry % WORD);
    return count;
}

// All digits of mantissa * 2^exponent: where the exponent is below 0 those of mantissa *
// 5^-exponent are the same, and only the point lies elsewhere.
static decimal digits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint64_t hidden = (uint64_t)1 << MANTISSA_BITS;
    int exponent = (int)(bits >> MANTISSA_BITS);
    uint64_t mantissa = bits & (hidden - 1);
    mantissa += exponent ? hidden : 0;
    exponent = (exponent ? exponent : 1) - EXPONENT_BIAS;
    for (; mantissa && !(mantissa & 1) && exponent < 0; mantissa >>= 1)
        exponent++;
    uint32_t word[MOST_WORDS];
    int words = 0;
    for (; mantissa; mantissa /= WORD)
        word[words++] = (uint32_t)(mantissa % WORD);
    for (int i = exponent; i < 0; i++)
        words = multiply(word, words, 5);
    for (int i = 0; i < exponent; i++)
        words = multiply(word, words, 2);
    decimal d = {.count = words * WORD_DIGITS, .digit = {0}};
    for (int i = 0; i < words; i++)
        for (int k = 0; k < WORD_DIGITS; k++, word[i] /= 10)
            d.digit[d.count - i * WORD_DIGITS - k] = (char)(word[i] % 10);
    d.point = d.count + (exponent < 0 ? exponent : 0);
    int zeros = 0;
    while (zeros < d.count && !d.digit[1 + zeros])
        zeros++;
    memmove(d.digit + 1, d.digit + 1 + zeros, (size_t)(d.count - zeros));
    d.count -= zeros;
    d.point -= zeros;
    return d;
}

static char digit_at(const decimal *d, int index)
{
    return (char)('0' + (index >= 0 && index < d->count ? d->digit[1 + index] : 0));
}

// To `count` digits, half to even; count may be below 0, which leaves none.
static void round_to(decimal *d, int count)
{
    if (count >= d->count)
        return;
    bool up = false;
    if (count >= 0) {
        const char next = d->digit[1 + count];
        bool more = false;
        for (int i = count + 1; i < d->count; i++)
            more = more || d->digit[1 + i];
        up = next > 5 || (next == 5 && (more || (count > 0 && d->digit[count] % 2)));
    }
    d->count = count > 0 ? count : 0;
    if (!up)
        return;
    int i = d->count;
    d->digit[0] = 0;
    while (d->digit[i] == 9)
        d->digit[i--] = 0;
    d->digit[i]++;
    if (i == 0) { // one digit more in front
        memmove(d->digit + 1, d->digit, (size_t)d->count + 1);
        d->count++;
        d->point++;
    }
}

static size_t write_fixed(char *out, const decimal *d, int precision, bool keep)
{
    size_t used = 0;
    for (int i = d->point > 0 ? 0 : d->point - 1; i < d->point; i++)
        out[used++] = digit_at(d, i);
    if (precision > 0 || keep)
        out[used++] = '.';
    for (int i = 0; i < precision; i++)
        out[used++] = digit_at(d, d->point + i);
    return used;
}

static size_t write_scientific(char *out, const decimal *d, int precision, bool keep)
{
    size_t used = 0;
    out[used++] = digit_at(d, 0);
    if (precision > 0 || keep)
        out[used++] = '.';
    for (int i = 1; i <= precision; i++)
        out[used++] = digit_at(d, i);
    int power = d->count ? d->point - 1 : 0;
    out[used++] = 'e';
    out[used++] = power < 0 ? '-' : '+';
    power = power < 0 ? -power : power;
    if (power >= 100)
        out[used++] = (char)('0' + power / 100);
    out[used++] = (char)('0' + power / 10 % 10);
    out[used++] = (char)('0' + power % 10);
    return used;
}

size_t rml_format_number(char out[RML_NUMBER_BYTES], double value, char conversion, int precision,
                         bool keep)
{
    decimal d = digits_of(value);
    if (conversion == 'f') {
        round_to(&d, d.point + precision);
        return write_fixed(out, &d, precision, keep);
    }
    if (conversion == 'e') {
        round_to(&d, precision + 1);
        return write_scientific(out, &d, precision, keep);
    }
    precision = precision ? precision : 1;
    round_to(&d, precision);
    const int power = d.count ? d.point - 1 : 0;
    int said = d.count < precision ? d.count : precision; // without zeros at the end
    while (said > 0 && !d.digit[said])
        said--;
    if (power < -4 || power >= precision)
        return write_scientific(out, &d, keep ? precision - 1 : said > 0 ? said - 1 : 0, keep);
    const int behind = said - power - 1;
    return write_fixed(out, &d, keep ? precision - 1 - power : behind > 0 ? behind : 0, keep);
}
