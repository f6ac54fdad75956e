/* phantom_bolus.c: a lateral videofluoroscopy frame of a swallow. The mask is the bolus of
 * contrast agent, on its way from the mouth down the pharynx to the oesophagus, and what
 * it leaves behind in the valleculae. What misleads: teeth and fillings, the hyoid and a
 * metal marker are as dark, bone lies over the bolus, and the beam is noisy.
 *
 * Brightness is what the beam leaves: each structure adds to the attenuation. The patient
 * looks to the left; the spine is to the right.
 */
#include "phantom_draw.h"

enum { JAW = 3, TEETH = 7, SPINE = 7, PATH = 7, RESIDUE = 2, AIR = 4 };

typedef struct bolus {
  ln_frame head;
  float disc_r, beam, soft, bone, chin, dose, marker_x, marker_y, marker_r;
  ln_bone jaw[JAW], teeth[TEETH], spine[SPINE], hyoid, air[AIR];
  float tooth_density[TEETH];
  ln_bone piece[PATH - 1], residue[RESIDUE];
  float ragged;
  ln_extent by_jaw, by_teeth, by_spine, by_hyoid, by_air, by_bolus;
} bolus;

_Static_assert(sizeof(bolus) <= LN_PHANTOM_ANATOMY, "room for the anatomy");

/* Where food goes, from the lips to the oesophagus. */
static const float way[][2] = {
    {-0.50f, -0.30f}, {-0.28f, -0.40f}, {-0.02f, -0.41f}, {0.16f, -0.28f}, {0.21f, -0.05f},
    {0.22f, 0.18f},   {0.27f, 0.42f},   {0.31f, 0.68f},   {0.33f, 0.95f}};
enum { WAY = sizeof way / sizeof way[0] };

static void along_the_way(float at, float *x, float *y) {
  float rest;
  int i = (int)at;
  if (i > WAY - 2) i = WAY - 2;
  rest = at - (float)i;
  *x = ln_mix(way[i][0], way[i + 1][0], rest);
  *y = ln_mix(way[i][1], way[i + 1][1], rest);
}

static void pose_bolus(bolus *b, ln_stream *s) {
  float length = ln_stream_between(s, 1.0f, 2.8f);
  float start = ln_stream_between(s, 0.1f, (float)WAY - 1.3f - length);
  float thick = ln_stream_between(s, 0.075f, 0.125f) / sqrtf(0.45f + 0.4f * length);
  float head_first = ln_stream_between(s, 0.5f, 1.5f); /* teardrop, blunt end in front */
  float x[PATH], y[PATH], r[PATH];
  for (int i = 0; i < PATH; i++) {
    float t = (float)i / (float)(PATH - 1), end = 2.0f * t - 1.0f;
    along_the_way(start + length * t, &x[i], &y[i]);
    x[i] += ln_stream_between(s, -0.015f, 0.015f);
    y[i] += ln_stream_between(s, -0.015f, 0.015f);
    r[i] = thick * (1.15f - 0.75f * end * end) * ln_mix(head_first, 2.0f - head_first, t) *
           ln_stream_between(s, 0.85f, 1.15f);
  }
  for (int i = 0; i < PATH - 1; i++) {
    ln_bone piece = {x[i], y[i], x[i + 1], y[i + 1], r[i], r[i + 1]};
    b->piece[i] = piece;
  }
  for (int i = 0; i < RESIDUE; i++) {
    float rx = ln_stream_between(s, 0.06f, 0.13f), ry = ln_stream_between(s, 0.03f, 0.16f);
    float size = ln_stream_between(s, 0.025f, 0.045f);
    if (!ln_stream_chance(s, 0.3f)) size = -1.0f; /* none */
    ln_bone residue = {rx, ry, rx + 0.05f, ry + 0.06f, size, size * 0.7f};
    b->residue[i] = residue;
  }
  b->dose = ln_stream_between(s, 0.9f, 2.2f);
  b->ragged = ln_stream_between(s, 0.006f, 0.014f);
}

static void pose_skeleton(bolus *b, ln_stream *s) {
  float drop = ln_stream_between(s, -0.06f, 0.06f);
  float lordosis = ln_stream_between(s, 0.02f, 0.12f), step = ln_stream_between(s, 0.24f, 0.29f);
  b->chin = ln_stream_between(s, -0.05f, 0.05f);
  ln_bone jaw[JAW] = {{-0.58f, -0.05f + drop, -0.10f, -0.02f + drop, 0.085f, 0.075f},
                      {-0.10f, -0.02f + drop, 0.14f, -0.14f + drop, 0.075f, 0.085f},
                      {0.14f, -0.14f + drop, 0.24f, -0.80f, 0.085f, 0.06f}};
  for (int i = 0; i < JAW; i++) b->jaw[i] = jaw[i];
  for (int i = 0; i < TEETH; i++) {
    float x = -0.62f + 0.115f * (float)i + ln_stream_between(s, -0.01f, 0.01f);
    float y = -0.19f + drop + ln_stream_between(s, -0.01f, 0.01f);
    float up = i % 2 == 0 ? -0.34f : 0.0f; /* upper and lower row in turn */
    ln_bone tooth = {x, y + up - 0.03f, x + 0.01f, y + up + 0.06f, 0.042f, 0.025f};
    b->teeth[i] = tooth;
    b->tooth_density[i] = ln_stream_chance(s, 0.25f) ? ln_stream_between(s, 1.0f, 2.2f) /* filled */
                                                     : ln_stream_between(s, 0.2f, 0.5f);
  }
  for (int i = 0; i < SPINE; i++) {
    float t = (float)i / (float)(SPINE - 1) * 2.0f - 1.0f;
    float x = 0.56f - lordosis * (1.0f - t * t), y = -0.72f + step * (float)i;
    ln_bone body = {x - 0.045f, y - 0.012f * t, x + 0.07f, y + 0.02f, 0.086f, 0.082f};
    b->spine[i] = body;
  }
  float hx = ln_stream_between(s, -0.16f, -0.02f), hy = ln_stream_between(s, 0.14f, 0.26f);
  ln_bone hyoid = {hx, hy, hx + 0.15f, hy - 0.05f, 0.035f, 0.018f};
  b->hyoid = hyoid;
  ln_bone air[AIR] = {{0.20f, -0.62f, 0.30f, -0.30f, 0.05f, 0.05f},
                      {0.24f, -0.22f, 0.17f, 0.24f, 0.045f, 0.04f},
                      {0.13f, 0.34f, 0.17f, 1.1f, 0.065f, 0.085f},
                      {-0.34f, -0.34f, 0.02f, -0.43f, 0.018f, 0.025f}};
  for (int i = 0; i < AIR; i++) b->air[i] = air[i];
}

static void pose(void *anatomy, ln_stream *s, ln_sensor *sensor) {
  bolus *b = anatomy;
  float x = ln_stream_between(s, -0.12f, 0.10f), y = ln_stream_between(s, -0.12f, 0.12f);
  /* Drawn one after the other: arguments of a call are evaluated in any order. */
  float scale = ln_stream_between(s, 0.85f, 1.15f), turn = ln_stream_between(s, -0.16f, 0.16f);
  b->head = ln_frame_at(x, y, turn, scale);
  b->disc_r = ln_stream_chance(s, 0.6f) ? ln_stream_between(s, 1.0f, 1.2f) : 2.0f;
  b->beam = ln_stream_between(s, 0.75f, 1.05f);
  b->soft = ln_stream_between(s, 0.35f, 0.60f);
  b->bone = ln_stream_between(s, 0.30f, 0.60f);
  b->marker_x = ln_stream_between(s, -0.85f, -0.35f);
  b->marker_y = ln_stream_between(s, 0.25f, 0.75f);
  b->marker_r = ln_stream_chance(s, 0.4f) ? ln_stream_between(s, 0.045f, 0.09f) : -1.0f;
  pose_skeleton(b, s);
  pose_bolus(b, s);
  b->by_jaw = ln_extent_of(b->jaw, JAW, 0.03f);
  b->by_teeth = ln_extent_of(b->teeth, TEETH, 0.02f);
  b->by_spine = ln_extent_of(b->spine, SPINE, 0.05f);
  b->by_spine.right += 0.40f; /* the spinous processes */
  b->by_hyoid = ln_extent_of(&b->hyoid, 1, 0.03f);
  b->by_air = ln_extent_of(b->air, AIR, 0.03f);
  b->by_bolus = ln_extent_of(b->piece, PATH - 1, 0.10f);
  sensor->read = ln_stream_between(s, 0.012f, 0.03f);
  sensor->shot = ln_stream_between(s, 0.02f, 0.05f);
}

/* How far behind the skin of face and neck: lips, chin, throat. */
static float behind_skin(const bolus *b, float x, float y) {
  float face = -0.70f + 0.06f * ln_bump((y + 0.25f) * (y + 0.25f), 0.02f);
  float chin = ln_edge(y - 0.12f - b->chin, 0.30f); /* below the chin the throat recedes */
  float nose = 0.10f * ln_bump((y + 0.62f) * (y + 0.62f), 0.03f);
  return x - (face - nose + 0.48f * chin + 0.03f * y);
}

/* A bone as the beam sees it: a body and a denser rim. */
static float bone_shadow(const ln_bone *bone, float x, float y) {
  float deep = ln_bone_inside(bone, x, y);
  if (deep < -0.02f) return 0.0f;
  float rim = deep - 0.012f;
  return ln_edge(deep, 0.025f) + 0.45f * ln_bump(rim * rim, 0.0004f);
}

/* The bodies, and behind each its spinous process. */
static float vertebrae(const bolus *b, float x, float y) {
  float sum = 0.0f;
  for (int i = 0; i < SPINE; i++) {
    float py = y - b->spine[i].by - 0.07f;
    if (py > 0.1f || py < -0.25f) continue;
    sum += bone_shadow(&b->spine[i], x, y);
    float px = x - b->spine[i].bx - 0.24f;
    sum += 0.7f * ln_bump(px * px * 0.4f + py * py, 0.008f);
  }
  return sum;
}

static float skeleton(const bolus *b, float x, float y, const float *field) {
  float sum = 0.0f;
  if (ln_within(&b->by_jaw, x, y)) {
    for (int i = 0; i < JAW; i++) sum = ln_maxf(sum, 0.8f * bone_shadow(&b->jaw[i], x, y));
  }
  if (ln_within(&b->by_spine, x, y)) sum += vertebrae(b, x + 0.012f * field[1], y);
  if (ln_within(&b->by_hyoid, x, y)) sum += 1.3f * bone_shadow(&b->hyoid, x, y);
  if (ln_within(&b->by_teeth, x, y)) {
    for (int i = 0; i < TEETH; i++) {
      float deep = ln_bone_inside(&b->teeth[i], x, y);
      if (deep > -0.02f) sum += b->tooth_density[i] / b->bone * ln_edge(deep, 0.02f);
    }
  }
  float base = -y - 0.66f - 0.22f * x + 0.03f * field[0]; /* skull base and palate */
  sum += 0.9f * ln_edge(base, 0.12f);
  float palate = y + 0.50f - 0.05f * x;
  if (x < 0.05f && x > -0.62f) sum += 0.5f * ln_bump(palate * palate, 0.0008f);
  return b->bone * sum;
}

/* How far inside the contrast agent. */
static float contrast(const bolus *b, float x, float y) {
  float deep = -1.0f;
  if (ln_within(&b->by_bolus, x, y)) {
    for (int i = 0; i < PATH - 1; i++) deep = ln_maxf(deep, ln_bone_inside(&b->piece[i], x, y));
  }
  for (int i = 0; i < RESIDUE; i++) {
    if (b->residue[i].ra > 0.0f) deep = ln_maxf(deep, ln_bone_inside(&b->residue[i], x, y));
  }
  return deep;
}

static float shade(const void *anatomy, float u, float v, const float *field, float pixel,
                   bool *inside) {
  const bolus *b = anatomy;
  float x, y;
  ln_frame_local(&b->head, u, v, &x, &y);
  float body = behind_skin(b, x, y) + 0.008f * field[1];
  float thick = ln_edge(body, 0.03f) * (0.35f + 0.65f * ln_clamp01(body / 0.35f));
  float shadow = b->soft * thick * (1.0f + 0.10f * field[0] + 0.05f * field[1]);
  for (int i = 0; i < AIR && ln_within(&b->by_air, x, y); i++) {
    shadow -= 0.20f * ln_edge(ln_bone_inside(&b->air[i], x, y), 0.05f);
  }
  shadow += ln_edge(body, 0.03f) * skeleton(b, x, y, field);
  float deep = contrast(b, x + b->ragged * field[1], y + b->ragged * field[2]);
  if (deep > -0.1f) {
    float dense = ln_edge(deep, ln_maxf(0.03f, pixel)) * (0.55f + 0.45f * ln_clamp01(deep / 0.06f));
    shadow += b->dose * dense;
  }
  float mx = u - b->marker_x, my = v - b->marker_y;
  shadow += 1.8f * ln_edge(b->marker_r - sqrtf(mx * mx + my * my), ln_maxf(0.012f, pixel));
  shadow = ln_maxf(shadow, 0.0f);
  float open = ln_edge(b->disc_r - sqrtf(u * u + v * v), ln_maxf(0.02f, pixel));
  *inside = deep > 0.0f && open > 0.5f;
  /* 1 / exp(shadow) by its series, which rounds alike everywhere */
  float left = 1.0f / (1.0f + shadow * (1.0f + shadow * (0.5f + shadow / 6.0f)));
  float fall = 1.0f - 0.18f * (u * u + v * v);
  return 0.03f + open * b->beam * left * fall * (1.0f + 0.02f * field[2]);
}

const ln_phantom_kind ln_phantom_bolus = {
    .name = "bolus", .width = 256, .height = 256, .bytes = sizeof(bolus),
    .fields = 3, .knots = {4, 18, 60}, .pose = pose, .shade = shade};
