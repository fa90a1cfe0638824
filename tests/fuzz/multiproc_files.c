/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as multiprocess files: the input is cut at four 0xff bytes into
 * up to eight files, of all kinds and modes in turn, which are merged and
 * emitted twice under the fake host. Whatever is in them, the sink must have
 * nothing to refuse.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "python/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "counter_1.db",       "gauge_all_2.db", "histogram_3.db",
    "summary_4.db",       "gauge_max_5.db", "gauge_livemostrecent_6.db",
    "gauge_livesum_7.db", "histogram_8.db",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static void add_file(struct merge *m, const char *file, const uint8_t *data,
                     size_t size)
{
    char *copy = malloc(size + 1); /* of its own, so that overruns show */
    struct db_name name;
    struct db_entry e;
    struct db_walk w;

    if (!copy || !db_name_parse(sonde_cstr(file), &name))
        abort();
    memcpy(copy, data, size);
    merge_file(m, &name, false);
    for (db_walk_begin(&w, copy, size); db_walk_next(&w, &e);)
        merge_add(m, &e);
    free(copy);
}

static void add_files(struct merge *m, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < NAMES && size; i++) {
        const uint8_t *cut = memmem(data, size, "\xff\xff\xff\xff", 4);
        size_t n = cut ? (size_t)(cut - data) : size;

        add_file(m, names[i], data, n);
        n += cut ? 4 : 0;
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const refused[] = { "python_multiproc_files",
                                           "python_multiproc_dropped_values" };
    struct merge *m = merge_new(NULL, 0, refused, 2);
    struct sonde_fake f;

    if (size > 65536) {
        merge_free(m);
        return 0;
    }
    sonde_fake_init(&f, sonde_plugin_entry);
    for (int i = 0; i < 2; i++) {
        sonde_fake_begin(&f);
        merge_begin(m);
        add_files(m, data, size);
        merge_emit(m, &f.host, &f.sink);
        if (f.sink.code != SONDE_OK) {
            (void)fprintf(stderr, "%s\n", f.err.text);
            abort();
        }
    }
    sonde_fake_fini(&f);
    merge_free(m);
    return 0;
}
