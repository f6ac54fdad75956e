/* wino_transform.h: Winograd's one-dimensional transforms on vectors, one value a lane.
 *
 * F(4,3) with the points 0, +-sqrt(1/2), +-sqrt(2), infinity and F(2,3) with 0, +-1, infinity (Lavin and Gray, 2016,
 * have 0, +-1, +-2, infinity: as quick, but twice the rounding error): y = A^T [(G g) * (B^T d)]. A two-dimensional transform is the one-dimensional one along the
 * columns, then along the rows. `s` and `t` are the distances between neighbours in source and target, in vectors.
 */
#ifndef LN_CPU_WINO_TRANSFORM_H
#define LN_CPU_WINO_TRANSFORM_H

#include "../kern.h"

#ifdef LN_ISA
#define WINO_INLINE static inline __attribute__((always_inline))

/* A square of lanes x lanes: x[i][j] and x[j][i] change places, bit by bit of i and j. */
#define WINO_LOW(l, s) ((l) & (s) ? LN_LANES + (l) - (s) : (l))
#define WINO_HIGH(l, s) ((l) & (s) ? LN_LANES + (l) : (l) + (s))
#define WINO_8(f, l, s) f(l, s), f(l + 1, s), f(l + 2, s), f(l + 3, s), f(l + 4, s), f(l + 5, s), f(l + 6, s), f(l + 7, s)
#if LN_LANES == 16
#define WINO_EACH(f, s) {WINO_8(f, 0, s), WINO_8(f, 8, s)}
#else
#define WINO_EACH(f, s) {WINO_8(f, 0, s)}
#endif
#define WINO_EXCHANGE(x, s)                                                     \
  do {                                                                          \
    const vi low = WINO_EACH(WINO_LOW, s), high = WINO_EACH(WINO_HIGH, s);       \
    for (int i = 0; i < LN_LANES; i++)                                          \
      if (!(i & (s))) {                                                         \
        const vf a = x[i], b = x[i + (s)];                                      \
        x[i] = __builtin_shuffle(a, b, low), x[i + (s)] = __builtin_shuffle(a, b, high); \
      }                                                                         \
  } while (0)
WINO_INLINE void wino_transpose(vf x[LN_LANES]) {
#if LN_LANES == 16
  WINO_EXCHANGE(x, 8);
#endif
  WINO_EXCHANGE(x, 4);
  WINO_EXCHANGE(x, 2);
  WINO_EXCHANGE(x, 1);
}

#define WINO_SMALL 0.70710678118654752f /* the points of F(4,3) */
#define WINO_LARGE 1.41421356237309505f

/* v = B^T d: 6 of 6. */
WINO_INLINE void wino4_input(const vf *d, int64_t s, vf *v, int64_t t) {
  const vf d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s];
  const vf even = d4 - 2.0f * d2, odd = d3 - 2.0f * d1, even2 = d4 - 0.5f * d2, odd2 = d3 - 0.5f * d1;
  v[0] = d0 + (d4 - 2.5f * d2);
  v[t] = even + WINO_SMALL * odd;
  v[2 * t] = even - WINO_SMALL * odd;
  v[3 * t] = even2 + WINO_LARGE * odd2;
  v[4 * t] = even2 - WINO_LARGE * odd2;
  v[5 * t] = d1 + (d5 - 2.5f * d3);
}

/* u = G g: 6 of 3. */
WINO_INLINE void wino4_weights(const vf *g, int64_t s, vf *u, int64_t t) {
  const vf g0 = g[0], g1 = g[s], g2 = g[2 * s];
  const vf even = (-2.0f / 3) * g0 - (1.0f / 3) * g2, odd = (-2.0f / 3 * WINO_SMALL) * g1;
  const vf even2 = (1.0f / 6) * g0 + (1.0f / 3) * g2, odd2 = (WINO_LARGE / 6) * g1;
  u[0] = g0;
  u[t] = even + odd;
  u[2 * t] = even - odd;
  u[3 * t] = even2 + odd2;
  u[4 * t] = even2 - odd2;
  u[5 * t] = g2;
}

/* y = A^T m: 4 of 6. */
WINO_INLINE void wino4_output(const vf *m, int64_t s, vf *y, int64_t t) {
  const vf m1 = m[s], m2 = m[2 * s], m3 = m[3 * s], m4 = m[4 * s];
  const vf even = m1 + m2, odd = WINO_SMALL * (m1 - m2), even2 = m3 + m4, odd2 = WINO_LARGE * (m3 - m4);
  y[0] = m[0] + even + even2;
  y[t] = odd + odd2;
  y[2 * t] = 0.5f * even + 2.0f * even2;
  y[3 * t] = m[5 * s] + 0.5f * odd + 2.0f * odd2;
}

WINO_INLINE void wino2_input(const vf *d, int64_t s, vf *v, int64_t t) {
  const vf d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s];
  v[0] = d0 - d2;
  v[t] = d1 + d2;
  v[2 * t] = d2 - d1;
  v[3 * t] = d1 - d3;
}

WINO_INLINE void wino2_weights(const vf *g, int64_t s, vf *u, int64_t t) {
  const vf g0 = g[0], g1 = g[s], g2 = g[2 * s];
  const vf even = 0.5f * (g0 + g2), odd = 0.5f * g1;
  u[0] = g0;
  u[t] = even + odd;
  u[2 * t] = even - odd;
  u[3 * t] = g2;
}

WINO_INLINE void wino2_output(const vf *m, int64_t s, vf *y, int64_t t) {
  const vf m1 = m[s], m2 = m[2 * s];
  y[0] = m[0] + m1 + m2;
  y[t] = m1 - m2 - m[3 * s];
}
#endif

#endif
