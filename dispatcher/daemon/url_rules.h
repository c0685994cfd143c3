/* url_rules.h - which URLs a job may name. Pure functions but for the list,
 * which is read-only once made; any thread.
 *
 * A rule is the beginning of a URL and ends where a part of a path ends:
 * "s3://in/up" allows s3://in/up/a.mov, not s3://in/upper/a.mov. "s3://" and
 * "https://" alone allow any bucket or host; an https:// host that is plainly
 * a private, loopback or link-local address, or "localhost", has to be named
 * by the rule. (What a name resolves to is looked at when it is connected to.)
 *
 * A URL that could be read in two ways is refused whatever the rules say:
 * user-info, a fragment, parts "." or ".." (also escaped), an escaped slash or
 * NUL, control characters, a backslash, a port that isn't one. Keys of S3 stand in
 * their URLs as they are: '%', '?' and '#' are characters like others there.
 */
#ifndef GOPMILL_DAEMON_URL_RULES_H
#define GOPMILL_DAEMON_URL_RULES_H

#include <stddef.h>
#include <sys/socket.h>

struct err;

struct url_rules {
    char **prefixes;
    size_t n;
};

/* Copies `prefix` once it is checked. -EINVAL with ERR_USAGE; -ENOMEM. */
int url_rules_add(struct url_rules *r, const char *prefix, struct err *err);
void url_rules_release(struct url_rules *r); /* leaves it zeroed */

/* Whether `url` may be used as `what` ("source"): 0, or -EACCES (no rule
 * allows it) or -EINVAL (it is none), both with ERR_USAGE, what and why. */
int url_rules_check(const struct url_rules *r, const char *what, const char *url, struct err *err);

/* 127/8 and ::1. (What is private: address_is_private() of common/store/http.h.) */
int address_is_loopback(const struct sockaddr *a);

#endif
