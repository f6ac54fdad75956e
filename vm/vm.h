/* vm.h: what the files of vm/ share. Only vm/ includes lua.h.
 *
 * Rules. A C function acquires nothing before it owns it: push an empty tensor
 * (vm_new_tensor), then let ln_record fill its slot; a Lua error in between leaves a
 * consistent object for the collector. Temporary memory lives in a userdata
 * (lua_newuserdata), never in a bare malloc across a Lua call. Errors are raised
 * with a "%s" format only, after everything is freed.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../nn/graph/graph.h"

#define VM_TENSOR "lunette.tensor" /* registry name of the tensor metatable */

/* -- state.c */
/* A Lua state with a counting allocator, `limit` bytes at most (0 = no limit), without
 * libraries; NULL when memory ran out. */
lua_State *vm_newstate(size_t limit);
/* The counters of that allocator: live, peak, limit, and fault injection. */
ln_mem *vm_lua_mem(lua_State *L);
/* Opens a context and ties it to a state of vm_newstate; on failure the state is as before. */
ln_code vm_open(lua_State *L, const ln_options *options, ln_error *err);
/* Closes the state, then its context. Returns the bytes of ours that are still live: 0. */
size_t vm_close(lua_State *L);
/* The context of L. Also notes L as the running coroutine, which is the one that collects
 * garbage: so every C function calls it, and calls it again after it has run Lua code. */
ln_ctx *vm_ctx(lua_State *L);
/* Raises ctx->error (or *err) as a Lua error; never returns. Where the error names no place, it
 * is the script's line that runs. The error object is a table
 * { code = "LN_EINVAL", message =, op =, where =, layer = } and tostring of it gives
 * "where: [op] layer: message". */
int vm_raise(lua_State *L, const ln_error *err);
/* The same from a text, with code LN_EINVAL: vm_misuse(L, "conv", "w: expected ..."). op may be NULL. */
int vm_misuse(lua_State *L, const char *op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Forgets the layer path: for whoever caught an error that left a layer's forward. */
void vm_reset_layers(lua_State *L);
/* Environment failures: pushes nil, message, code name; returns 3. */
int vm_fail(lua_State *L, const ln_error *err);
/* misuse -> raise; environment (EIO, EFORMAT, ENODEV) -> nil, message, code. */
int vm_fail_or_raise(lua_State *L, const ln_error *err);
/* Polls Ctrl-C: raises "interrupted" when it was pressed. Call at the start of slow functions. */
void vm_poll(lua_State *L);
/* Sets ctx->where to the nearest Lua frame outside the embedded library (file:line). */
void vm_where(lua_State *L);

/* -- tensor.c: the userdata holds one ln_value handle */
ln_value *vm_check_tensor(lua_State *L, int arg);   /* raises when arg is no live tensor */
ln_value *vm_test_tensor(lua_State *L, int arg);    /* NULL instead */
ln_value **vm_new_tensor(lua_State *L);             /* pushes a tensor with an empty slot */

/* -- arguments, args.c */
int64_t vm_check_int(lua_State *L, int arg);              /* a whole number */
bool vm_opt_bool(lua_State *L, int table, const char *name, bool fallback);
double vm_opt_number(lua_State *L, int table, const char *name, double fallback);
const char *vm_opt_string(lua_State *L, int table, const char *name, const char *fallback);
/* A shape from a table or from trailing numbers starting at arg; returns the rank. */
int vm_check_shape(lua_State *L, int arg, int64_t dim[LN_MAX_RANK]);

/* -- modules: each luaopen pushes one table; package.preload gets them in modules.c */
int luaopen_lunette_core(lua_State *L);   /* tensors, ops, autograd, context */
int luaopen_lunette_data_c(lua_State *L); /* vm/data.c: files, images, splits, loaders, phantoms */
int luaopen_lunette_metrics_c(lua_State *L); /* vm/metrics.c: distances between surfaces */
int luaopen_lunette_profile_c(lua_State *L); /* vm/profile.c: time and memory of the context */
int luaopen_lunette_save_c(lua_State *L); /* vm/save.c: safetensors, xlsx, png, json, figures, files */
int luaopen_lunette_sys(lua_State *L);    /* vm/sys.c: clock, tty, paths, atomic files, rss */
int luaopen_lunette_tune_c(lua_State *L); /* vm/tune.c: measured choices among kernels */

#endif
