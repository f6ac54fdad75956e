/* norm_grad.c: the gradient of batch normalisation, also with ReLU, and max pooling, behind it. With xhat = (x - mean) rstd
 * and m elements a channel:
 *
 *   gx = w rstd (gy - sum gy / m - (x - mean) rstd^2 sum (gy (x - mean)) / m), gw = sum (gy xhat), gb = sum gy
 */
#include "layer_kern.h"
#include "norm.h"
#include "unpool.h"
#include "workspace.h"

typedef struct grad_job {
  const ln_spans *spans;
  const ln_norm_kerns *kerns;      /* blocked; NULL: plain */
  ln_planes planes;
  ln_images gy, x, gx;
  const float *mean, *var, *w, *b; /* w, b NULL: 1 and 0 */
  float *gw, *gb;
  double eps;
  bool relu;                       /* gy goes through ReLU's gradient first, whose y is computed from x */
  ln_norm_constants constants;
  double *sums;                    /* of each piece: `width` sums of gy, then as many of gy (x - mean) */
  const ln_unpool *pool;           /* makes gy, which is gx then, and pieces are its pairs of rows; NULL: gy is there */
} grad_job;

static size_t sums_bytes(const ln_planes *p) {
  return ln_cpu_align((size_t)(ln_piece_count(p) * p->width * 2) * sizeof(double));
}

size_t ln_cpu_norm_grad_workspace(const ln_cpu *cpu, const ln_call *call) {
  const ln_planes p = ln_planes_of(cpu, &call->in[1], LN_NORM_PIECE);
  return ln_norm_constants_bytes(&p) + sums_bytes(&p);
}

/* j->planes is set. The job must stay where it is. */
static void open_job(grad_job *j, const ln_cpu *cpu, const ln_call *call, const ln_arg *x) {
  j->spans = cpu->spans;
  j->kerns = x->layout == LN_BLOCKED ? cpu->kerns->layer[ln_is_bf16(x)]->norm : NULL;
  j->x = ln_images_of(x);
  j->gx = ln_images_of(&call->out[0]);
  j->eps = call->attrs->eps;
  j->constants = (ln_norm_constants){&j->planes, call->workspace};
  j->sums = (void *)((char *)call->workspace + ln_norm_constants_bytes(&j->planes));
}

static double *sums_of(const grad_job *j, int64_t u) { return j->sums + u * 2 * j->planes.width; }

/* -- plain rows: with ReLU a part of the row is masked into a buffer that stays in the cache */

enum { PART = 2048 };

typedef struct plain_row {
  float mean, factor, shift, c1, c2;
} plain_row;

static plain_row row_of(const grad_job *j, int64_t channel) {
  const float *k = ln_norm_constant(&j->constants, channel, 0);
  return (plain_row){k[LN_NORM_MEAN], k[LN_NORM_FACTOR], k[LN_NORM_SHIFT], k[LN_NORM_C1], k[LN_NORM_C2]};
}

static const float *masked(const grad_job *j, const plain_row *k, const float *gy, const float *x, int64_t n, float *buffer) {
  if (!j->relu) return gy;
  j->spans->layer->normalize(buffer, x, n, k->mean, k->factor, k->shift);
  j->spans->map->map[LN_OP_relu_grad](buffer, gy, buffer, NULL, n, 0);
  return buffer;
}

static void sums_plain(const grad_job *j, double sums[2], const float *gy, const float *x, int64_t n, int64_t channel) {
  const plain_row k = row_of(j, channel);
  float buffer[PART];
  sums[0] = sums[1] = 0;
  for (int64_t i = 0; i < n; i += PART) {
    const int64_t count = n - i < PART ? n - i : PART;
    j->spans->reduce->dots(sums, masked(j, &k, gy + i, x + i, count, buffer), x + i, count, k.mean);
  }
}

static void apply_plain(const grad_job *j, float *gx, const float *gy, const float *x, int64_t n, int64_t channel) {
  const plain_row k = row_of(j, channel);
  float buffer[PART];
  for (int64_t i = 0; i < n; i += PART) {
    const int64_t count = n - i < PART ? n - i : PART;
    j->spans->layer->normalize_grad(gx + i, masked(j, &k, gy + i, x + i, count, buffer), x + i, count, k.mean,
                                    k.factor, k.c1, k.c2);
  }
}

/* -- the three steps */

static void sums_range(void *arg, int64_t begin, int64_t end) {
  const grad_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    void *gy = ln_piece_data(&j->planes, &p, j->gy);
    const void *x = ln_piece_data(&j->planes, &p, j->x);
    if (j->pool) ln_unpool_pair(j->pool, p.n, p.plane, p.from / j->planes.piece, gy);
    if (j->kerns) j->kerns->norm_sums(sums_of(j, u), gy, x, p.length, ln_norm_constant(&j->constants, p.plane, 0), j->relu);
    else sums_plain(j, sums_of(j, u), gy, x, p.length, p.plane);
  }
}

static void merge_range(void *arg, int64_t begin, int64_t end) {
  const grad_job *j = arg;
  const ln_planes *p = &j->planes;
  const double count = (double)(p->n * p->s);
  for (int64_t c = begin * p->width; c < end * p->width; c++) {
    double sum[2];
    ln_channel_sums(p, j->sums, 2, c, sum);
    const double rstd = ln_norm_rstd(j->var[c], j->eps);
    j->gw[c] = (float)(sum[1] * rstd);
    j->gb[c] = (float)sum[0];
    const int64_t plane = c / p->width, lane = c % p->width;
    ln_norm_constant(&j->constants, plane, LN_NORM_C1)[lane] = (float)(sum[0] / count);
    ln_norm_constant(&j->constants, plane, LN_NORM_C2)[lane] = (float)(sum[1] * rstd * rstd / count);
  }
}

static void apply_range(void *arg, int64_t begin, int64_t end) {
  const grad_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    const void *gy = ln_piece_data(&j->planes, &p, j->gy), *x = ln_piece_data(&j->planes, &p, j->x);
    void *gx = ln_piece_data(&j->planes, &p, j->gx);
    if (j->kerns) j->kerns->norm_grad(gx, gy, x, p.length, ln_norm_constant(&j->constants, p.plane, 0), j->relu);
    else apply_plain(j, gx, gy, x, p.length, p.plane);
  }
}

static ln_code run(ln_cpu *cpu, const ln_call *call, grad_job *j) {
  j->gw = call->out[1].data, j->gb = call->out[2].data;
  ln_norm_set_all(cpu, &j->constants, j->mean, j->var, j->w, j->b, j->eps);
  ln_for_pieces(cpu, &j->planes, sums_range, j);
  ln_for_planes(cpu, &j->planes, merge_range, j);
  ln_for_pieces(cpu, &j->planes, apply_range, j);
  return LN_OK;
}

static ln_code norm_grad(ln_cpu *cpu, ln_call *call, grad_job *j) {
  j->planes = ln_planes_of(cpu, &call->in[1], LN_NORM_PIECE);
  open_job(j, cpu, call, &call->in[1]);
  j->gy = ln_images_of(&call->in[0]);
  return run(cpu, call, j);
}

ln_code ln_cpu_batch_norm_grad(ln_cpu *cpu, ln_call *call) {
  grad_job j = {.w = call->in[2].data, .mean = call->in[3].data, .var = call->in[4].data};
  return norm_grad(cpu, call, &j);
}

ln_code ln_cpu_norm_relu_grad(ln_cpu *cpu, ln_call *call) {
  grad_job j = {.mean = call->in[2].data, .var = call->in[3].data, .w = call->in[4].data, .b = call->in[5].data,
                .relu = true};
  return norm_grad(cpu, call, &j);
}

/* -- the gradient that max pooling sends back, added to another, on its way through */

/* Pieces are pairs of rows; false: those would not be of the same size. */
static bool pair_planes(const ln_cpu *cpu, const ln_arg *x, ln_planes *p) {
  const int rank = x->meta.rank;
  const int64_t width = x->meta.dim[rank - 1], height = rank > 3 ? x->meta.dim[rank - 2] : 1;
  *p = ln_planes_of(cpu, x, LN_NORM_PIECE);
  p->piece = 2 * width;
  p->pieces = (p->s + p->piece - 1) / p->piece;
  return height % 2 == 0 || p->s == height * width;
}

size_t ln_cpu_norm_relu_pool_grad_workspace(const ln_cpu *cpu, const ln_call *call) {
  ln_planes pairs, pieces = ln_planes_of(cpu, &call->in[3], LN_NORM_PIECE);
  pair_planes(cpu, &call->in[3], &pairs);
  const size_t most = sums_bytes(&pairs) > sums_bytes(&pieces) ? sums_bytes(&pairs) : sums_bytes(&pieces);
  const size_t normal = ln_norm_constants_bytes(&pieces) + most, unpooled = ln_cpu_max_pool_grad_workspace(cpu, call);
  return unpooled > normal ? unpooled : normal;
}

/* One after the other. */
static ln_code in_two_steps(ln_cpu *cpu, ln_call *call, const ln_unpool *pool) {
  ln_call norm = *call;
  ln_arg in[6] = {call->out[0]};
  for (int i = 1; i < 6; i++) in[i] = call->in[2 + i];
  norm.nin = 6, norm.in = in;
  ln_unpool_fill(cpu, pool, &call->out[0], call->workspace);
  return ln_cpu_norm_relu_grad(cpu, &norm);
}

ln_code ln_cpu_norm_relu_pool_grad(ln_cpu *cpu, ln_call *call) {
  ln_unpool pool;
  grad_job j = {.mean = call->in[4].data, .var = call->in[5].data, .w = call->in[6].data, .b = call->in[7].data, .relu = true,
                .pool = &pool};
  const bool even = pair_planes(cpu, &call->in[3], &j.planes);
  const ln_code code = ln_unpool_open(cpu, &pool, &call->out[0], &call->in[0], &call->in[1], &call->in[2], call->err);
  if (code != LN_OK) return code;
  if (!even || !pool.by_rows) return in_two_steps(cpu, call, &pool);
  open_job(&j, cpu, call, &call->in[3]);
  j.gy = j.gx;
  return run(cpu, call, &j);
}
