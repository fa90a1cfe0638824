/* SPDX-License-Identifier: Apache-2.0 */
/* A shared object that is no plugin. */
#include <sonde/base.h>

SONDE_EXPORT int some_function(void);

int some_function(void)
{
    return 1;
}
