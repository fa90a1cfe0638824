/* SPDX-License-Identifier: Apache-2.0 */
/* A condition on one label; an absent label has the empty value. */
#ifndef STORAGE_MATCHER_H
#define STORAGE_MATCHER_H

#include <sonde/base.h>

#include "model/labels.h"
#include "util/regex.h"

enum matcher_op {
    MATCH_EQ,
    MATCH_NE,
    MATCH_RE,
    MATCH_NRE
};

struct matcher {
    enum matcher_op op;
    sonde_str name, value;
    struct regex *re; /* of RE and NRE; a reference is held */
};

/* Compiles a regular expression if the operator needs one. The strings are
 * borrowed. */
SONDE_NODISCARD sonde_code matcher_init(struct matcher *m, enum matcher_op op,
                                        sonde_str name, sonde_str value,
                                        struct sonde_err *err);
void matcher_fini(struct matcher *m);
bool matcher_matches(const struct matcher *m, sonde_str value);
bool matchers_match(const struct matcher *ms, size_t n, const struct labels *l);
/* name="value", as PromQL prints it. */
void matcher_print(struct buf *b, const struct matcher *m);

#endif
