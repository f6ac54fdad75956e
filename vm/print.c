/* print.c: a tensor as text. Costs what is printed: of more than SUMMARY elements only
 * EDGE at each end of a dim are read.
 *
 *   (1,.,.) =
 *     0.1000  0.2000
 *     0.3000  0.4000
 *   [f32 1x2x2 cpu]
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind.h"

enum { SUMMARY = 1000, EDGE = 3, LINE = 80, CELL = 40 };

typedef enum style { STYLE_BOOL, STYLE_WHOLE, STYLE_FIXED, STYLE_SCIENTIFIC } style;

typedef struct printer {
  luaL_Buffer out;
  const void *data;
  const ln_meta *meta;
  bool summary;
  style style;
  bool dot;          /* whole floats: a dot tells them from integers */
  int width;
  int64_t at[LN_MAX_RANK];
  /* over the printed elements */
  bool fraction;
  double largest, smallest; /* magnitudes, finite and not 0 */
} printer;

static bool shortened(const printer *p, int d) { return p->summary && p->meta->dim[d] > 2 * EDGE; }

/* The index after i in dim d: a summary jumps from the first edge to the last. */
static int64_t after(const printer *p, int d, int64_t i) {
  return i + 1 == EDGE && shortened(p, d) ? p->meta->dim[d] - EDGE : i + 1;
}

static double element(const printer *p) {
  int64_t offset = 0;
  for (int d = 0; d < p->meta->rank; d++) offset = offset * p->meta->dim[d] + p->at[d];
  return vm_element(p->data, p->meta->dtype, offset);
}

static void cell_text(const printer *p, double x, char text[CELL]) {
  if (isnan(x)) snprintf(text, CELL, "nan");
  else if (isinf(x)) snprintf(text, CELL, x > 0 ? "inf" : "-inf");
  else if (p->style == STYLE_BOOL) snprintf(text, CELL, x != 0 ? "true" : "false");
  else if (p->style == STYLE_WHOLE) snprintf(text, CELL, "%.0f%s", x, p->dot ? "." : "");
  else snprintf(text, CELL, p->style == STYLE_FIXED ? "%.4f" : "%.4e", x);
}

/* -- first walk: which style, how wide */

typedef enum move { MOVE_END, MOVE_STEP, MOVE_JUMP } move;

/* Steps at[] to the next printed position of the first `rank` dims, the last one fastest. */
static move advance(printer *p, int rank) {
  for (int d = rank - 1; d >= 0; d--) {
    int64_t here = p->at[d], next = after(p, d, here);
    p->at[d] = next < p->meta->dim[d] ? next : 0;
    if (p->at[d] != 0) return next > here + 1 ? MOVE_JUMP : MOVE_STEP;
  }
  return MOVE_END;
}

static void survey(printer *p, void (*visit)(printer *, double)) {
  do visit(p, element(p));
  while (advance(p, p->meta->rank) != MOVE_END);
}

static void note_size(printer *p, double x) {
  double magnitude = fabs(x);
  if (!isfinite(x)) return;
  p->fraction = p->fraction || x != floor(x);
  if (magnitude > p->largest) p->largest = magnitude;
  if (magnitude > 0 && magnitude < p->smallest) p->smallest = magnitude;
}

static void note_width(printer *p, double x) {
  char text[CELL];
  cell_text(p, x, text);
  int width = (int)strlen(text);
  if (width > p->width) p->width = width;
}

static void choose_style(printer *p) {
  p->smallest = INFINITY;
  survey(p, note_size);
  p->dot = ln_is_float(p->meta->dtype);
  if (p->meta->dtype == LN_BOOL) p->style = STYLE_BOOL;
  else if (!p->dot) p->style = STYLE_WHOLE;
  else if (p->largest >= 1e6 || p->smallest < 1e-4) p->style = STYLE_SCIENTIFIC;
  else p->style = p->fraction ? STYLE_FIXED : STYLE_WHOLE;
  survey(p, note_width);
}

/* -- second walk */

static void add(printer *p, const char *text) { luaL_addstring(&p->out, text); }

static void add_row(printer *p, const char *indent) {
  int d = p->meta->rank - 1, column = 0;
  char text[CELL], padded[CELL + 4];
  add(p, indent);
  for (int64_t i = 0; i < p->meta->dim[d]; i = after(p, d, i)) {
    if (column + p->width + 2 > LINE) {
      add(p, "\n");
      add(p, indent);
      column = 0;
    }
    p->at[d] = i;
    cell_text(p, element(p), text);
    snprintf(padded, sizeof padded, "%s%*s", column == 0 ? "" : "  ", p->width, text);
    add(p, padded);
    column += p->width + 2;
    if (after(p, d, i) > i + 1) {
      add(p, "  ...");
      column += 5;
    }
  }
  add(p, "\n");
}

static void add_matrix(printer *p) {
  int d = p->meta->rank - 2;
  for (int64_t i = 0; i < p->meta->dim[d]; i = after(p, d, i)) {
    p->at[d] = i;
    add_row(p, "  ");
    if (after(p, d, i) > i + 1) add(p, "  ...\n");
  }
}

/* A matrix for each position of the leading dims, which are named from 1. */
static void add_slices(printer *p) {
  int lead = p->meta->rank - 2;
  char number[32];
  move moved;
  do {
    for (int d = 0; d < lead; d++) {
      snprintf(number, sizeof number, "%s%lld", d == 0 ? "(" : ",", (long long)p->at[d] + 1);
      add(p, number);
    }
    if (lead > 0) add(p, ",.,.) =\n");
    add_matrix(p);
    moved = advance(p, lead);
    if (moved == MOVE_JUMP) add(p, "...\n");
  } while (moved != MOVE_END);
}

static void add_footer(printer *p, const ln_value *v) {
  char shape[LN_SHAPE_TEXT], text[LN_SHAPE_TEXT + 64];
  snprintf(text, sizeof text, "[%s %s %s%s]", ln_dtype_name(v->meta.dtype),
           ln_shape_text(&v->meta, shape, sizeof shape), ln_device_name(v->device),
           v->requires_grad ? ", requires grad" : "");
  add(p, text);
}

static void add_scalar(printer *p) {
  double x = element(p);
  char text[CELL];
  if (p->style == STYLE_FIXED || p->style == STYLE_SCIENTIFIC) snprintf(text, sizeof text, "%.6g", x);
  else cell_text(p, x, text);
  add(p, text);
  add(p, "  ");
}

int vm_tensor_tostring(lua_State *L) {
  printer p;
  memset(&p, 0, sizeof p);
  lua_settop(L, 1);
  if (luaL_testudata(L, 1, VM_TENSOR) != NULL && vm_test_tensor(L, 1) == NULL) {
    lua_pushliteral(L, "[freed tensor]");
    return 1;
  }
  vm_poll(L);
  ln_value *v = vm_check_tensor(L, 1);
  vm_push_value(L, v); /* holds the data, whatever a finalizer does to the first handle meanwhile */
  p.data = vm_data(L, v);
  p.meta = &v->meta;
  int64_t numel = ln_numel(p.meta);
  p.summary = numel > SUMMARY;
  luaL_checkstack(L, LUA_MINSTACK, "tostring");
  luaL_buffinit(L, &p.out);
  if (numel > 0) choose_style(&p);
  if (numel > 0 && p.meta->rank == 0) add_scalar(&p);
  if (numel > 0 && p.meta->rank == 1) add_row(&p, "  ");
  if (numel > 0 && p.meta->rank >= 2) add_slices(&p);
  add_footer(&p, v);
  luaL_pushresult(&p.out);
  vm_drop_tensor(L, 2);
  return 1;
}
