#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#include "tests/support/guard_buf.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CANARY 0xa5
#define CANARY_BYTES 1024

bool guard_create(guard_buf *buf, size_t max_floats)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = max_floats * sizeof(float) + CANARY_BYTES;
    room = (room + page - 1) / page * page;
    void *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return false;
    *buf = (guard_buf){.map = map, .page = page, .capacity = room};
    return mprotect(buf->map + page, room, PROT_READ | PROT_WRITE) == 0;
}

void guard_destroy(guard_buf *buf)
{
    if (buf->map)
        munmap(buf->map, buf->capacity + 2 * buf->page);
    *buf = (guard_buf){0};
}

static unsigned char *canary_start(const guard_buf *buf)
{
    unsigned char *begin = (unsigned char *)buf->data;
    bool at_start = begin == buf->map + buf->page;
    return at_start ? begin + buf->count * sizeof(float) : begin - CANARY_BYTES;
}

float *guard_place(guard_buf *buf, size_t count, guard_side side)
{
    assert(count * sizeof(float) + CANARY_BYTES <= buf->capacity);
    unsigned char *begin = buf->map + buf->page;
    if (side == GUARD_BEHIND)
        begin += buf->capacity - count * sizeof(float);
    buf->data = (float *)(void *)begin;
    buf->count = count;
    for (size_t i = 0; i < count; i++)
        buf->data[i] = NAN;
    memset(canary_start(buf), CANARY, CANARY_BYTES);
    return buf->data;
}

bool guard_intact(const guard_buf *buf)
{
    const unsigned char *at = canary_start(buf);
    for (size_t i = 0; i < CANARY_BYTES; i++) {
        if (at[i] != CANARY)
            return false;
    }
    return true;
}
