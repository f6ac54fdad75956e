/* heap.h: the memory of the Lua state. */
#ifndef VM_HEAP_H
#define VM_HEAP_H

#include "../nn/base/mem.h"

enum { VM_HEAP_GRAIN = 16, VM_HEAP_CLASSES = 32 };

typedef struct vm_heap {
  ln_mem mem;                         /* counters, limit, fault injection; only the state's thread writes them */
  void *spare[VM_HEAP_CLASSES + 1];   /* free blocks of c grains, linked through their first word */
  struct vm_heap_chunk *chunk;        /* where small blocks lie, the newest first */
  size_t used;                        /* bytes of the newest */
} vm_heap;

/* Lua's allocator (lua_Alloc); `heap` is a vm_heap that was zero before the first call. */
void *vm_heap_realloc(void *heap, void *block, size_t old, size_t size);
/* Brings the blocks into the caches: for what is about to follow pointers through all of them. */
void vm_heap_warm(const vm_heap *heap);
/* Once the state is closed. */
void vm_heap_free(vm_heap *heap);

#endif
