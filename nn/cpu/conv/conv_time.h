/* conv_time.h: the methods of a convolution timed beside each other, for `lunette tune`. */
#ifndef LN_CPU_CONV_TIME_H
#define LN_CPU_CONV_TIME_H

#include "../cpu.h"

/* nn/backend.h's time. */
ln_code ln_cpu_conv_time(void *self, const char *key, double seconds, ln_timing out[LN_MAX_TIMINGS], int *count,
                         ln_error *err);

#endif
