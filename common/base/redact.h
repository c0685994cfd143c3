/* redact.h - takes secrets out of the URLs in a text, before it leaves: into
 * logs, error texts, receipts, the status of a job, dead letters. Pure
 * functions; any thread.
 *
 * What goes: user and password, and from '?' or '#' on, where a presigned
 * URL has its signature. s3:// and file:// keep what is behind '?': those are
 * characters of a key there. A URL begins with its scheme and "://", also as
 * "\/\/" in JSON, and ends at white space, '"', '<', '>' or '`', and at a "'"
 * where one stands before it.
 */
#ifndef GOPMILL_BASE_REDACT_H
#define GOPMILL_BASE_REDACT_H

/* Every URL in `text`, in place: it never gets longer. Also what is cut off in
 * the middle is recognised. */
void redact_urls(char *text);

/* One URL, all of the text. Allocated; NULL: out of memory. */
char *redacted_url(const char *url);

#endif
