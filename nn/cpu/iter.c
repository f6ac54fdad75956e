/* iter.c: broadcasting walks and strided copies (iter.h). */
#include "iter.h"

#include <string.h>

void ln_strides(const ln_meta *m, int64_t stride[LN_MAX_RANK]) {
  int64_t s = 1;
  for (int i = m->rank - 1; i >= 0; i--) {
    stride[i] = s;
    s *= m->dim[i];
  }
}

/* The stride of an input over output dim d: 0 where it is broadcast. */
static int64_t broadcast_stride(const ln_meta *in, int out_rank, int d) {
  const int k = d - (out_rank - in->rank);
  if (k < 0 || in->dim[k] == 1) return 0;
  int64_t stride[LN_MAX_RANK];
  ln_strides(in, stride);
  return stride[k];
}

void ln_iter_init(ln_iter *it, const ln_meta *out, const ln_arg *in, int nin) {
  memset(it, 0, sizeof *it);
  it->nin = nin;
  for (int d = 0; d < out->rank; d++) {
    if (out->dim[d] == 1) continue;
    int64_t stride[LN_ITER_INPUTS] = {0};
    for (int k = 0; k < nin; k++) stride[k] = broadcast_stride(&in[k].meta, out->rank, d);
    bool merge = it->rank > 0;
    for (int k = 0; k < nin && merge; k++)
      merge = it->stride[k][it->rank - 1] == stride[k] * out->dim[d];
    if (!merge) it->dim[it->rank++] = 1;
    const int last = it->rank - 1;
    it->dim[last] *= out->dim[d];
    for (int k = 0; k < nin; k++) it->stride[k][last] = stride[k];
  }
  if (it->rank > 0) return;
  it->rank = 1, it->dim[0] = 1;
  for (int k = 0; k < nin; k++) it->stride[k][0] = 1;
}

void ln_iter_walk(const ln_iter *it, int64_t begin, int64_t end, ln_iter_run run, void *arg) {
  const int last = it->rank - 1;
  int64_t index[LN_MAX_RANK], offset[LN_ITER_INPUTS] = {0}, rest = begin;
  for (int d = last; d >= 0; d--) {
    index[d] = rest % it->dim[d];
    rest /= it->dim[d];
    for (int k = 0; k < it->nin; k++) offset[k] += index[d] * it->stride[k][d];
  }
  while (begin < end) {
    int64_t n = it->dim[last] - index[last];
    if (n > end - begin) n = end - begin;
    run(arg, begin, offset, n);
    begin += n;
    if (begin == end) return;
    /* The piece reached the end of the innermost dim: carry. */
    int d = last;
    for (int k = 0; k < it->nin; k++) offset[k] -= index[d] * it->stride[k][d];
    index[d] = 0;
    for (d--; d >= 0; d--) {
      index[d]++;
      for (int k = 0; k < it->nin; k++) offset[k] += it->stride[k][d];
      if (index[d] < it->dim[d]) break;
      for (int k = 0; k < it->nin; k++) offset[k] -= index[d] * it->stride[k][d];
      index[d] = 0;
    }
  }
}

/* -- copies */

/* Drops dims of size 1 and merges neighbours that are contiguous to each other on both sides. */
static ln_copy merged(const ln_copy *c) {
  ln_copy m = {.size = c->size};
  for (int d = 0; d < c->rank; d++) {
    if (c->dim[d] == 1) continue;
    const int last = m.rank - 1;
    if (m.rank > 0 && m.to[last] == c->to[d] * c->dim[d] && m.from[last] == c->from[d] * c->dim[d]) {
      m.dim[last] *= c->dim[d];
      m.to[last] = c->to[d], m.from[last] = c->from[d];
      continue;
    }
    m.dim[m.rank] = c->dim[d], m.to[m.rank] = c->to[d], m.from[m.rank] = c->from[d];
    m.rank++;
  }
  if (m.rank == 0) m.rank = 1, m.dim[0] = 1, m.to[0] = m.from[0] = 1;
  return m;
}

#define STRIDED(name, T)                                                                   \
  static void name(T *to, int64_t ts, const T *from, int64_t fs, int64_t n) {              \
    if (ts == 1 && fs == 0) for (int64_t i = 0; i < n; i++) to[i] = *from;                 \
    else if (ts == 1 && fs == -1) for (int64_t i = 0; i < n; i++) to[i] = from[-i];        \
    else for (int64_t i = 0; i < n; i++) to[i * ts] = from[i * fs];                        \
  }
STRIDED(strided_1, uint8_t)
STRIDED(strided_2, uint16_t)
STRIDED(strided_4, uint32_t)
STRIDED(strided_8, uint64_t)

static void copy_line(char *to, int64_t ts, const char *from, int64_t fs, int64_t n, size_t size) {
  if (ts == 1 && fs == 1) {
    memcpy(to, from, (size_t)n * size);
    return;
  }
  switch (size) {
    case 1: strided_1((void *)to, ts, (const void *)from, fs, n); break;
    case 2: strided_2((void *)to, ts, (const void *)from, fs, n); break;
    case 4: strided_4((void *)to, ts, (const void *)from, fs, n); break;
    default: strided_8((void *)to, ts, (const void *)from, fs, n); break;
  }
}

/* A transposing copy goes through the two dims that are contiguous on one side each by tiles.
 * A tile is read line by line into a buffer and written line by line from it, so that every
 * cache line is used up when it is touched: the strides are often powers of two, and lines that
 * far apart do not stay in a cache together. */
enum { TILE = 32 };

typedef struct copy_job {
  ln_copy c;
  char *to;
  const char *from;
  int a, b;       /* the dims of a tile: b is the last, a the one with source stride 1; a == b: no tiles */
  int64_t tiles_a, tiles_b;
} copy_job;

static void copy_tile(const copy_job *j, char *to, const char *from, int64_t a0, int64_t b0) {
  const ln_copy *c = &j->c;
  const int64_t na = c->dim[j->a] - a0 < TILE ? c->dim[j->a] - a0 : TILE;
  const int64_t nb = c->dim[j->b] - b0 < TILE ? c->dim[j->b] - b0 : TILE;
  const int64_t size = (int64_t)c->size;
  char buffer[TILE * TILE * 8] __attribute__((aligned(64)));
  from += (a0 * c->from[j->a] + b0 * c->from[j->b]) * size;
  to += (a0 * c->to[j->a] + b0 * c->to[j->b]) * size;
  for (int64_t i = 0; i < nb; i++)
    memcpy(buffer + i * TILE * size, from + i * c->from[j->b] * size, (size_t)(na * size));
  for (int64_t i = 0; i < na; i++)
    copy_line(to + i * c->to[j->a] * size, c->to[j->b], buffer + i * size, TILE, nb, c->size);
}

/* Units: lines along the last dim, or tiles. */
static void copy_units(void *arg, int64_t begin, int64_t end) {
  const copy_job *j = arg;
  const ln_copy *c = &j->c;
  const int last = c->rank - 1;
  for (int64_t u = begin; u < end; u++) {
    int64_t rest = u, to = 0, from = 0, ta = 0, tb = 0;
    if (j->a != j->b) {
      tb = rest % j->tiles_b, rest /= j->tiles_b;
      ta = rest % j->tiles_a, rest /= j->tiles_a;
    }
    for (int d = last - 1; d >= 0; d--) {
      if (d == j->a) continue;
      const int64_t i = rest % c->dim[d];
      rest /= c->dim[d];
      to += i * c->to[d], from += i * c->from[d];
    }
    char *t = j->to + to * (int64_t)c->size;
    const char *f = j->from + from * (int64_t)c->size;
    if (j->a != j->b) copy_tile(j, t, f, ta * TILE, tb * TILE);
    else copy_line(t, c->to[last], f, c->from[last], c->dim[last], c->size);
  }
}

typedef struct dense_job {
  char *to;
  const char *from;
} dense_job;

static void dense_range(void *arg, int64_t begin, int64_t end) {
  const dense_job *j = arg;
  memcpy(j->to + begin, j->from + begin, (size_t)(end - begin));
}

void ln_copy_dense(const ln_cpu *cpu, void *to, const void *from, size_t bytes) {
  if (to == from || bytes == 0) return;
  dense_job j = {to, from};
  const int64_t half = ((int64_t)bytes / cpu->threads + 4096) & ~(int64_t)4095;
  ln_cpu_for(cpu, (int64_t)bytes, half, 1, dense_range, &j);
}

void ln_copy_run(const ln_cpu *cpu, const ln_copy *copy, void *to, const void *from) {
  for (int d = 0; d < copy->rank; d++)
    if (copy->dim[d] == 0) return;
  copy_job j = {.c = merged(copy), .to = to, .from = from};
  const ln_copy *c = &j.c;
  const int last = c->rank - 1;
  if (c->rank == 1 && c->to[0] == 1 && c->from[0] == 1) {
    ln_copy_dense(cpu, to, from, (size_t)c->dim[0] * c->size);
    return;
  }
  j.a = j.b = last;
  if (c->from[last] != 1 && c->from[last] != 0) {
    for (int d = 0; d < last; d++)
      if (c->from[d] == 1 && c->dim[d] >= 4) j.a = d;
  }
  int64_t units = 1, each = c->dim[last];
  for (int d = 0; d < last; d++)
    if (d != j.a) units *= c->dim[d];
  if (j.a != j.b) {
    j.tiles_a = (c->dim[j.a] + TILE - 1) / TILE, j.tiles_b = (c->dim[j.b] + TILE - 1) / TILE;
    units *= j.tiles_a * j.tiles_b;
    each = TILE * TILE;
  }
  ln_cpu_for(cpu, units, LN_BLOCK / each + 1, each, copy_units, &j);
}
