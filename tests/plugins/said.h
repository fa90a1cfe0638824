/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin said under the fake host, with a note when it was not. */
#ifndef TESTS_PLUGINS_SAID_H
#define TESTS_PLUGINS_SAID_H

#include <math.h>
#include <string.h>

#include <sonde/testing.h>

#include "unit/tap.h"

/* Whether a series has that value; NAN: it is not there. */
static inline bool is(const struct sonde_fake *f, const char *series,
                      double want)
{
    double got = sonde_fake_value(f, series);
    bool ok = isnan(want) ? isnan(got) : fabs(got - want) < 1e-9;

    if (!ok)
        tap_note("%s: expected %g, got %g", series, want, got);
    return ok;
}

/* Whether nothing of the page has this text. */
static inline bool absent(const struct sonde_fake *f, const char *part)
{
    bool ok = !strstr(sonde_fake_cstr(&f->text), part);

    if (!ok)
        tap_note("%s is there", part);
    return ok;
}

#endif
