/* cast.h: single elements of any dtype. */
#ifndef LN_CPU_CAST_H
#define LN_CPU_CAST_H

#include "cpu.h"

/* Writes value as one element: floats to integers truncate, to bool test for not 0. */
void ln_cast_from_double(ln_dtype dtype, void *to, double value);

#endif
