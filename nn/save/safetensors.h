/* safetensors.h: tensors by name in one file, the format of Hugging Face's library: eight
 * bytes of header length (little-endian), a JSON header, the raw data.
 *
 * Reading treats the file as untrusted: the header is checked in full before anything is
 * read, and every LN_EFORMAT names the file and the tensor.
 */
#ifndef LN_SAVE_SAFETENSORS_H
#define LN_SAVE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/mem.h"
#include "../base/status.h"
#include "../base/tensor.h"

typedef struct ln_named_tensor {
  const char *name; /* UTF-8 */
  ln_meta meta;
  const void *data;
} ln_named_tensor;

typedef struct ln_note {
  const char *key, *text; /* both UTF-8 */
} ln_note;

/* The header lists the tensors in the order given. The data lies widest dtype first, so
 * that every tensor is aligned. Names must differ and not be "__metadata__". */
ln_code ln_safetensors_write(ln_mem *mem, const char *path, const ln_named_tensor *tensors,
                             size_t count, const ln_note *notes, size_t note_count,
                             ln_error *err);

typedef struct ln_safetensors ln_safetensors;

/* Opens and checks; the file stays open until closed. */
ln_code ln_safetensors_open(ln_mem *mem, const char *path, ln_safetensors **out, ln_error *err);
void ln_safetensors_close(ln_safetensors *file); /* NULL is fine */
size_t ln_safetensors_count(const ln_safetensors *file);
/* Tensor i in the header's order. F16 is announced, and read, as f32. */
const char *ln_safetensors_name(const ln_safetensors *file, size_t i);
const ln_meta *ln_safetensors_meta(const ln_safetensors *file, size_t i);
/* Reads tensor i into data, ln_nbytes(meta) bytes. */
ln_code ln_safetensors_read(ln_safetensors *file, size_t i, void *data, ln_error *err);
/* The metadata, in the header's order. */
size_t ln_safetensors_note_count(const ln_safetensors *file);
ln_note ln_safetensors_note(const ln_safetensors *file, size_t i);

#endif
