/* save_json.c: Lua values as JSON and back.
 *
 * Writing is done here rather than through jansson, for two reasons: numbers take the
 * shortest form that reads back to the same double (jansson prints 0.1 with 17 digits),
 * and a Lua table has no order, so keys are sorted, with the caller's favourites in front.
 * Reading is jansson's: strict, with a bound on the depth.
 *
 * NaN, infinities and save.null (a light userdata) are written as null. Read back, a null
 * member of an object is left out. An empty table is {}; save.array{} marks one that is [].
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../nn/save/text.h"
#include "save.h"

#define ARRAY "lunette.json.array"
#define TEXT "lunette.json.text"
#define DOCUMENT "lunette.json.document"

enum { MAX_DEPTH = 100 };

static const char null_mark; /* its address is save.null; it holds nothing */

static void push_null(lua_State *L) { lua_pushlightuserdata(L, (void *)(uintptr_t)&null_mark); }

/* -- writing */

typedef struct writer {
  lua_State *L;
  ln_text *text;
  int order;  /* stack index of the list of favourite keys, or 0 */
  int indent; /* spaces a level, 0: all on one line */
} writer;

static void write_value(writer *w, int depth);

static void write_number(writer *w, double x) {
  char digits[40];
  if (!isfinite(x)) {
    ln_text_add(w->text, "null");
    return;
  }
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, x);
    if (strtod(digits, NULL) == x) break;
  }
  ln_text_add(w->text, "%s", digits);
}

/* The length of the UTF-8 character at s, 0 when it is none. */
static size_t utf8_length(const unsigned char *s, size_t left) {
  static const struct {
    unsigned char mask, mark;
    unsigned least;
  } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
  for (size_t n = 1; n <= 4; n++) {
    if ((s[0] & forms[n - 1].mask) != forms[n - 1].mark) continue;
    if (n > left) return 0;
    unsigned code = s[0] & (unsigned char)~forms[n - 1].mask;
    for (size_t i = 1; i < n; i++) {
      if ((s[i] & 0xC0) != 0x80) return 0;
      code = code << 6 | (s[i] & 0x3Fu);
    }
    bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code >= forms[n - 1].least && code <= 0x10FFFF && !surrogate ? n : 0;
  }
  return 0;
}

/* Bytes that are no UTF-8 (a file name may hold any) become U+FFFD. */
static void write_string(writer *w, const char *string, size_t length) {
  const unsigned char *s = (const unsigned char *)string;
  ln_text_bytes(w->text, "\"", 1);
  for (size_t i = 0; i < length;) {
    size_t n = utf8_length(s + i, length - i);
    if (n == 0) {
      ln_text_add(w->text, "\\ufffd");
    } else if (s[i] == '"' || s[i] == '\\') {
      ln_text_add(w->text, "\\%c", s[i]);
    } else if (s[i] == '\n') {
      ln_text_add(w->text, "\\n");
    } else if (s[i] == '\t') {
      ln_text_add(w->text, "\\t");
    } else if (s[i] < 32 || s[i] == 127) {
      ln_text_add(w->text, "\\u%04x", s[i]);
    } else {
      ln_text_bytes(w->text, s + i, n);
    }
    i += n > 0 ? n : 1;
  }
  ln_text_bytes(w->text, "\"", 1);
}

static void new_line(writer *w, int depth) {
  if (w->indent > 0) ln_text_add(w->text, "\n%*s", w->indent * depth, "");
}

/* Before member number i. */
static void separate(writer *w, size_t i, int depth) {
  if (i > 0) ln_text_add(w->text, ",");
  new_line(w, depth);
}

static void write_array(writer *w, size_t count, int depth) {
  ln_text_bytes(w->text, "[", 1);
  for (size_t i = 0; i < count; i++) {
    separate(w, i, depth);
    lua_rawgeti(w->L, -1, (int)i + 1);
    write_value(w, depth);
    lua_pop(w->L, 1);
  }
  if (count > 0) new_line(w, depth - 1);
  ln_text_bytes(w->text, "]", 1);
}

typedef struct key {
  const char *name;
  size_t length;
  size_t rank; /* place among the favourites, or SIZE_MAX */
} key;

static int by_rank_and_name(const void *a, const void *b) {
  const key *x = a, *y = b;
  if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
  size_t shorter = x->length < y->length ? x->length : y->length;
  int order = memcmp(x->name, y->name, shorter);
  return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

/* The key on top of the stack. */
static size_t rank_of(const writer *w) {
  if (w->order == 0) return SIZE_MAX;
  size_t count = lua_objlen(w->L, w->order);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(w->L, w->order, (int)i + 1);
    bool same = lua_rawequal(w->L, -1, -2) != 0;
    lua_pop(w->L, 1);
    if (same) return i;
  }
  return SIZE_MAX;
}

/* Sorted keys of the table on top; pushes the userdata that holds them. */
static key *sorted_keys(writer *w, size_t count) {
  lua_State *L = w->L;
  key *keys = lua_newuserdata(L, (count + 1) * sizeof *keys);
  size_t n = 0;
  lua_pushnil(L);
  while (lua_next(L, -3) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      vm_save_misuse(L, "json", "a table is either a list 1..n or has strings as keys, got a key of type %s",
                     luaL_typename(L, -1));
    }
    size_t length;
    const char *name = lua_tolstring(L, -1, &length);
    if (n < count) keys[n++] = (key){name, length, rank_of(w)};
  }
  qsort(keys, n, sizeof *keys, by_rank_and_name);
  return keys;
}

static void write_object(writer *w, size_t count, int depth) {
  lua_State *L = w->L;
  const key *keys = sorted_keys(w, count);
  ln_text_bytes(w->text, "{", 1);
  for (size_t i = 0; i < count; i++) {
    separate(w, i, depth);
    write_string(w, keys[i].name, keys[i].length);
    ln_text_add(w->text, w->indent > 0 ? ": " : ":");
    lua_pushlstring(L, keys[i].name, keys[i].length);
    lua_rawget(L, -3);
    write_value(w, depth);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (count > 0) new_line(w, depth - 1);
  ln_text_bytes(w->text, "}", 1);
}

static bool is_marked_array(lua_State *L) {
  if (!lua_getmetatable(L, -1)) return false;
  luaL_getmetatable(L, ARRAY);
  bool same = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 2);
  return same;
}

static void write_table(writer *w, int depth) {
  lua_State *L = w->L;
  if (depth > MAX_DEPTH) vm_save_misuse(L, "json", "nested deeper than %d (a table in itself?)", MAX_DEPTH);
  size_t count = 0, length = lua_objlen(L, -1);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    count++;
  }
  if (count == length && (count > 0 || is_marked_array(L))) {
    write_array(w, count, depth);
  } else {
    write_object(w, count, depth);
  }
}

/* The value on top of the stack, which stays. */
static void write_value(writer *w, int depth) {
  lua_State *L = w->L;
  luaL_checkstack(L, 10, "json: nested too deep");
  switch (lua_type(L, -1)) {
    case LUA_TNIL: ln_text_add(w->text, "null"); return;
    case LUA_TBOOLEAN: ln_text_add(w->text, lua_toboolean(L, -1) ? "true" : "false"); return;
    case LUA_TNUMBER: write_number(w, lua_tonumber(L, -1)); return;
    case LUA_TTABLE: write_table(w, depth + 1); return;
    case LUA_TSTRING: {
      size_t length;
      const char *string = lua_tolstring(L, -1, &length);
      write_string(w, string, length);
      return;
    }
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, -1) == &null_mark) {
        ln_text_add(w->text, "null");
        return;
      }
      break;
    default: break;
  }
  if (vm_test_tensor(L, -1) != NULL) {
    vm_save_misuse(L, "json", "a tensor is no JSON value; its numbers are: t:tolist(), t:item()");
  }
  vm_save_misuse(L, "json", "a %s is no JSON value", luaL_typename(L, -1));
}

static int free_text(lua_State *L) {
  ln_text_free(lua_touserdata(L, 1));
  return 0;
}

/* json(value, indent, order) */
int vm_save_json(lua_State *L) {
  lua_settop(L, 3);
  double indent = luaL_optnumber(L, 2, 0);
  if (!(indent >= 0 && indent <= 16)) return vm_save_misuse(L, "json", "indent: expected 0 to 16, got %g", indent);
  if (!lua_isnil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  ln_text *text = lua_newuserdata(L, sizeof *text);
  *text = (ln_text){.mem = &vm_ctx(L)->mem};
  luaL_getmetatable(L, TEXT);
  lua_setmetatable(L, -2);
  writer w = {L, text, lua_isnil(L, 3) ? 0 : 3, (int)indent};
  lua_pushvalue(L, 1);
  write_value(&w, 0);
  if (text->failed) return vm_save_misuse(L, "json", "no memory");
  lua_pushlstring(L, text->data, text->size);
  ln_text_free(text);
  return 1;
}

/* -- reading */

static void push_json(lua_State *L, const json_t *value, int null);

static void push_object(lua_State *L, const json_t *object, int null) {
  const char *name;
  json_t *member;
  lua_createtable(L, 0, (int)json_object_size(object));
  /* the macro wants a json_t it may not change; it does not */
  json_object_foreach((json_t *)(uintptr_t)object, name, member) {
    if (json_is_null(member) && lua_isnil(L, null)) continue;
    lua_pushstring(L, name);
    push_json(L, member, null);
    lua_rawset(L, -3);
  }
}

static void push_array(lua_State *L, const json_t *array, int null) {
  size_t count = json_array_size(array);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_json(L, json_array_get(array, i), null);
    lua_rawseti(L, -2, (int)i + 1);
  }
  if (count == 0) {
    luaL_getmetatable(L, ARRAY);
    lua_setmetatable(L, -2);
  }
}

/* Whether value nests at most `room` lists and objects. */
static bool fits(const json_t *value, int room) {
  size_t i;
  const char *name;
  json_t *member;
  if (!json_is_array(value) && !json_is_object(value)) return true;
  if (room == 0) return false;
  json_array_foreach(value, i, member) {
    if (!fits(member, room - 1)) return false;
  }
  json_object_foreach((json_t *)(uintptr_t)value, name, member) {
    if (!fits(member, room - 1)) return false;
  }
  return true;
}

/* `null` is the stack index of what stands for null; nil there leaves members of objects
 * out, and gives save.null elsewhere, since a list has no holes. */
static void push_json(lua_State *L, const json_t *value, int null) {
  luaL_checkstack(L, 10, "json: nested too deep");
  switch (json_typeof(value)) {
    case JSON_OBJECT: push_object(L, value, null); break;
    case JSON_ARRAY: push_array(L, value, null); break;
    case JSON_STRING: lua_pushlstring(L, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: lua_pushnumber(L, (double)json_integer_value(value)); break;
    case JSON_REAL: lua_pushnumber(L, json_real_value(value)); break;
    case JSON_TRUE: lua_pushboolean(L, 1); break;
    case JSON_FALSE: lua_pushboolean(L, 0); break;
    case JSON_NULL:
      if (lua_isnil(L, null)) {
        push_null(L);
      } else {
        lua_pushvalue(L, null);
      }
      break;
  }
}

static int free_document(lua_State *L) {
  json_t **slot = lua_touserdata(L, 1);
  json_decref(*slot);
  *slot = NULL;
  return 0;
}

/* parse_json(text, null): value, or nil, message, code */
int vm_save_parse_json(lua_State *L) {
  size_t length;
  ln_error err;
  json_error_t parse;
  if (lua_type(L, 1) != LUA_TSTRING) {
    return vm_save_misuse(L, "parse_json", "expected a string, got %s", luaL_typename(L, 1));
  }
  const char *text = lua_tolstring(L, 1, &length);
  lua_settop(L, 2);
  json_t **slot = lua_newuserdata(L, sizeof *slot);
  *slot = NULL;
  luaL_getmetatable(L, DOCUMENT);
  lua_setmetatable(L, -2);
  *slot = json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &parse);
  if (*slot == NULL) {
    ln_fail(&err, LN_EFORMAT, "JSON: line %d, column %d: %s", parse.line, parse.column, parse.text);
    return vm_fail(L, &err);
  }
  if (!fits(*slot, MAX_DEPTH)) {
    ln_fail(&err, LN_EFORMAT, "JSON: nested deeper than %d", MAX_DEPTH);
    return vm_fail(L, &err);
  }
  push_json(L, *slot, 2);
  json_decref(*slot);
  *slot = NULL;
  return 1;
}

/* array(t): marks t as a list also when it is empty */
static int mark_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_getmetatable(L, ARRAY);
  lua_setmetatable(L, 1);
  return 1;
}

static void add_class(lua_State *L, const char *name, lua_CFunction gc) {
  luaL_newmetatable(L, name);
  if (gc != NULL) {
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
}

void vm_save_open_json(lua_State *L) {
  add_class(L, ARRAY, NULL);
  add_class(L, TEXT, free_text);
  add_class(L, DOCUMENT, free_document);
  push_null(L);
  lua_setfield(L, -2, "null");
  lua_pushcfunction(L, mark_array);
  lua_setfield(L, -2, "array");
}
