/* mem.c: the counting allocator.
 *
 * Each block carries its size in a 64-byte header in front, so that free needs no size
 * and the user's data keeps a cache line's alignment.
 */
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 64 };
static const size_t HUGE_PAGE = (size_t)2 << 20;

static void *block_header(void *block) { return (char *)block - HEADER; }

static size_t block_size(void *block) {
  size_t bytes;
  memcpy(&bytes, block_header(block), sizeof bytes);
  return bytes;
}

/* Books `bytes` unless the cap or the fault injection says no. */
static bool reserve(ln_mem *mem, size_t bytes) {
  size_t number = atomic_fetch_add(&mem->count, 1) + 1;
  if (bytes >= LN_LARGE) atomic_fetch_add(&mem->large, 1);
  size_t fail_at = atomic_load(&mem->fail_at);
  if (fail_at != 0 && number >= fail_at) {
    atomic_store(&mem->fail_at, 0);
    return false;
  }
  size_t live = atomic_fetch_add(&mem->live, bytes) + bytes;
  if (mem->limit != 0 && live > mem->limit) {
    atomic_fetch_sub(&mem->live, bytes);
    return false;
  }
  size_t peak = atomic_load(&mem->peak);
  while (live > peak && !atomic_compare_exchange_weak(&mem->peak, &peak, live)) {}
  return true;
}

void *ln_alloc(ln_mem *mem, size_t bytes) {
  if (bytes > SIZE_MAX - HUGE_PAGE - HEADER || !reserve(mem, bytes)) return NULL;
  bool huge = bytes >= 2 * HUGE_PAGE;
  void *base = NULL;
  if (posix_memalign(&base, huge ? HUGE_PAGE : HEADER, bytes + HEADER) != 0) {
    atomic_fetch_sub(&mem->live, bytes);
    return NULL;
  }
  if (huge) (void)madvise(base, bytes + HEADER, MADV_HUGEPAGE); /* a wish, not a need */
  memcpy(base, &bytes, sizeof bytes);
  return (char *)base + HEADER;
}

void *ln_calloc(ln_mem *mem, size_t count, size_t size) {
  size_t bytes = ln_mul(count, size);
  void *block = ln_alloc(mem, bytes);
  if (block != NULL) memset(block, 0, bytes);
  return block;
}

void *ln_realloc(ln_mem *mem, void *block, size_t bytes) {
  if (block == NULL) return ln_alloc(mem, bytes);
  void *bigger = ln_alloc(mem, bytes);
  if (bigger == NULL) return NULL;
  size_t old = block_size(block);
  memcpy(bigger, block, old < bytes ? old : bytes);
  ln_free(mem, block);
  return bigger;
}

bool ln_grow(ln_mem *mem, void *list, size_t size, int needed, int *cap) {
  if (needed <= *cap) return true;
  int bigger = *cap == 0 ? 64 : 2 * *cap;
  while (bigger < needed) bigger *= 2;
  void *items;
  memcpy(&items, list, sizeof items);
  items = ln_realloc(mem, items, (size_t)bigger * size);
  if (items == NULL) return false;
  memcpy(list, &items, sizeof items);
  *cap = bigger;
  return true;
}

void ln_free(ln_mem *mem, void *block) {
  if (block == NULL) return;
  atomic_fetch_sub(&mem->live, block_size(block));
  free(block_header(block));
}

char *ln_strdup(ln_mem *mem, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = ln_alloc(mem, bytes);
  if (copy != NULL) memcpy(copy, text, bytes);
  return copy;
}

size_t ln_mul(size_t a, size_t b) {
  size_t product;
  return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}
