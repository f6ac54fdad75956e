/* conv_measured.c: keys of convolutions and the table of measured choices (see conv_measured.h). */
#include "conv_measured.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- keys */

/* Every number is printed by one format and read by another of the same shape. */
#define DIMS_OUT "%" PRId64 "x%" PRId64 "x%" PRId64
#define DIMS_IN "%" SCNd64 "x%" SCNd64 "x%" SCNd64
#define LIST(v) (v)[0], (v)[1], (v)[2]
#define PLACES(v) &(v)[0], &(v)[1], &(v)[2]

static const char *const dir_names[] = {
    [LN_CONV_FORWARD] = "forward", [LN_CONV_BACKWARD_DATA] = "data", [LN_CONV_BACKWARD_WEIGHTS] = "weights"};
static const char layout_names[] = {[LN_PLAIN] = 'p', [LN_BLOCKED] = 'b'};

/* As many images as make the work long beside the start of threads and the memory larger than caches keep: a power of two. */
static int64_t images_that_tell(const ln_cpu *cpu, const ln_conv_geometry *g) {
  const double work = 4e9 * cpu->threads, byte = 64; /* FLOP; how many a byte costs, generously */
  double out = (double)ln_conv_volume(g->out), in = (double)ln_conv_volume(g->in);
  double flop = 2.0 * (double)g->co * (double)(g->ci / g->groups) * (double)ln_conv_volume(g->kernel) * out;
  double image = flop + byte * sizeof(float) * ((double)g->ci * in + (double)g->co * out);
  int64_t n = 2;
  while (n < g->n && (n < cpu->threads || (double)n * image < work)) n *= 2;
  return n < g->n ? n : g->n;
}

bool ln_conv_key(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                 char key[LN_CHOICE_KEY]) {
  int length = snprintf(
      key, LN_CHOICE_KEY,
      "%s %s %c%c %" PRId64 "x%" PRId64 "@" DIMS_OUT " %" PRId64 "@" DIMS_OUT " k" DIMS_OUT " s" DIMS_OUT " p" DIMS_OUT
      " d" DIMS_OUT " g%" PRId64,
      dir_names[dir], sides->images.bf16 ? "bf16" : cpu->strict ? "strict" : "f32", layout_names[sides->src], layout_names[sides->dst],
      images_that_tell(cpu, g), g->ci, LIST(g->in), g->co, LIST(g->out), LIST(g->kernel), LIST(g->stride), LIST(g->padding),
      LIST(g->dilation), g->groups);
  return length > 0 && length < LN_CHOICE_KEY;
}

static bool read_key(const char *key, ln_conv_geometry *g, char dir[9], char precision[7], char layouts[2]) {
  int end = 0;
  int read = sscanf(key,
                    "%8s %6s %c%c %" SCNd64 "x%" SCNd64 "@" DIMS_IN " %" SCNd64 "@" DIMS_IN " k" DIMS_IN " s" DIMS_IN
                    " p" DIMS_IN " d" DIMS_IN " g%" SCNd64 "%n",
                    dir, precision, &layouts[0], &layouts[1], &g->n, &g->ci, PLACES(g->in), &g->co, PLACES(g->out), PLACES(g->kernel),
                    PLACES(g->stride), PLACES(g->padding), PLACES(g->dilation), &g->groups, &end);
  return read == 26 && key[end] == '\0';
}

static bool within(const int64_t v[LN_SPATIAL], int64_t least) {
  enum { MOST = 1 << 20 };
  for (int i = 0; i < LN_SPATIAL; i++)
    if (v[i] < least || v[i] > MOST) return false;
  return true;
}

static bool count_is_sane(double a, double b, double c) {
  const double most = 2147483648.0; /* elements: 8 GB */
  return a * b * c <= most;
}

static bool exists(const ln_conv_geometry *g) {
  enum { MOST = 1 << 24 };
  const int64_t counts[] = {g->n, g->ci, g->co, g->groups};
  for (int i = 0; i < 4; i++)
    if (counts[i] < 1 || counts[i] > MOST) return false;
  if (!within(g->in, 1) || !within(g->out, 1) || !within(g->kernel, 1) || !within(g->stride, 1) || !within(g->padding, 0) ||
      !within(g->dilation, 1) || g->ci % g->groups != 0 || g->co % g->groups != 0)
    return false;
  for (int i = 0; i < LN_SPATIAL; i++) {
    int64_t room = g->in[i] + 2 * g->padding[i] - g->dilation[i] * (g->kernel[i] - 1) - 1;
    if (room < 0 || g->out[i] != room / g->stride[i] + 1) return false;
  }
  return count_is_sane((double)g->n, (double)g->ci, (double)g->in[0] * (double)g->in[1] * (double)g->in[2]) &&
         count_is_sane((double)g->n, (double)g->co, (double)g->out[0] * (double)g->out[1] * (double)g->out[2]) &&
         count_is_sane((double)g->co, (double)(g->ci / g->groups), (double)g->kernel[0] * (double)g->kernel[1] * (double)g->kernel[2]);
}

bool ln_conv_of_key(const ln_cpu *cpu, const char *key, ln_conv_geometry *g, ln_conv_dir *dir, ln_conv_sides *sides) {
  char name[9] = "", precision[7] = "", layouts[2], again[LN_CHOICE_KEY];
  if (strlen(key) >= LN_CHOICE_KEY || !read_key(key, g, name, precision, layouts) || !exists(g)) return false;
  int d = LN_CONV_FORWARD;
  while (d <= LN_CONV_BACKWARD_WEIGHTS && strcmp(name, dir_names[d]) != 0) d++;
  if (d > LN_CONV_BACKWARD_WEIGHTS) return false;
  *dir = (ln_conv_dir)d;
  *sides = (ln_conv_sides){layouts[0] == 'b' ? LN_BLOCKED : LN_PLAIN, layouts[1] == 'b' ? LN_BLOCKED : LN_PLAIN,
                           {g->ci * ln_conv_volume(g->in), g->co * ln_conv_volume(g->out), strcmp(precision, "bf16") == 0}};
  return ln_conv_key(cpu, g, *dir, sides, again) && strcmp(key, again) == 0; /* numbers in one way only, this precision */
}

/* -- the table: rows by key in order, their texts behind them */

typedef struct row {
  const char *key;
  ln_conv_method method;
} row;

struct ln_conv_table {
  int count;
  row row[];
};

static int by_key(const void *a, const void *b) { return strcmp(((const row *)a)->key, ((const row *)b)->key); }

static bool method_named(const char *name, ln_conv_method *out) {
  for (int m = 0; m < LN_CONV_METHODS; m++)
    if (strcmp(name, ln_conv_method_name((ln_conv_method)m)) == 0) {
      *out = (ln_conv_method)m;
      return true;
    }
  return false;
}

ln_code ln_conv_table_new(ln_mem *mem, const ln_choice *list, int count, ln_conv_table **out, ln_error *err) {
  size_t head = sizeof **out + (size_t)count * sizeof(row), texts = 0;
  for (int i = 0; i < count; i++) texts += strlen(list[i].key) + 1;
  ln_conv_table *t = ln_alloc(mem, head + texts);
  if (t == NULL) return ln_fail(err, LN_ENOMEM, "out of memory for %d measured choices", count);
  char *at = (char *)t + head;
  t->count = 0;
  for (int i = 0; i < count; i++) {
    row *r = &t->row[t->count];
    if (!method_named(list[i].kernel, &r->method)) continue;
    size_t length = strlen(list[i].key) + 1;
    r->key = memcpy(at, list[i].key, length);
    at += length;
    t->count++;
  }
  qsort(t->row, (size_t)t->count, sizeof *t->row, by_key);
  *out = t;
  return LN_OK;
}

void ln_conv_table_free(ln_mem *mem, ln_conv_table *table) { ln_free(mem, table); }

bool ln_conv_measured(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                      ln_conv_method *out) {
  const ln_conv_table *t = cpu->measured;
  char key[LN_CHOICE_KEY];
  if (t == NULL || t->count == 0 || !ln_conv_key(cpu, g, dir, sides, key)) return false;
  const row *found = bsearch(&(row){.key = key}, t->row, (size_t)t->count, sizeof *t->row, by_key);
  if (found != NULL) *out = found->method;
  return found != NULL;
}
