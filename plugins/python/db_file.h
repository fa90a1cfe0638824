/* SPDX-License-Identifier: Apache-2.0 */
/* The files in which prometheus_client's processes keep their values. */
#ifndef PYTHON_DB_FILE_H
#define PYTHON_DB_FILE_H

#include <sonde/base.h>

/* ---- names --------------------------------------------------------------- */

enum db_kind {
    DB_COUNTER,
    DB_GAUGE,
    DB_HISTOGRAM,
    DB_SUMMARY,
};

/* How the values of a gauge's processes become one. */
enum db_mode {
    DB_ALL, /* they do not: each has the label pid */
    DB_MIN,
    DB_MAX,
    DB_SUM,
    DB_MOST_RECENT,
};

struct db_name {
    enum db_kind kind;
    enum db_mode mode; /* of gauges */
    bool live;         /* of gauges: only while the process lives */
    sonde_str pid;     /* what stands for the process: most often its id */
};

/* "gauge_livesum_123.db"; false when it is not such a name. */
bool db_name_parse(sonde_str file, struct db_name *out);
/* "livesum" */
bool db_mode_parse(sonde_str text, enum db_mode *mode, bool *live);

/* ---- values -------------------------------------------------------------- */

struct db_entry {
    sonde_str key; /* JSON */
    double value;
    double stamp; /* seconds since the epoch; 0: not known */
};

struct db_walk {
    const char *data;
    size_t end, at;
    bool stamps;  /* a time stands behind each value */
    bool damaged; /* the file does not hold what it says it does */
};

/* Begins to read a file's bytes, which must stay. */
void db_walk_begin(struct db_walk *w, const char *data, size_t len);
/* False at the end; `damaged` says whether that came too early. */
bool db_walk_next(struct db_walk *w, struct db_entry *out);

/* ---- reading ------------------------------------------------------------- */

/* Grows, and keeps its memory from file to file. */
struct db_buffer {
    char *data;
    size_t cap;
};

/* Reads file `name` of folder `dir` (a descriptor), as much of it as is in
 * use and at most `limit` bytes. SONDE_ENOTFOUND: it is gone; SONDE_ELIMIT:
 * it is larger; others as they are. */
SONDE_NODISCARD sonde_code db_file_read(int dir, const char *name, size_t limit,
                                        struct db_buffer *b, size_t *len,
                                        struct sonde_err *err);
void db_buffer_fini(struct db_buffer *b);

#endif
