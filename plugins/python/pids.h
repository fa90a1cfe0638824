/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the processes that wrote files are still there. */
#ifndef PYTHON_PIDS_H
#define PYTHON_PIDS_H

#include <sonde/base.h>

/* Whether the number is that of an application's process that we can see, and
 * that can have written a file of user `uid`, last changed at `changed`
 * (seconds since the epoch): a sign that the numbers in the files' names are
 * process ids, and ours. */
bool pids_known(sonde_str pid, unsigned uid, double changed);
/* Whether there is no process of that number. False if it is no number, or
 * if it can not be told. */
bool pids_gone(sonde_str pid);

#endif
