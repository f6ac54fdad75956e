/* mem.h: the one allocator. It counts bytes, keeps a soft cap, and can be told to
 * fail at the n-th allocation, which is how the tests reach every failure path.
 * Thread-safe. Blocks are aligned to 64 bytes; big ones ask for huge pages, since
 * first touch of 4 KB pages costs more than the arithmetic (docs/performance.md).
 */
#ifndef LN_BASE_MEM_H
#define LN_BASE_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LN_LARGE = 64 << 10 }; /* what is larger is data, not bookkeeping */

typedef struct ln_mem {
  atomic_size_t live;      /* bytes handed out and not yet freed */
  atomic_size_t peak;      /* high-water mark of live */
  atomic_size_t count;     /* allocations so far */
  atomic_size_t large;     /* those of at least LN_LARGE bytes */
  size_t limit;            /* soft cap in bytes, 0 = none */
  atomic_size_t fail_at;   /* fault injection: this allocation number fails; 0 = never */
} ln_mem;

/* NULL when the system, the cap or the fault injection says no. bytes == 0 gives a
 * valid, freeable block. Content is not cleared by ln_alloc. */
void *ln_alloc(ln_mem *mem, size_t bytes);
void *ln_calloc(ln_mem *mem, size_t count, size_t size);
/* Grows or shrinks; on failure returns NULL and the old block stays. */
void *ln_realloc(ln_mem *mem, void *block, size_t bytes);
/* Room for `needed` items of `size` bytes in the list that `list` points to: its capacity is doubled as
 * often as it takes. False when memory ran out, and nothing changed. */
bool ln_grow(ln_mem *mem, void *list, size_t size, int needed, int *cap);
void ln_free(ln_mem *mem, void *block); /* NULL is fine */
char *ln_strdup(ln_mem *mem, const char *text);

/* a * b, or SIZE_MAX when that overflows (which ln_alloc then refuses). */
size_t ln_mul(size_t a, size_t b);

#endif
