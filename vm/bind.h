/* bind.h: what the files behind lunette.core share and the rest of vm/ does not need. */
#ifndef VM_BIND_H
#define VM_BIND_H

#include "heap.h"
#include "vm.h"

enum { VM_LAYER_DEPTH = 64 };

/* One per Lua state, found through its registry; it outlives the state, since the
 * finalizers of lua_close still use it. */
typedef struct vm_host {
  vm_heap heap;           /* Lua's memory */
  ln_ctx *ctx;
  lua_State *L;           /* the coroutine that entered last, anchored in the registry */
  const void *tensor_metatable; /* which it is, and under which number the registry has it */
  int tensor_ref;
  bool collecting;
  size_t collect_at;      /* live tensor bytes at which vm_new_tensor collects garbage */
  bool has_error;         /* a Lua error waits in the registry, see vm_raise_stashed */
  int where_line;         /* what ctx->where stands for; line 0: nothing yet */
  char where_source[LUA_IDSIZE];
  int layers;             /* names pushed; those beyond VM_LAYER_DEPTH are only counted */
  size_t layer_end[VM_LAYER_DEPTH];
  char layer[LN_ERROR_WHERE];
} vm_host;

typedef struct vm_tensor {
  ln_value *value;        /* a handle; NULL when empty or freed */
  vm_host *host;
} vm_tensor;

/* -- state.c */
vm_host *vm_host_of(lua_State *L);
/* A full collection in protected mode; nothing while one is under way. */
void vm_collect(void *host);
/* Keeps the value on top of the stack (popped) as the error that vm_raise_stashed raises. */
void vm_stash_error(lua_State *L, vm_host *host);
/* Raises the stashed Lua error where there is one, else ctx->error. */
int vm_raise_stashed(lua_State *L);
int vm_push_layer(lua_State *L); /* core.push_layer, core.pop_layer */
int vm_pop_layer(lua_State *L);

/* -- tensor.c */
void vm_push_value(lua_State *L, ln_value *v);             /* pushes a new handle to v */
void vm_drop_tensor(lua_State *L, int index);              /* empties the tensor at index, if it is one */
void vm_repoint(lua_State *L, int index, ln_value *v);     /* makes that tensor a handle to v */
void vm_open_tensor(lua_State *L);                         /* makes the metatable; pushes core.methods */
const char *vm_kind(lua_State *L, int index);              /* "tensor", "nil", "table", ... for messages */

/* -- tensor_make.c */
extern const luaL_Reg vm_make_functions[];                 /* core.tensor, cell, empty */
ln_value *vm_new_cell(lua_State *L, ln_value *from, ln_dtype dtype, bool requires_grad); /* pushes it */

/* -- tensor_read.c */
double vm_element(const void *data, ln_dtype dtype, int64_t i);
const void *vm_data(lua_State *L, ln_value *v);            /* computes v; raises when that fails */
int vm_item(lua_State *L);
int vm_tolist(lua_State *L);
int vm_ptr(lua_State *L);

/* -- print.c */
int vm_tensor_tostring(lua_State *L);

/* -- index.c */
void vm_index(lua_State *L);                               /* pushes tensor 1 indexed by value 2 */
void vm_assign_index(lua_State *L);                        /* tensor 1 indexed by value 2 = value 3 */
int vm_assign(lua_State *L);                               /* t:assign_(v) */
/* Writes v, cast and broadcast, as the whole new value of tensor `index`: cells are assigned, handles re-pointed. */
void vm_write(lua_State *L, int index, ln_value *v);

/* -- ops.c */
/* Records op and pushes its outputs; returns how many. Raises when recording fails. */
int vm_record(lua_State *L, ln_op op, ln_value *const *in, int nin,
              const ln_attrs *attrs, const ln_scalars *scalars);
/* The same for ops of one output: returns it; the pushed tensor holds it. */
ln_value *vm_record1(lua_State *L, ln_op op, ln_value *const *in, int nin, const ln_attrs *attrs);
ln_value *vm_cast(lua_State *L, ln_value *v, ln_dtype dtype);                  /* pushes it */
ln_value *vm_full(lua_State *L, double value, ln_dtype dtype, const ln_meta *shape); /* NULL: rank 0 */
/* The dtype that a number takes beside a tensor of dtype t; raises when it does not fit. */
ln_dtype vm_weak_dtype(lua_State *L, const char *op, ln_dtype t, double number);
bool vm_fits(ln_dtype dtype, double number);               /* whole and in range, for integer dtypes */
void vm_open_ops(lua_State *L);                            /* pushes core.ops */
void vm_set_operators(lua_State *L, int metatable, int ops);
int vm_op_table(lua_State *L);

/* -- args.c */
typedef struct vm_call {
  lua_State *L;
  ln_op op;
  const ln_op_row *row;
  const ln_op_info *info;
  int next, last, options;        /* stack indices: next argument, last positional one, trailing table or 0 */
  int nin;
  ln_value *in[LN_MAX_INPUTS];
  bool stop_given;
  ln_attrs attrs;
  ln_scalars scalars;
} vm_call;

bool vm_is_options(lua_State *L, int index);               /* a table with a string key */
void vm_parse_attrs(vm_call *call);
/* "dtype" of a table of options; LN_NONE when absent. */
ln_dtype vm_opt_dtype(lua_State *L, const char *op, int table);

/* -- tune.c: has lunette/tune.lua's choices loaded when a device opens */
void vm_open_tune(vm_host *host);

/* -- autograd.c, function.c */
extern const luaL_Reg vm_autograd_functions[];
int vm_func(lua_State *L);
int vm_backward(lua_State *L);
void vm_open_functions(vm_host *host);

#endif
