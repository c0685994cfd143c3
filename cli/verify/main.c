/* gopmill-verify - the independent checker of a finished package. It shares
 * no code with what made it, beyond how errors are passed. */
#include <errno.h>
#include <getopt.h>
#include <libavutil/log.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "match.h"
#include "texts.h"

enum { EXIT_RIGHT, EXIT_WRONG, EXIT_USAGE, EXIT_UNUSABLE };

DEFINE_CLEANUP(struct package *, package_free);
DEFINE_CLEANUP(struct source *, source_free);
DEFINE_CLEANUP(struct match *, match_free);
DEFINE_CLEANUP(struct report *, report_free);

struct options {
    const char *dir, *source;
    int json, no_decode;
};

static void help(FILE *to)
{
    fputs("usage: gopmill verify DIR [--source INPUT] [--json] [--no-decode]\n"
          "\n"
          "Checks the package in DIR against the rules, without any of the code that made it.\n"
          "  --source INPUT  also compare frames, pictures and sound with what it was made of\n"
          "  --no-decode     don't decode (quick: containers and playlists only)\n"
          "  --json          print one JSON object instead of text\n"
          "\n"
          "Exit: 0 all right, 1 a check failed, 2 usage, 3 DIR or INPUT can't be used.\n"
          "\n"
          "Checks:\n",
          to);
    for (enum check c = 0; c < CHECK_MAX; c++)
        fprintf(to, "  %-20s %s\n", check_id(c), check_rule(c));
}

/* 0: go on; otherwise the exit status + 1. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"source",     required_argument, NULL, 's' },
        { "json",        no_argument, NULL, 'j' },
        { "no-decode",           no_argument, NULL, 'n' },
        { "help",no_argument, NULL, 'h' },
        { 0        },
    };
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) >= 0;) {
        switch (c) {
        case 's':
            o->source = optarg;
            break;
        case 'j':
            o->json = 1;
            break;
        case 'n':
            o->no_decode = 1;
            break;
        case 'h':
            help(stdout);
            return EXIT_RIGHT + 1;
        default:
            fprintf(stderr, "try: gopmill verify --help\n");
            return EXIT_USAGE + 1;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "gopmill verify: expected one DIR; try: gopmill verify --help\n");
        return EXIT_USAGE + 1;
    }
    o->dir = argv[optind];
    return 0;
}

static void check_structure(struct package *p)
{
    check_files(p);
    check_times(p);
    check_media(p);
    check_master(p);
    check_bandwidth(p);
    check_captions(p);
    check_align(p);
    check_dash(p);
    check_groups(p);
    check_texts(p);
    check_pictures(p);
    if (p->receipt && p->receipt->frames_concealed)
        report_warn(p->report, CHECK_RECEIPT,
                    "%lld frames of the source didn't decode; the ones "
                    "before stand in",
                    (long long)p->receipt->frames_concealed);
    for (size_t i = 0; p->receipt && i < p->receipt->n_warnings; i++)
        report_warn(p->report, CHECK_RECEIPT, "when made: %s", p->receipt->warnings[i]);
}

static int fail(const struct err *err, int r)
{
    fprintf(stderr, "gopmill verify: %s\n", err->text[0] ? err->text : strerror(-r));
    return EXIT_UNUSABLE;
}

/* With --source. 0, or -ENOMEM and the like. */
static int check_against(struct package *p, struct source *s, const struct options *o,
                         unsigned threads, struct err *err)
{
    _cleanup_(match_freep) struct match *m = match_source(p, s);
    if (!m)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    check_source_tracks(p, s);
    check_source_texts(p, s, m);
    if (o->no_decode)
        return 0;
    check_decode(p, s, m, threads);
    check_sound(p, s, m);
    return 0;
}

/* Packets are as many as pictures; or else they may be fields, or there is damage. */
static int is_counted(const struct package *p, const struct source *s)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (p->renditions[i].kind == KIND_VIDEO && p->renditions[i].n_frames == s->n)
            return 1;
    return s->video < 0;
}

/* To the bit only where something is a copy. */
static int read_source(const struct package *p, const struct options *o, struct source **ret,
                       struct err *err)
{
    struct source_wish w = { .decode = !o->no_decode };
    for (size_t i = 0; i < p->n_renditions; i++)
        w.sums |= package_is_copy(p, &p->renditions[i]);
    int r = source_open(o->source, &w, ret, err);
    if (r < 0 || w.decode || is_counted(p, *ret))
        return r;
    source_free(*ret);
    *ret = NULL;
    w.decode = 1;
    return source_open(o->source, &w, ret, err);
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    struct err err = { 0 };
    int r = parse(argc, argv, &o);
    if (r)
        return r - 1;
    (void)signal(SIGPIPE, SIG_IGN);
    av_log_set_level(AV_LOG_QUIET);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores > 0 ? (unsigned)cores : 1;

    _cleanup_(report_freep) struct report *rep = report_new();
    _cleanup_(source_freep) struct source *s = NULL;
    _cleanup_(package_freep) struct package *p = NULL;
    if (!rep)
        return fail(&err, -ENOMEM);
    r = package_load(o.dir, rep, &p, &err);
    if (!r && o.source)
        r = read_source(p, &o, &s, &err);
    if (r < 0)
        return fail(&err, r);
    check_structure(p);
    if (s)
        r = check_against(p, s, &o, threads, &err);
    else if (!o.no_decode)
        check_decode(p, NULL, NULL, threads);
    if (r < 0)
        return fail(&err, r);
    if (o.json)
        (void)report_print_json(rep, stdout);
    else
        report_print(rep, stdout);
    if (fflush(stdout))
        return fail(&err, -errno);
    return report_ok(rep) ? EXIT_RIGHT : EXIT_WRONG;
}
