/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's documents with a little comfort. */
#ifndef PLUGINS_POSTGRES_YAML_FILE_H
#define PLUGINS_POSTGRES_YAML_FILE_H

#include <yaml.h>

#include "shared/text.h"

struct yaml_file {
    yaml_document_t document;
    bool loaded;
    yaml_node_t *root; /* NULL: the file is empty */
};
/* Errors have the line. To be freed either way. */
SONDE_NODISCARD sonde_code yaml_file_read(sonde_str text, struct yaml_file *out,
                                          struct sonde_err *err);
void yaml_file_fini(struct yaml_file *f);

/* The i-th pair of a mapping; false: no more, or no mapping. A key that is no
 * scalar is an empty one. */
bool yaml_pair(struct yaml_file *f, const yaml_node_t *mapping, size_t i,
               sonde_str *key, yaml_node_t **value);
/* The i-th item of a sequence, or NULL. */
yaml_node_t *yaml_item(struct yaml_file *f, const yaml_node_t *sequence,
                       size_t i);
bool yaml_is_mapping(const yaml_node_t *n);
bool yaml_is_sequence(const yaml_node_t *n);
/* The text of a scalar; false if it is none. "" and null are empty. */
bool yaml_scalar(const yaml_node_t *n, sonde_str *out);
size_t yaml_line(const yaml_node_t *n);

#endif
