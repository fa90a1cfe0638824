/* SPDX-License-Identifier: Apache-2.0 */
/* See yaml_file.h. An alias is its node, so nothing grows by them; readers
 * walk to a fixed depth. */
#include "yaml_file.h"

sonde_code yaml_file_read(sonde_str text, struct yaml_file *out,
                          struct sonde_err *err)
{
    yaml_parser_t parser;
    sonde_code rc = SONDE_OK;

    *out = (struct yaml_file){ 0 };
    if (!yaml_parser_initialize(&parser))
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    yaml_parser_set_input_string(
        &parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    if (yaml_parser_load(&parser, &out->document)) {
        out->loaded = true;
        out->root = yaml_document_get_root_node(&out->document);
    } else {
        rc = sonde_err_set(err, SONDE_EPARSE, "line %zu: %s",
                           parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "no YAML");
    }
    yaml_parser_delete(&parser);
    return rc;
}

void yaml_file_fini(struct yaml_file *f)
{
    if (f->loaded)
        yaml_document_delete(&f->document);
    *f = (struct yaml_file){ 0 };
}

bool yaml_is_mapping(const yaml_node_t *n)
{
    return n && n->type == YAML_MAPPING_NODE;
}

bool yaml_is_sequence(const yaml_node_t *n)
{
    return n && n->type == YAML_SEQUENCE_NODE;
}

bool yaml_pair(struct yaml_file *f, const yaml_node_t *mapping, size_t i,
               sonde_str *key, yaml_node_t **value)
{
    const yaml_node_pair_t *p;

    if (!yaml_is_mapping(mapping) ||
        (size_t)(mapping->data.mapping.pairs.top -
                 mapping->data.mapping.pairs.start) <= i)
        return false;
    p = mapping->data.mapping.pairs.start + i;
    *key = (sonde_str){ 0 };
    (void)yaml_scalar(yaml_document_get_node(&f->document, p->key), key);
    *value = yaml_document_get_node(&f->document, p->value);
    return true;
}

yaml_node_t *yaml_item(struct yaml_file *f, const yaml_node_t *sequence,
                       size_t i)
{
    if (!yaml_is_sequence(sequence) ||
        (size_t)(sequence->data.sequence.items.top -
                 sequence->data.sequence.items.start) <= i)
        return NULL;
    return yaml_document_get_node(&f->document,
                                  sequence->data.sequence.items.start[i]);
}

bool yaml_scalar(const yaml_node_t *n, sonde_str *out)
{
    if (!n || n->type != YAML_SCALAR_NODE)
        return false;
    *out = (sonde_str){ (const char *)n->data.scalar.value,
                        n->data.scalar.length };
    if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (text_is(*out, "null") || text_is(*out, "~")))
        out->len = 0;
    return true;
}

size_t yaml_line(const yaml_node_t *n)
{
    return n ? n->start_mark.line + 1 : 0;
}
