/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays files and folders of files through a fuzz target, for builds
 * without libFuzzer: the corpus is a plain test then. Speaks TAP: one line a
 * program, because a crash is what would fail.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(1u << 20);
    size_t n;

    if (!f || !data) {
        perror(path);
        exit(99);
    }
    n = fread(data, 1, 1u << 20, f);
    /* An exact copy, so that the sanitizer sees reads past the end. */
    data = realloc(data, n ? n : 1);
    (void)LLVMFuzzerTestOneInput(data, n);
    free(data);
    (void)fclose(f);
    replayed++;
}

static void replay(const char *path)
{
    struct stat st;
    struct dirent *e;
    DIR *dir;

    if (stat(path, &st) != 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    dir = opendir(path);
    while (dir && (e = readdir(dir))) {
        char child[4096];

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        replay(child);
    }
    if (dir)
        (void)closedir(dir);
}

/* Without arguments: the corpus named after the program, in the sources. */
int main(int argc, char **argv)
{
    const char *src = getenv("SONDE_SRC_DIR");
    const char *base = strrchr(argv[0], '/');
    char corpus[4096];

    base = base ? base + 1 : argv[0];
    if (strncmp(base, "lt-", 3) == 0)
        base += 3;
    (void)snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s",
                   src ? src : ".", base);
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (argc == 1)
        replay(corpus);
    (void)printf("1..1\n%s 1 - %s: %zu inputs replayed\n",
                 replayed ? "ok" : "not ok", base, replayed);
    return replayed ? 0 : 1;
}
