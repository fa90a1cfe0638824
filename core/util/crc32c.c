/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polynomial 0x1EDC6F41, reflected 0x82F63B78. x86-64 with SSE 4.2 and
 * aarch64 with the CRC extension have an instruction for it (8 bytes at a
 * time); elsewhere slicing by four with tables made at compile time is not
 * worth its size, so a single table, filled on first use, does.
 */
#include "util/crc32c.h"

#include <pthread.h>
#include <string.h>

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t len)
{
    (void)pthread_once(&table_once, table_fill);
    while (len--)
        crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
    uint64_t c = crc;

    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        c = __builtin_ia32_crc32di(c, v);
    }
    crc = (uint32_t)c;
    while (len--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

static int have_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        crc = __crc32cd(crc, v);
    }
    while (len--)
        crc = __crc32cb(crc, *p++);
    return crc;
}

static int have_hardware(void)
{
    return 1;
}
#else
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
    return crc_table(crc, p, len);
}

static int have_hardware(void)
{
    return 0;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    crc = ~crc;
    crc = have_hardware() ? crc_hardware(crc, data, len)
                          : crc_table(crc, data, len);
    return ~crc;
}
