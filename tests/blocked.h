/* blocked.h: one op in the plain layout and in the blocked one, for tests/blocked_test.c and bf16.h: examples with their data,
 * blocked copies of them whose images lie apart with guards between them, and how the two compare.
 */
#ifndef LN_TESTS_BLOCKED_H
#define LN_TESTS_BLOCKED_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/cpu.h"
#include "isas.h"

enum { MAX_IN = 8, GUARD = 0x7fa5a5a5 };

static ln_mem mem;
static int passed, failed;
static uint64_t drawn;
static const ln_backend *backend;
static ln_cpu *one, *three; /* devices of one instruction set with 1 and 3 threads */
static const char *isa;

typedef struct example {
  ln_call call;
  ln_arg in[MAX_IN], out[LN_MAX_OUTPUTS];
  ln_attrs attrs;
  ln_scalars scalars;
  ln_error err;
} example;

static inline void check(bool good, const example *e, const char *what) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  char text[2][LN_SHAPE_TEXT];
  ln_shape_text(&e->in[0].meta, text[0], sizeof text[0]);
  ln_shape_text(&e->out[0].meta, text[1], sizeof text[1]);
  if (failed < 40)
    printf("FAILED %s %s: %s: %s -> %s, kernel %d stride %d %s\n", isa, ln_op_get(e->call.op)->name, what, text[0], text[1],
           (int)e->attrs.kernel[0], (int)e->attrs.stride[0], e->err.text);
}

static inline void *fresh(size_t bytes) {
  void *block = ln_alloc(&mem, bytes);
  if (block == NULL) abort();
  return block;
}

/* -- examples */

static inline bool is_image(const ln_arg *a) { return a->meta.rank >= 3 && a->numel != 1; }

static inline ln_arg *arg_of(example *e, int i) { return i < e->call.nin ? &e->in[i] : &e->out[i - e->call.nin]; }

static inline void begin(example *e) {
  memset(e, 0, sizeof *e);
  ln_attrs_default(&e->attrs, &e->scalars);
}

/* in[].meta and attrs are set; asks the shape rule for the rest and gives outputs memory. */
static inline bool complete(example *e, ln_op op, int nin) {
  ln_meta in[MAX_IN], out[LN_MAX_OUTPUTS];
  const int nout = ln_op_info_get(op)->nout;
  e->call = (ln_call){.op = op, .nin = nin, .nout = nout, .in = e->in, .out = e->out, .attrs = &e->attrs,
                      .scalars = &e->scalars, .err = &e->err};
  for (int i = 0; i < nin; i++) {
    in[i] = e->in[i].meta;
    e->in[i].numel = in[i].dtype == LN_NONE ? 0 : ln_numel(&in[i]);
  }
  if (ln_op_get(op)->shape(in, nin, &e->attrs, out, &e->err) != LN_OK) return false;
  for (int o = 0; o < nout; o++) {
    e->out[o].meta = out[o];
    e->out[o].numel = ln_numel(&out[o]);
    e->out[o].data = fresh(ln_nbytes(&out[o]));
  }
  return true;
}

static inline ln_code run_on(ln_cpu *cpu, example *e) {
  ln_code code = backend->prepare(cpu, &e->call);
  if (code != LN_OK) return code;
  e->call.workspace = fresh(e->call.workspace_bytes);
  memset(e->call.workspace, 0xff, e->call.workspace_bytes); /* NaN: nothing may rely on it */
  code = backend->run(cpu, &e->call);
  backend->release(cpu, &e->call);
  ln_free(&mem, e->call.workspace);
  return code;
}

static inline void drop(example *e) {
  for (int i = 0; i < e->call.nin + e->call.nout; i++) ln_free(&mem, arg_of(e, i)->data);
}

/* -- between the layouts, element by element */

/* Where element i of a plain tensor lies in its blocked form. */
static inline int64_t blocked_index(const ln_arg *a, int64_t i) {
  const int64_t lanes = one->lanes, each = a->numel / a->meta.dim[0], s = each / a->meta.dim[1];
  const int64_t n = i / each, c = i % each / s;
  return n * a->image + (c / lanes * s + i % s) * lanes + c % lanes;
}

enum { MARGIN = 24 }; /* guards before the first image */

static inline int64_t room(const ln_arg *a) { return a->meta.dim[0] * a->image + MARGIN; }

static inline void to_blocked(ln_arg *to, const ln_arg *from, int64_t gap, bool copy) {
  *to = *from;
  to->layout = LN_BLOCKED;
  to->image = from->numel / from->meta.dim[0] + gap;
  int32_t *data = (int32_t *)fresh((size_t)room(to) * 4);
  for (int64_t i = 0; i < room(to); i++) data[i] = GUARD;
  data += MARGIN;
  for (int64_t i = 0; i < from->numel && copy; i++) data[blocked_index(to, i)] = ((int32_t *)from->data)[i];
  to->data = data;
}

static inline void drop_blocked(ln_arg *a) { ln_free(&mem, (int32_t *)a->data - MARGIN); }

static inline bool guards_stand(const ln_arg *a) {
  const int32_t *data = (int32_t *)a->data;
  const int64_t each = a->numel / a->meta.dim[0];
  for (int64_t i = -MARGIN; i < 0; i++)
    if (data[i] != GUARD) return false;
  for (int64_t n = 0; n < a->meta.dim[0]; n++)
    for (int64_t i = each; i < a->image; i++)
      if (data[n * a->image + i] != GUARD) return false;
  return true;
}

/* -- comparing */

static inline bool near_within(const float *a, const float *b, int64_t n, double relative) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    norm += (double)b[i] * (double)b[i];
  }
  return sqrt(difference) <= relative * sqrt(norm) + 1e-12;
}

static inline bool near_to(const float *a, const float *b, int64_t n) { return near_within(a, b, n, 1e-6); }

/* A blocked or plain result beside the plain one. */
static inline bool same(const ln_arg *got, const ln_arg *want, bool exact) {
  float *plain = fresh((size_t)want->numel * 4);
  for (int64_t i = 0; i < want->numel; i++)
    plain[i] = ((float *)got->data)[got->layout == LN_BLOCKED ? blocked_index(got, i) : i];
  const bool bits = memcmp(plain, want->data, (size_t)want->numel * 4) == 0;
  const bool good = bits || (!exact && near_to(plain, want->data, want->numel));
  ln_free(&mem, plain);
  return good;
}

/* -- one example in both layouts */

/* What the call is with its images blocked; which of its inputs already was does not matter. */
static inline void ask_layouts(example *e, const example *plain, int already) {
  for (int i = 0; i < e->call.nin; i++) e->in[i].layout = i == already ? LN_BLOCKED : LN_PLAIN;
  for (int o = 0; o < e->call.nout; o++) e->out[o].layout = LN_PLAIN;
  backend->layouts(one, &e->call);
  for (int i = 0; i < e->call.nin + e->call.nout; i++) {
    const bool wanted = is_image(arg_of(e, i)) && !(e->call.op == LN_OP_sum && i == 1);
    check(arg_of(e, i)->layout == (wanted ? LN_BLOCKED : LN_PLAIN), plain, "has the layouts of the rule");
  }
}

typedef struct variant {
  int64_t gap;  /* between images, in elements */
  bool in_place;
  ln_cpu *cpu;
} variant;

/* Runs the call again with another number of threads. */
static inline void compare_threads(example *e, const example *plain) {
  void *before[LN_MAX_OUTPUTS];
  size_t bytes[LN_MAX_OUTPUTS];
  for (int o = 0; o < e->call.nout; o++) {
    const ln_arg *a = &e->out[o];
    bytes[o] = a->layout == LN_BLOCKED ? (size_t)(a->meta.dim[0] * a->image) * 4 : ln_nbytes(&a->meta);
    before[o] = fresh(bytes[o]);
    memcpy(before[o], a->data, bytes[o]);
  }
  for (int threads = 0; threads < 2; threads++) {
    const ln_code code = run_on(threads ? three : one, e);
    for (int o = 0; o < e->call.nout; o++)
      check(code == LN_OK && memcmp(before[o], e->out[o].data, bytes[o]) == 0, plain, "has the same bits for 1 and 3 threads");
  }
  for (int o = 0; o < e->call.nout; o++) ln_free(&mem, before[o]);
}

static inline void run_variant(example *plain, const variant *v, bool exact) {
  example e = *plain;
  ln_arg asked_in[MAX_IN], asked_out[LN_MAX_OUTPUTS];
  e.call.in = e.in, e.call.out = e.out, e.call.attrs = &e.attrs, e.call.scalars = &e.scalars, e.call.err = &e.err;
  for (int i = 0; i < e.call.nin; i++)
    if (is_image(&e.in[i])) ask_layouts(&e, plain, i);
  memcpy(asked_in, e.in, sizeof asked_in), memcpy(asked_out, e.out, sizeof asked_out);
  for (int i = 0; i < e.call.nin + e.call.nout; i++) {
    ln_arg *a = arg_of(&e, i);
    const ln_arg *p = arg_of(plain, i);
    if (a->layout == LN_BLOCKED) to_blocked(a, p, v->in_place ? v->gap : v->gap * (1 + i), i < e.call.nin);
    else if (i >= e.call.nin) a->data = fresh(ln_nbytes(&a->meta));
  }
  if (v->in_place) drop_blocked(&e.out[0]), e.out[0].data = e.in[0].data;
  const ln_code code = run_on(v->cpu, &e);
  check(code == LN_OK, &e, "runs blocked");
  for (int i = 0; i < e.call.nin + e.call.nout && code == LN_OK; i++) {
    ln_arg *a = arg_of(&e, i);
    if (a->layout == LN_BLOCKED) check(guards_stand(a), plain, "leaves what lies between images alone");
    const bool rounded = !exact && a->meta.dtype == LN_F32;
    if (i >= e.call.nin) check(same(a, arg_of(plain, i), !rounded), plain, v->in_place ? "in place" : "equals the plain kernel");
    else if (!v->in_place || i > 0) check(a->layout != LN_BLOCKED || same(a, arg_of(plain, i), true), plain, "leaves inputs alone");
  }
  if (!v->in_place && !exact && code == LN_OK) compare_threads(&e, plain);
  for (int i = 0; i < e.call.nin + e.call.nout; i++) {
    ln_arg *a = arg_of(&e, i);
    if (v->in_place && i == e.call.nin) continue;
    if (a->layout == LN_BLOCKED) drop_blocked(a);
    else if (i >= e.call.nin) ln_free(&mem, a->data);
  }
}

static inline void compare(example *plain, bool exact) {
  const ln_arg *image = is_image(&plain->in[0]) ? &plain->in[0] : &plain->in[1];
  const int64_t plane = image->numel / image->meta.dim[0] / image->meta.dim[1] * one->lanes;
  check(run_on(one, plain) == LN_OK, plain, "runs plain");
  run_variant(plain, &(variant){0, false, one}, exact);
  run_variant(plain, &(variant){plane, false, one}, exact);
  run_variant(plain, &(variant){2 * plane, false, three}, exact);
  const bool may_overwrite = ln_op_get(plain->call.op)->flags & LN_INPLACE && plain->in[0].numel == plain->out[0].numel;
  if (may_overwrite) run_variant(plain, &(variant){plane, true, one}, exact);
}

/* -- every instruction set of this processor */

static inline bool open_device(ln_cpu **cpu, int threads) {
  ln_error err;
  const ln_device_options options = {.threads = threads, .deterministic = true};
  void *self;
  if (backend->open(&mem, &options, &self, &err) != LN_OK) return false;
  *cpu = self;
  return true;
}

/* Prints the total; the status of main. */
static inline int run_everywhere(void (*run)(void)) {
  bool wanted[ISAS];
  int skipped = 0;
  backend = ln_cpu_backend();
  isas_wanted(wanted);
  for (int i = 0; i < ISAS; i++) {
    if (!wanted[i]) continue;
    isa = isas[i];
    setenv("LUNETTE_ISA", isa, 1);
    if (!open_device(&one, 1)) {
      printf("%s: skipped, not on this processor\n", isa);
      skipped++;
      continue;
    }
    if (!open_device(&three, 3)) abort();
    run();
    backend->close(one), backend->close(three);
  }
  if (mem.live != 0) failed++, printf("FAILED: %zu bytes are still live\n", (size_t)mem.live);
  printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed != 0;
}

/* -- inputs */

static inline ln_meta meta_of(ln_dtype dtype, int rank, const int64_t *dim) {
  ln_meta m = {.dtype = dtype, .rank = rank};
  for (int i = 0; i < rank; i++) m.dim[i] = dim[i];
  return m;
}

/* kind: 'x' a normal image, 'n' one with NaN and infinities, 'p' positive, 'o' far from 0, 'c' a vector of the channels,
 * 'v' a positive one, 's' a scalar, '-' absent. */
static inline void fill(ln_arg *a, char kind) {
  float *data = a->data = fresh(ln_nbytes(&a->meta));
  const int64_t n = a->numel = ln_numel(&a->meta);
  const uint64_t counter = drawn++;
  for (int64_t i = 0; i < n; i++) {
    const float r = ln_normal_at(2, counter, (uint64_t)i);
    data[i] = kind == 'p' || kind == 'v' ? 0.1f + fabsf(r) : r;
    if (kind == 'o') data[i] = 300.0f + r;
    if (kind == 'n' && i % 7 == 3) data[i] = i % 5 == 0 ? INFINITY : i % 5 == 1 ? -INFINITY : i % 5 == 2 ? -0.0f : NAN;
  }
}

static inline void set_inputs(example *e, const char *kinds, const ln_meta *image) {
  for (int i = 0; kinds[i]; i++) {
    if (kinds[i] == '-') continue;
    e->in[i].meta = *image;
    if (strchr("cv", kinds[i])) e->in[i].meta = meta_of(LN_F32, 1, &image->dim[1]);
    if (kinds[i] == 's') e->in[i].meta = meta_of(LN_F32, 0, NULL);
    fill(&e->in[i], kinds[i]);
  }
}

#endif
