// What the library asks for where there is no system, see docs/embedded.md: memory, and a clock
// that only a profile looks at. Behind main it prints how much of the heap was used.
#include "examples/cortex-m/board.h"

#include "runmodel.h"

extern unsigned char heap_begin[], heap_end[];

double rml_clock_ms(void);

// ---- the heap: the first block that is large enough, between two symbols of the linker ----------

typedef struct block {
    size_t bytes; // of it and this head, a multiple of HEAD_BYTES; the next one lies behind
    size_t taken;
} block;

#define HEAD_BYTES ((size_t)64) // keeps what follows aligned as the library wants it

static size_t heap_top; // the most bytes that were ever in use, with what lies between
static bool heap_made;

static block *behind(block *at)
{
    return (block *)(void *)((unsigned char *)at + at->bytes);
}

static void *take(void *user, size_t bytes)
{
    block *const end = (block *)(void *)heap_end;
    (void)user;
    if (!heap_made)
        *(block *)(void *)heap_begin = (block){(size_t)(heap_end - heap_begin), 0};
    heap_made = true;
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

double rml_clock_ms(void)
{
    return 0;
}

void board_end(void)
{
    board_print("heap: ", heap_top);
}
