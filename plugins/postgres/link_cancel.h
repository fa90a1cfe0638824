/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a server to give up what a connection runs; see link_cancel.c. */
#ifndef PLUGINS_POSTGRES_LINK_CANCEL_H
#define PLUGINS_POSTGRES_LINK_CANCEL_H

#include <libpq-fe.h>

/* Returns when the server has heard of it, or after a quarter of a second. */
void link_cancel(PGconn *conn);

#endif
