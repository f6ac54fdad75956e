/* iter.h: how broadcasting and strided copies walk over memory. */
#ifndef LN_CPU_ITER_H
#define LN_CPU_ITER_H

#include "cpu.h"

enum { LN_ITER_INPUTS = 3, LN_BLOCK = 16384 }; /* LN_BLOCK: elements a thread takes at a time */

/* Dims of a dense output and the inputs' strides over them, in elements, with dims of size 1
 * dropped and neighbours merged where every input allows. rank >= 1. Since inputs are
 * dense, the innermost stride of each is 1, or 0 where it is broadcast. */
typedef struct ln_iter {
  int rank, nin;
  int64_t dim[LN_MAX_RANK], stride[LN_ITER_INPUTS][LN_MAX_RANK];
} ln_iter;

/* in[] broadcasts to out as NumPy does. */
void ln_iter_init(ln_iter *it, const ln_meta *out, const ln_arg *in, int nin);

/* Calls run for each contiguous piece of the output's elements [begin, end): at is the piece's
 * first element, offset[k] the element of input k that belongs to it. */
typedef void (*ln_iter_run)(void *arg, int64_t at, const int64_t *offset, int64_t n);
void ln_iter_walk(const ln_iter *it, int64_t begin, int64_t end, ln_iter_run run, void *arg);

/* An n-dimensional copy between two strided places, both strides in elements of `size` bytes
 * (1, 2, 4 or 8); strides may be 0 in the source, or negative. Threaded. */
typedef struct ln_copy {
  int rank;
  int64_t dim[LN_MAX_RANK], to[LN_MAX_RANK], from[LN_MAX_RANK];
  size_t size;
} ln_copy;
void ln_copy_run(const ln_cpu *cpu, const ln_copy *copy, void *to, const void *from);

/* One dense block, threaded. */
void ln_copy_dense(const ln_cpu *cpu, void *to, const void *from, size_t bytes);

/* Dense row-major strides of m. */
void ln_strides(const ln_meta *m, int64_t stride[LN_MAX_RANK]);

#endif
