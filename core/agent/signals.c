/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals are blocked before any thread is made and read from a descriptor
 * by the main thread, so that no handler runs anywhere and an early SIGHUP
 * kills nobody. Web requests wake the main thread through an eventfd.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent_int.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/trim.h"

#define SETTLED_MS 15000
#define QUIET_MS   (20 * 1000)

/* A target is a connection is a descriptor: as many as we may. */
static void raise_file_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max)
        return;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        log_warn("agent", "the limit of open files stays as it is");
}

sonde_code agent_signals_open(struct agent *a, struct sonde_err *err)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    /* A file-size limit is told by write's error, not by dying. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    a->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->signal_fd < 0 || a->wake_fd < 0)
        return fs_err(err, errno, "open", "signal descriptor");
    return SONDE_OK;
}

void agent_signals_close(struct agent *a)
{
    if (a->signal_fd >= 0)
        (void)close(a->signal_fd);
    if (a->wake_fd >= 0)
        (void)close(a->wake_fd);
}

void agent_wake(struct agent *a)
{
    const uint64_t one = 1;

    if (write(a->wake_fd, &one, sizeof(one)) < 0) {
        /* The counter is full: it is awake. */
    }
}

static void on_signal(struct agent *a, int signo)
{
    struct sonde_err err;

    if (signo == SIGHUP) {
        (void)agent_reload(a, &err);
        return;
    }
    log_info("agent", "stopping", LOG_CSTR("signal", sigabbrev_np(signo)));
    atomic_store(&a->stopping, true);
}

/* What comes after the one that stops it stays pending: a second one ends the
 * process, and a reload would come too late. */
static void read_signals(struct agent *a)
{
    struct signalfd_siginfo info;

    while (!atomic_load(&a->stopping) &&
           read(a->signal_fd, &info, sizeof(info)) == sizeof(info))
        on_signal(a, (int)info.ssi_signo);
}

/* Before there is a loop to read them: only those that stop. A reload must
 * find all rooms, and waits. */
bool agent_signals_stop(struct agent *a)
{
    const struct timespec at_once = { 0, 0 };
    sigset_t set;
    int signo;

    if (atomic_load(&a->stopping))
        return true;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    signo = sigtimedwait(&set, NULL, &at_once);
    if (signo > 0)
        on_signal(a, signo);
    return signo > 0;
}

static void read_wishes(struct agent *a)
{
    uint64_t n;

    if (read(a->wake_fd, &n, sizeof(n)) != sizeof(n))
        return;
    agent_serve_reloads(a);
    if (atomic_load(&a->quit_asked)) {
        log_info("agent", "stopping", LOG_CSTR("reason", "/-/quit"));
        atomic_store(&a->stopping, true);
    }
}

void agent_wait(struct agent *a)
{
    struct pollfd fds[2] = { { .fd = a->signal_fd, .events = POLLIN },
                             { .fd = a->wake_fd, .events = POLLIN } };

    int wait_ms = SETTLED_MS;
    bool settled = false;

    while (!atomic_load(&a->stopping)) {
        int n = poll(fds, 2, wait_ms);

        if (n < 0 && errno != EINTR)
            break;
        if (n == 0) {
            /* The first scrapes are over; what they loaded goes too. */
            if (!settled)
                trim_resident();
            settled = true;
            wait_ms = QUIET_MS;
            agent_quiet(a);
        }
        read_signals(a);
        read_wishes(a);
    }
}

void agent_signals_let_kill(void)
{
    sigset_t set;

    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
