/* SPDX-License-Identifier: Apache-2.0 */
/* Only dispatches: every sub-command is a file of cli/. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
