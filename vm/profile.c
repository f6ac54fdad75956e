/* profile.c: module lunette.profile_c: the profile of a context (nn/plan/profile.h) as tables, for
 * lib/lua/lunette/profile.lua to show.
 */
#include "../nn/plan/profile.h"

#include "bind.h"

#define PROFILE "lunette.profile"

static ln_profile **check_profile(lua_State *L) { return luaL_checkudata(L, 1, PROFILE); }

static int profile_free(lua_State *L) {
  ln_profile **slot = check_profile(L);
  ln_ctx *ctx = vm_ctx(L);
  if (*slot != NULL && ctx->profile == *slot) ln_profile_stop(ctx);
  ln_profile_free(*slot);
  *slot = NULL;
  return 0;
}

/* start(): a running profile. What was recorded before is computed first: it belongs to nobody. */
static int profile_start(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  if (ctx->profile != NULL) return vm_misuse(L, "profile", "one is running; stop it first");
  if (ln_flush(ctx) != LN_OK) return vm_raise_stashed(L);
  ln_profile **slot = lua_newuserdata(L, sizeof *slot);
  *slot = NULL;
  luaL_getmetatable(L, PROFILE);
  lua_setmetatable(L, -2);
  if (ln_profile_start(ctx, slot) != LN_OK) return vm_raise(L, NULL);
  return 1;
}

static int profile_stop(lua_State *L) {
  ln_profile **slot = check_profile(L);
  ln_ctx *ctx = vm_ctx(L);
  if (ctx->profile == *slot) ln_profile_stop(ctx);
  return 0;
}

static void set_number(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

static void set_text(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void push_row(lua_State *L, const ln_profile_row *row) {
  lua_createtable(L, 0, 8);
  set_text(L, "op", ln_op_get(row->op)->name);
  set_text(L, "phase", ln_phase_name(row->phase));
  set_text(L, "layer", row->layer);
  set_text(L, "where", row->where);
  set_number(L, "calls", (double)row->calls);
  set_number(L, "seconds", 1e-9 * (double)row->ns);
  set_number(L, "flop", row->flops);
  set_number(L, "bytes", row->bytes);
}

static void push_value(lua_State *L, const ln_profile_value *v) {
  char shape[LN_SHAPE_TEXT];
  lua_createtable(L, 0, 4);
  if (v->row >= 0) set_number(L, "row", v->row + 1);
  set_text(L, "shape", ln_shape_text(&v->meta, shape, sizeof shape));
  set_text(L, "dtype", ln_dtype_name(v->meta.dtype));
  set_number(L, "bytes", (double)v->bytes);
}

static void push_peak(lua_State *L, const ln_profile_peak *k) {
  lua_createtable(L, 0, 12);
  set_number(L, "bytes", (double)k->bytes);
  set_number(L, "outside", (double)k->outside);
  set_number(L, "cells", (double)k->cells);
  set_number(L, "kept", (double)k->kept);
  set_number(L, "free", (double)k->free);
  set_number(L, "arena", (double)k->arena);
  set_number(L, "temporaries", (double)k->temporaries);
  set_number(L, "workspace", (double)k->workspace);
  set_number(L, "at", k->at + 1);
  lua_createtable(L, k->nstep, 0);
  for (int s = 0; s < k->nstep; s++) {
    lua_createtable(L, 0, 2);
    set_number(L, "bytes", (double)k->memory[s]);
    if (k->row[s] >= 0) set_number(L, "row", k->row[s] + 1);
    lua_rawseti(L, -2, s + 1);
  }
  lua_setfield(L, -2, "steps");
  lua_createtable(L, k->ntop, 0);
  for (int i = 0; i < k->ntop; i++) {
    push_value(L, &k->top[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "largest");
}

/* profile:result(): { seconds=, activities={name=seconds}, rows={...}, peak={...}, events=, lost=,
 * incomplete=, flushes=, plans= }, of a stopped profile */
static int profile_result(lua_State *L) {
  const ln_profile *p = *check_profile(L);
  if (vm_ctx(L)->profile == p) return vm_misuse(L, "profile", "it is still running");
  lua_createtable(L, 0, 10);
  set_number(L, "seconds", 1e-9 * (double)(p->stopped - p->started));
  set_number(L, "flushes", (double)p->flushes);
  set_number(L, "plans", (double)p->built);
  set_number(L, "events", p->nevent);
  set_number(L, "lost", (double)p->lost);
  lua_pushboolean(L, p->incomplete);
  lua_setfield(L, -2, "incomplete");
  lua_createtable(L, 0, LN_ACTIVITY_COUNT);
  for (int a = 0; a < LN_ACTIVITY_COUNT; a++) set_number(L, ln_activity_name((ln_activity)a), 1e-9 * (double)p->total[a]);
  lua_setfield(L, -2, "activities");
  lua_createtable(L, p->nrow, 0);
  for (int r = 0; r < p->nrow; r++) {
    push_row(L, &p->row[r]);
    lua_rawseti(L, -2, r + 1);
  }
  lua_setfield(L, -2, "rows");
  push_peak(L, &p->peak);
  lua_setfield(L, -2, "peak");
  return 1;
}

/* profile:event(i): the row's number or the activity's name, start and duration in seconds, bytes in use */
static int profile_event(lua_State *L) {
  const ln_profile *p = *check_profile(L);
  int64_t i = vm_check_int(L, 2);
  if (i < 1 || i > p->nevent) return 0;
  const ln_profile_event *e = &p->event[i - 1];
  if (e->row >= 0) lua_pushinteger(L, e->row + 1);
  else lua_pushstring(L, ln_activity_name((ln_activity)(-1 - e->row)));
  lua_pushnumber(L, 1e-9 * (double)e->start);
  lua_pushnumber(L, 1e-9 * (double)e->ns);
  lua_pushnumber(L, (double)e->memory);
  return 4;
}

static void set_pair(lua_State *L, const char *key, const double value[2]) {
  lua_createtable(L, 0, 2);
  set_number(L, "one", value[0]);
  set_number(L, "all", value[1]);
  lua_setfield(L, -2, key);
}

/* peaks(seconds): { isa=, threads=, f32={one=, all=}, read=, copy=, touch=, touch_huge= } of the session's
 * device, FLOP and bytes a second; only isa and threads for 0 seconds; nil, message, code for a device
 * without such figures */
static int peaks(lua_State *L) {
  ln_ctx *ctx = vm_ctx(L);
  double seconds = luaL_checknumber(L, 1);
  ln_device d = ctx->options.device;
  ln_peaks p;
  ln_error err;
  if (ln_device_open(ctx, d) != LN_OK) return vm_fail_or_raise(L, NULL);
  if (ctx->backend[d]->measure == NULL) {
    ln_fail(&err, LN_ENODEV, "the %s device has no peaks to measure", ln_device_name(d));
    return vm_fail(L, &err);
  }
  if (ctx->backend[d]->measure(ctx->self[d], seconds, &p, &err) != LN_OK) return vm_raise(L, &err);
  lua_createtable(L, 0, 7);
  set_text(L, "isa", p.isa);
  set_number(L, "threads", p.threads);
  if (seconds <= 0) return 1;
  set_pair(L, "f32", p.f32);
  set_pair(L, "read", p.read);
  set_pair(L, "copy", p.copy);
  set_pair(L, "touch", p.touch);
  set_pair(L, "touch_huge", p.touch_huge);
  return 1;
}

int luaopen_lunette_profile_c(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"stop", profile_stop}, {"result", profile_result}, {"event", profile_event}, {"__gc", profile_free}, {NULL, NULL}};
  luaL_newmetatable(L, PROFILE);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_newtable(L);
  lua_pushcfunction(L, profile_start);
  lua_setfield(L, -2, "start");
  lua_pushcfunction(L, peaks);
  lua_setfield(L, -2, "peaks");
  return 1;
}
