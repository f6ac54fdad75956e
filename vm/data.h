/* data.h: what the vm/data*.c files share. */
#ifndef VM_DATA_H
#define VM_DATA_H

#include "../nn/data/dataset.h"
#include "vm.h"

#define VM_PAIRS     "lunette.pairs"     /* registry names of the metatables */
#define VM_DATASET   "lunette.dataset"
#define VM_LOADER    "lunette.loader"
#define VM_GENERATOR "lunette.generator"

/* An index argument from Lua, 1..count, as 0-based. what: "list", for the message. */
size_t vm_data_index(lua_State *L, int arg, const char *what, size_t count);
/* An option that is a whole number from least to 2^53. */
int64_t vm_data_opt_int(lua_State *L, int table, const char *name, int64_t fallback, int64_t least);
/* The "size" option: a number (square) or { height, width }; 0, 0 when absent. */
void vm_data_opt_size(lua_State *L, int table, int64_t *height, int64_t *width);
/* A list of 1-based indices below count at `arg`, as 0-based ones in a userdata that is
 * pushed; *n of them. */
size_t *vm_data_indices(lua_State *L, int arg, size_t count, size_t *n);
void vm_data_push_indices(lua_State *L, const size_t *list, size_t n);
/* Pushes a tensor and gives its host memory to be written. */
void *vm_data_new_tensor(lua_State *L, const ln_meta *meta);
/* Makes a metatable with __index = methods, __gc = gc, __len = len (may be NULL). */
void vm_data_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction len);

ln_dataset *vm_check_dataset(lua_State *L, int arg);

/* -- data_split.c, data_loader.c: each adds its functions to the table on top of the stack */
void vm_open_splits(lua_State *L);
void vm_open_loader(lua_State *L);

#endif
