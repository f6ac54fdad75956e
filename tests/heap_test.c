/* heap_test.c: Lua's memory (vm/heap.c) beside a plain list of what each block should hold: blocks of all sizes
 * come, grow, shrink and go at random, and no byte of another one may change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../vm/heap.c"

static int passed, failed;

static void check(const char *name, bool good) {
  if (good) passed++, printf("ok %s\n", name);
  else failed++, printf("FAILED %s\n", name);
}

static uint64_t random_state = 1;

static unsigned any(unsigned below) { /* xorshift64* */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (unsigned)((random_state * 0x2545f4914f6cdd1dull) >> 33) % below;
}

/* -- blocks that know what they hold */

enum { BLOCKS = 3000, ROUNDS = 200000 };

typedef struct block {
  unsigned char *at;
  size_t size;
  unsigned char fill;
} block;

static bool holds(const block *b, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (b->at[i] != b->fill) return false;
  return true;
}

static size_t any_size(void) { return any(8) == 0 ? 1 + any(4000) : 1 + any(600); }

/* One block comes, changes its size or goes; false when it did not hold what it should. */
static bool change(vm_heap *heap, block *b) {
  size_t size = any(3) == 0 ? 0 : any_size(), kept = size < b->size ? size : b->size;
  if (!holds(b, b->size)) return false;
  unsigned char *at = vm_heap_realloc(heap, b->at, b->size, size);
  if (size == 0) {
    *b = (block){0};
    return at == NULL;
  }
  if (at == NULL || (uintptr_t)at % VM_HEAP_GRAIN != 0) return false;
  b->at = at;
  if (!holds(b, kept)) return false;
  *b = (block){at, size, (unsigned char)any(256)};
  memset(at, b->fill, size);
  return true;
}

static size_t total(const block *list) {
  size_t bytes = 0;
  for (int i = 0; i < BLOCKS; i++) bytes += list[i].size;
  return bytes;
}

static void release(vm_heap *heap, block *list) {
  for (int i = 0; i < BLOCKS; i++) vm_heap_realloc(heap, list[i].at, list[i].size, 0);
  memset(list, 0, BLOCKS * sizeof *list);
}

static size_t count_chunks(const vm_heap *heap) {
  size_t n = 0;
  for (const chunk *c = heap->chunk; c != NULL; c = c->next) n++;
  return n;
}

static void fill(vm_heap *heap, block *list, size_t size) {
  for (int i = 0; i < BLOCKS; i++) list[i] = (block){vm_heap_realloc(heap, NULL, 0, size), size, 0};
}

/* -- the tests */

static block list[BLOCKS];

static void test_contents(void) {
  static vm_heap heap;
  bool good = true;
  for (int i = 0; i < ROUNDS && good; i++) {
    good = change(&heap, &list[any(BLOCKS)]);
    if (i % 1000 == 0) vm_heap_warm(&heap);
  }
  check("blocks keep what they hold", good);
  check("the counter is their sum", total(list) == atomic_load(&heap.mem.live));
  check("the peak is no less", atomic_load(&heap.mem.peak) >= total(list));
  release(&heap, list);
  check("all is given back", atomic_load(&heap.mem.live) == 0);
  vm_heap_free(&heap);
}

static void test_reuse(void) {
  static vm_heap heap;
  fill(&heap, list, 48);
  size_t chunks = count_chunks(&heap);
  check("small blocks lie in chunks", LARGEST == 0 || (chunks > 1 && chunks < 4));
  for (int round = 0; round < 10; round++) {
    release(&heap, list);
    fill(&heap, list, (size_t)(33 + round)); /* the same number of grains */
  }
  check("what is free is used again", count_chunks(&heap) == chunks);
  release(&heap, list);
  vm_heap_free(&heap);
}

static void test_refusal(void) {
  static vm_heap heap;
  block b = {vm_heap_realloc(&heap, NULL, 0, 100), 100, 7};
  memset(b.at, b.fill, b.size);
  heap.mem.limit = 400;
  check("the limit holds", vm_heap_realloc(&heap, b.at, 100, 401) == NULL && holds(&b, 100));
  check("what was refused is not booked", atomic_load(&heap.mem.live) == 100);
  heap.mem.limit = 0;
  atomic_store(&heap.mem.fail_at, atomic_load(&heap.mem.count) + 2);
  void *first = vm_heap_realloc(&heap, NULL, 0, 16);
  check("the second allocation fails", first != NULL && vm_heap_realloc(&heap, b.at, 100, 600) == NULL && holds(&b, 100));
  check("the third does not", (b.at = vm_heap_realloc(&heap, b.at, 100, 600)) != NULL && holds(&b, 100));
  vm_heap_realloc(&heap, b.at, 600, 0);
  vm_heap_realloc(&heap, first, 16, 0);
  vm_heap_free(&heap);
}

int main(void) {
  test_contents();
  test_reuse();
  test_refusal();
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
