// WeightParams: floats, halves, and numbers of 1 to 8 bits with scales or a table.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"
#include "writers/elements.h"
#include "writers/palette.h"
#include "writers/quantize.h"

#include <string.h>

#define FEW 2048              // weights: that many keep all their bits
#define MOST_WHOLE 16777216.0 // whole numbers up to this one are floats

enum { FLOATS = 1, HALVES = 2, RAW = 30, QUANTIZATION = 40, LINEAR = 101, TABLE = 102 };

float *rml_net_alloc(rml_net_emitter *e, size_t count)
{
    float *memory = rml_arena_alloc(&e->w->graph.arena, count + 1, sizeof *memory);
    if (!memory)
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for %zu weights", count);
    return memory;
}

// Truth values and whole numbers are floats in these files.
static void widen(rml_net_emitter *e, const rml_elements *from, const rml_value *value, float *to)
{
    const char *bytes = from->data;
    const size_t size = rml_dtype_size(value->dtype);
    for (size_t i = 0; i < from->count; i++) {
        double wide = 0;
        rml_dtype_convert(value->dtype, bytes + i * size, RML_F64, &wide, 1);
        if (value->dtype == RML_I64 && fabs(wide) > MOST_WHOLE)
            rml_net_fail(e, RML_ERR_UNSUPPORTED, "%s: %.0f among its numbers is no float",
                         value->name, wide);
        to[i] = (float)wide;
    }
}

const float *rml_net_numbers(rml_net_emitter *e, rml_value_id constant, size_t *count)
{
    const rml_value *value = &e->graph->values[constant];
    const bool is_float = rml_dtype_is_float(value->dtype);
    rml_elements elements;
    *count = 0;
    if (e->status != RML_OK)
        return NULL;
    e->status = rml_elements_take(&elements, value, is_float ? RML_F32 : value->dtype,
                                  e->w->allocator, e->err);
    if (e->status != RML_OK)
        return NULL;
    *count = elements.count;
    const float *numbers = elements.data;
    if (elements.owned || !is_float) {
        float *copy = rml_net_alloc(e, elements.count);
        if (copy && is_float)
            memcpy(copy, elements.data, elements.bytes);
        else if (copy)
            widen(e, &elements, value, copy);
        numbers = copy;
    }
    rml_elements_release(&elements);
    return numbers;
}

static void write_floats(rml_net_emitter *e, const float *numbers, size_t count, bool whole)
{
    const bool wide = e->wide && e->node && e->node->out_count && e->wide[e->node->out];
    if (e->w->settings.weights != RML_WRITE_F16 || whole || wide) {
        rml_fields_borrow(&e->m, FLOATS, numbers, count * sizeof *numbers);
        return;
    }
    uint16_t *halves = rml_arena_alloc(&e->w->graph.arena, count + 1, sizeof *halves);
    if (!halves) {
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for %zu weights", count);
        return;
    }
    rml_make_halves(numbers, halves, count, &e->losses);
    rml_net_needs(e, 2);
    rml_fields_borrow(&e->m, HALVES, halves, count * sizeof *halves);
}

// 8 bits: from the smallest number of a channel, which is code 0, to its largest, 255.
static void write_codes(rml_net_emitter *e, const float *numbers, size_t count, size_t channels,
                        size_t inner)
{
    uint8_t *codes = rml_arena_alloc(&e->w->graph.arena, count, 1);
    float *low = rml_net_alloc(e, channels), *step = rml_net_alloc(e, channels);
    if (!codes || !low || !step) {
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for %zu weights", count);
        return;
    }
    for (size_t i = 0; i < channels; i++) {
        low[i] = INFINITY;
        step[i] = -INFINITY; // the largest so far
    }
    for (size_t i = 0; i < count; i++) {
        const size_t channel = i / inner % channels;
        low[channel] = fminf(low[channel], numbers[i]);
        step[channel] = fmaxf(step[channel], numbers[i]);
    }
    for (size_t i = 0; i < channels; i++) {
        step[i] = (float)(((double)step[i] - (double)low[i]) / 255);
        step[i] = step[i] > 0 ? step[i] : 1; // also where the quotient is no float
    }
    for (size_t i = 0; i < count; i++) {
        const size_t channel = i / inner % channels;
        const double code =
            rint(((double)numbers[i] - (double)low[channel]) / (double)step[channel]);
        codes[i] = (uint8_t)(code > 255 ? 255 : code);
    }
    rml_net_needs(e, 3);
    rml_fields_borrow(&e->m, RAW, codes, count);
    rml_fields_begin(&e->m, QUANTIZATION);
    rml_fields_int(&e->m, 1, 8);
    rml_fields_begin(&e->m, LINEAR);
    rml_fields_floats(&e->m, 1, step, channels);
    rml_fields_floats(&e->m, 2, low, channels);
    rml_fields_end(&e->m);
    rml_fields_end(&e->m);
}

// Places in a table of the numbers' own clusters, the first one in the highest bits.
static void write_palette(rml_net_emitter *e, const float *numbers, size_t count, int bits)
{
    rml_arena *arena = &e->w->graph.arena;
    const size_t entries = (size_t)1 << bits, bytes = (count * (size_t)bits + 7) / 8;
    float *table = rml_net_alloc(e, entries);
    uint8_t *places = rml_arena_alloc(arena, count, 1), *packed = rml_arena_alloc(arena, bytes, 1);
    if (!table || !places || !packed) {
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for %zu weights", count);
        return;
    }
    if (e->status == RML_OK)
        e->status = rml_palette_make(numbers, count, bits, table, places, e->w->allocator, e->err);
    for (size_t i = 0; i < count; i++)
        for (int b = 0; b < bits; b++) {
            const size_t at = i * (size_t)bits + (size_t)b;
            packed[at / 8] |= (uint8_t)((places[i] >> (bits - 1 - b) & 1) << (7 - at % 8));
        }
    rml_net_needs(e, 3);
    rml_fields_borrow(&e->m, RAW, packed, bytes);
    rml_fields_begin(&e->m, QUANTIZATION);
    rml_fields_int(&e->m, 1, bits);
    rml_fields_begin(&e->m, TABLE);
    rml_fields_floats(&e->m, 1, table, entries);
    rml_fields_end(&e->m);
    rml_fields_end(&e->m);
}

void rml_net_weights(rml_net_emitter *e, uint32_t field, const float *numbers, size_t count,
                     size_t channels, size_t inner)
{
    const rml_write_weights form = e->w->settings.weights;
    const bool fewer = count > FEW && (form == RML_WRITE_INT8 || form == RML_WRITE_PALETTE);
    if (!numbers)
        return;
    if (fewer && !rml_are_finite(numbers, count)) {
        rml_net_fail(e, RML_ERR_ARG, "a weight of %s has numbers that are not finite",
                     e->node->name);
        return;
    }
    rml_fields_begin(&e->m, field);
    if (fewer && form == RML_WRITE_INT8)
        write_codes(e, numbers, count, channels, inner);
    else if (fewer)
        write_palette(e, numbers, count, e->w->settings.palette_bits);
    else
        write_floats(e, numbers, count, false);
    rml_fields_end(&e->m);
}

void rml_net_vector(rml_net_emitter *e, uint32_t field, const float *numbers, size_t count,
                    bool whole)
{
    if (!numbers)
        return;
    rml_fields_begin(&e->m, field);
    write_floats(e, numbers, count, whole);
    rml_fields_end(&e->m);
}
