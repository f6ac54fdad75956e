/* conv_measured.h: which method won where convolutions were timed on this machine (conv_time.h), by a text that says
 * all that the choice depends on.
 */
#ifndef LN_CPU_CONV_MEASURED_H
#define LN_CPU_CONV_MEASURED_H

#include "conv_choice.h"

/* "forward f32 bb 2x64@1x256x256 64@1x256x256 k1x3x3 s1x1x1 p0x1x1 d1x1x1 g1". Images beyond those that keep every thread
 * busy for a while are left out: they are more of the same. False where it has no room. */
bool ln_conv_key(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                 char key[LN_CHOICE_KEY]);
/* The opposite; images are dense. False for all but a key that ln_conv_key gives on this device, of a convolution that
 * exists and fits into memory. */
bool ln_conv_of_key(const ln_cpu *cpu, const char *key, ln_conv_geometry *g, ln_conv_dir *dir, ln_conv_sides *sides);

/* Choices by key, read only. Those of methods that do not exist are left out. */
typedef struct ln_conv_table ln_conv_table;
ln_code ln_conv_table_new(ln_mem *mem, const ln_choice *list, int count, ln_conv_table **out, ln_error *err);
void ln_conv_table_free(ln_mem *mem, ln_conv_table *table); /* NULL is fine */

/* What the device's table says, able or not; false when it says nothing. */
bool ln_conv_measured(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                      ln_conv_method *out);

#endif
