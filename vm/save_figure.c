/* save_figure.c: save.figure(path, spec): reads the table, hands it to nn/save/figure.h.
 * spec.series makes line plots, spec.boxes box plots, spec.images a grid of pictures.
 */
#include <string.h>

#include "../nn/save/figure.h"
#include "bind.h"
#include "save.h"

/* Everything read from the spec stays on the stack, in userdata or in the spec itself,
 * until the figure is drawn: 1 is the path, 2 the spec, 3 a list of what else to keep. */
enum { PATH = 1, SPEC = 2, KEPT = 3 };

/* Pops the top value into the list of what must stay alive. */
static void keep(lua_State *L) {
  lua_rawseti(L, KEPT, (int)lua_objlen(L, KEPT) + 1);
}

static void *keep_block(lua_State *L, size_t bytes) {
  void *block = lua_newuserdata(L, bytes);
  memset(block, 0, bytes);
  keep(L);
  return block;
}

/* A text option of the table on top. */
static const char *text_of(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  const char *text = lua_isnil(L, -1) ? NULL : vm_save_text(L, "figure", -1, name);
  lua_pop(L, 1); /* the table keeps it */
  return text;
}

static bool flag_of(lua_State *L, int table, const char *name, bool fallback) {
  return vm_opt_bool(L, table, name, fallback);
}

/* Field `name` of the table on top as numbers: a list or a tensor of any shape. NULL when
 * absent. */
static double *numbers_of(lua_State *L, const char *name, size_t *count) {
  lua_getfield(L, -1, name);
  *count = 0;
  double *list = NULL;
  ln_value *v = vm_test_tensor(L, -1);
  if (v != NULL) {
    *count = (size_t)ln_numel(&v->meta);
    list = keep_block(L, (*count + 1) * sizeof *list);
    const void *data = vm_save_data(L, v);
    for (size_t i = 0; i < *count; i++) list[i] = vm_element(data, v->meta.dtype, (int64_t)i);
  } else if (lua_istable(L, -1)) {
    *count = lua_objlen(L, -1);
    list = keep_block(L, (*count + 1) * sizeof *list);
    for (size_t i = 0; i < *count; i++) {
      lua_rawgeti(L, -1, (int)i + 1);
      if (lua_type(L, -1) != LUA_TNUMBER) {
        vm_save_misuse(L, "figure", "%s[%zu]: expected a number, got %s", name, i + 1, luaL_typename(L, -1));
      }
      list[i] = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
  } else if (!lua_isnil(L, -1)) {
    vm_save_misuse(L, "figure", "%s: expected a list of numbers or a tensor, got %s", name,
                   luaL_typename(L, -1));
  }
  lua_pop(L, 1);
  return list;
}

/* Two numbers of the spec, or NULL. */
static double *pair_of(lua_State *L, const char *name) {
  size_t count;
  lua_pushvalue(L, SPEC);
  double *pair = numbers_of(L, name, &count);
  lua_pop(L, 1);
  if (pair != NULL && count != 2) vm_save_misuse(L, "figure", "%s: expected two numbers, got %zu", name, count);
  return pair;
}

static ln_frame_style style_of(lua_State *L, int width, int height) {
  double *size = pair_of(L, "size");
  if (size != NULL) {
    for (int i = 0; i < 2; i++) {
      if (!(size[i] >= 1 && size[i] <= 1e5)) {
        vm_save_misuse(L, "figure", "size: expected {width, height} in pixels, got %g", size[i]);
      }
    }
    width = (int)size[0];
    height = (int)size[1];
  }
  ln_frame_style s = {.width = width, .height = height,
                      .logx = flag_of(L, SPEC, "logx", false), .logy = flag_of(L, SPEC, "logy", false),
                      .grid = flag_of(L, SPEC, "grid", false),
                      .xrange = pair_of(L, "xrange"), .yrange = pair_of(L, "yrange")};
  lua_pushvalue(L, SPEC);
  s.title = text_of(L, "title");
  s.xlabel = text_of(L, "xlabel");
  s.ylabel = text_of(L, "ylabel");
  s.legend = text_of(L, "legend");
  lua_pop(L, 1);
  return s;
}

/* Pushes item i of the list on top, which must be a table. */
static void push_entry(lua_State *L, const char *list, size_t i) {
  lua_rawgeti(L, -1, (int)i + 1);
  if (!lua_istable(L, -1)) {
    vm_save_misuse(L, "figure", "%s[%zu]: expected a table, got %s", list, i + 1, luaL_typename(L, -1));
  }
}

static const char *colour_of(lua_State *L) {
  const char *colour = text_of(L, "colour");
  return colour != NULL ? colour : text_of(L, "color");
}

/* Each of the three has its list on top of the stack. */

static int lines(lua_State *L, const char *path) {
  size_t count = lua_objlen(L, -1), xs;
  ln_series *series = keep_block(L, (count + 1) * sizeof *series);
  for (size_t i = 0; i < count; i++) {
    ln_series *s = &series[i];
    push_entry(L, "series", i);
    s->y = numbers_of(L, "y", &s->count);
    s->x = numbers_of(L, "x", &xs);
    s->label = text_of(L, "label");
    s->colour = colour_of(L);
    s->points = flag_of(L, lua_gettop(L), "points", false);
    if (s->y == NULL) return vm_save_misuse(L, "figure", "series[%zu]: no y", i + 1);
    if (s->x != NULL && xs != s->count) {
      return vm_save_misuse(L, "figure", "series[%zu]: %zu values of x and %zu of y", i + 1, xs, s->count);
    }
    lua_pop(L, 1);
  }
  ln_frame_style style = style_of(L, 600, 500);
  ln_error err;
  return vm_save_result(L, ln_figure_lines(&vm_ctx(L)->mem, path, &style, series, count, &err), &err);
}

static int boxes(lua_State *L, const char *path) {
  size_t count = lua_objlen(L, -1);
  ln_sample *samples = keep_block(L, (count + 1) * sizeof *samples);
  for (size_t i = 0; i < count; i++) {
    push_entry(L, "boxes", i);
    samples[i].values = numbers_of(L, "values", &samples[i].count);
    samples[i].label = text_of(L, "label");
    samples[i].colour = colour_of(L);
    if (samples[i].values == NULL) return vm_save_misuse(L, "figure", "boxes[%zu]: no values", i + 1);
    lua_pop(L, 1);
  }
  bool horizontal = flag_of(L, SPEC, "horizontal", false);
  ln_frame_style style = style_of(L, 800, 500);
  ln_error err;
  return vm_save_result(
      L, ln_figure_boxes(&vm_ctx(L)->mem, path, &style, samples, count, horizontal, &err), &err);
}

/* A panel is false (empty), a tensor, or { image = tensor, title = "" }; on top. */
static void read_panel(lua_State *L, ln_panel *panel, bool stretch, size_t i) {
  if (lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1)) return;
  if (lua_istable(L, -1)) {
    panel->title = text_of(L, "title");
    lua_getfield(L, -1, "image");
  } else {
    lua_pushvalue(L, -1);
  }
  ln_value *v = vm_test_tensor(L, -1);
  if (v != NULL) {
    panel->pixels = vm_save_pixels(L, "figure", v, stretch, &panel->width, &panel->height, &panel->channels);
    keep(L);
  } else if (!lua_isnil(L, -1)) {
    vm_save_misuse(L, "figure", "images[%zu]: expected a tensor, { image =, title = } or false, got %s",
                   i + 1, luaL_typename(L, -1));
  }
  lua_pop(L, 1);
}

static int images(lua_State *L, const char *path) {
  size_t count = lua_objlen(L, -1);
  double columns = vm_opt_number(L, SPEC, "columns", count < 3 && count > 0 ? (double)count : 3);
  if (!(columns >= 1 && columns <= 100)) return vm_save_misuse(L, "figure", "columns: expected 1 to 100, got %g", columns);
  int across = (int)columns, least = ((int)count + across - 1) / across;
  double rows = vm_opt_number(L, SPEC, "rows", least > 0 ? least : 1);
  if (!(rows >= least && rows >= 1 && rows <= 100)) {
    return vm_save_misuse(L, "figure", "rows: %zu images in %d columns need %d to 100 rows, got %g", count,
                          across, least, rows);
  }
  const char *scale = vm_opt_string(L, SPEC, "scale", "minmax");
  if (strcmp(scale, "minmax") != 0 && strcmp(scale, "none") != 0) {
    return vm_save_misuse(L, "figure", "scale: expected \"minmax\" or \"none\", got \"%s\"", scale);
  }
  int down = (int)rows;
  ln_panel *panels = keep_block(L, (size_t)(across * down) * sizeof *panels);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    read_panel(L, &panels[i], strcmp(scale, "minmax") == 0, i);
    lua_pop(L, 1);
  }
  bool axes = flag_of(L, SPEC, "axes", false);
  ln_frame_style style = style_of(L, 300 * across, 300 * down);
  ln_error err;
  return vm_save_result(
      L, ln_figure_grid(&vm_ctx(L)->mem, path, &style, panels, down, across, axes, &err), &err);
}

int vm_save_figure(lua_State *L) {
  static const struct {
    const char *name;
    int (*draw)(lua_State *L, const char *path);
  } kinds[] = {{"series", lines}, {"boxes", boxes}, {"images", images}};
  const char *path = vm_save_text(L, "figure", PATH, "path");
  if (!lua_istable(L, SPEC)) {
    return vm_save_misuse(L, "figure", "expected a table after the path, got %s", luaL_typename(L, SPEC));
  }
  lua_settop(L, SPEC);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    lua_getfield(L, SPEC, kinds[i].name);
    if (lua_istable(L, -1)) return kinds[i].draw(L, path);
    lua_pop(L, 1);
  }
  return vm_save_misuse(L, "figure", "the table has none of series, boxes, images");
}
