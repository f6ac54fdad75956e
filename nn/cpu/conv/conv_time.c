/* conv_time.c: what a key names is made a step, once with each method that is able: the op that training has there (with
 * ReLU, or ReLU's mask and the bias' sums), prepared and run by the backend itself, on a device that differs from the
 * real one in a table of choices with one row. First each runs alone; those that are far behind are left at that, the
 * others go on in turns, A B A B, and the median counts.
 */
#include "conv_time.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cast.h"
#include "conv_measured.h"
#include "pairs.h"

enum { MAX_IN = 3, MAX_OUT = 2, MIN_ROUNDS = 5, MAX_ROUNDS = 25 };
static_assert((int)LN_CONV_METHODS <= (int)LN_MAX_TIMINGS, "room for each");

/* One method's step. */
typedef struct trial {
  ln_cpu device;
  ln_call call; /* the job's arguments and attributes */
  void *workspace;
  double alone; /* seconds, the best of the runs before the rounds */
  double round[MAX_ROUNDS];
  bool out; /* far behind: not in the rounds */
} trial;

typedef struct job {
  const ln_cpu *cpu;
  ln_conv_geometry g;
  ln_conv_dir dir;
  ln_conv_sides sides;
  ln_arg in[MAX_IN], result[MAX_OUT];
  ln_attrs attrs;
  ln_scalars scalars;
  ln_error *err;
  trial trial[LN_CONV_METHODS];
  int trials;
} job;

/* -- the step: five-dimensional whatever it was, as geometries are */

static void set_meta(ln_arg *a, int64_t d0, int64_t d1, const int64_t *space, ln_layout layout, bool bf16) {
  a->meta = (ln_meta){.dtype = layout == LN_BLOCKED && bf16 ? LN_BF16 : LN_F32, .rank = space != NULL ? 5 : 1, .dim = {d0, d1}};
  for (int i = 0; space != NULL && i < LN_SPATIAL; i++) a->meta.dim[2 + i] = space[i];
  a->numel = ln_numel(&a->meta);
  a->layout = layout;
  a->image = a->numel / d0;
}

static void set_arguments(job *j) {
  const ln_conv_geometry *g = &j->g;
  const bool bf16 = j->sides.images.bf16;
  ln_arg src, weights, dst, vector;
  memset(&src, 0, sizeof src);
  weights = dst = vector = src;
  set_meta(&src, g->n, g->ci, g->in, j->sides.src, bf16);
  set_meta(&weights, g->co, g->ci / g->groups, g->kernel, LN_PLAIN, bf16);
  set_meta(&dst, g->n, g->co, g->out, j->sides.dst, bf16);
  set_meta(&vector, j->dir == LN_CONV_FORWARD ? g->co : g->ci, 0, NULL, LN_PLAIN, bf16);
  switch (j->dir) {
  case LN_CONV_FORWARD: j->in[0] = src, j->in[1] = weights, j->in[2] = vector, j->result[0] = dst; break;
  case LN_CONV_BACKWARD_DATA: j->in[0] = dst, j->in[1] = weights, j->in[2] = src, j->result[0] = src, j->result[1] = vector; break;
  case LN_CONV_BACKWARD_WEIGHTS: j->in[0] = src, j->in[1] = dst, j->result[0] = weights; break;
  }
  memcpy(j->attrs.stride, g->stride, sizeof g->stride);
  memcpy(j->attrs.padding, g->padding, sizeof g->padding);
  memcpy(j->attrs.dilation, g->dilation, sizeof g->dilation);
  memcpy(j->attrs.kernel, g->kernel, sizeof g->kernel);
  j->attrs.groups = g->groups;
}

/* Numbers of either sign, none so small that it slows arithmetic down. */
static ln_code fill(job *j, ln_arg *a) {
  if (a->meta.dtype == LN_NONE) return LN_OK;
  const int64_t size = (int64_t)ln_dtype_size(a->meta.dtype);
  a->data = ln_alloc(j->cpu->mem, ln_nbytes(&a->meta));
  if (a->data == NULL) return ln_fail(j->err, LN_ENOMEM, "no memory to time a convolution with: %lld MiB wanted", (long long)(a->numel >> 18));
  const int threads = j->cpu->threads;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t i = 0; i < a->numel; i++) ln_cast_from_double(a->meta.dtype, (char *)a->data + i * size, (double)(i % 1009 - 504) / 1024);
  return LN_OK;
}

static ln_code make_arguments(job *j) {
  set_arguments(j);
  ln_code code = LN_OK;
  for (int i = 0; i < MAX_IN && code == LN_OK; i++) code = fill(j, &j->in[i]);
  for (int o = 0; o < MAX_OUT && code == LN_OK; o++) code = fill(j, &j->result[o]);
  return code;
}

/* -- trials */

static void close_trial(trial *t) {
  ln_cpu_backend()->release(&t->device, &t->call);
  ln_conv_table_free(t->device.mem, t->device.measured);
  ln_free(t->device.mem, t->workspace);
}

static ln_code make_call(job *j, trial *t) {
  static const ln_op ops[] = {LN_OP_conv_relu, LN_OP_conv_input_grad_masked, LN_OP_conv_weight_grad};
  const bool weights = j->dir == LN_CONV_BACKWARD_WEIGHTS;
  t->call = (ln_call){.op = ops[j->dir], .nin = weights ? 2 : 3, .nout = j->dir == LN_CONV_BACKWARD_DATA ? 2 : 1, .in = j->in,
                      .out = j->result, .attrs = &j->attrs, .scalars = &j->scalars, .err = j->err};
  ln_code code = ln_cpu_backend()->prepare(&t->device, &t->call);
  if (code != LN_OK) return code;
  t->workspace = ln_alloc(j->cpu->mem, t->call.workspace_bytes);
  t->call.workspace = t->workspace;
  if (t->workspace != NULL) return LN_OK;
  return ln_fail(j->err, LN_ENOMEM, "no memory to time a convolution with: %zu MiB wanted", t->call.workspace_bytes >> 20);
}

/* Adds a trial where the method is able and not hopeless. (oneDNN has nothing for some geometries, and another method steps in.) */
static ln_code add_trial(job *j, const char *key, ln_conv_method method) {
  if (!ln_conv_able(j->cpu, &j->g, j->dir, &j->sides, method)) return LN_OK;
  if (method == LN_CONV_PAIRS && j->cpu->pairs->rate == 0) return LN_OK;
  trial *t = &j->trial[j->trials];
  *t = (trial){.device = *j->cpu};
  t->device.measured = NULL;
  const char *name = ln_conv_method_name(method);
  char got[LN_CHOICE_KEY];
  ln_code code = ln_conv_table_new(j->cpu->mem, &(ln_choice){key, name}, 1, &t->device.measured, j->err);
  if (code == LN_OK) code = make_call(j, t);
  const char *taken = code == LN_OK ? ln_cpu_conv_chosen(&t->device, &t->call, got) : NULL;
  if (taken != NULL && strcmp(taken, name) == 0) j->trials++;
  else close_trial(t);
  return code;
}

static ln_code add_trials(job *j, const char *key) {
  ln_conv_method first = ln_conv_shipped(j->cpu, &j->g, j->dir, &j->sides);
  ln_code code = add_trial(j, key, first);
  for (int m = 0; m < LN_CONV_METHODS && code == LN_OK; m++)
    if ((ln_conv_method)m != first) code = add_trial(j, key, (ln_conv_method)m);
  return code;
}

static ln_code run(trial *t, double *seconds) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  ln_code code = ln_cpu_backend()->run(&t->device, &t->call);
  clock_gettime(CLOCK_MONOTONIC, &b);
  *seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
  return code;
}

/* Twice, as the first touches its workspace; once where even that is no excuse. */
static ln_code run_alone(job *j) {
  const double hopeless = 3, behind = 1.5;
  double best = 1e30, again;
  ln_code code = LN_OK;
  for (int i = 0; i < j->trials && code == LN_OK; i++) {
    trial *t = &j->trial[i];
    code = run(t, &t->alone);
    if (code != LN_OK || t->alone > hopeless * best) continue;
    code = run(t, &again);
    if (again < t->alone) t->alone = again;
    if (t->alone < best) best = t->alone;
  }
  for (int i = 0; i < j->trials; i++) j->trial[i].out = j->trial[i].alone > behind * best;
  return code;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static ln_code run_rounds(job *j, double time, ln_timing *out) {
  int rounds = 0, left = 0;
  double spent = 0;
  ln_code code = LN_OK;
  for (int i = 0; i < j->trials; i++) left += !j->trial[i].out;
  for (; left > 1 && code == LN_OK && rounds < MAX_ROUNDS && (rounds < MIN_ROUNDS || spent < time); rounds++)
    for (int i = 0; i < j->trials && code == LN_OK; i++) {
      if (j->trial[i].out) continue;
      code = run(&j->trial[i], &j->trial[i].round[rounds]);
      spent += j->trial[i].round[rounds];
    }
  for (int i = 0; i < j->trials; i++) {
    trial *t = &j->trial[i];
    qsort(t->round, (size_t)rounds, sizeof *t->round, compare);
    bool alone = t->out || rounds == 0;
    char key[LN_CHOICE_KEY];
    out[i] = (ln_timing){ln_cpu_conv_chosen(&t->device, &t->call, key), alone ? t->alone : t->round[rounds / 2]};
  }
  return code;
}

static ln_code time_methods(job *j, const char *key, double seconds, ln_timing *out, int *count) {
  ln_code code = make_arguments(j);
  if (code == LN_OK) code = add_trials(j, key);
  if (code == LN_OK) code = run_alone(j);
  if (code == LN_OK) code = run_rounds(j, seconds, out);
  *count = code == LN_OK ? j->trials : 0;
  for (int i = 0; i < j->trials; i++) close_trial(&j->trial[i]);
  for (int i = 0; i < MAX_IN; i++) ln_free(j->cpu->mem, j->in[i].data);
  for (int o = 0; o < MAX_OUT; o++) ln_free(j->cpu->mem, j->result[o].data);
  return code;
}

ln_code ln_cpu_conv_time(void *self, const char *key, double seconds, ln_timing out[LN_MAX_TIMINGS], int *count,
                         ln_error *err) {
  const ln_cpu *cpu = self;
  *count = 0;
  job *j = ln_calloc(cpu->mem, 1, sizeof *j);
  if (j == NULL) return ln_fail(err, LN_ENOMEM, "no memory to time a convolution with");
  j->cpu = cpu;
  j->err = err;
  ln_code code = ln_conv_of_key(cpu, key, &j->g, &j->dir, &j->sides)
                     ? time_methods(j, key, seconds, out, count)
                     : ln_fail(err, LN_EINVAL, "no convolution of this device: %.120s", key);
  ln_free(cpu->mem, j);
  return code;
}
