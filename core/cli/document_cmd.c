/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde document`: prints docs/configuration.md. Hidden; for whoever changes
 * a table.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "util/buf.h"

int cli_document(int argc, char **argv)
{
    struct buf b;
    bool written;

    (void)argv;
    if (argc > 1) {
        cli_error("usage: sonde document");
        return CLI_USAGE;
    }
    buf_init(&b);
    cli_document_text(&b);
    written = fwrite(b.data, 1, b.len, stdout) == b.len;
    buf_fini(&b);
    return written && fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}
