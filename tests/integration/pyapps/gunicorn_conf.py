# SPDX-License-Identifier: Apache-2.0
"""What the library's manual says to put into gunicorn's configuration."""
from prometheus_client import multiprocess


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
