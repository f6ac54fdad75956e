/* bf16.h: a call whose blocked images are stored as bf16 beside the same call in f32, for values that bf16 has: an image that
 * comes out is the f32 one, rounded; whatever else comes out is of what was stored.
 */
#ifndef LN_TESTS_BF16_H
#define LN_TESTS_BF16_H

#include "blocked.h"

static inline uint16_t bf16_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float float_of(uint16_t half) {
  const uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* What `layouts` says when the images may be bf16: sets layouts and dtypes. Is anything stored as bf16 then? */
static inline bool ask_bf16(example *e) {
  bool any = false;
  for (int i = 0; i < e->call.nin + e->call.nout; i++) {
    ln_arg *a = arg_of(e, i);
    a->low = is_image(a) && a->meta.dtype == LN_F32;
    a->layout = i < e->call.nin && a->low ? LN_BLOCKED : LN_PLAIN;
  }
  backend->layouts(one, &e->call);
  for (int i = 0; i < e->call.nin + e->call.nout; i++) any = any || arg_of(e, i)->meta.dtype == LN_BF16;
  return any;
}

enum { HALF_GUARD = 0x7fa5 };

/* A plain tensor's blocked copy, stored as bf16. */
static inline void to_halves(ln_arg *to, const ln_arg *from, int64_t gap, bool copy) {
  to->image = from->numel / from->meta.dim[0] + gap;
  uint16_t *data = (uint16_t *)fresh((size_t)room(to) * 2);
  for (int64_t i = 0; i < room(to); i++) data[i] = HALF_GUARD;
  data += MARGIN;
  for (int64_t i = 0; i < from->numel && copy; i++) data[blocked_index(to, i)] = bf16_of(((float *)from->data)[i]);
  to->data = data;
}

static inline void drop_halves(ln_arg *a) { ln_free(&mem, (uint16_t *)a->data - MARGIN); }

static inline bool half_guards_stand(const ln_arg *a) {
  const uint16_t *data = a->data;
  const int64_t each = a->numel / a->meta.dim[0];
  for (int64_t i = -MARGIN; i < 0; i++)
    if (data[i] != HALF_GUARD) return false;
  for (int64_t n = 0; n < a->meta.dim[0]; n++)
    for (int64_t i = each; i < a->image; i++)
      if (data[n * a->image + i] != HALF_GUARD) return false;
  return true;
}

/* How many stored elements are not the rounded ones of `want`, and the largest distance in steps of bf16. Near zero, where terms
 * have cancelled each other out, the steps are smaller than f32's errors, Winograd's among them. */
static inline int64_t unlike(const ln_arg *got, const ln_arg *want, int *furthest) {
  const float *values = want->data;
  float largest = 0;
  int64_t count = 0;
  *furthest = 0;
  for (int64_t i = 0; i < want->numel; i++) largest = fmaxf(largest, fabsf(values[i])); /* NaN counts for nothing */
  for (int64_t i = 0; i < want->numel; i++) {
    const uint16_t a = ((uint16_t *)got->data)[blocked_index(got, i)], b = bf16_of(values[i]);
    const int steps = abs((int)a - (int)b);
    count += a != b;
    if (steps > *furthest && !(fabsf(float_of(a) - values[i]) <= 1e-5f * largest)) *furthest = steps;
  }
  return count;
}

/* Inputs become what bf16 has, weights that a convolution reads too. */
static inline void round_inputs(example *e) {
  for (int i = 0; i < e->call.nin; i++) {
    float *data = e->in[i].data;
    for (int64_t k = 0; is_image(&e->in[i]) && e->in[i].meta.dtype == LN_F32 && k < e->in[i].numel; k++) data[k] = float_of(bf16_of(data[k]));
  }
}

/* The call in the forms that were asked for, f32 or bf16 where blocked. `from` has the plain data. */
static inline void lay_out(example *e, const example *from, int64_t gap, bool in_place) {
  for (int i = 0; i < e->call.nin + e->call.nout; i++) {
    ln_arg *a = arg_of(e, i);
    const ln_arg *p = i < e->call.nin ? &from->in[i] : &from->out[i - e->call.nin];
    if (i == e->call.nin && in_place) a->data = e->in[0].data, a->image = e->in[0].image;
    else if (a->meta.dtype == LN_BF16) to_halves(a, p, gap, i < e->call.nin);
    else if (a->layout == LN_BLOCKED) to_blocked(a, p, gap, i < e->call.nin);
    else if (i >= e->call.nin) a->data = fresh(ln_nbytes(&a->meta));
  }
}

static inline void drop_laid_out(example *e, bool in_place) {
  for (int i = 0; i < e->call.nin + e->call.nout; i++) {
    ln_arg *a = arg_of(e, i);
    if (i == e->call.nin && in_place) continue;
    if (a->meta.dtype == LN_BF16) drop_halves(a);
    else if (a->layout == LN_BLOCKED) drop_blocked(a);
    else if (i >= e->call.nin) ln_free(&mem, a->data);
  }
}

static inline void own(example *e) {
  e->call.in = e->in, e->call.out = e->out, e->call.attrs = &e->attrs, e->call.scalars = &e->scalars, e->call.err = &e->err;
}

/* Checks of an output that is no bf16 image are the caller's: `rest` is given each, and the whole call. */
typedef void check_rest(const example *low, const example *full, int output);

/* Runs on `cpu` and looks at everything. full: the plain results of f32. `apart`: an image may differ by so many steps in a few elements. */
static inline void run_low(const example *full, ln_cpu *cpu, int64_t gap, bool in_place, int apart, check_rest *rest) {
  example e = *full;
  own(&e);
  if (!ask_bf16(&e)) abort();
  lay_out(&e, full, gap, in_place);
  const ln_code code = run_on(cpu, &e);
  check(code == LN_OK, &e, "runs in bf16");
  for (int o = 0; o < e.call.nout && code == LN_OK; o++) {
    int furthest;
    if (e.out[o].meta.dtype == LN_BF16) {
      const int64_t count = unlike(&e.out[o], &full->out[o], &furthest);
      const bool near = apart == 0 ? count == 0 : furthest <= apart && count <= full->out[o].numel / 100 + 2;
      check(near, full, in_place ? "bf16 in place" : "bf16 is f32, rounded");
      check(half_guards_stand(&e.out[o]), full, "bf16 leaves what lies between images alone");
    } else if (rest != NULL) {
      rest(&e, full, o);
    } else {
      check(same(&e.out[o], &full->out[o], true), full, "beside bf16 the rest has the bits of f32");
    }
  }
  drop_laid_out(&e, in_place);
}

/* The plain results of the call are made anew, in f32, of rounded inputs. `weights`: a convolution's, which the kernels for
 * bf16 round themselves; or NULL. False when no kernel takes bf16. */
static inline bool compare_bf16(example *plain, int apart, check_rest *rest, ln_arg *weights) {
  example asked = *plain, full = *plain;
  own(&asked), own(&full);
  if (!ask_bf16(&asked)) return false;
  const size_t bytes = weights != NULL ? ln_nbytes(&weights->meta) : 0;
  void *raw = fresh(bytes);
  if (bytes > 0) memcpy(raw, weights->data, bytes);
  round_inputs(plain);
  for (int i = 0; i < full.call.nin + full.call.nout; i++) arg_of(&full, i)->layout = arg_of(&asked, i)->layout;
  lay_out(&full, plain, 0, false);
  check(run_on(one, &full) == LN_OK, plain, "runs in f32");
  for (int o = 0; o < full.call.nout; o++) {
    int32_t *to = plain->out[o].data;
    const int32_t *from = full.out[o].data;
    for (int64_t i = 0; i < plain->out[o].numel; i++) to[i] = from[full.out[o].layout == LN_BLOCKED ? blocked_index(&full.out[o], i) : i];
  }
  drop_laid_out(&full, false);
  if (bytes > 0) memcpy(weights->data, raw, bytes);
  ln_free(&mem, raw);
  run_low(plain, one, 0, false, apart, rest);
  run_low(plain, three, 5 * one->lanes, false, apart, rest);
  if (ln_op_get(plain->call.op)->flags & LN_INPLACE && plain->in[0].numel == plain->out[0].numel)
    run_low(plain, one, one->lanes, true, apart, rest);
  return true;
}

#endif
