/* winograd.c: forward and backward-data by Winograd's minimal filtering: geometry, cuts, threads, workspace.
 *
 * Backward-data is a forward convolution of dst's gradient with the weights turned around in space, ci and co
 * exchanged and padding kernel - 1 - padding, so below there is one direction: `from` channels of one
 * map, `to` channels of the other. Depth taps are more input channels: k counts (tap, channel block).
 *
 * Tiles are worked on in groups. Of a group the transformed inputs V of all k are made; then, one panel of output
 * channels after the other, the products M are summed over blocks of k and turned into outputs.
 * Two ways, by shape (`shared`):
 *   many tiles   the weights are transformed once, a thread works on whole groups, V, a panel's weights and M stay in its L2;
 *   few tiles    the weights outweigh the tiles: a group is large, its V is shared by the threads, which work on
 *                panels and transform a block of weights just before its use, into L2.
 * All cuts depend on the shape alone, and a partial sum belongs to a cut: so do the bits.
 */
#include <omp.h>
#include <string.h>

#include "../kern.h"
#include "wino_kern.h"
#include "winograd.h"

enum {
  PANEL = 2,                /* vectors of output channels that a product kernel keeps in registers */
  PAD = 16,                 /* floats between positions: one cache line, a whole number of vectors */
  PARTS = 64,               /* most partial sums of a channel */
  L2_LANE = 56 << 10,       /* bytes of L2 to fill, a lane: 448 of Zen 3's 512 KB, 896 KB of chips with AVX-512 */
  WEIGHTS_MOST = 12 << 20,  /* bytes of transformed weights that are worth keeping for a run */
  SHARED_MOST = 9500 << 10  /* bytes of a shared V */
};

typedef struct plan {
  const ln_wino_kerns *kerns;
  const ln_wino_form *form;
  int64_t lanes, m, side, positions;
  int64_t n, in[3], out[3], padding[3], taps; /* of the one direction; taps in depth */
  bool backward, bf16;
  int64_t from, to;               /* vectors of channels */
  int64_t across, down, tiles;    /* tiles of a row, rows of a plane, all */
  int64_t k, k_block, k_blocks;   /* in vectors */
  int64_t panels;                 /* blocks of output channels, PANEL vectors wide */
  int64_t group, groups, parts;   /* tiles of a group; groups; partial sums of a channel */
  bool shared;
} plan;

/* -- plan */

static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void set_geometry(plan *p, const ln_conv_geometry *g, ln_conv_dir dir) {
  p->backward = dir == LN_CONV_BACKWARD_DATA;
  for (int i = 0; i < 3; i++) {
    p->in[i] = p->backward ? g->out[i] : g->in[i];
    p->out[i] = p->backward ? g->in[i] : g->out[i];
    p->padding[i] = p->backward ? g->kernel[i] - 1 - g->padding[i] : g->padding[i];
  }
  p->n = g->n;
  p->taps = g->kernel[0];
  p->from = (p->backward ? g->co : g->ci) / p->lanes;
  p->to = (p->backward ? g->ci : g->co) / p->lanes;
  p->k = p->taps * p->from;
}

static int64_t tiles_of(const plan *p, int64_t m) { return p->n * p->out[0] * up(p->out[1], m) * up(p->out[2], m); }

static void set_form(plan *p, int form) {
  p->form = p->kerns->form[p->bf16][form];
  p->m = p->form->m;
  p->side = p->m + 2;
  p->positions = p->side * p->side;
  p->across = up(p->out[2], p->m);
  p->down = up(p->out[1], p->m);
  p->tiles = tiles_of(p, p->m);
}

/* Measured on Zen 3 (512 KB of L2 a core, 32 MB of L3), one thread, 64 to 1024 channels, maps of 16 to 256. */
static void set_blocks(plan *p) {
  const int64_t vector = p->positions * p->lanes * 4; /* bytes of a vector at all positions */
  p->shared = p->tiles <= 128 || p->k * p->lanes * p->to * vector > WEIGHTS_MOST;
  p->k_block = least(p->k, (p->shared ? 1024 : 2048) / p->lanes / p->lanes);
  if (p->shared) {
    p->group = least(128, SHARED_MOST / (vector * p->k) + 1);
    p->group = up(p->tiles, up(p->tiles, p->group));
  } else {
    p->group = (L2_LANE * p->lanes / vector - PANEL * p->k * p->lanes) / (p->k + PANEL);
    if (p->group < 24) p->group = 24;
    p->group -= p->group % p->kerns->rows;
  }
  p->groups = up(p->tiles, p->group);
  p->k_blocks = up(p->k, p->k_block);
  p->panels = up(p->to, PANEL);
  p->parts = p->shared ? 1 : least(p->groups, PARTS);
}

/* Neither cuts nor workspace depend on bf16. */
static plan plan_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool bf16) {
  plan p = {.kerns = cpu->kerns->wino, .lanes = cpu->lanes, .bf16 = bf16};
  set_geometry(&p, g, dir);
  /* Products a channel pair, and what F(4x4) costs more in the transform of its weights. */
  set_form(&p, 36 * tiles_of(&p, 4) + 96 <= 16 * tiles_of(&p, 2));
  set_blocks(&p);
  return p;
}

bool ln_wino_can(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  if (cpu->kerns->wino == NULL || dir == LN_CONV_BACKWARD_WEIGHTS) return false;
  if (g->groups != 1 || g->n < 1 || g->ci < 1 || g->co < 1) return false;
  if (g->ci % cpu->lanes != 0 || g->co % cpu->lanes != 0 || g->kernel[1] != 3 || g->kernel[2] != 3) return false;
  for (int i = 0; i < 3; i++) {
    const bool fits = g->stride[i] == 1 && g->dilation[i] == 1 && g->in[i] >= 1 && g->out[i] >= 1 &&
                      g->padding[i] >= 0 && g->padding[i] < g->kernel[i];
    if (!fits) return false;
  }
  return true;
}

/* -- where things lie. Sizes in floats. */

/* From position to position. */
static int64_t v_step(const plan *p) { return p->group * p->k_block * p->lanes + PAD; }
static int64_t m_step(const plan *p) { return p->group * PANEL * p->lanes + PAD; }
static int64_t u_step(const plan *p) { return p->k_block * PANEL * p->lanes * p->lanes + PAD; }
static int64_t v_size(const plan *p) { return p->k_blocks * p->positions * v_step(p); }
static int64_t m_size(const plan *p) { return p->positions * m_step(p); }
static int64_t u_size(const plan *p) { return p->positions * u_step(p); }

/* The parts of the workspace, in bytes from its start. */
typedef struct layout {
  size_t u, v, tiles, m, moments, sums, total; /* v, tiles, m: one a thread, or v and tiles one for all */
  size_t u_each, v_each, tiles_each, m_each;
} layout;

static size_t take(size_t *total, int64_t count, size_t bytes) {
  const size_t at = *total;
  *total += (size_t)count * ln_cpu_align(bytes);
  return at;
}

static layout layout_of(const ln_cpu *cpu, const plan *p, bool kept) {
  const int64_t each = p->shared ? 1 : cpu->threads, channels = p->parts * p->to * p->lanes;
  layout l = {0};
  l.u_each = ln_cpu_align((size_t)u_size(p) * sizeof(float));
  l.v_each = ln_cpu_align((size_t)v_size(p) * sizeof(float));
  l.m_each = ln_cpu_align((size_t)m_size(p) * sizeof(float));
  l.tiles_each = ln_cpu_align((size_t)p->group * sizeof(ln_wino_tile));
  l.u = take(&l.total, p->shared ? cpu->threads : kept ? 0 : p->panels * p->k_blocks, l.u_each);
  l.v = take(&l.total, each, l.v_each);
  l.tiles = take(&l.total, each, l.tiles_each);
  l.m = take(&l.total, cpu->threads, l.m_each);
  l.moments = take(&l.total, 1, (size_t)channels * sizeof(ln_moments));
  l.sums = take(&l.total, 1, (size_t)channels * sizeof(double));
  return l;
}

size_t ln_wino_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool kept) {
  const plan p = plan_of(cpu, g, dir, false);
  return layout_of(cpu, &p, kept).total;
}

size_t ln_wino_kept_bytes(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  const plan p = plan_of(cpu, g, dir, false);
  return p.shared ? 0 : (size_t)(p.panels * p.k_blocks) * ln_cpu_align((size_t)u_size(&p) * sizeof(float));
}

/* -- a run */

typedef struct run {
  plan p;
  layout l;
  char *workspace;
  const char *in;
  char *out;
  const float *weights;
  float *u; /* all transformed weights, NULL when shared */
  int64_t in_image, out_image, act; /* act: bytes of an activation */
  const ln_epilogue *epilogue;
  ln_moments *moments; /* [part][channel], NULL when not asked for */
  double *sums;
} run;

static float *part_of(const run *r, size_t at, size_t each, int64_t i) {
  return (float *)(void *)(r->workspace + at + (size_t)i * each);
}

/* -- weights */

/* Panel c at block b of input channels, [P][k][vectors of the panel]. */
static void make_weights(const run *r, int64_t c, int64_t b, float *u) {
  const plan *p = &r->p;
  const int64_t L = p->lanes, k0 = b * p->k_block, ks = least(p->k - k0, p->k_block), to0 = c * PANEL;
  const int64_t width = least(p->to - to0, PANEL), channel = p->taps * 9;
  const int64_t filter = channel * L * (p->backward ? p->to : p->from);
  ln_wino_filter f = {.lane = p->backward ? channel : filter, .k = p->backward ? filter : channel, .flip = p->backward};
  for (int64_t k = 0; k < ks; k++)
    for (int64_t j = 0; j < width; j++) {
      const int64_t tap = (k0 + k) / p->from, block = (k0 + k) % p->from;
      f.w = r->weights + (to0 + j) * L * f.lane + block * L * f.k + (p->backward ? p->taps - 1 - tap : tap) * 9;
      p->form->weights(&f, u + (k * L * width + j) * L, width, u_step(p) / L);
    }
}

/* -- tiles */

static void set_tile(const run *r, int64_t index, ln_wino_tile *t) {
  const plan *p = &r->p;
  const int64_t L = p->lanes, w = index % p->across * p->m, row = index / p->across;
  const int64_t h = row % p->down * p->m, plane = row / p->down, d = plane % p->out[0], n = plane / p->out[0];
  const int64_t y = h - p->padding[1], x = w - p->padding[2], z = d - p->padding[0];
  const int64_t at = ((d * p->out[1] + h) * p->out[2] + w) * L;
  t->src = n * r->in_image + ((z * p->in[1] + y) * p->in[2] + x) * L;
  t->dst = n * r->out_image + at;
  t->mask = n * r->epilogue->mask_image + at;
  t->depth = (int32_t)z;
  t->top = (int32_t)(y < 0 ? -y : 0), t->left = (int32_t)(x < 0 ? -x : 0);
  t->bottom = (int32_t)least(p->side, p->in[1] - y), t->right = (int32_t)least(p->side, p->in[2] - x);
  t->rows = (int32_t)least(p->m, p->out[1] - h), t->cols = (int32_t)least(p->m, p->out[2] - w);
}

/* The tiles of a group, in blocks of nearly equal size. Returns how many tiles. */
static int64_t set_tiles(const run *r, int64_t group, ln_wino_tile *tiles) {
  const plan *p = &r->p;
  const int64_t first = group * p->group, count = least(p->tiles - first, p->group), blocks = up(count, p->kerns->rows);
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t begin = b * count / blocks, end = (b + 1) * count / blocks;
    for (int64_t i = begin; i < end; i++) {
      set_tile(r, first + i, &tiles[i]);
      tiles[i].first = (int32_t)begin, tiles[i].size = (int32_t)(end - begin);
    }
  }
  return count;
}

/* Input vector k of a group. */
static void make_input(const run *r, const ln_wino_tile *tiles, int64_t count, int64_t k, float *v) {
  const plan *p = &r->p;
  const int64_t tap = k / p->from, block = k % p->from, b = k / p->k_block, plane = p->in[1] * p->in[2] * p->lanes;
  const ln_wino_source s = {.src = r->in + (block * p->in[0] + tap) * plane * r->act, .next = p->in[0] * plane, .width = p->in[2], .tap = (int32_t)tap,
                            .depth = (int32_t)p->in[0]};
  p->form->input(&s, tiles, count, v + b * p->positions * v_step(p), least(p->k - b * p->k_block, p->k_block),
                 k % p->k_block, v_step(p) / p->lanes);
}

/* -- products and outputs of a panel */

static void multiply(const plan *p, const ln_wino_tile *tiles, int64_t count, int64_t ks, int64_t width, const float *v,
                     const float *u, float *m, bool add) {
  const int64_t L = p->lanes, quarter = ks * L * width * L / 4;
  const ln_wino_product *product = p->kerns->product[width - 1];
  for (int64_t at = 0; at < p->positions; at++, v += v_step(p), u += u_step(p), m += m_step(p)) {
    const float *ahead = u + u_step(p);
    for (int64_t t = 0, call = 0; t < count; t += tiles[t].size, call++)
      product[tiles[t].size](v + t * ks * L, u, m + t * width * L, ks, add, ahead + least(call, 3) * quarter);
  }
}

static void make_output(const run *r, const ln_wino_tile *tiles, int64_t count, int64_t c, int64_t part, const float *m) {
  const plan *p = &r->p;
  const ln_epilogue *e = r->epilogue;
  const int64_t L = p->lanes, to0 = c * PANEL, width = least(p->to - to0, PANEL);
  const int64_t volume = ln_conv_volume(p->out) * L;
  for (int64_t j = 0; j < width; j++) {
    const int64_t to = to0 + j, channel = (part * p->to + to) * L;
    const ln_wino_target o = {.dst = r->out + to * volume * r->act, .next = volume, .width = p->out[2], .relu = e->relu,
                              .bias = e->bias != NULL ? e->bias + to * L : NULL,
                              .mask = e->mask != NULL ? (const char *)e->mask + to * volume * r->act : NULL,
                              .moments = r->moments != NULL ? r->moments + channel : NULL,
                              .sums = r->sums != NULL ? r->sums + channel : NULL};
    p->form->output(&o, tiles, count, m, width, j, m_step(p) / L);
  }
}

/* `scratch` is for one block of weights where they are not all there. */
static void make_panel(const run *r, const ln_wino_tile *tiles, int64_t count, int64_t c, int64_t part, const float *v,
                       float *m, float *scratch) {
  const plan *p = &r->p;
  const int64_t width = least(p->to - c * PANEL, PANEL);
  for (int64_t b = 0; b < p->k_blocks; b++) {
    const float *u = scratch;
    if (r->u != NULL) u = r->u + (size_t)(c * p->k_blocks + b) * (r->l.u_each / sizeof(float));
    else make_weights(r, c, b, scratch);
    const int64_t ks = least(p->k - b * p->k_block, p->k_block);
    multiply(p, tiles, count, ks, width, v + b * p->positions * v_step(p), u, m, b > 0);
  }
  make_output(r, tiles, count, c, part, m);
}

/* -- the two ways */

static void run_groups(const ln_cpu *cpu, const run *r, bool fresh) {
  const plan *p = &r->p;
#pragma omp parallel num_threads(cpu->threads)
  {
    const int thread = omp_get_thread_num();
    ln_wino_tile *tiles = (ln_wino_tile *)(void *)part_of(r, r->l.tiles, r->l.tiles_each, thread);
    float *v = part_of(r, r->l.v, r->l.v_each, thread), *m = part_of(r, r->l.m, r->l.m_each, thread);
    if (fresh) {
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < p->panels * p->k_blocks; i++)
        make_weights(r, i / p->k_blocks, i % p->k_blocks, r->u + (size_t)i * (r->l.u_each / sizeof(float)));
    }
#pragma omp for schedule(dynamic, 1)
    for (int64_t part = 0; part < p->parts; part++)
      for (int64_t g = part * p->groups / p->parts; g < (part + 1) * p->groups / p->parts; g++) {
        const int64_t count = set_tiles(r, g, tiles);
        for (int64_t k = 0; k < p->k; k++) make_input(r, tiles, count, k, v);
        for (int64_t c = 0; c < p->panels; c++) make_panel(r, tiles, count, c, part, v, m, NULL);
      }
  }
}

static void run_shared(const ln_cpu *cpu, const run *r) {
  const plan *p = &r->p;
  ln_wino_tile *tiles = (ln_wino_tile *)(void *)part_of(r, r->l.tiles, 0, 0);
  float *v = part_of(r, r->l.v, 0, 0);
  for (int64_t g = 0; g < p->groups; g++) {
    const int64_t count = set_tiles(r, g, tiles);
#pragma omp parallel num_threads(cpu->threads)
    {
      const int thread = omp_get_thread_num();
      float *u = part_of(r, r->l.u, r->l.u_each, thread), *m = part_of(r, r->l.m, r->l.m_each, thread);
#pragma omp for schedule(dynamic, 1)
      for (int64_t k = 0; k < p->k; k++) make_input(r, tiles, count, k, v);
#pragma omp for schedule(dynamic, 1)
      for (int64_t c = 0; c < p->panels; c++) make_panel(r, tiles, count, c, 0, v, m, u);
    }
  }
}

/* Partial sums in the order of their cuts. */
static void finish_sums(const run *r) {
  const plan *p = &r->p;
  const int64_t channels = p->to * p->lanes;
  for (int64_t part = 0; part < p->parts; part++)
    for (int64_t c = 0; c < channels; c++) {
      if (r->moments != NULL) {
        if (part == 0) r->epilogue->moments[c] = (ln_moments){0};
        ln_moments_merge(&r->epilogue->moments[c], &r->moments[part * channels + c]);
      }
      if (r->sums != NULL) r->epilogue->sums[c] = (part == 0 ? 0 : r->epilogue->sums[c]) + r->sums[part * channels + c];
    }
}

void ln_wino_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_tensors *t,
                 const ln_conv_images *images, const ln_epilogue *epilogue, float *kept, bool fresh, void *workspace) {
  static const ln_epilogue none;
  run r = {.p = plan_of(cpu, g, dir, images->bf16), .workspace = workspace, .weights = t->weights, .act = ln_conv_act_size(images->bf16)};
  const plan *p = &r.p;
  r.l = layout_of(cpu, p, kept != NULL);
  r.in = p->backward ? t->dst : t->src, r.out = p->backward ? t->src : t->dst;
  r.in_image = p->backward ? images->dst_image : images->src_image;
  r.out_image = p->backward ? images->src_image : images->dst_image;
  r.epilogue = epilogue != NULL ? epilogue : &none;
  if (!p->shared) r.u = kept != NULL ? kept : part_of(&r, r.l.u, 0, 0);
  const size_t channels = (size_t)(p->parts * p->to * p->lanes);
  if (r.epilogue->moments != NULL)
    r.moments = memset(r.workspace + r.l.moments, 0, channels * sizeof *r.moments);
  if (r.epilogue->sums != NULL) r.sums = memset(r.workspace + r.l.sums, 0, channels * sizeof *r.sums);
  if (p->shared) run_shared(cpu, &r);
  else run_groups(cpu, &r, kept == NULL || fresh);
  finish_sums(&r);
}
