#include "s3_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/utf8.h"
#include "../base/xml_cleanup.h"

enum { BUCKET_MIN = 3, BUCKET_MAX = 63, TOKEN_MAX = 8192, ENTRIES_MAX = 10000 };

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

/* ---- names ---- */

static int bucket_valid(const char *b, size_t n)
{
    if (n < BUCKET_MIN || n > BUCKET_MAX || strchr("-.", b[0]) || strchr("-.", b[n - 1]))
        return 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)b[i];
        int alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && c != '-' && c != '.' && c != '_')
            return 0;
        if (c == '.' && b[i + 1] == '.')
            return 0;
    }
    return 1;
}

int s3_key_check(const char *key, struct err *err)
{
    size_t len = strnlen(key, S3_KEY_MAX + 1);

    if (len == 0)
        return err_set(err, -EINVAL, ERR_INPUT, "the key of an object is empty");
    if (len > S3_KEY_MAX)
        return err_set(err, -EINVAL, ERR_INPUT, "key '%.100s…' is longer than %d bytes", key,
                       S3_KEY_MAX);
    if (!utf8_valid(key, len))
        return err_set(err, -EINVAL, ERR_INPUT, "the key of an object is not valid UTF-8");
    return 0;
}

int s3_url_parse(const char *url, char **ret_bucket, char **ret_key, struct err *err)
{
    if (strncasecmp(url, "s3://", 5) != 0)
        return err_set(err, -EINVAL, ERR_USAGE, "%.300s: not an s3:// URL", url);
    const char *b = url + 5;
    size_t n = strcspn(b, "/");
    if (!bucket_valid(b, n))
        return err_set(
            err, -EINVAL, ERR_USAGE,
            "%.300s: '%.80s' can't be a bucket (%d to %d letters, digits, '-', '.', '_')", url,
            n ? b : "", BUCKET_MIN, BUCKET_MAX);
    const char *key = b[n] ? b + n + 1 : "";
    if (key[0] && s3_key_check(key, err) < 0)
        return err_set(err, -EINVAL, ERR_USAGE, "%.100s…: a key is valid UTF-8 of at most %d bytes",
                       url, S3_KEY_MAX);

    _cleanup_free_ char *bucket = strndup(b, n);
    char *copy = strdup(key);
    if (!bucket || !copy) {
        free(copy);
        return no_memory(err);
    }
    *ret_bucket = take_ptr(bucket);
    *ret_key = copy;
    return 0;
}

int s3_etag_copy(const char *raw, char *ret, size_t size)
{
    size_t n = strlen(raw);

    if (n >= 2 && raw[0] == '"' && raw[n - 1] == '"') {
        raw++;
        n -= 2;
    }
    if (n == 0 || n >= size || strncmp(raw, "W/", 2) == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)raw[i] <= ' ' || (unsigned char)raw[i] >= 0x7f || raw[i] == '"')
            return -EINVAL;
    memcpy(ret, raw, n);
    ret[n] = '\0';
    return 0;
}

int s3_etag_md5(const char *etag, char ret[33])
{
    if (strlen(etag) != 32 || strspn(etag, "0123456789abcdef") != 32)
        return 0;
    memcpy(ret, etag, 33);
    return 1;
}

/* ---- XML ---- */

static int is_named(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* NULL if it isn't XML, or one that no S3 server sends. */
static xmlDocPtr parse(const void *xml, size_t len)
{
    if (!xml || len == 0 || len > S3_XML_MAX || memmem(xml, len, "<!DOCTYPE", 9) ||
        memmem(xml, len, "<!ENTITY", 8))
        return NULL;
    /* The encoding is given, so that no other one hides a declaration. */
    xmlDocPtr doc = xmlReadMemory(xml, (int)len, NULL, "UTF-8",
                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                      XML_PARSE_NOCDATA);
    if (doc && (doc->intSubset || doc->extSubset)) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

/* The root element, if that is its name. */
static xmlNode *root_named(xmlDocPtr doc, const char *name)
{
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

    return root && is_named(root, name) ? root : NULL;
}

static xmlNode *child(const xmlNode *n, const char *name)
{
    for (xmlNode *c = n->children; c; c = c->next)
        if (is_named(c, name))
            return c;
    return NULL;
}

/* A copy of the text of the child `name`; NULL where there is none. */
static char *child_text(const xmlNode *n, const char *name)
{
    const xmlNode *c = child(n, name);
    _cleanup_(xml_freep) xmlChar *t = c ? xmlNodeGetContent(c) : NULL;

    return t ? strdup((char *)t) : NULL;
}

static void child_copy(const xmlNode *n, const char *name, char *ret, size_t size)
{
    _cleanup_free_ char *t = child_text(n, name);

    if (!t)
        return;
    size_t len = utf8_cut(t, size - 1);
    memcpy(ret, t, len);
    ret[len] = '\0';
    for (char *p = ret; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
}

void s3_error_parse(const void *xml, size_t len, struct s3_error *ret)
{
    _cleanup_(doc_freep) xmlDocPtr doc = parse(xml, len);
    const xmlNode *root = root_named(doc, "Error");

    *ret = (struct s3_error){ 0 };
    if (!root)
        return;
    child_copy(root, "Code", ret->code, sizeof(ret->code));
    child_copy(root, "Message", ret->message, sizeof(ret->message));
}

static int bad_answer(struct err *err, const char *what)
{
    return err_set(err, -EBADMSG, ERR_STORAGE, "the server's answer is not %s", what);
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return p ? (int)(p - digits) : -1;
}

/* In place, as encoding-type=url has it: '+' may stand for a blank. */
static int url_decode(char *s)
{
    char *out = s;

    for (; *s; s++) {
        int c = *s == '+' ? ' ' : (unsigned char)*s;
        if (*s == '%') {
            int h = hex_digit(s[1]), l = h < 0 ? -1 : hex_digit(s[2]);
            if (l < 0 || (h == 0 && l == 0))
                return -EINVAL;
            c = h << 4 | l;
            s += 2;
        }
        *out++ = (char)c;
    }
    *out = '\0';
    return 0;
}

/* ---- pages of a listing ---- */

static int parse_size(const char *text, uint64_t *ret)
{
    uint64_t v = 0;

    if (!text || !text[0] || strlen(text) > 18)
        return -EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        v = v * 10 + (uint64_t)(*text - '0');
    }
    *ret = v;
    return 0;
}

static int parse_object(const xmlNode *n, int encoded, struct s3_object *ret)
{
    _cleanup_free_ char *key = child_text(n, "Key"), *size = child_text(n, "Size");
    _cleanup_free_ char *etag = child_text(n, "ETag");

    if (!key || (encoded && url_decode(key) < 0) || parse_size(size, &ret->size_bytes) < 0)
        return -EBADMSG;
    if (!etag || s3_etag_copy(etag, ret->etag, sizeof(ret->etag)) < 0)
        ret->etag[0] = '\0';
    ret->key = take_ptr(key);
    return 0;
}

void s3_page_release(struct s3_page *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->objects[i].key);
    free(p->objects);
    free(p->next);
    *p = (struct s3_page){ 0 };
}

static size_t count_children(const xmlNode *n, const char *name)
{
    size_t count = 0;

    for (const xmlNode *c = n->children; c; c = c->next)
        count += (size_t)is_named(c, name);
    return count;
}

static int fill_page(const xmlNode *root, struct s3_page *page)
{
    _cleanup_free_ char *encoding = child_text(root, "EncodingType");
    _cleanup_free_ char *more = child_text(root, "IsTruncated");
    int encoded = encoding && strcasecmp(encoding, "url") == 0;
    size_t n = count_children(root, "Contents");

    if (n > ENTRIES_MAX)
        return -EBADMSG;
    page->objects = calloc(n + 1, sizeof(*page->objects));
    if (!page->objects)
        return -ENOMEM;
    for (const xmlNode *c = root->children; c; c = c->next) {
        if (!is_named(c, "Contents"))
            continue;
        if (parse_object(c, encoded, &page->objects[page->n]) < 0)
            return -EBADMSG;
        page->n++;
    }
    if (!more || strcmp(more, "true") != 0)
        return 0;
    page->next = child_text(root, "NextContinuationToken");
    return page->next && page->next[0] && strlen(page->next) <= TOKEN_MAX ? 0 : -EBADMSG;
}

int s3_page_parse(const void *xml, size_t len, struct s3_page *ret, struct err *err)
{
    _cleanup_(doc_freep) xmlDocPtr doc = parse(xml, len);
    const xmlNode *root = root_named(doc, "ListBucketResult");
    struct s3_page page = { 0 };

    if (!root)
        return bad_answer(err, "a list of objects");
    int r = fill_page(root, &page);
    if (r < 0) {
        s3_page_release(&page);
        return r == -ENOMEM ? no_memory(err) : bad_answer(err, "a whole list of objects");
    }
    *ret = page;
    return 0;
}

/* ---- multipart uploads ---- */

void s3_uploads_free(struct s3_upload *u, size_t n)
{
    for (size_t i = 0; u && i < n; i++) {
        free(u[i].key);
        free(u[i].id);
    }
    free(u);
}

int s3_uploads_parse(const void *xml, size_t len, struct s3_upload **ret, size_t *ret_n,
                     struct err *err)
{
    _cleanup_(doc_freep) xmlDocPtr doc = parse(xml, len);
    const xmlNode *root = root_named(doc, "ListMultipartUploadsResult");
    size_t count = root ? count_children(root, "Upload") : 0, n = 0;
    int bad = 0;

    if (!root || count > ENTRIES_MAX)
        return bad_answer(err, "a list of uploads");
    struct s3_upload *u = calloc(count + 1, sizeof(*u));
    if (!u)
        return no_memory(err);
    for (const xmlNode *c = root->children; c; c = c->next) {
        if (!is_named(c, "Upload"))
            continue;
        u[n].key = child_text(c, "Key");
        u[n].id = child_text(c, "UploadId");
        child_copy(c, "Initiated", u[n].initiated, sizeof(u[n].initiated));
        bad |= !u[n].key || !u[n].id || strlen(u[n].id) > TOKEN_MAX;
        n++;
    }
    if (bad) {
        s3_uploads_free(u, n);
        return bad_answer(err, "a whole list of uploads");
    }
    *ret = u;
    *ret_n = n;
    return 0;
}

int s3_upload_id_parse(const void *xml, size_t len, char **ret, struct err *err)
{
    _cleanup_(doc_freep) xmlDocPtr doc = parse(xml, len);
    const xmlNode *root = root_named(doc, "InitiateMultipartUploadResult");
    _cleanup_free_ char *id = root ? child_text(root, "UploadId") : NULL;

    if (!id || !id[0] || strlen(id) > TOKEN_MAX)
        return bad_answer(err, "that of an upload begun");
    *ret = take_ptr(id);
    return 0;
}
