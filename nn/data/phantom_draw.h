/* phantom_draw.h: what the phantom families share (private to nn/data/phantom*.c).
 *
 * A family is a `pose` that draws one anatomy's parameters from a random stream, and a
 * `shade` that gives the brightness at a point of it. Points are continuous: u to the
 * right and v downwards, both -1 .. 1 over the frame. Organic irregularity comes from
 * fields: smooth noise over a lattice of random knots, the same at every picture size.
 *
 * Per point only + - * / sqrt and polynomials are used, which round alike everywhere.
 */
#ifndef LN_DATA_PHANTOM_DRAW_H
#define LN_DATA_PHANTOM_DRAW_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LN_PHANTOM_FIELDS = 4, LN_PHANTOM_ANATOMY = 2048, LN_PHANTOM_KNOTS = 96 };

/* Random numbers of one picture, in order. */
typedef struct ln_stream {
  uint64_t seed, index, block;
  int left; /* words of `word` not yet used */
  uint32_t word[4];
} ln_stream;

float ln_stream_between(ln_stream *s, float low, float high);
bool ln_stream_chance(ln_stream *s, float probability);

/* Noise of the camera, per pixel: sigma = read + shot * sqrt(brightness), in units where
 * white is 1. */
typedef struct ln_sensor {
  float read, shot;
} ln_sensor;

typedef struct ln_phantom_kind {
  const char *name;
  int width, height; /* native size */
  size_t bytes;      /* of the anatomy struct, at most LN_PHANTOM_ANATOMY */
  int fields;
  int knots[LN_PHANTOM_FIELDS]; /* lattice cells a side of each field */
  void (*pose)(void *anatomy, ln_stream *s, ln_sensor *sensor);
  /* Brightness, 0 black .. 1 white, at (u, v). field[k] is field k there, mean 0 and
   * standard deviation about 1. pixel is the size of a pixel, for edges. Sets *inside. */
  float (*shade)(const void *anatomy, float u, float v, const float *field, float pixel,
                 bool *inside);
} ln_phantom_kind;

extern const ln_phantom_kind ln_phantom_glottis, ln_phantom_bolus, ln_phantom_brain;

static inline float ln_mix(float a, float b, float t) { return a + (b - a) * t; }
static inline float ln_minf(float a, float b) { return a < b ? a : b; }
static inline float ln_maxf(float a, float b) { return a > b ? a : b; }
static inline float ln_clamp01(float x) { return ln_minf(ln_maxf(x, 0.0f), 1.0f); } /* no branch */

/* 0 well outside, 1 well inside, a smooth step of the given width at distance 0. (Mostly
 * the width is a constant: its reciprocal is then one too, and nothing is divided.) */
static inline float ln_edge(float inside, float width) {
  float t = ln_clamp01(inside * (1.0f / width) + 0.5f);
  return t * t * (3.0f - 2.0f * t);
}

/* A bump that is 1 at d2 == 0 and falls to 0 at d2 >= r2 (both squared distances). */
static inline float ln_bump(float d2, float r2) {
  float t = ln_maxf(1.0f - d2 * (1.0f / r2), 0.0f);
  return t * t;
}

/* A thin dark or bright line of the given half-width, faded rather than lost where it is
 * thinner than a pixel. */
static inline float ln_line(float distance, float half, float pixel) {
  float wide = ln_maxf(half, 0.6f * pixel);
  return ln_bump(distance * distance, wide * wide * 2.0f) * (half / wide);
}

/* A segment a-b whose radius goes from ra to rb. */
typedef struct ln_bone {
  float ax, ay, bx, by, ra, rb;
} ln_bone;

/* How far (x, y) lies inside it; negative outside. */
static inline float ln_bone_inside(const ln_bone *b, float x, float y) {
  float dx = b->bx - b->ax, dy = b->by - b->ay;
  float length2 = dx * dx + dy * dy + 1e-9f;
  float t = ln_clamp01(((x - b->ax) * dx + (y - b->ay) * dy) / length2);
  float ex = x - b->ax - t * dx, ey = y - b->ay - t * dy;
  return ln_mix(b->ra, b->rb, t) - sqrtf(ex * ex + ey * ey);
}

/* Where a group of bones can matter; most points of a picture are far from most of them. */
typedef struct ln_extent {
  float left, right, top, bottom;
} ln_extent;

static inline ln_extent ln_extent_of(const ln_bone *bones, int count, float margin) {
  ln_extent e = {1e9f, -1e9f, 1e9f, -1e9f};
  for (int i = 0; i < count; i++) {
    const ln_bone *b = &bones[i];
    float around = ln_maxf(b->ra, b->rb) + margin;
    e.left = ln_minf(e.left, ln_minf(b->ax, b->bx) - around);
    e.right = ln_maxf(e.right, ln_maxf(b->ax, b->bx) + around);
    e.top = ln_minf(e.top, ln_minf(b->ay, b->by) - around);
    e.bottom = ln_maxf(e.bottom, ln_maxf(b->ay, b->by) + around);
  }
  return e;
}

static inline bool ln_within(const ln_extent *e, float x, float y) {
  return x > e->left && x < e->right && y > e->top && y < e->bottom;
}

/* Rotation, scale and shift from the frame to the anatomy's own axes. */
typedef struct ln_frame {
  float cx, cy, cosine, sine, scale;
} ln_frame;

static inline ln_frame ln_frame_at(float cx, float cy, float radians, float scale) {
  ln_frame f = {cx, cy, (float)cos((double)radians), (float)sin((double)radians), scale};
  return f;
}

static inline void ln_frame_local(const ln_frame *f, float u, float v, float *x, float *y) {
  float dx = (u - f->cx) / f->scale, dy = (v - f->cy) / f->scale;
  *x = f->cosine * dx + f->sine * dy;
  *y = f->cosine * dy - f->sine * dx;
}

#endif
