/* data_split.c: scikit-learn's and torch's splits for Lua. Each takes a number of items,
 * or a list whose elements are dealt out; indices that come back count from 1.
 */
#include "../nn/data/split.h"
#include "data.h"

/* Elements order[from], order[from + 1], ... of the list at `source`, or the indices
 * themselves when it is a number. */
static void push_part(lua_State *L, int source, const size_t *order, size_t n) {
  if (!lua_istable(L, source)) {
    vm_data_push_indices(L, order, n);
    return;
  }
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, source, (int)order[i] + 1);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static size_t check_items(lua_State *L, int arg) {
  int64_t n = lua_istable(L, arg) ? (int64_t)lua_objlen(L, arg) : vm_check_int(L, arg);
  if (n < 1 || n > LN_PERMUTATION_MAX)
    vm_misuse(L, NULL, "%lld items cannot be split", (long long)n);
  return (size_t)n;
}

static uint32_t opt_seed(lua_State *L, int table, const char *name) {
  int64_t seed = vm_data_opt_int(L, table, name, 0, 0);
  if (seed > UINT32_MAX) vm_misuse(L, NULL, "%s: at most 4294967295, got %lld", name, (long long)seed);
  return (uint32_t)seed;
}

/* train_test_split(n or list, {test_size=0.25, train_size=, random_state=0, shuffle=true}) */
static int train_test_split(lua_State *L) {
  lua_settop(L, 2);
  size_t n = check_items(L, 1), train, test;
  ln_error err;
  double test_size = vm_opt_number(L, 2, "test_size", -1), train_size = vm_opt_number(L, 2, "train_size", -1);
  if (ln_split_sizes(n, test_size, train_size, &train, &test, &err) != LN_OK) vm_raise(L, &err);
  size_t *order = lua_newuserdata(L, n * sizeof *order);
  if (vm_opt_bool(L, 2, "shuffle", true)) {
    ln_mt19937 mt;
    ln_mt19937_seed(&mt, opt_seed(L, 2, "random_state"));
    ln_permutation_numpy(&mt, order, n);
    push_part(L, 1, order + test, train);
    push_part(L, 1, order, test);
  } else {
    for (size_t i = 0; i < n; i++) order[i] = i;
    push_part(L, 1, order, train);
    push_part(L, 1, order + train, test);
  }
  return 2;
}

/* generator(seed): torch.Generator().manual_seed(seed), for splits that follow one another. */
static int generator(lua_State *L) {
  int64_t seed = lua_isnoneornil(L, 1) ? 0 : vm_check_int(L, 1);
  if (seed < 0) vm_misuse(L, NULL, "a seed is a whole number of at least 0, got %lld", (long long)seed);
  ln_mt19937 *mt = lua_newuserdata(L, sizeof *mt);
  ln_mt19937_seed(mt, (uint32_t)seed); /* torch keeps the low 32 bits as well */
  luaL_getmetatable(L, VM_GENERATOR);
  lua_setmetatable(L, -2);
  return 1;
}

/* The "generator" option, or a fresh one (pushed) from "seed". */
static ln_mt19937 *opt_generator(lua_State *L, int table) {
  if (lua_istable(L, table)) {
    lua_getfield(L, table, "generator");
    if (!lua_isnil(L, -1)) return luaL_checkudata(L, -1, VM_GENERATOR);
    lua_pop(L, 1);
  }
  ln_mt19937 *mt = lua_newuserdata(L, sizeof *mt);
  ln_mt19937_seed(mt, (uint32_t)vm_data_opt_int(L, table, "seed", 0, 0));
  return mt;
}

/* The parts of options.lengths or options.fractions, in a userdata that is pushed. */
static double *check_parts(lua_State *L, int table, size_t *count) {
  luaL_checktype(L, table, LUA_TTABLE);
  lua_getfield(L, table, "lengths");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_getfield(L, table, "fractions");
  }
  *count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  if (*count == 0) vm_misuse(L, NULL, "random_split needs lengths = { ... } or fractions = { ... }");
  double *parts = lua_newuserdata(L, *count * sizeof *parts);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -2, (int)i + 1);
    parts[i] = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
  }
  return parts;
}

/* random_split(n or list, {fractions= or lengths=, seed=0 or generator=}): one list a part. */
static int random_split(lua_State *L) {
  lua_settop(L, 2);
  size_t n = check_items(L, 1), count;
  double *parts = check_parts(L, 2, &count);
  size_t *lengths = lua_newuserdata(L, count * sizeof *lengths);
  ln_error err;
  if (ln_split_lengths(n, parts, count, lengths, &err) != LN_OK) vm_raise(L, &err);
  ln_mt19937 *mt = opt_generator(L, 2);
  size_t *order = lua_newuserdata(L, n * sizeof *order);
  ln_permutation_torch(mt, order, n);
  luaL_checkstack(L, (int)count + 4, "random_split");
  for (size_t i = 0; i < count; i++) {
    push_part(L, 1, order, lengths[i]);
    order += lengths[i];
  }
  return (int)count;
}

/* shuffle(n, seed, epoch): the order in which a shuffling loader takes n items. */
static int shuffle(lua_State *L) {
  size_t n = check_items(L, 1);
  int64_t seed = vm_check_int(L, 2), epoch = vm_check_int(L, 3);
  size_t *order = lua_newuserdata(L, n * sizeof *order);
  for (size_t i = 0; i < n; i++) order[i] = i;
  ln_shuffle(order, n, (uint64_t)seed, (uint64_t)epoch);
  vm_data_push_indices(L, order, n);
  return 1;
}

static int no_gc(lua_State *L) { return (void)L, 0; }

void vm_open_splits(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"train_test_split", train_test_split}, {"random_split", random_split},
                                       {"generator", generator}, {"shuffle", shuffle}, {NULL, NULL}};
  vm_data_class(L, VM_GENERATOR, none, no_gc, NULL);
  luaL_register(L, NULL, functions);
}
