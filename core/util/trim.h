/* SPDX-License-Identifier: Apache-2.0 */
/* Gives memory back that was needed once. */
#ifndef UTIL_TRIM_H
#define UTIL_TRIM_H

/* To be called when starting is over (and after large, rare work): lets go
 * of the heap's free pages, and of the pages of program and libraries that
 * were touched while loading; what is needed again comes back by itself from
 * the page cache. Any thread; takes about a millisecond. */
void trim_resident(void);

#endif
