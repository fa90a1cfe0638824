/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for chunks: open ones grow in small steps, full ones are packed. */
#ifndef TSDB_CHUNK_MEM_H
#define TSDB_CHUNK_MEM_H

#include <sonde/base.h>

#define CHUNK_CLASSES    20
#define CHUNK_MEM_MAX    1024
#define CHUNK_MEM_BYTES  65536   /* of a slab, and what it is aligned to    */
#define CHUNK_MEM_REGION 1048576 /* what slabs are cut from               */
#define CHUNK_MEM_WARM   16

struct chunk_slab;

/* Slabs of one class that have room, in the order they got it. */
struct chunk_class {
    struct chunk_slab *first, *last;
};

struct chunk_mem {
    struct chunk_class classes[CHUNK_CLASSES];
    struct chunk_slab *warm[CHUNK_MEM_WARM]; /* of no class, just left    */
    size_t warm_count;
    struct chunk_slab **cold; /* of no class, costing no memory            */
    size_t cold_count, cold_cap;
    void **regions;
    size_t region_count, region_cap;
    uint8_t *pack, *pack_end; /* free part of the region for full chunks   */
    size_t slabs;             /* in use                                    */
    size_t packed_bytes;
};

void chunk_mem_init(struct chunk_mem *m);
void chunk_mem_fini(struct chunk_mem *m);

/* The smallest class for `bytes` (at most CHUNK_MEM_MAX), and its size. */
unsigned chunk_class_for(size_t bytes);
size_t chunk_class_bytes(unsigned cls);

/* Not zeroed, aligned to 16. */
uint8_t *chunk_mem_get(struct chunk_mem *m, unsigned cls);
void chunk_mem_put(struct chunk_mem *m, unsigned cls, uint8_t *p);

/* For what stays as it is: lives as long as `m`; `align` 1 or 8. */
void *chunk_mem_pack(struct chunk_mem *m, size_t bytes, size_t align);

#endif
