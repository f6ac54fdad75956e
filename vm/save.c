/* save.c: files for Lua: safetensors, xlsx, PNG, plain text. lib/lua/lunette/save.lua makes
 * the public functions of these. A failure of the environment is nil, message, code.
 */
#include "save.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../nn/save/file.h"
#include "../nn/save/png_write.h"
#include "../nn/save/safetensors.h"
#include "../nn/save/xlsx.h"

#define OPEN_FILE "lunette.safetensors" /* a file being read */

enum { MAX_TEXT_FILE = 1 << 30 };

/* -- helpers */

int vm_save_misuse(lua_State *L, const char *function, const char *format, ...) {
  char op[LN_ERROR_OP], text[LN_ERROR_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  snprintf(op, sizeof op, "save.%s", function);
  return vm_misuse(L, op, "%s", text);
}

const char *vm_save_text(lua_State *L, const char *function, int arg, const char *what) {
  size_t length = 0;
  const char *text = lua_type(L, arg) == LUA_TSTRING ? lua_tolstring(L, arg, &length) : NULL;
  if (text == NULL) {
    vm_save_misuse(L, function, "%s: expected a string, got %s", what, luaL_typename(L, arg));
  } else if (strlen(text) != length) {
    vm_save_misuse(L, function, "%s: there is a zero byte in it", what);
  }
  return text;
}

const void *vm_save_data(lua_State *L, ln_value *v) {
  const void *data = NULL;
  if (ln_value_host(vm_ctx(L), v, &data) != LN_OK) vm_raise(L, NULL);
  return data;
}

int vm_save_result(lua_State *L, ln_code code, const ln_error *err) {
  if (code != LN_OK) return vm_fail_or_raise(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* -- pictures */

static void unit_to_u8(const float *values, size_t count, uint8_t *out) {
  for (size_t i = 0; i < count; i++) {
    float level = values[i] * 255.0f + 0.5f;
    out[i] = level >= 255.0f ? 255 : level > 0.0f ? (uint8_t)level : 0; /* NaN gives 0 */
  }
}

static void stretch_bytes(uint8_t *pixels, size_t count) {
  int low = 255, high = 0;
  for (size_t i = 0; i < count; i++) {
    if (pixels[i] < low) low = pixels[i];
    if (pixels[i] > high) high = pixels[i];
  }
  int range = high > low ? high - low : 1;
  for (size_t i = 0; i < count; i++) {
    pixels[i] = (uint8_t)(((pixels[i] - low) * 510 + range) / (2 * range)); /* rounded */
  }
}

const uint8_t *vm_save_pixels(lua_State *L, const char *function, ln_value *v, bool stretch,
                              int *width, int *height, int *channels) {
  const ln_meta *m = &v->meta;
  char shape[LN_SHAPE_TEXT];
  bool flat = m->rank == 2, one = m->rank == 3 && m->dim[0] == 1;
  bool colour = m->rank == 3 && m->dim[2] == 3 && !one;
  bool known = m->dtype == LN_U8 || m->dtype == LN_BOOL || m->dtype == LN_F32;
  if ((!flat && !one && !colour) || !known) {
    vm_save_misuse(L, function,
                   "a picture is u8, bool or f32 of shape [H,W], [1,H,W] or [H,W,3], got %s %s",
                   ln_dtype_name(m->dtype), ln_shape_text(m, shape, sizeof shape));
  }
  int64_t rows = m->dim[one ? 1 : 0], columns = m->dim[one ? 2 : 1];
  if (rows < 1 || columns < 1 || rows > 32768 || columns > 32768) {
    vm_save_misuse(L, function, "a picture of %s pixels is outside 1..32768 a side",
                   ln_shape_text(m, shape, sizeof shape));
  }
  *height = (int)rows;
  *width = (int)columns;
  *channels = colour ? 3 : 1;
  size_t count = (size_t)ln_numel(m);
  uint8_t *pixels = lua_newuserdata(L, count);
  const void *data = vm_save_data(L, v);
  stretch = stretch && !colour;
  if (m->dtype == LN_F32 && stretch) {
    ln_stretch_u8(data, count, pixels);
    return pixels;
  }
  if (m->dtype == LN_F32) {
    unit_to_u8(data, count, pixels);
  } else if (m->dtype == LN_BOOL) {
    for (size_t i = 0; i < count; i++) pixels[i] = ((const uint8_t *)data)[i] ? 255 : 0;
  } else {
    memcpy(pixels, data, count);
  }
  if (stretch) stretch_bytes(pixels, count);
  return pixels;
}

/* png(path, tensor, stretch) */
static int png(lua_State *L) {
  const char *path = vm_save_text(L, "png", 1, "path");
  int width, height, channels;
  const uint8_t *pixels = vm_save_pixels(L, "png", vm_check_tensor(L, 2), lua_toboolean(L, 3),
                                         &width, &height, &channels);
  ln_error err;
  ln_code code = ln_png_write(&vm_ctx(L)->mem, path, pixels, width, height, channels, &err);
  return vm_save_result(L, code, &err);
}

/* -- safetensors */

/* A list of strings at `arg` as C strings, which the list keeps alive. Pushes the array. */
static const char **strings(lua_State *L, int arg, const char *what, size_t *count) {
  luaL_checktype(L, arg, LUA_TTABLE);
  *count = lua_objlen(L, arg);
  const char **list = lua_newuserdata(L, (*count + 1) * sizeof *list);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, arg, (int)i + 1);
    list[i] = vm_save_text(L, "safetensors", -1, what);
    lua_pop(L, 1);
  }
  return list;
}

/* safetensors(path, names, tensors, keys, texts): lists side by side, in file order */
static int write_safetensors(lua_State *L) {
  const char *path = vm_save_text(L, "safetensors", 1, "path");
  size_t count, keys, texts;
  const char **name = strings(L, 2, "a tensor's name", &count);
  const char **key = strings(L, 4, "a metadata key", &keys);
  const char **text = strings(L, 5, "a metadata value", &texts);
  luaL_checktype(L, 3, LUA_TTABLE);
  if (lua_objlen(L, 3) != count || texts != keys) {
    return vm_save_misuse(L, "safetensors", "lists of different length");
  }
  ln_named_tensor *tensors = lua_newuserdata(L, (count + 1) * sizeof *tensors);
  ln_note *notes = lua_newuserdata(L, (keys + 1) * sizeof *notes);
  for (size_t i = 0; i < keys; i++) notes[i] = (ln_note){key[i], text[i]};
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 3, (int)i + 1);
    ln_value *v = vm_test_tensor(L, -1);
    if (v == NULL) {
      return vm_save_misuse(L, "safetensors", "'%s': expected a tensor, got %s", name[i],
                            luaL_typename(L, -1));
    }
    tensors[i] = (ln_named_tensor){name[i], v->meta, vm_save_data(L, v)};
    lua_pop(L, 1); /* the list keeps it */
  }
  ln_error err;
  ln_code code = ln_safetensors_write(&vm_ctx(L)->mem, path, tensors, count, notes, keys, &err);
  return vm_save_result(L, code, &err);
}

static int close_safetensors(lua_State *L) {
  ln_safetensors **slot = lua_touserdata(L, 1);
  ln_safetensors_close(*slot);
  *slot = NULL;
  return 0;
}

/* load_safetensors(path): tensors by name, metadata, names in order */
static int load_safetensors(lua_State *L) {
  const char *path = vm_save_text(L, "load_safetensors", 1, "path");
  ln_error err;
  lua_settop(L, 1);
  ln_safetensors **slot = lua_newuserdata(L, sizeof *slot); /* closed by the collector on a raise */
  *slot = NULL;
  luaL_getmetatable(L, OPEN_FILE);
  lua_setmetatable(L, -2);
  if (ln_safetensors_open(&vm_ctx(L)->mem, path, slot, &err) != LN_OK) return vm_fail_or_raise(L, &err);
  lua_newtable(L); /* 3: tensors */
  lua_newtable(L); /* 4: metadata */
  lua_newtable(L); /* 5: order */
  for (size_t i = 0; i < ln_safetensors_count(*slot); i++) {
    vm_poll(L);
    lua_pushstring(L, ln_safetensors_name(*slot, i));
    lua_pushvalue(L, -1);
    lua_rawseti(L, 5, (int)i + 1);
    ln_value **value = vm_new_tensor(L);
    if (ln_value_new(vm_ctx(L), ln_safetensors_meta(*slot, i), value) != LN_OK) return vm_raise(L, NULL);
    ln_code code = ln_safetensors_read(*slot, i, ln_value_fill(*value), &err);
    if (code != LN_OK) return vm_fail_or_raise(L, &err);
    lua_rawset(L, 3);
  }
  for (size_t i = 0; i < ln_safetensors_note_count(*slot); i++) {
    ln_note note = ln_safetensors_note(*slot, i);
    lua_pushstring(L, note.key);
    lua_pushstring(L, note.text);
    lua_rawset(L, 4);
  }
  ln_safetensors_close(*slot);
  *slot = NULL;
  return 3;
}

/* -- xlsx */

/* The cell on top of the stack; its string stays alive in the table it came from. */
static ln_item item(lua_State *L, size_t row, size_t column) {
  switch (lua_type(L, -1)) {
    case LUA_TNUMBER: return (ln_item){.kind = LN_ITEM_NUMBER, .number = lua_tonumber(L, -1)};
    case LUA_TSTRING: return (ln_item){.kind = LN_ITEM_TEXT, .text = vm_save_text(L, "xlsx", -1, "a cell")};
    default:
      vm_save_misuse(L, "xlsx", "row %zu, column %zu: expected a number or a string, got %s", row,
                     column, luaL_typename(L, -1));
      return (ln_item){0};
  }
}

/* The row on top of the stack; pushes the userdata that holds it above it. */
static ln_row row_of(lua_State *L, size_t row) {
  if (!lua_istable(L, -1)) {
    vm_save_misuse(L, "xlsx", "row %zu: expected a list of numbers and strings, got %s", row,
                   luaL_typename(L, -1));
  }
  size_t count = lua_objlen(L, -1);
  ln_item *items = lua_newuserdata(L, (count + 1) * sizeof *items);
  for (size_t c = 0; c < count; c++) {
    lua_rawgeti(L, -2, (int)c + 1);
    items[c] = item(L, row, c + 1);
    lua_pop(L, 1);
  }
  return (ln_row){count, items};
}

/* xlsx(path, rows, header or nil) */
static int xlsx(lua_State *L) {
  const char *path = vm_save_text(L, "xlsx", 1, "path");
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  size_t count = lua_objlen(L, 2), header = lua_isnil(L, 3) ? 0 : 1;
  ln_row *rows = lua_newuserdata(L, (count + header + 1) * sizeof *rows); /* 4 */
  lua_createtable(L, (int)(count + header), 0);                           /* 5 holds the cells */
  for (size_t r = 0; r < count + header; r++) {
    if (r < header) {
      lua_pushvalue(L, 3);
    } else {
      lua_rawgeti(L, 2, (int)(r - header) + 1);
    }
    rows[r] = row_of(L, r + 1 - header);
    lua_rawseti(L, 5, (int)r + 1);
    lua_pop(L, 1);
  }
  ln_error err;
  ln_code code = ln_xlsx_write(&vm_ctx(L)->mem, path, rows, count + header, &err);
  return vm_save_result(L, code, &err);
}

/* -- text files */

/* A text's bytes, any of them; numbers are no texts. */
static const char *bytes(lua_State *L, const char *function, int arg, size_t *size) {
  if (lua_type(L, arg) != LUA_TSTRING) {
    vm_save_misuse(L, function, "argument %d: expected a string, got %s", arg, luaL_typename(L, arg));
  }
  return lua_tolstring(L, arg, size);
}

static int write_text(lua_State *L) {
  size_t size;
  const char *path = vm_save_text(L, "write", 1, "path"), *text = bytes(L, "write", 2, &size);
  ln_error err;
  return vm_save_result(L, ln_file_store(&vm_ctx(L)->mem, path, text, size, &err), &err);
}

static int append(lua_State *L) {
  size_t size;
  const char *path = vm_save_text(L, "append", 1, "path"), *text = bytes(L, "append", 2, &size);
  ln_error err;
  return vm_save_result(L, ln_file_append(path, text, size, &err), &err);
}

/* The content is owned by ln_mem until Lua has its copy, which may raise for lack of memory,
 * so it goes into a userdata first. */
static int free_content(lua_State *L) {
  char **slot = lua_touserdata(L, 1);
  ln_free(&vm_ctx(L)->mem, *slot);
  *slot = NULL;
  return 0;
}

static int read_text(lua_State *L) {
  const char *path = vm_save_text(L, "read", 1, "path");
  size_t size = 0;
  ln_error err;
  char **slot = lua_newuserdata(L, sizeof *slot);
  *slot = NULL;
  luaL_getmetatable(L, "lunette.content");
  lua_setmetatable(L, -2);
  ln_code code = ln_file_read(&vm_ctx(L)->mem, path, MAX_TEXT_FILE, slot, &size, &err);
  if (code != LN_OK) return vm_fail_or_raise(L, &err);
  lua_pushlstring(L, *slot, size);
  ln_free(&vm_ctx(L)->mem, *slot);
  *slot = NULL;
  return 1;
}

static int make_folder(lua_State *L) {
  const char *path = vm_save_text(L, "mkdir", 1, "path");
  ln_error err;
  return vm_save_result(L, ln_folder_make(&vm_ctx(L)->mem, path, &err), &err);
}

static int exists(lua_State *L) {
  lua_pushboolean(L, ln_file_exists(vm_save_text(L, "exists", 1, "path")));
  return 1;
}

static void add_class(lua_State *L, const char *name, lua_CFunction gc) {
  luaL_newmetatable(L, name);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

int luaopen_lunette_save_c(lua_State *L) {
  static const luaL_Reg functions[] = {{"safetensors", write_safetensors},
                                       {"load_safetensors", load_safetensors},
                                       {"xlsx", xlsx},
                                       {"png", png},
                                       {"figure", vm_save_figure},
                                       {"json", vm_save_json},
                                       {"parse_json", vm_save_parse_json},
                                       {"write", write_text},
                                       {"append", append},
                                       {"read", read_text},
                                       {"mkdir", make_folder},
                                       {"exists", exists},
                                       {NULL, NULL}};
  add_class(L, OPEN_FILE, close_safetensors);
  add_class(L, "lunette.content", free_content);
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  vm_save_open_json(L);
  return 1;
}
