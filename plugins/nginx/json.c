/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents of status pages, read by jansson: it bounds the depth and
 * refuses texts that are no UTF-8 or hold NUL, so any string is fit to be a
 * label. Integers are read as doubles, which is what becomes of them anyway:
 * a counter beyond 2^63 must not make the document unreadable.
 */
#include <ctype.h>

#include "nginx.h"

json_t *json_document(sonde_str body, struct sonde_err *err)
{
    json_error_t at;
    json_t *doc;

    while (body.len && isspace((unsigned char)body.ptr[0])) {
        body.ptr++;
        body.len--;
    }
    if (body.len == 0) {
        (void)sonde_err_set(err, SONDE_EPARSE,
                            "expected a JSON document, got an empty answer");
        return NULL;
    }
    if (body.ptr[0] == '<') {
        (void)sonde_err_set(err, SONDE_EPARSE,
                            "expected a JSON document, got an HTML page: is "
                            "the path right?");
        return NULL;
    }
    doc = json_loadb(body.ptr, body.len,
                     JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &at);
    if (!doc)
        (void)sonde_err_set(err, SONDE_EPARSE,
                            "expected a JSON document, got %s at byte %d",
                            at.text, at.position);
    return doc;
}

double json_double(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_true(v) ? 1 : json_number_value(v);
}

sonde_str json_str(const json_t *string)
{
    return json_is_string(string) ? (sonde_str){ json_string_value(string),
                                                 json_string_length(string) }
                                  : (sonde_str){ "", 0 };
}

sonde_str json_text(const json_t *object, const char *key)
{
    return json_str(json_object_get(object, key));
}
