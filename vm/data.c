/* data.c: lists of pairs and data sets for Lua. lib/lua/lunette/data.lua makes the public
 * functions of these; here each userdata owns one reference to its C object.
 */
#include "data.h"

#include <stdio.h>
#include <string.h>

/* -- helpers */

static int fail(lua_State *L, ln_error *err) {
  bool environment = err->code == LN_EIO || err->code == LN_EFORMAT;
  return environment ? vm_fail(L, err) : vm_raise(L, err);
}

size_t vm_data_index(lua_State *L, int arg, const char *what, size_t count) {
  int64_t i = vm_check_int(L, arg);
  if (i < 1 || (uint64_t)i > count)
    vm_misuse(L, NULL, "index %lld is outside the %s, which has %zu items (indices count from 1)", (long long)i,
              what, count);
  return (size_t)i - 1;
}

int64_t vm_data_opt_int(lua_State *L, int table, const char *name, int64_t fallback, int64_t least) {
  double x = vm_opt_number(L, table, name, (double)fallback);
  if (!(x >= (double)least && x <= 0x1p53) || x != (double)(int64_t)x)
    vm_misuse(L, NULL, "%s: expected a whole number of at least %lld, got %.17g", name, (long long)least, x);
  return (int64_t)x;
}

static int64_t side(lua_State *L, int index) {
  double x = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(x >= 1 && x <= LN_IMAGE_MAX_PIXELS) || x != (double)(int64_t)x)
    vm_misuse(L, NULL, "size: expected a whole number of at least 1, or { height, width }");
  return (int64_t)x;
}

void vm_data_opt_size(lua_State *L, int table, int64_t *height, int64_t *width) {
  *height = *width = 0;
  if (lua_isnoneornil(L, table)) return;
  lua_getfield(L, table, "size");
  if (lua_istable(L, -1) && lua_objlen(L, -1) == 2) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    *height = side(L, -2);
    *width = side(L, -1);
    lua_pop(L, 2);
  } else if (!lua_isnil(L, -1)) {
    *height = *width = side(L, -1);
  }
  lua_pop(L, 1);
}

size_t *vm_data_indices(lua_State *L, int arg, size_t count, size_t *n) {
  luaL_checktype(L, arg, LUA_TTABLE);
  *n = lua_objlen(L, arg);
  size_t *list = lua_newuserdata(L, (*n + 1) * sizeof *list);
  for (size_t i = 0; i < *n; i++) {
    lua_rawgeti(L, arg, (int)i + 1);
    double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (!(x >= 1 && x <= (double)count) || x != (double)(int64_t)x)
      vm_misuse(L, NULL, "item %d of the indices must be a whole number from 1 to %zu", (int)i + 1, count);
    list[i] = (size_t)x - 1;
    lua_pop(L, 1);
  }
  return list;
}

void vm_data_push_indices(lua_State *L, const size_t *list, size_t n) {
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushnumber(L, (double)list[i] + 1);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

void *vm_data_new_tensor(lua_State *L, const ln_meta *meta) {
  ln_value **slot = vm_new_tensor(L);
  if (ln_value_new(vm_ctx(L), meta, slot) != LN_OK) vm_raise(L, NULL);
  return ln_value_fill(*slot);
}

void vm_data_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction len) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  if (len != NULL) {
    lua_pushcfunction(L, len);
    lua_setfield(L, -2, "__len");
  }
  lua_pop(L, 1);
}

/* -- lists of pairs */

static ln_source **new_list(lua_State *L) {
  ln_source **slot = lua_newuserdata(L, sizeof *slot);
  *slot = NULL;
  luaL_getmetatable(L, VM_PAIRS);
  lua_setmetatable(L, -2);
  return slot;
}

static ln_source *check_list(lua_State *L, int arg) {
  if (luaL_testudata(L, arg, VM_PAIRS) == NULL)
    vm_misuse(L, NULL, "expected a list of pairs as data.folder and data.phantom give it, got %s", luaL_typename(L, arg));
  return *(ln_source **)lua_touserdata(L, arg);
}

/* folder{images=, masks=, suffix=, limit=, only=, exclude=, numeric=} */
static int folder(lua_State *L) {
  vm_poll(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  ln_pairs_options options = {
      .images = vm_opt_string(L, 1, "images", NULL),
      .masks = vm_opt_string(L, 1, "masks", NULL),
      .suffix = vm_opt_string(L, 1, "suffix", NULL),
      .exclude = vm_opt_string(L, 1, "exclude", NULL),
      .only = vm_opt_string(L, 1, "only", NULL),
      .numeric = vm_opt_bool(L, 1, "numeric", false),
      .limit = (size_t)vm_data_opt_int(L, 1, "limit", 0, 0)};
  ln_source **slot = new_list(L);
  ln_error err;
  if (ln_pairs_open(&vm_ctx(L)->mem, &options, slot, &err) != LN_OK) return fail(L, &err);
  return 1;
}

/* phantom{family=, count=, seed=, size=, only=, exclude=} */
static int phantom(lua_State *L) {
  vm_poll(L);
  ln_error err;
  ln_drawn_options options = {.family = LN_PHANTOM_GLOTTIS};
  if (ln_phantom_named(vm_opt_string(L, 1, "family", "glottis"), &options.family, &err) != LN_OK)
    vm_raise(L, &err);
  options.count = (size_t)vm_data_opt_int(L, 1, "count", 200, 1);
  options.seed = (uint64_t)vm_data_opt_int(L, 1, "seed", 0, 0);
  options.only = vm_opt_string(L, 1, "only", NULL);
  options.exclude = vm_opt_string(L, 1, "exclude", NULL);
  int64_t height, width;
  vm_data_opt_size(L, 1, &height, &width);
  options.height = (int)height;
  options.width = (int)width;
  ln_source **slot = new_list(L);
  if (ln_drawn_open(&vm_ctx(L)->mem, &options, slot, &err) != LN_OK) return fail(L, &err);
  return 1;
}

static int list_len(lua_State *L) {
  lua_pushnumber(L, (double)check_list(L, 1)->count);
  return 1;
}

static int list_stem(lua_State *L) {
  const ln_source *source = check_list(L, 1);
  char text[LN_STEM_TEXT];
  source->stem(source, vm_data_index(L, 2, "list", source->count), text, sizeof text);
  lua_pushstring(L, text);
  return 1;
}

/* The two files' names, or nil, nil when the pair is drawn. */
static int list_paths(lua_State *L) {
  const ln_source *source = check_list(L, 1);
  size_t i = vm_data_index(L, 2, "list", source->count);
  const char *image = NULL, *mask = NULL;
  if (source->paths != NULL) source->paths(source, i, &image, &mask);
  lua_pushstring(L, image);
  lua_pushstring(L, mask);
  return 2;
}

/* Lua errors may leave this function after the images are read, so they lie in a userdata
 * that frees them. */
typedef struct held_sample {
  ln_mem *mem;
  ln_sample sample;
} held_sample;

static int held_gc(lua_State *L) {
  held_sample *held = lua_touserdata(L, 1);
  if (held->mem != NULL) ln_sample_free(held->mem, &held->sample);
  return 0;
}

static void push_image(lua_State *L, const ln_image *image) {
  void *data = vm_data_new_tensor(L, &image->meta);
  memcpy(data, image->data, ln_nbytes(&image->meta));
}

/* image, mask as u8 tensors [H,W], or nil, message, code. */
static int list_load(lua_State *L) {
  vm_poll(L);
  const ln_source *source = check_list(L, 1);
  size_t i = vm_data_index(L, 2, "list", source->count);
  held_sample *held = lua_newuserdata(L, sizeof *held);
  memset(held, 0, sizeof *held);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, held_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  ln_error err;
  held->mem = &vm_ctx(L)->mem;
  if (source->load(source, held->mem, i, &held->sample, &err) != LN_OK) return fail(L, &err);
  push_image(L, &held->sample.image);
  push_image(L, &held->sample.mask);
  ln_sample_free(held->mem, &held->sample);
  return 2;
}

static int list_gc(lua_State *L) {
  ln_source **slot = lua_touserdata(L, 1);
  ln_source_release(*slot);
  *slot = NULL;
  return 0;
}

static const luaL_Reg list_methods[] = {
    {"count", list_len}, {"stem", list_stem}, {"paths", list_paths}, {"load", list_load}, {NULL, NULL}};

/* -- data sets */

ln_dataset *vm_check_dataset(lua_State *L, int arg) {
  return *(ln_dataset **)luaL_checkudata(L, arg, VM_DATASET);
}

static ln_filter opt_filter(lua_State *L, int table, const char *name) {
  ln_error err;
  ln_filter filter = LN_FILTER_BILINEAR;
  if (ln_filter_named(vm_opt_string(L, table, name, "bilinear"), &filter, &err) != LN_OK) vm_raise(L, &err);
  return filter;
}

/* dataset(list, {size=, resize=, mask_resize=, target=}) */
static int dataset(lua_State *L) {
  ln_source *source = check_list(L, 1);
  ln_error err;
  ln_dataset_options options = {.target = LN_TARGET_FRACTION};
  vm_data_opt_size(L, 2, &options.height, &options.width);
  options.image_filter = opt_filter(L, 2, "resize");
  options.mask_filter = opt_filter(L, 2, "mask_resize");
  if (ln_target_named(vm_opt_string(L, 2, "target", "fraction"), &options.target, &err) != LN_OK)
    vm_raise(L, &err);
  ln_dataset **slot = lua_newuserdata(L, sizeof *slot);
  *slot = NULL;
  luaL_getmetatable(L, VM_DATASET);
  lua_setmetatable(L, -2);
  if (ln_dataset_open(&vm_ctx(L)->mem, source, &options, slot, &err) != LN_OK) vm_raise(L, &err);
  return 1;
}

static int dataset_len(lua_State *L) {
  lua_pushnumber(L, (double)ln_dataset_source(vm_check_dataset(L, 1))->count);
  return 1;
}

static int dataset_stem(lua_State *L) {
  const ln_source *source = ln_dataset_source(vm_check_dataset(L, 1));
  char text[LN_STEM_TEXT];
  source->stem(source, vm_data_index(L, 2, "data set", source->count), text, sizeof text);
  lua_pushstring(L, text);
  return 1;
}

static int dataset_cached(lua_State *L) {
  lua_pushnumber(L, (double)ln_dataset_cached_bytes(vm_check_dataset(L, 1)));
  return 1;
}

typedef struct held_item {
  ln_dataset *ds;
  ln_item *item;
} held_item;

static int held_item_gc(lua_State *L) {
  held_item *held = lua_touserdata(L, 1);
  if (held->ds != NULL) ln_dataset_done(held->ds, held->item);
  return 0;
}

/* get(i): image and mask, f32 [1,H,W] (class targets: i64 [H,W]). Raises when a file fails. */
static int dataset_get(lua_State *L) {
  vm_poll(L);
  ln_dataset *ds = vm_check_dataset(L, 1);
  size_t i = vm_data_index(L, 2, "data set", ln_dataset_source(ds)->count);
  held_item *held = lua_newuserdata(L, sizeof *held);
  *held = (held_item){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, held_item_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  ln_error err;
  held->ds = ds;
  if (ln_dataset_item(ds, i, false, 0, &held->item, &err) != LN_OK) vm_raise(L, &err);
  ln_meta image, mask;
  ln_dataset_meta(ds, 0, held->item, &image, &mask);
  ln_item_image(held->item, vm_data_new_tensor(L, &image));
  ln_item_mask(held->item, ln_dataset_get_options(ds)->target, vm_data_new_tensor(L, &mask));
  ln_dataset_done(ds, held->item);
  held->item = NULL;
  return 2;
}

static int dataset_gc(lua_State *L) {
  ln_dataset **slot = lua_touserdata(L, 1);
  ln_dataset_release(*slot);
  *slot = NULL;
  return 0;
}

static const luaL_Reg dataset_methods[] = {
    {"count", dataset_len}, {"stem", dataset_stem}, {"get", dataset_get}, {"cached", dataset_cached}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"folder", folder}, {"phantom", phantom}, {"dataset", dataset}, {NULL, NULL}};

int luaopen_lunette_data_c(lua_State *L) {
  vm_data_class(L, VM_PAIRS, list_methods, list_gc, list_len);
  vm_data_class(L, VM_DATASET, dataset_methods, dataset_gc, dataset_len);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  vm_open_splits(L);
  vm_open_loader(L);
  return 1;
}
