/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax tree of PromQL. Nodes are the parse's arena's. */
#ifndef PROMQL_AST_H
#define PROMQL_AST_H

#include <sonde/base.h>

#include "storage/matcher.h"

enum promql_type {
    PROMQL_NONE,
    PROMQL_SCALAR,
    PROMQL_STRING,
    PROMQL_VECTOR, /* instant vector */
    PROMQL_MATRIX, /* range vector   */
};

struct promql_expr; /* completed by the room's owner; see parse.c */

#endif
