/* phantom.h: synthetic grey images with masks, in three families that stand in for the
 * paper's data sets, so that every script runs without a download.
 *
 *   glottis  endoscopic frame; the mask is the dark gap between the vocal folds (BAGLS).
 *            About one in ten frames is closed and has an empty mask.
 *   bolus    fluoroscopy frame; the mask is the swallowed contrast agent (Bolus).
 *   brain    MR slice; the mask is a bright meningioma attached to the dura (Brain).
 *
 * A picture is a function of (family, seed, index) drawn in continuous coordinates: asked
 * for at another size, the same anatomy comes back, sampled anew. Only the sensor noise is
 * per pixel. The mask is 0 or 255, exact at the size asked for.
 */
#ifndef LN_DATA_PHANTOM_H
#define LN_DATA_PHANTOM_H

#include <stdint.h>

#include "../base/mem.h"
#include "../base/status.h"

typedef enum ln_phantom_family {
  LN_PHANTOM_GLOTTIS,
  LN_PHANTOM_BOLUS,
  LN_PHANTOM_BRAIN,
  LN_PHANTOM_COUNT
} ln_phantom_family;

enum { LN_PHANTOM_MIN_SIDE = 8, LN_PHANTOM_MAX_SIDE = 8192 };

/* "glottis" for LN_PHANTOM_GLOTTIS, and back; LN_EINVAL naming the families when unknown. */
const char *ln_phantom_name(ln_phantom_family family);
ln_code ln_phantom_named(const char *name, ln_phantom_family *family, ln_error *err);

/* The size a family is drawn at when nobody asks for another: glottis 256x256, bolus
 * 256x256, brain 256x256. */
void ln_phantom_native_size(ln_phantom_family family, int *width, int *height);

/* Draws picture `index` into image and mask, each width * height bytes, row-major, caller
 * owned. Thread-safe; mem is for scratch, all of it freed before the return. */
ln_code ln_phantom_draw(ln_mem *mem, ln_phantom_family family, uint64_t seed, uint64_t index,
                        int width, int height, uint8_t *image, uint8_t *mask, ln_error *err);

#endif
