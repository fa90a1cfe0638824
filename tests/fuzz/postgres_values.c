/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as a server may send them: numbers, times, intervals, durations,
 * arrays, settings, labels.
 */
#include <stdlib.h>

#include "postgres/queries.h"
#include "postgres/query_values.h"
#include "postgres/special.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_array(sonde_str s)
{
    size_t n = 0;
    double v;
    bool ok;

    while (sql_array_next(&s, &v, &ok)) {
        if (++n > 100000)
            abort();
        if (!s.ptr)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str all = { (const char *)data, size }, rest = all, parts[4] = { 0 };
    struct text t = { 0 };
    char family[300];
    double v;

    (void)text_number(all, &v);
    (void)sql_time(all, &v);
    (void)sql_interval(all, &v);
    (void)query_duration(all, &v);
    read_array(all);
    for (size_t i = 0; i < 4; i++)
        (void)text_split(&rest, '\n', &parts[i]);
    if (parts[0].ptr &&
        settings_value(parts[0], parts[1], parts[2], parts[3], family,
                       sizeof(family), &v) &&
        strspn(family, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                       "0123456789_") != strlen(family))
        abort();
    (void)text_add_utf8(&t, all, SIZE_MAX);
    text_fini(&t);
    return 0;
}
