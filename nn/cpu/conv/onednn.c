/* onednn.c: making and running oneDNN's convolution primitives (see onednn.h). */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "onednn_version.h"

struct ln_dnnl {
  ln_mem *mem;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_attr_t attr; /* scratchpad comes from the caller */
};

enum { SRC, WEIGHTS, BIAS, DST, PORTS };

/* A tensor's way into or out of the primitive. */
typedef struct port {
  bool used, output;
  int arg;                  /* DNNL_ARG_... */
  dnnl_primitive_t reorder; /* NULL: the primitive takes the tensor as it lies */
  size_t offset;            /* in the workspace, where the reordered tensor lies */
} port;

/* The memory objects of one run at a time. */
typedef struct lane {
  dnnl_memory_t given[PORTS], native[PORTS]; /* given: only where there is a reorder */
  dnnl_memory_t scratch, reorder_scratch[PORTS];
} lane;

struct ln_dnnl_conv {
  const ln_dnnl *dnnl;
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t primitive;
  port port[PORTS];
  size_t scratch_bytes, scratch_offset, workspace; /* one scratchpad for primitive and reorders */
  int lanes;
  lane lane[];
};

ln_code ln_dnnl_fail(int status, const char *doing, ln_error *err) {
  if (status == dnnl_out_of_memory) return ln_fail(err, LN_ENOMEM, "oneDNN: out of memory while %s", doing);
  return ln_fail(err, LN_EINTERNAL, "oneDNN: status %d while %s", status, doing);
}

/* The cap holds for the process and can be set once, before anything else is called. */
static dnnl_status_t cap_isa(ln_isa isa) {
  if (isa == LN_ISA_AMX) return dnnl_success;
  dnnl_cpu_isa_t wanted = isa == LN_ISA_AVX512 ? dnnl_cpu_isa_avx512_core_bf16
                          : isa == LN_ISA_AVX2 ? dnnl_cpu_isa_avx2
                                               : dnnl_cpu_isa_sse41;
  dnnl_status_t status = dnnl_set_max_cpu_isa(wanted);
  bool beyond = ((unsigned)dnnl_get_effective_cpu_isa() & ~(unsigned)wanted) != 0;
  return beyond ? status : dnnl_success;
}

ln_code ln_dnnl_open(ln_mem *mem, ln_isa isa, ln_dnnl **out, ln_error *err) {
  ln_dnnl *d = ln_calloc(mem, 1, sizeof *d);
  if (d == NULL) return ln_fail(err, LN_ENOMEM, "cpu: out of memory while opening oneDNN");
  d->mem = mem;
  dnnl_status_t status = cap_isa(isa);
  if (status == dnnl_success) status = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
  if (status == dnnl_success) status = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
  if (status == dnnl_success) status = dnnl_primitive_attr_create(&d->attr);
  if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(d->attr, dnnl_scratchpad_mode_user);
  if (status != dnnl_success) {
    ln_dnnl_close(d);
    return ln_dnnl_fail((int)status, "opening the CPU engine", err);
  }
  *out = d;
  return LN_OK;
}

void ln_dnnl_close(ln_dnnl *d) {
  if (d == NULL) return;
  if (d->attr != NULL) dnnl_primitive_attr_destroy(d->attr);
  if (d->stream != NULL) dnnl_stream_destroy(d->stream);
  if (d->engine != NULL) dnnl_engine_destroy(d->engine);
  ln_free(d->mem, d);
}

/* The instruction set that oneDNN uses at most. */
static const char *level(void) {
  const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
  if ((~isa & (unsigned)dnnl_cpu_isa_avx512_core_amx) == 0) return "AMX";
  if ((~isa & (unsigned)dnnl_cpu_isa_avx512_core) == 0) return "AVX-512";
  return (~isa & (unsigned)dnnl_cpu_isa_avx2) == 0 ? "AVX2" : "SSE4.1";
}

int ln_dnnl_version(void) { return DNNL_VERSION_MAJOR; }

void ln_dnnl_describe(char *text, size_t size) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(text, size, "oneDNN %d.%d.%d (%s)", v->major, v->minor, v->patch, level());
}

/* -- making */

/* The convolution in oneDNN's terms. Two spatial dims unless depth is used. */
typedef struct shape {
  int rank, weights_rank;
  dnnl_dims_t src, weights, bias, dst;
  dnnl_format_tag_t src_tag, dst_tag; /* as they lie */
  ln_dnnl_windows windows;
} shape;

/* False for geometry that oneDNN cannot state (more than a stride of src left over). */
static bool shape_of(const ln_conv_geometry *g, shape *s) {
  bool flat = g->in[0] == 1 && g->kernel[0] == 1 && g->out[0] == 1 && g->padding[0] == 0;
  int spatial = flat ? 2 : 3, skip = LN_SPATIAL - spatial, grouped = g->groups > 1;
  memset(s, 0, sizeof *s);
  s->rank = 2 + spatial;
  s->weights_rank = s->rank + grouped;
  s->src[0] = s->dst[0] = g->n;
  s->src[1] = g->ci;
  s->dst[1] = s->bias[0] = g->co;
  if (grouped) s->weights[0] = g->groups;
  s->weights[grouped] = g->co / g->groups;
  s->weights[grouped + 1] = g->ci / g->groups;
  for (int i = 0; i < spatial; i++) {
    int from = i + skip;
    s->src[2 + i] = g->in[from];
    s->dst[2 + i] = g->out[from];
    s->weights[grouped + 2 + i] = g->kernel[from];
    s->windows.strides[i] = g->stride[from];
    s->windows.dilates[i] = g->dilation[from] - 1;
    s->windows.padding_l[i] = g->padding[from];
    int64_t reach = (g->out[from] - 1) * g->stride[from] + g->dilation[from] * (g->kernel[from] - 1) + 1;
    int64_t right = reach - g->in[from] - g->padding[from];
    if (right <= -g->stride[from]) return false;
    s->windows.padding_r[i] = right > 0 ? right : 0;
  }
  return true;
}

static dnnl_format_tag_t plain_tag(int rank) {
  static const dnnl_format_tag_t tags[] = {dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd,
                                           dnnl_abcde, dnnl_abcdef};
  return tags[rank];
}

static dnnl_format_tag_t tag_of(ln_layout layout, int rank, int block) {
  if (layout == LN_PLAIN) return plain_tag(rank);
  if (rank == 4) return block == 16 ? dnnl_aBcd16b : dnnl_aBcd8b;
  return block == 16 ? dnnl_aBcde16b : dnnl_aBcde8b;
}

/* With src and dst in these layouts, weights in any. No direct implementation gives success and no pd. */
static dnnl_status_t describe(const ln_dnnl *d, const shape *s, const ln_dnnl_request *r, dnnl_format_tag_t src,
                              dnnl_format_tag_t dst, dnnl_primitive_desc_t *pd) {
  dnnl_memory_desc_t md[PORTS];
  memset(md, 0, sizeof md);
  dnnl_status_t status = ln_md_make(&md[SRC], s->rank, s->src, src);
  if (status == dnnl_success) status = ln_md_make(&md[WEIGHTS], s->weights_rank, s->weights, dnnl_format_tag_any);
  if (status == dnnl_success) status = ln_md_make(&md[BIAS], 1, s->bias, dnnl_a);
  if (status == dnnl_success) status = ln_md_make(&md[DST], s->rank, s->dst, dst);
  if (status == dnnl_success)
    status = ln_dnnl_conv_describe(d->engine, r->dir, ln_md_borrow(&md[SRC]), ln_md_borrow(&md[WEIGHTS]),
                                   r->bias ? ln_md_borrow(&md[BIAS]) : NULL, ln_md_borrow(&md[DST]), &s->windows, d->attr, pd);
  for (int i = 0; i < PORTS; i++) ln_md_free(&md[i]);
  if (status == dnnl_unimplemented || status == dnnl_invalid_arguments) return dnnl_success;
  if (status != dnnl_success) return status;
  const char *name = "";
  status = dnnl_primitive_desc_query(*pd, dnnl_query_impl_info_str, 0, (void *)&name);
  bool direct = strncmp(name, "ref", 3) != 0 && strstr(name, "gemm:") == NULL;
  if (status == dnnl_success && direct) return status;
  dnnl_primitive_desc_destroy(*pd);
  *pd = NULL;
  return status;
}

/* The fewest reorders of activations that oneDNN has a direct implementation for. A plain
 * src of few channels is taken as it is by the kernels for first layers; other plain sides would
 * make it choose slow ones. */
static dnnl_status_t find(const ln_dnnl *d, const shape *s, const ln_dnnl_request *r, dnnl_primitive_desc_t *pd) {
  enum { FIRST_LAYER = 4 };
  const dnnl_format_tag_t any = dnnl_format_tag_any;
  dnnl_format_tag_t src = r->src == LN_BLOCKED ? s->src_tag : any, dst = r->dst == LN_BLOCKED ? s->dst_tag : any;
  dnnl_status_t status = dnnl_success;
  *pd = NULL;
  if (src == any && dst != any && r->g->ci <= FIRST_LAYER && r->dir != LN_CONV_BACKWARD_DATA)
    status = describe(d, s, r, s->src_tag, dst, pd);
  if (status == dnnl_success && *pd == NULL && (src != any || dst != any)) status = describe(d, s, r, src, dst, pd);
  if (status == dnnl_success && *pd == NULL) status = describe(d, s, r, any, any, pd);
  return status;
}

/* Room for bytes in the workspace. */
static size_t take(ln_dnnl_conv *c, size_t bytes) {
  size_t offset = c->workspace;
  c->workspace += ln_cpu_align(bytes);
  return offset;
}

/* Makes the reorder of a port and every lane's memory objects for it. */
static dnnl_status_t make_port(ln_dnnl_conv *c, int i, int arg, bool output, int rank, const dnnl_dims_t dims,
                               dnnl_format_tag_t tag) {
  dnnl_engine_t engine = c->dnnl->engine;
  port *p = &c->port[i];
  *p = (port){.used = true, .output = output, .arg = arg};
  ln_md native = dnnl_primitive_desc_query_md(c->pd, dnnl_query_exec_arg_md, arg);
  dnnl_memory_desc_t given;
  memset(&given, 0, sizeof given);
  dnnl_status_t status = ln_md_make(&given, rank, dims, tag);
  dnnl_primitive_desc_t pd = NULL;
  if (status == dnnl_success && !dnnl_memory_desc_equal(native, ln_md_borrow(&given))) {
    status = dnnl_reorder_primitive_desc_create(&pd, output ? native : ln_md_borrow(&given), engine,
                                                output ? ln_md_borrow(&given) : native, engine, c->dnnl->attr);
    if (status == dnnl_success) status = dnnl_primitive_create(&p->reorder, pd);
    p->offset = take(c, dnnl_memory_desc_get_size(native));
  }
  ln_md scratch = pd != NULL ? dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0) : NULL;
  for (int k = 0; k < c->lanes && status == dnnl_success; k++) {
    lane *l = &c->lane[k];
    status = dnnl_memory_create(&l->native[i], native, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success && p->reorder != NULL)
      status = dnnl_memory_create(&l->given[i], ln_md_borrow(&given), engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success && scratch != NULL)
      status = dnnl_memory_create(&l->reorder_scratch[i], scratch, engine, DNNL_MEMORY_NONE);
  }
  size_t bytes = scratch != NULL ? dnnl_memory_desc_get_size(scratch) : 0;
  if (c->scratch_bytes < bytes) c->scratch_bytes = bytes;
  if (pd != NULL) dnnl_primitive_desc_destroy(pd);
  ln_md_free(&given);
  return status;
}

static dnnl_status_t make_ports(ln_dnnl_conv *c, const shape *s, const ln_dnnl_request *r) {
  bool forward = r->dir == LN_CONV_FORWARD, data = r->dir == LN_CONV_BACKWARD_DATA;
  bool weights = r->dir == LN_CONV_BACKWARD_WEIGHTS;
  dnnl_status_t status = make_port(c, SRC, data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, data, s->rank, s->src, s->src_tag);
  if (status == dnnl_success)
    status = make_port(c, WEIGHTS, weights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, weights, s->weights_rank,
                       s->weights, plain_tag(s->weights_rank));
  if (status == dnnl_success)
    status = make_port(c, DST, forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, forward, s->rank, s->dst, s->dst_tag);
  if (status == dnnl_success && r->bias) status = make_port(c, BIAS, DNNL_ARG_BIAS, false, 1, s->bias, dnnl_a);
  return status;
}

/* The primitive and the scratchpad that it shares with the reorders. */
static dnnl_status_t finish(ln_dnnl_conv *c) {
  dnnl_status_t status = dnnl_primitive_create(&c->primitive, c->pd);
  if (status != dnnl_success) return status;
  ln_md scratch = dnnl_primitive_desc_query_md(c->pd, dnnl_query_scratchpad_md, 0);
  size_t bytes = scratch != NULL ? dnnl_memory_desc_get_size(scratch) : 0;
  if (c->scratch_bytes < bytes) c->scratch_bytes = bytes;
  c->scratch_offset = take(c, c->scratch_bytes);
  for (int k = 0; k < c->lanes && status == dnnl_success && scratch != NULL; k++)
    status = dnnl_memory_create(&c->lane[k].scratch, scratch, c->dnnl->engine, DNNL_MEMORY_NONE);
  return status;
}

ln_code ln_dnnl_conv_new(const ln_dnnl *d, const ln_dnnl_request *r, ln_dnnl_conv **out, ln_error *err) {
  shape s;
  *out = NULL;
  if (!shape_of(r->g, &s)) return LN_OK;
  s.src_tag = tag_of(r->src, s.rank, r->block);
  s.dst_tag = tag_of(r->dst, s.rank, r->block);
  ln_dnnl_conv *c = ln_calloc(d->mem, 1, sizeof *c + (size_t)r->lanes * sizeof *c->lane);
  if (c == NULL) return ln_fail(err, LN_ENOMEM, "out of memory while preparing a convolution");
  c->dnnl = d;
  c->lanes = r->lanes;
  int before = omp_get_max_threads(); /* a primitive is made for the threads of this moment */
  omp_set_num_threads(r->threads);
  dnnl_status_t status = find(d, &s, r, &c->pd);
  bool found = status == dnnl_success && c->pd != NULL;
  if (found) status = make_ports(c, &s, r);
  if (found && status == dnnl_success) status = finish(c);
  omp_set_num_threads(before);
  if (!found || status != dnnl_success) {
    ln_dnnl_conv_free(c);
    return status == dnnl_success ? LN_OK : ln_dnnl_fail((int)status, "preparing a convolution", err);
  }
  *out = c;
  return LN_OK;
}

static void free_memory(dnnl_memory_t memory) {
  if (memory != NULL) dnnl_memory_destroy(memory);
}

void ln_dnnl_conv_free(ln_dnnl_conv *c) {
  if (c == NULL) return;
  for (int k = 0; k < c->lanes; k++) {
    free_memory(c->lane[k].scratch);
    for (int i = 0; i < PORTS; i++) {
      free_memory(c->lane[k].given[i]);
      free_memory(c->lane[k].native[i]);
      free_memory(c->lane[k].reorder_scratch[i]);
    }
  }
  for (int i = 0; i < PORTS; i++)
    if (c->port[i].reorder != NULL) dnnl_primitive_destroy(c->port[i].reorder);
  if (c->primitive != NULL) dnnl_primitive_destroy(c->primitive);
  if (c->pd != NULL) dnnl_primitive_desc_destroy(c->pd);
  ln_free(c->dnnl->mem, c);
}

size_t ln_dnnl_conv_workspace(const ln_dnnl_conv *c) { return c->workspace; }

const char *ln_dnnl_conv_name(const ln_dnnl_conv *c) {
  const char *name = "";
  dnnl_primitive_desc_query(c->pd, dnnl_query_impl_info_str, 0, (void *)&name);
  return name;
}

bool ln_dnnl_conv_reorders(const ln_dnnl_conv *c) {
  return c->port[SRC].reorder != NULL || c->port[DST].reorder != NULL;
}

/* -- running */

static dnnl_status_t reorder(const ln_dnnl_conv *c, const lane *l, int i) {
  bool out = c->port[i].output;
  dnnl_exec_arg_t args[3] = {{DNNL_ARG_FROM, out ? l->native[i] : l->given[i]},
                             {DNNL_ARG_TO, out ? l->given[i] : l->native[i]},
                             {DNNL_ARG_SCRATCHPAD, l->reorder_scratch[i]}};
  return dnnl_primitive_execute(c->port[i].reorder, c->dnnl->stream, l->reorder_scratch[i] != NULL ? 3 : 2, args);
}

/* Points the lane's memory objects at this run's data. */
static dnnl_status_t bind(const ln_dnnl_conv *c, const lane *l, void *const data[PORTS], char *workspace) {
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < PORTS && status == dnnl_success; i++) {
    const port *p = &c->port[i];
    if (!p->used) continue;
    status = dnnl_memory_set_data_handle(l->native[i], p->reorder != NULL ? workspace + p->offset : data[i]);
    if (status == dnnl_success && p->reorder != NULL) status = dnnl_memory_set_data_handle(l->given[i], data[i]);
    if (status == dnnl_success && l->reorder_scratch[i] != NULL)
      status = dnnl_memory_set_data_handle(l->reorder_scratch[i], workspace + c->scratch_offset);
  }
  if (status == dnnl_success && l->scratch != NULL)
    status = dnnl_memory_set_data_handle(l->scratch, workspace + c->scratch_offset);
  return status;
}

static dnnl_status_t execute(const ln_dnnl_conv *c, const lane *l) {
  dnnl_exec_arg_t args[PORTS + 1];
  int n = 0;
  for (int i = 0; i < PORTS; i++)
    if (c->port[i].used) args[n++] = (dnnl_exec_arg_t){c->port[i].arg, l->native[i]};
  if (l->scratch != NULL) args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, l->scratch};
  return dnnl_primitive_execute(c->primitive, c->dnnl->stream, n, args);
}

int ln_dnnl_conv_run(const ln_dnnl_conv *c, int which, const ln_conv_tensors *t, bool same_weights, void *workspace) {
  const lane *l = &c->lane[which];
  void *bias;
  memcpy(&bias, &t->bias, sizeof bias); /* oneDNN's memory objects know no const */
  void *const data[PORTS] = {t->src, t->weights, bias, t->dst};
  dnnl_status_t status = bind(c, l, data, workspace);
  for (int i = 0; i < PORTS && status == dnnl_success; i++)
    if (c->port[i].reorder != NULL && !c->port[i].output && !(same_weights && i == WEIGHTS)) status = reorder(c, l, i);
  if (status == dnnl_success) status = execute(c, l);
  for (int i = 0; i < PORTS && status == dnnl_success; i++)
    if (c->port[i].reorder != NULL && c->port[i].output) status = reorder(c, l, i);
  return (int)status;
}
