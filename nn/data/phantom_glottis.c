/* phantom_glottis.c: an endoscopic view of the larynx. The mask is the dark gap between
 * the vocal folds; one frame in ten is closed, with only the line where the folds meet.
 * What misleads: the slits beside the folds and the pits behind the larynx are as dark as
 * the gap, the light falls off, and the exposure varies tenfold.
 *
 * Own axes: x across the glottis, y along it, posterior end at y < 0 (up in the frame).
 */
#include "phantom_draw.h"

enum { PITS = 4, GLINTS = 9 };

typedef struct glottis {
  float disc_x, disc_y, disc_r; /* the endoscope's round field of view */
  float light_x, light_y, reach2, gain;
  ln_frame larynx;
  float half_length, half_width, vee, pinch, pinch_at, bend, ragged;
  float fold_width[2], slit[2], fold_glow, depth, blur, mesh; /* [left, right] */
  float squeeze, arch_r, arch_wide, arch_glow, folds_of_wall;
  ln_bone pit[PITS];
  ln_extent by_pit[PITS], by_glints;
  float pit_depth[PITS];
  float glint_x[GLINTS], glint_y[GLINTS], glint_r2[GLINTS], glint_long[GLINTS];
} glottis;

_Static_assert(sizeof(glottis) <= LN_PHANTOM_ANATOMY, "room for the anatomy");

static void pose_gap(glottis *g, ln_stream *s) {
  g->half_length = ln_stream_between(s, 0.30f, 0.46f);
  g->half_width = g->half_length * ln_stream_between(s, 0.14f, 0.34f);
  g->vee = ln_stream_chance(s, 0.5f) ? ln_stream_between(s, 0.5f, 1.0f)
                                     : ln_stream_between(s, 0.0f, 0.3f);
  g->pinch = ln_stream_chance(s, 0.2f) ? ln_stream_between(s, 0.4f, 1.0f) : 0.0f;
  g->pinch_at = ln_stream_between(s, -0.3f, 0.4f);
  g->bend = ln_stream_between(s, -0.03f, 0.03f);
  g->ragged = ln_stream_between(s, 0.004f, 0.012f);
  if (ln_stream_chance(s, 0.1f)) g->half_width = 0.0f; /* closed */
  for (int i = 0; i < 2; i++) {
    g->fold_width[i] = ln_stream_between(s, 0.14f, 0.24f);
    g->slit[i] = ln_stream_between(s, 0.15f, 0.9f);
  }
  g->fold_glow = ln_stream_between(s, 0.08f, 0.32f);
  g->depth = ln_stream_between(s, 0.55f, 0.92f);
  g->blur = ln_stream_between(s, 0.012f, 0.045f);
}

/* Pits: two beside the larynx, one behind it, one anywhere. */
static void pose_pits(glottis *g, ln_stream *s) {
  for (int i = 0; i < PITS; i++) {
    float side = i == 0 ? -1.0f : i == 1 ? 1.0f : ln_stream_between(s, -0.6f, 0.6f);
    float x = side * ln_stream_between(s, 0.42f, 0.62f);
    float y = i < 2 ? ln_stream_between(s, -0.45f, 0.15f) : ln_stream_between(s, -0.95f, -0.65f);
    float turn = ln_stream_between(s, -0.12f, 0.12f), reach = ln_stream_between(s, 0.03f, 0.22f);
    float r = ln_stream_between(s, 0.025f, 0.07f);
    ln_bone pit = {x - turn, y - reach, x + turn, y + reach, r, r * 0.5f};
    g->pit[i] = pit;
    g->by_pit[i] = ln_extent_of(&pit, 1, 0.13f);
    g->pit_depth[i] = ln_stream_chance(s, 0.7f) ? ln_stream_between(s, 0.35f, 0.85f) : 0.0f;
  }
}

/* Specular spots sit in a few clusters, mostly on the folds. */
static void pose_glints(glottis *g, ln_stream *s) {
  float x = 0.0f, y = 0.0f;
  for (int i = 0; i < GLINTS; i++) {
    if (i % 3 == 0) {
      x = ln_stream_between(s, -0.35f, 0.35f);
      y = ln_stream_between(s, -0.6f, 0.6f);
    }
    float r = ln_stream_between(s, 0.008f, 0.032f);
    g->glint_x[i] = x + ln_stream_between(s, -0.07f, 0.07f);
    g->glint_y[i] = y + ln_stream_between(s, -0.07f, 0.07f);
    g->glint_r2[i] = r * r;
    g->glint_long[i] = ln_stream_between(s, 0.3f, 1.0f);
    ln_bone spot = {g->glint_x[i], g->glint_y[i], g->glint_x[i], g->glint_y[i], 0.0f, 0.0f};
    ln_extent e = ln_extent_of(&spot, 1, r / g->glint_long[i]);
    if (i == 0) g->by_glints = e;
    g->by_glints.left = ln_minf(g->by_glints.left, e.left);
    g->by_glints.right = ln_maxf(g->by_glints.right, e.right);
    g->by_glints.top = ln_minf(g->by_glints.top, e.top);
    g->by_glints.bottom = ln_maxf(g->by_glints.bottom, e.bottom);
  }
}

static void pose(void *anatomy, ln_stream *s, ln_sensor *sensor) {
  glottis *g = anatomy;
  g->disc_x = ln_stream_between(s, -0.08f, 0.08f);
  g->disc_y = ln_stream_between(s, -0.08f, 0.08f);
  g->disc_r = ln_stream_chance(s, 0.65f) ? ln_stream_between(s, 0.8f, 1.05f) : 2.0f;
  float shift = g->disc_r > 1.5f ? 0.25f : 0.16f;
  float x = ln_stream_between(s, -shift, shift), y = ln_stream_between(s, -shift, shift);
  /* Drawn one after the other: arguments of a call are evaluated in any order. */
  float scale = ln_stream_between(s, 0.80f, 1.35f), turn = ln_stream_between(s, -0.45f, 0.45f);
  g->larynx = ln_frame_at(x, y, turn, scale);
  g->squeeze = ln_stream_between(s, 0.8f, 1.2f); /* seen from the side */
  g->arch_r = ln_stream_between(s, 0.45f, 0.75f);
  g->arch_wide = ln_stream_between(s, 0.015f, 0.08f);
  g->arch_glow = ln_stream_between(s, 0.1f, 0.45f);
  g->folds_of_wall = ln_stream_between(s, 0.06f, 0.14f);
  g->light_x = x + ln_stream_between(s, -0.5f, 0.5f);
  g->light_y = y + ln_stream_between(s, -0.6f, 0.4f);
  float reach = ln_stream_between(s, 0.7f, 1.6f);
  g->reach2 = reach * reach;
  float gain = ln_stream_between(s, 0.45f, 1.0f);
  g->gain = 1.7f * gain * gain;
  g->mesh = ln_stream_chance(s, 0.15f) ? ln_stream_between(s, 0.05f, 0.14f) : 0.0f;
  pose_gap(g, s);
  pose_pits(g, s);
  pose_glints(g, s);
  sensor->read = ln_stream_between(s, 0.008f, 0.024f);
  sensor->shot = ln_stream_between(s, 0.005f, 0.02f);
}

/* Half the opening at t = -1 .. 1 along the glottis: a spindle, or a V open behind. */
static float opening(const glottis *g, float t) {
  if (t <= -1.0f || t >= 1.0f) return 0.0f;
  float spindle = 1.0f - t * t;
  float wedge = (1.0f - t) * 0.62f * ln_minf(1.0f, (1.0f + t) * 4.0f);
  float from = t - g->pinch_at;
  float open = ln_mix(spindle, wedge, g->vee) - g->pinch * ln_bump(from * from, 0.16f);
  return g->half_width * ln_maxf(open, 0.0f);
}

/* The walls around the folds: the posterior humps (arytenoids), the epiglottis in front,
 * the aryepiglottic ridge that frames it all. */
static float walls(const glottis *g, float x, float y) {
  float side = x < 0.0f ? -x : x, end = g->half_length;
  float hx = side - 0.16f, hy = y + end + 0.20f;
  float hump = ln_bump(hx * hx + hy * hy, 0.035f);
  float crease = ln_bump(hx * hx * 0.5f + (hy - 0.13f) * (hy - 0.13f) * 6.0f, 0.03f);
  float ex = x * 0.75f, ey = y - end - 0.22f - g->arch_r;
  float arch = sqrtf(ex * ex + ey * ey) - g->arch_r;
  float ridge = sqrtf(x * x * 1.5f + y * y) - (end + 0.22f);
  float arched = ln_bump(arch * arch, g->arch_wide) * ln_clamp01(1.2f - side);
  return 0.30f * hump - 0.22f * crease + g->arch_glow * arched +
         0.12f * ln_bump(ridge * ridge, 0.012f) - 0.10f * ln_edge(-ridge, 0.1f);
}

/* How much of the light the tissue at (x, y) returns; *gap is how far inside the opening. */
static float tissue(const glottis *g, float x, float y, const float *field, float pixel,
                    float *gap) {
  float t = y / g->half_length, t2 = ln_minf(t * t, 1.0f);
  float middle = g->bend * (1.0f - t2) + g->ragged * field[1];
  float off = x - middle, side = off < 0.0f ? -off : off;
  float half = opening(g, t);
  float past = (t < 0.0f ? -t : t) - 1.0f; /* beyond the ends of the folds */
  *gap = half - side - ln_maxf(past, 0.0f) * g->half_length;
  int lr = off < 0.0f ? 0 : 1;
  float fold_edge = g->fold_width[lr] * sqrtf(1.0f - t2 * t2 * 0.9f) + 0.4f * half;
  float in_fold = ln_edge(fold_edge - side, 0.05f) * ln_edge(0.12f - past, 0.2f);
  float albedo = 0.50f + g->folds_of_wall * field[0] + 0.04f * field[1] + 0.015f * field[2];
  albedo += walls(g, x, y) * (1.0f - in_fold);
  /* Folds are rounded: brightest in their middle, darker towards the slit and the gap. */
  float across = (side - half) / ln_maxf(fold_edge - half, 1e-3f) - 0.45f;
  albedo += in_fold * (g->fold_glow - 0.5f * g->fold_glow * ln_minf(across * across * 4.0f, 1.0f));
  float beside = side - fold_edge - 0.015f;
  float slit_long = ln_edge(-0.05f - past, 0.3f) * ln_clamp01(0.8f + 0.3f * field[1]);
  albedo *= 1.0f - g->slit[lr] * slit_long * ln_bump(beside * beside, 0.0016f);
  float closed = ln_edge(-past, 0.1f) * ln_edge(0.005f - half, 0.01f); /* where the folds touch */
  albedo *= 1.0f - 0.5f * closed * ln_line(side, 0.008f, pixel);
  return albedo;
}

static float glints(const glottis *g, float x, float y) {
  float sum = 0.0f;
  for (int i = 0; i < GLINTS; i++) {
    float dx = (x - g->glint_x[i]) * g->glint_long[i], dy = y - g->glint_y[i];
    sum += ln_bump(dx * dx + dy * dy, g->glint_r2[i]);
  }
  return sum;
}

static float shade(const void *anatomy, float u, float v, const float *field, float pixel,
                   bool *inside) {
  const glottis *g = anatomy;
  float x, y, gap;
  ln_frame_local(&g->larynx, u, v, &x, &y);
  x *= g->squeeze;
  float albedo = tissue(g, x, y, field, pixel, &gap);
  for (int i = 0; i < PITS; i++) {
    if (!ln_within(&g->by_pit[i], x, y)) continue;
    float deep = ln_bone_inside(&g->pit[i], x + 0.02f * field[0], y + 0.02f * field[1]);
    albedo *= 1.0f - g->pit_depth[i] * ln_edge(deep, 0.09f);
  }
  if (ln_within(&g->by_glints, x, y)) {
    albedo += 1.4f * glints(g, x, y) * ln_edge(0.01f - gap, 0.03f);
  }
  albedo *= 1.0f - g->depth * ln_edge(gap, ln_maxf(g->blur, pixel));
  float du = u - g->disc_x, dv = v - g->disc_y;
  float from = ln_edge(g->disc_r - sqrtf(du * du + dv * dv), ln_maxf(0.03f, pixel));
  *inside = gap > 0.0f && from > 0.5f;
  float lx = u - g->light_x, ly = v - g->light_y;
  float light = g->gain / (1.0f + (lx * lx + ly * ly) / g->reach2);
  if (g->mesh > 0.0f) { /* the honeycomb of a fibre bundle */
    float a = u * 60.0f + 128.0f, b = v * 60.0f + 128.0f;
    a -= (float)(int)a + 0.5f;
    b -= (float)(int)b + 0.5f;
    light *= 1.0f - g->mesh * ln_minf((a * a + b * b) * 4.0f, 1.0f);
  }
  return 0.03f + ln_maxf(albedo, 0.0f) * light * from;
}

const ln_phantom_kind ln_phantom_glottis = {
    .name = "glottis", .width = 256, .height = 256, .bytes = sizeof(glottis),
    .fields = 3, .knots = {5, 16, 80}, .pose = pose, .shade = shade};
