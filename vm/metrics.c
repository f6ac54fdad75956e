/* metrics.c: lunette.metrics_c, metrics that are no tensor ops, and what statistics need of C.
 * lib/lua/lunette/metrics.lua and stats.lua make the public functions of it and check what
 * a user gave; here a call is taken apart.
 */
#include "../nn/base/rng.h"

#include "../nn/metrics/distance.h"
#include "bind.h"

/* surface(name, prediction, target, spacing, percentile): Hausdorff percentile and average
 * distance; spacing is a list with a number for each of the last dims, those before are 1. */
static int surface(lua_State *L) {
  vm_poll(L);
  const char *name = luaL_checkstring(L, 1);
  ln_mask_pair pair = {.rank = (int)lua_objlen(L, 4)};
  ln_value *mask[2] = {vm_check_tensor(L, 2), vm_check_tensor(L, 3)};
  int leading = mask[0]->meta.rank - pair.rank;
  if (leading < 0 || pair.rank > LN_SURFACE_RANK || !ln_same_shape(&mask[0]->meta, &mask[1]->meta))
    return vm_misuse(L, name, "two masks of one shape with 1 to %d dimensions are needed", LN_SURFACE_RANK);
  for (int d = 0; d < pair.rank; d++) {
    pair.dim[d] = mask[0]->meta.dim[leading + d];
    lua_rawgeti(L, 4, d + 1);
    pair.spacing[d] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  for (int k = 0; k < 2; k++) {
    pair.data[k] = vm_data(L, mask[k]);
    pair.dtype[k] = mask[k]->meta.dtype;
  }
  ln_surface_distances result;
  ln_error err;
  ln_code code = ln_surface_compare(&vm_ctx(L)->mem, &pair, lua_tonumber(L, 5), &result, &err);
  if (code == LN_EINVAL) return vm_misuse(L, name, "%s", err.text);
  if (code != LN_OK) return vm_raise(L, &err);
  lua_pushnumber(L, result.hausdorff);
  lua_pushnumber(L, result.average);
  return 2;
}

/* resample(list, seed, round, into): fills `into` with #list items of the list, drawn with
 * replacement: item i, from 0, of draw number `round` of Philox under `seed`. */
static int resample(lua_State *L) {
  vm_poll(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  int n = (int)lua_objlen(L, 1);
  uint64_t seed = (uint64_t)vm_check_int(L, 2), round = (uint64_t)vm_check_int(L, 3);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, (int)ln_below_at(seed, round, (uint64_t)i, (uint64_t)n) + 1);
    lua_rawseti(L, 4, i + 1);
  }
  return 0;
}

int luaopen_lunette_metrics_c(lua_State *L) {
  static const luaL_Reg functions[] = {{"surface", surface}, {"resample", resample}, {NULL, NULL}};
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  return 1;
}
