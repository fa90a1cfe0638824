/* SPDX-License-Identifier: Apache-2.0 */
/* The example plugin under the fake host; speaks TAP. */
#undef NDEBUG
#include <assert.h>

#include <sonde/testing.h>

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void collects(const char *path)
{
    struct sonde_fake fake;

    write_file(path, "0.50 1.25 2.00 3/400 12345\n");
    sonde_fake_init(&fake, sonde_plugin_entry);
    assert(sonde_fake_option(&fake, "path", path) == SONDE_OK);
    assert(sonde_fake_open(&fake, "localhost") == SONDE_OK);
    assert(sonde_fake_collect(&fake, 1000) == SONDE_OK);
    assert(sonde_fake_value(&fake, "loadavg{minutes=\"5\"}") == 1.25);
    assert(sonde_fake_value(&fake, "loadavg_processes") == 400);
    sonde_fake_fini(&fake);
}

static void refuses_garbage(const char *path)
{
    struct sonde_fake fake;

    write_file(path, "no numbers here\n");
    sonde_fake_init(&fake, sonde_plugin_entry);
    (void)sonde_fake_option(&fake, "path", path);
    assert(sonde_fake_open(&fake, "localhost") == SONDE_OK);
    assert(sonde_fake_collect(&fake, 1000) == SONDE_EPARSE);
    assert(strstr(fake.err.text, path));
    sonde_fake_fini(&fake);
}

int main(void)
{
    char path[] = "/tmp/example_test.XXXXXX";
    int fd = mkstemp(path);

    assert(fd >= 0);
    (void)close(fd);
    (void)puts("1..2");
    collects(path);
    (void)puts("ok 1 - example: collects");
    refuses_garbage(path);
    (void)puts("ok 2 - example: refuses garbage");
    (void)unlink(path);
    return 0;
}
