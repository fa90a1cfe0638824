/* SPDX-License-Identifier: Apache-2.0 */
/* The rows behind flags.h; private to cli/. */
#ifndef CLI_FLAGS_TABLE_H
#define CLI_FLAGS_TABLE_H

#include <sonde/base.h>

#include "cli/flags.h"

enum flag_kind {
    FLAG_BOOL,
    FLAG_STR,
    FLAG_CHOICE, /* sonde_str, one of `choices` */
    FLAG_INT,
    FLAG_DURATION,
    FLAG_SIZE,
    FLAG_LIST, /* adds up; an item may hold several, separated by commas */
};

enum flag_group {
    FLAG_GENERAL,
    FLAG_WEB,
    FLAG_STORAGE,
    FLAG_QUERY,
    FLAG_LOG,
    FLAG_NO_EFFECT, /* accepted because manifests in the wild pass it */
    FLAG_GROUPS
};

enum flag_mode {
    FLAG_ANY,
    FLAG_SERVER, /* an error with --agent */
    FLAG_AGENT,  /* an error without      */
};

struct flag {
    const char *name;
    enum flag_kind kind;
    enum flag_group group;
    enum flag_mode mode;
    size_t offset;        /* in struct flags; SIZE_MAX: no field          */
    const char *fallback; /* NULL: false, 0, empty                         */
    const char *help;     /* of NO_EFFECT: why it has none                 */
    const char *const *choices;
    int64_t min, max;    /* both 0: none                                     */
    char letter;         /* -h; 0: none                                      */
    const char *not_yet; /* why it is of no effect so far, or NULL        */
};

extern const struct flag flag_rows[];
extern const size_t flag_count;

/* Whether a feature of --enable-feature does something; if not, why. */
/* The bit of enum promql_feature; 0: none. */
unsigned feature_of_promql(sonde_str name);
bool feature_has_effect(sonde_str name, const char **why);

const char *flag_group_title(enum flag_group group);

#endif
