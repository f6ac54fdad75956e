/* heap.c: the memory of the Lua state.
 *
 * Every training step runs a whole collection (vm_collect), between kernels that have emptied the caches. It
 * follows pointers, so nearly each object costs the latency of main memory. Therefore small blocks lie side by
 * side in chunks, without headers, since Lua knows the size of what it gives back, and before a collection
 * vm_heap_warm reads the chunks in order, which the processor does far faster than the collector would. Freed
 * blocks wait for the next of their size; the chunks go when the state is closed.
 */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

enum {
  LINE = 64,
  CHUNK = 64 << 10,
  WARM_MOST = 4 << 20, /* bytes read at most: more would drive each other out of the caches */
#ifdef __SANITIZE_ADDRESS__
  LARGEST = 0          /* malloc for all, which it watches */
#else
  LARGEST = VM_HEAP_CLASSES * VM_HEAP_GRAIN
#endif
};

typedef struct vm_heap_chunk {
  struct vm_heap_chunk *next;
} chunk;

static size_t grains(size_t size) { return (size + VM_HEAP_GRAIN - 1) / VM_HEAP_GRAIN; }

/* -- small blocks */

static bool add_chunk(vm_heap *heap) {
  chunk *c = aligned_alloc(LINE, CHUNK);
  if (c == NULL) return false;
  c->next = heap->chunk;
  heap->chunk = c;
  heap->used = LINE;
  return true;
}

static void *take(vm_heap *heap, size_t size) {
  if (size > LARGEST) return malloc(size);
  size_t n = grains(size);
  void *block = heap->spare[n];
  if (block != NULL) {
    memcpy(&heap->spare[n], block, sizeof block);
    return block;
  }
  size_t bytes = n * VM_HEAP_GRAIN;
  if ((heap->chunk == NULL || heap->used + bytes > CHUNK) && !add_chunk(heap)) return NULL;
  block = (char *)heap->chunk + heap->used;
  heap->used += bytes;
  return block;
}

static void give(vm_heap *heap, void *block, size_t size) {
  if (block == NULL) return;
  if (size > LARGEST) {
    free(block);
    return;
  }
  size_t n = grains(size);
  memcpy(block, &heap->spare[n], sizeof block);
  heap->spare[n] = block;
}

/* `block` of `old` bytes with room for `size`; NULL when memory ran out, and then nothing changed. */
static void *resize(vm_heap *heap, void *block, size_t old, size_t size) {
  if (block == NULL) return take(heap, size);
  if (old > LARGEST && size > LARGEST) return realloc(block, size);
  if (old <= LARGEST && grains(old) == grains(size)) return block;
  void *other = take(heap, size);
  if (other == NULL) return NULL;
  memcpy(other, block, old < size ? old : size);
  give(heap, block, old);
  return other;
}

/* -- the counters */

static size_t get(const atomic_size_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }
static void set(atomic_size_t *counter, size_t value) { atomic_store_explicit(counter, value, memory_order_relaxed); }

/* Books growth by `bytes` unless the cap or the fault injection says no. */
static bool book(ln_mem *mem, size_t bytes) {
  size_t number = get(&mem->count) + 1, fail_at = get(&mem->fail_at), live = get(&mem->live) + bytes;
  set(&mem->count, number);
  if (fail_at != 0 && number >= fail_at) {
    set(&mem->fail_at, 0);
    return false;
  }
  if (mem->limit != 0 && live > mem->limit) return false;
  set(&mem->live, live);
  if (live > get(&mem->peak)) set(&mem->peak, live);
  return true;
}

void *vm_heap_realloc(void *ud, void *block, size_t old, size_t size) {
  vm_heap *heap = ud;
  ln_mem *mem = &heap->mem;
  if (block == NULL) old = 0;
  if (size == 0) {
    give(heap, block, old);
    set(&mem->live, get(&mem->live) - old);
    return NULL;
  }
  if (size > old && !book(mem, size - old)) return NULL;
  void *other = resize(heap, block, old, size);
  if (size <= old) {
    set(&mem->live, get(&mem->live) - (old - size));
    /* Lua relies on shrinking never to fail. A block of malloc's that could not move into a chunk serves as a small
     * one from then on. */
    return other == NULL ? block : other;
  }
  if (other == NULL) set(&mem->live, get(&mem->live) - (size - old));
  return other;
}

/* -- all of it */

void vm_heap_warm(const vm_heap *heap) {
  size_t end = heap->used, left = WARM_MOST;
  for (const chunk *c = heap->chunk; c != NULL && left >= end; c = c->next) {
    const volatile char *bytes = (const volatile char *)c;
    for (size_t at = 0; at < end; at += LINE) (void)bytes[at];
    left -= end;
    end = CHUNK;
  }
}

void vm_heap_free(vm_heap *heap) {
  for (chunk *c = heap->chunk, *next; c != NULL; c = next) {
    next = c->next;
    free(c);
  }
  heap->chunk = NULL;
}
