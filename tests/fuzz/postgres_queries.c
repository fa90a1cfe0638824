/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of queries and of auth modules. What is read has names that the sink
 * takes.
 */
#include <ctype.h>
#include <stdlib.h>

#include "postgres/postgres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *z)
{
    if (!*z || isdigit((unsigned char)*z))
        abort();
    for (; *z; z++) {
        if (!isalnum((unsigned char)*z) && *z != '_' && *z != ':')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    struct query_set set;
    struct credentials c;
    struct sonde_err err = { 0 };

    if (queries_read(text, &set, &err) == SONDE_OK) {
        for (size_t i = 0; i < set.count; i++) {
            const struct query *q = &set.items[i];

            check_name(q->name);
            for (size_t k = 0; k < q->column_count; k++)
                check_name(q->columns[k].family);
            (void)query_applies(q, 15018000);
        }
    }
    queries_fini(&set);
    if (auth_module_read(text, SONDE_STR("a"), &c, &err) == SONDE_OK &&
        (!c.user || !c.password))
        abort();
    credentials_fini(&c);
    return 0;
}
