/* matmul.c: matrix products of the last two dims, leading dims broadcast.
 *
 * The output is cut into tiles whose bounds depend on the shape alone; a tile is one
 * product in one thread, so the bits do not depend on the number of threads.
 */
#include "libraries.h"

enum {
  TILE = 512,            /* rows and columns of a tile of a big product */
  MIN_TILE = 64,
  TILES = 16,            /* tiles wanted for every product that is worth sharing out */
  TILE_WORK = 1 << 19    /* multiply-adds below which a tile is not cut further */
};

typedef struct job {
  const ln_blas *blas;
  const float *a, *b;
  float *y;
  int64_t m, n, k;              /* y [m,n] = a [m,k] b [k,n] in every batch */
  bool transpose_a, transpose_b;
  int nbatch;
  int64_t batch[LN_MAX_RANK];   /* leading dims of y */
  int64_t step_a[LN_MAX_RANK], step_b[LN_MAX_RANK]; /* matrices to go on, 0 where broadcast */
  int64_t tile_m, tile_n, tiles_m, tiles_n, batches;
} job;

/* Matrices per step of each leading dim of y, for an operand that may lack dims or have 1 there. */
static void set_steps(const ln_meta *operand, const ln_meta *y, int64_t step[LN_MAX_RANK]) {
  int64_t matrices = 1;
  for (int d = y->rank - 3; d >= 0; d--) {
    int own = d - (y->rank - operand->rank);
    int64_t dim = own >= 0 ? operand->dim[own] : 1;
    step[d] = dim > 1 ? matrices : 0;
    matrices *= dim;
  }
}

/* A shared b lets the batches of a plain a be rows of one product. */
static void fold_batches(job *j, const ln_meta *a) {
  if (j->transpose_a) return;
  int64_t matrices_a = 1;
  for (int d = 0; d < a->rank - 2; d++) matrices_a *= a->dim[d];
  if (matrices_a != j->batches) return;
  for (int d = 0; d < j->nbatch; d++)
    if (j->step_b[d] != 0) return;
  j->m *= j->batches;
  j->batches = 1;
  j->nbatch = 0;
}

static void cut(job *j) {
  j->tile_m = j->m < TILE ? j->m : TILE;
  j->tile_n = j->n < TILE ? j->n : TILE;
  for (;;) {
    j->tiles_m = j->tile_m > 0 ? (j->m + j->tile_m - 1) / j->tile_m : 0;
    j->tiles_n = j->tile_n > 0 ? (j->n + j->tile_n - 1) / j->tile_n : 0;
    if (j->batches * j->tiles_m * j->tiles_n >= TILES || j->tile_m * j->tile_n * j->k < 2 * TILE_WORK) return;
    int64_t *larger = j->tile_m >= j->tile_n ? &j->tile_m : &j->tile_n;
    if (*larger < 2 * MIN_TILE) return;
    *larger = (*larger / 2 + 15) / 16 * 16; /* whole vectors */
  }
}

static job job_of(const ln_cpu *cpu, const ln_call *call) {
  const ln_meta *a = &call->in[0].meta, *b = &call->in[1].meta, *y = &call->out[0].meta;
  job j = {.blas = &ln_cpu_libraries(cpu)->blas, .a = call->in[0].data, .b = call->in[1].data, .y = call->out[0].data};
  j.transpose_a = call->attrs->transpose_a;
  j.transpose_b = call->attrs->transpose_b;
  j.m = y->dim[y->rank - 2];
  j.n = y->dim[y->rank - 1];
  j.k = j.transpose_a ? a->dim[a->rank - 2] : a->dim[a->rank - 1];
  j.nbatch = y->rank - 2;
  j.batches = 1;
  for (int d = 0; d < j.nbatch; d++) j.batches *= j.batch[d] = y->dim[d];
  set_steps(a, y, j.step_a);
  set_steps(b, y, j.step_b);
  fold_batches(&j, a);
  cut(&j);
  return j;
}

/* Which matrices of a and b belong to batch number i. */
static void matrices_of(const job *j, int64_t i, int64_t *ia, int64_t *ib) {
  *ia = *ib = 0;
  for (int d = j->nbatch - 1; d >= 0; d--) {
    int64_t at = i % j->batch[d];
    i /= j->batch[d];
    *ia += at * j->step_a[d];
    *ib += at * j->step_b[d];
  }
}

/* Where a tile starts: element offsets, and its size. */
typedef struct tile {
  int64_t a, b, y, m, n;
} tile;

static tile tile_at(const job *j, int64_t i) {
  int64_t ti = i / j->tiles_n % j->tiles_m, tj = i % j->tiles_n, batch = i / j->tiles_n / j->tiles_m;
  int64_t m0 = ti * j->tile_m, n0 = tj * j->tile_n, ia, ib;
  matrices_of(j, batch, &ia, &ib);
  tile t;
  t.a = ia * j->m * j->k + (j->transpose_a ? m0 : m0 * j->k);
  t.b = ib * j->k * j->n + (j->transpose_b ? n0 * j->k : n0);
  t.y = batch * j->m * j->n + m0 * j->n + n0;
  t.m = j->m - m0 < j->tile_m ? j->m - m0 : j->tile_m;
  t.n = j->n - n0 < j->tile_n ? j->n - n0 : j->tile_n;
  return t;
}

static void product(const job *j, tile t) {
  ln_matrix a = {j->a + t.a, j->transpose_a ? j->m : j->k, j->transpose_a};
  ln_matrix b = {j->b + t.b, j->transpose_b ? j->k : j->n, j->transpose_b};
  ln_blas_product(j->blas, t.m, t.n, j->k, a, b, 0.0f, j->y + t.y, j->n);
}

ln_code ln_cpu_matmul(ln_cpu *cpu, ln_call *call) {
  job j = job_of(cpu, call);
  int64_t tiles = j.batches * j.tiles_m * j.tiles_n;
  bool share = tiles > 1 && tiles * j.tile_m * j.tile_n * j.k >= 2 * TILE_WORK;
  int threads = ln_blas_enter();
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads) if (share)
  for (int64_t i = 0; i < tiles; i++) product(&j, tile_at(&j, i));
  ln_blas_leave(threads);
  return LN_OK;
}
