/* clones.h: LN_CLONES in front of a function compiles it for AVX2 as well, and the dynamic
 * linker takes what the processor has. For integer loops outside nn/cpu, whose bits do not
 * depend on it (nn/cpu has its own dispatch, by file). Needs glibc's indirect functions.
 */
#ifndef LN_BASE_CLONES_H
#define LN_BASE_CLONES_H

#include <features.h>

#if defined(__x86_64__) && defined(__GLIBC__)
#define LN_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define LN_CLONES
#endif

#endif
