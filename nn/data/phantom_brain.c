/* phantom_brain.c: an axial T1-weighted MR slice after contrast. The mask is a bright
 * meningioma that grows from the dura and pushes the brain aside. What misleads: the fat
 * of the scalp, the orbits, vessels and the dural tail are as bright, the contrast varies
 * down to almost none, and the coil's bias field tilts everything.
 *
 * Own axes: the head is an ellipse of half-axes 1 (x, left-right) and 1.2 (y, front at
 * y < 0). rho is 0 in the middle and 1 at the skin.
 */
#include "phantom_draw.h"

enum { VESSELS = 6, HORNS = 4 };

typedef struct brain {
  ln_frame head;
  float aspect;                  /* y half-axis over x half-axis */
  float inner, table;            /* rho of the dura and of the skull's outer table */
  float tumour_x, tumour_y, tumour_r, lobes, bright, grain, necrosis, tail;
  float push, oedema;
  float white, grey, fluid, fat, sulci;
  ln_bone horn[HORNS];
  float vessel_x[VESSELS], vessel_y[VESSELS], vessel_r2[VESSELS];
  float spot_x, spot_y, spot_r, spot_bright; /* a lesion inside the brain: not the mask */
  bool orbits;
  float bias_x, bias_y, bias_0, gain, blur;
} brain;

_Static_assert(sizeof(brain) <= LN_PHANTOM_ANATOMY, "room for the anatomy");

/* The tumour's centre lies on a ray from the middle, near the dura; its size follows from
 * how much of it the skull leaves. */
static void pose_tumour(brain *b, ln_stream *s) {
  float angle = ln_stream_between(s, 0.0f, 6.2831853f);
  float out = ln_stream_between(s, 0.52f, 0.72f);
  b->tumour_x = out * (float)cos((double)angle);
  b->tumour_y = out * b->aspect * (float)sin((double)angle);
  b->tumour_r = ln_stream_between(s, 0.40f, 0.70f);
  b->lobes = ln_stream_between(s, 0.02f, 0.06f);
  b->bright = ln_stream_between(s, 0.60f, 0.94f);
  b->grain = ln_stream_between(s, 0.01f, 0.05f);
  b->necrosis = ln_stream_chance(s, 0.25f) ? ln_stream_between(s, 0.10f, 0.30f) : 0.0f;
  b->tail = ln_stream_between(s, 0.25f, 0.6f);
  b->push = ln_stream_between(s, 0.3f, 0.8f);
  b->oedema = ln_stream_chance(s, 0.6f) ? ln_stream_between(s, 0.05f, 0.15f) : 0.0f;
}

static void pose_inside(brain *b, ln_stream *s) {
  float size = ln_stream_between(s, 0.030f, 0.075f), down = ln_stream_between(s, -0.12f, 0.05f);
  for (int i = 0; i < HORNS; i++) {
    float side = i % 2 == 0 ? -1.0f : 1.0f, y = i < 2 ? -0.30f : 0.36f;
    float wide = i < 2 ? 0.13f : 0.24f;
    ln_bone horn = {side * 0.055f, down + 0.02f, side * wide, down + y, size, size * 1.1f};
    b->horn[i] = horn;
  }
  for (int i = 0; i < VESSELS; i++) {
    float r = ln_stream_between(s, 0.012f, 0.035f);
    b->vessel_x[i] = ln_stream_between(s, -0.6f, 0.6f);
    b->vessel_y[i] = ln_stream_between(s, -0.8f, 0.8f);
    b->vessel_r2[i] = r * r;
  }
  b->spot_x = ln_stream_between(s, -0.4f, 0.4f);
  b->spot_y = ln_stream_between(s, -0.6f, 0.6f);
  b->spot_r = ln_stream_chance(s, 0.3f) ? ln_stream_between(s, 0.06f, 0.15f) : -1.0f;
  b->spot_bright = ln_stream_between(s, 0.50f, 0.85f);
}

static void pose(void *anatomy, ln_stream *s, ln_sensor *sensor) {
  brain *b = anatomy;
  float x = ln_stream_between(s, -0.10f, 0.10f), y = ln_stream_between(s, -0.06f, 0.06f);
  /* Drawn one after the other: arguments of a call are evaluated in any order. */
  float scale = ln_stream_between(s, 0.72f, 0.84f), turn = ln_stream_between(s, -0.35f, 0.35f);
  b->head = ln_frame_at(x, y, turn, scale);
  b->aspect = ln_stream_between(s, 1.08f, 1.20f);
  b->inner = ln_stream_between(s, 0.80f, 0.85f);
  b->table = b->inner + ln_stream_between(s, 0.06f, 0.09f);
  b->white = ln_stream_between(s, 0.42f, 0.52f);
  b->grey = b->white - ln_stream_between(s, 0.05f, 0.12f);
  b->fluid = ln_stream_between(s, 0.10f, 0.18f);
  b->fat = ln_stream_between(s, 0.55f, 0.95f);
  b->sulci = ln_stream_between(s, 0.5f, 1.0f);
  b->orbits = ln_stream_chance(s, 0.3f);
  b->bias_x = ln_stream_between(s, -0.26f, 0.26f);
  b->bias_y = ln_stream_between(s, -0.26f, 0.26f);
  b->bias_0 = ln_stream_between(s, 0.02f, 0.07f);
  b->gain = ln_stream_between(s, 0.55f, 1.05f);
  b->blur = ln_stream_between(s, 0.02f, 0.05f);
  pose_inside(b, s);
  pose_tumour(b, s);
  sensor->read = ln_stream_between(s, 0.012f, 0.035f);
  sensor->shot = ln_stream_between(s, 0.0f, 0.02f);
}

/* White matter, cortex with its sulci, ventricles, falx, vessels at (x, y). */
static float parenchyma(const brain *b, float x, float y, float rho, const float *field,
                        float pixel) {
  float px = pixel / b->head.scale, depth = b->inner - rho;
  float side = x < 0.0f ? -x : x;
  /* Gyri: the cortex follows the zero lines of a field, stronger towards the surface. */
  float fold = field[1] < 0.0f ? -field[1] : field[1];
  float outer = ln_edge(0.30f - depth, 0.30f);
  float cortex = ln_clamp01(1.2f - 1.5f * fold) * outer;
  float value = ln_mix(b->white, b->grey, ln_maxf(cortex, ln_edge(0.045f - depth, 0.03f)));
  float sulcus = b->sulci * ln_clamp01(1.0f - fold / 0.28f) * ln_edge(0.24f - depth, 0.25f);
  value = ln_mix(value, b->fluid, ln_clamp01(sulcus));
  float nuclei_x = side - 0.26f, nuclei_y = y - 0.02f;
  value -= 0.05f * ln_bump(nuclei_x * nuclei_x * 2.0f + nuclei_y * nuclei_y, 0.05f);
  float wet = -1.0f;
  for (int i = 0; i < HORNS; i++) wet = ln_maxf(wet, ln_bone_inside(&b->horn[i], x, y));
  value = ln_mix(value, b->fluid, ln_edge(wet + 0.01f * field[2], 0.03f));
  if (y < -0.42f || y > 0.50f) { /* the falx and the fissure along it */
    value = ln_mix(value, b->fluid, 0.8f * ln_line(side, 0.022f, px));
    value = ln_mix(value, 0.62f, ln_line(side, 0.009f, px));
  }
  float sinus_y = y - b->inner * b->aspect + 0.03f; /* the enhancing sagittal sinus */
  value = ln_mix(value, 0.85f, ln_bump(x * x + sinus_y * sinus_y, 0.009f));
  for (int i = 0; i < VESSELS; i++) {
    float dx = x - b->vessel_x[i], dy = y - b->vessel_y[i];
    value = ln_mix(value, 0.80f, ln_bump(dx * dx + dy * dy, b->vessel_r2[i]));
  }
  float sx = x - b->spot_x, sy = y - b->spot_y;
  float spot = b->spot_r - sqrtf(sx * sx + sy * sy) + 0.02f * field[1];
  return ln_mix(value, b->spot_bright, ln_edge(spot, 0.04f)) + 0.012f * field[2];
}

/* Outside the dura: fluid, the dark skull with some marrow, bright scalp, air. */
static float coverings(const brain *b, float x, float y, float rho, const float *field) {
  float middle = 0.5f * (b->inner + b->table), half = 0.5f * (b->table - b->inner);
  float from = (rho - middle) / half;
  float value = 0.05f + 0.30f * ln_bump(from * from, 0.5f) * ln_clamp01(0.6f + 0.4f * field[0]);
  float scalp = b->fat * (0.85f + 0.12f * field[1]);
  value = ln_mix(value, scalp, ln_edge(rho - b->table, 0.03f));
  if (b->orbits) { /* a low slice: fat behind the eyes, and the globes in it */
    float side = (x < 0.0f ? -x : x) - 0.34f, front = y + b->aspect * 0.98f;
    float fat = ln_edge(0.20f - sqrtf(side * side + front * front), 0.04f);
    float eye_y = front + 0.06f, eye = 0.115f - sqrtf(side * side + eye_y * eye_y);
    value = ln_mix(value, 0.8f, fat);
    value = ln_mix(value, 0.22f, ln_edge(eye, 0.03f));
  }
  return value;
}

/* The brain's tissue is pushed away from the tumour: shows what lies nearer to its centre. */
static void displace(const brain *b, float dx, float dy, float far, float *x, float *y) {
  float ring = b->tumour_r * 2.2f;
  if (far >= ring) return;
  float t = 1.0f - far / ring, move = b->push * t * t * 0.35f;
  *x -= dx * move;
  *y -= dy * move;
}

static float shade(const void *anatomy, float u, float v, const float *field, float pixel,
                   bool *inside) {
  const brain *b = anatomy;
  float x, y;
  ln_frame_local(&b->head, u, v, &x, &y);
  float wy = y / b->aspect, rho = sqrtf(x * x + wy * wy);
  if (rho > 1.25f) return 0.015f; /* air */
  rho *= 1.0f + 0.012f * field[0];
  float dx = x - b->tumour_x, dy = y - b->tumour_y, far = sqrtf(dx * dx + dy * dy);
  float deep = b->tumour_r + b->lobes * (field[0] + 0.5f * field[1]) - far;
  *inside = deep > 0.0f && rho < b->inner;
  float value = coverings(b, x, y, rho, field);
  if (rho < b->inner + 0.05f) {
    float bx = x, by = y;
    displace(b, dx, dy, far, &bx, &by);
    float within = parenchyma(b, bx, by, rho, field, pixel);
    float ring = ln_edge(deep + 0.22f + 0.06f * field[1], 0.25f);
    within -= b->oedema * ring;
    float tumour = b->bright + b->grain * (field[2] + field[1]);
    tumour -= b->necrosis * ln_edge(deep - 0.55f * b->tumour_r + 0.06f * field[1], 0.15f);
    within = ln_mix(within, tumour, ln_edge(deep, ln_maxf(b->blur, pixel)));
    float dura = rho - b->inner + 0.012f;
    float near = ln_edge(deep + 0.30f, 0.30f); /* the dural tail */
    within = ln_mix(within, 0.85f, b->tail * near * ln_bump(dura * dura, 0.0006f));
    value = ln_mix(value, within, ln_edge(b->inner - rho, 0.025f));
  }
  value = ln_mix(value, 0.015f, ln_edge(rho - 1.0f, 0.03f));
  float bias = 1.0f + b->bias_x * u + b->bias_y * v + b->bias_0 * field[0];
  return value * bias * b->gain;
}

const ln_phantom_kind ln_phantom_brain = {
    .name = "brain", .width = 256, .height = 256, .bytes = sizeof(brain),
    .fields = 3, .knots = {4, 22, 90}, .pose = pose, .shade = shade};
