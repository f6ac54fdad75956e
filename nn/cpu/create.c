/* create.c: tensors from nothing: full, arange, and the random draws. */
#include "../base/rng.h"
#include "cast.h"
#include "iter.h"
#include "span.h"

#include <math.h>

typedef struct create_job {
  const ln_cpu *cpu;
  const ln_scalars *s;
  ln_dtype dtype;
  char *y;
  size_t size;
} create_job;

static create_job job_of(const ln_cpu *cpu, const ln_call *call) {
  const ln_dtype dtype = call->out[0].meta.dtype;
  return (create_job){cpu, call->scalars, dtype, call->out[0].data, ln_dtype_size(dtype)};
}

static void full_range(void *arg, int64_t begin, int64_t end) {
  const create_job *j = arg;
  double value = j->s->value;
  char *to = j->y + begin * (int64_t)j->size;
  if (j->dtype == LN_F32) {
    float *y = (void *)to;
    for (int64_t i = 0; i < end - begin; i++) y[i] = (float)value;
    return;
  }
  for (int64_t i = 0; i < end - begin; i++) ln_cast_from_double(j->dtype, to + i * (int64_t)j->size, value);
}

ln_code ln_cpu_full(ln_cpu *cpu, ln_call *call) {
  create_job j = job_of(cpu, call);
  ln_cpu_for(cpu, call->out[0].numel, LN_BLOCK, 1, full_range, &j);
  return LN_OK;
}

static void arange_range(void *arg, int64_t begin, int64_t end) {
  const create_job *j = arg;
  for (int64_t i = begin; i < end; i++)
    ln_cast_from_double(j->dtype, j->y + i * (int64_t)j->size, j->s->value + (double)i * j->s->increment);
}

ln_code ln_cpu_arange(ln_cpu *cpu, ln_call *call) {
  create_job j = job_of(cpu, call);
  ln_cpu_for(cpu, call->out[0].numel, LN_BLOCK, 1, arange_range, &j);
  return LN_OK;
}

/* The value is formed in double and rounded once, as the reference device does. */
static void uniform_range(void *arg, int64_t begin, int64_t end) {
  const create_job *j = arg;
  float *y = (float *)(void *)j->y + begin;
  const double lo = j->s->lo, width = j->s->hi - lo;
  j->cpu->spans->step->uniform(y, end - begin, j->s, begin);
  for (int64_t i = 0; i < end - begin; i++) y[i] = (float)(lo + width * (double)y[i]);
}

ln_code ln_cpu_uniform(ln_cpu *cpu, ln_call *call) {
  create_job j = job_of(cpu, call);
  ln_cpu_for(cpu, call->out[0].numel, LN_BLOCK, 4, uniform_range, &j);
  return LN_OK;
}

/* Four elements a Philox block, as ln_normal_at gives them one by one. */
static void normal_block(float out[4], uint64_t seed, uint64_t counter, uint64_t block) {
  static const double tau = 6.283185307179586476925286766559;
  uint32_t w[4];
  ln_philox(seed, counter, block, w);
  for (int pair = 0; pair < 4; pair += 2) {
    const double radius = sqrt(-2.0 * log(((double)w[pair] + 1.0) * 0x1p-32));
    const double angle = tau * ((double)w[pair + 1] * 0x1p-32);
    out[pair] = (float)(radius * cos(angle));
    out[pair + 1] = (float)(radius * sin(angle));
  }
}

/* LN_BLOCK is a multiple of 4, so a range begins with a fresh block. */
static void normal_range(void *arg, int64_t begin, int64_t end) {
  const create_job *j = arg;
  float *y = (void *)j->y;
  for (int64_t i = begin; i < end; i += 4) {
    float z[4];
    normal_block(z, j->s->seed, j->s->counter, (uint64_t)i / 4);
    for (int64_t k = i; k < end && k < i + 4; k++) y[k] = (float)(j->s->mean + j->s->std * (double)z[k - i]);
  }
}

ln_code ln_cpu_normal(ln_cpu *cpu, ln_call *call) {
  create_job j = job_of(cpu, call);
  ln_cpu_for(cpu, call->out[0].numel, LN_BLOCK, 32, normal_range, &j);
  return LN_OK;
}
