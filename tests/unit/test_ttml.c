/* Documents of TTML: what they say and when, as the worker and the verifier read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "cli/verify/said.h"
#include "cli/verify/vtt.h"
#include "worker/ttml.h"
#include "worker/ttml_time.h"

#define TT(attributes, inside) \
    "<tt xmlns=\"http://www.w3.org/ns/ttml\" " attributes ">" inside "</tt>"
#define P(inside)       TT("", "<body><div>" inside "</div></body>")
#define HEAD(inside, p) TT("", "<head>" inside "</head><body><div>" p "</div></body>")

static const struct row {
    const char *name, *document;
    const char *want; /* cues: "start-end text", a line each; "end" -1: none */
} rows[] = {
    {"a paragraph is a cue",                                                              P("<p begin=\"1s\" end=\"2.5s\">Hello</p>"),          "1000-2500 Hello\n"                                          },
    { "dur is as good as end",                                                            P("<p begin=\"1s\" dur=\"2.5s\">Hello</p>"),          "1000-3500 Hello\n"                                          },
    { "the earlier of dur and end",                                                       P("<p begin=\"1s\" dur=\"5s\" end=\"3s\">Hello</p>"),
     "1000-3000 Hello\n"                                                                                                                                                                                     },
    { "without an end it goes on",                                                        P("<p begin=\"1s\">Hello</p>"),                       "1000--1 Hello\n"                                            },
    { "times count from what they are in",
     TT("",                                                                                                                                     "<body begin=\"1s\" end=\"10s\"><div begin=\"2s\"><p begin=\"1s\" end=\"99s\">a"
             "<span begin=\"1s\" dur=\"1s\">b</span></p></div></body>"),
     "4000-5000 a\n5000-6000 ab\n6000-10000 a\n" },
    { "a sequence's children follow each other",
     TT("",
     "<body timeContainer=\"seq\"><div dur=\"2s\"><p>a</p></div><div begin=\"1s\" dur=\"1s\">"
         "<p>b</p></div></body>"),
     "0-2000 a\n3000-4000 b\n" },
    { "clock times have frames",
     TT("ttp:frameRate=\"25\" xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\"",
     "<body><div><p begin=\"00:00:01:05\" end=\"00:01:00:24\">a</p></div></body>"),
     "1200-60960 a\n" },
    { "frames have a multiplier",
     TT("frameRate=\"30\" frameRateMultiplier=\"1000 1001\"",
     "<body><div><p begin=\"30f\" end=\"60f\">a</p></div></body>"),
     "1001-2002 a\n" },
    { "ticks",
     TT("tickRate=\"10000000\"",                                                                             "<body><div><p begin=\"5000000t\" end=\"15000000t\">a</p>"
                                  "</div></body>"),
     "500-1500 a\n" },
    { "ticks are frames where only these have a rate",
     TT("frameRate=\"50\"",                                                                                                                "<body><div><p begin=\"25t\" end=\"50t\">a</p></div></body>"),
     "500-1000 a\n" },
    { "smpte counts frames",
     TT("timeBase=\"smpte\" frameRate=\"30\" frameRateMultiplier=\"1000 1001\" dropMode=\"dropNTSC\"",
     "<body><div><p begin=\"00:10:00:00\" end=\"00:10:01:00\">a</p></div></body>"),
     "599999-601000 a\n" },
    { "breaks and blanks",                                                                      P("<p begin=\"0s\" end=\"1s\">\n  a\n   b<br/>  c </p>"),
     "0-1000 a b|c\n"                                                                                                                                                                },
    { "lines stay where blanks are preserved",
     P("<p xml:space=\"preserve\" begin=\"0s\" end=\"1s\">a\nb</p>"),                                                                                                                       "0-1000 a|b\n"                                                                                                                                                                                  },
    { "markup of others is text",
     P("<p begin=\"0s\" end=\"1s\">{\\b1}x \\N &lt;i&gt; &amp;amp; <![CDATA[<b>]]></p>"),
     "0-1000 {\\b1}x \\N &lt;i&gt; &amp;amp; &lt;b&gt;\n"                      },
    { "styles in place",
     P("<p begin=\"0s\" end=\"1s\" xmlns:tts=\"s\" tts:fontStyle=\"italic\">a<span "
        "tts:fontWeight=\"bold\">b</span><span tts:fontStyle=\"normal\" "
        "tts:textDecoration=\"underline\">c</span></p>"),
     "0-1000 <i>a</i><b><i>b</i></b><u>c</u>\n"},
    { "styles by name, and theirs",
     HEAD("<styling><style xml:id=\"a\" fontWeight=\"bold\"/><style xml:id=\"b\" style=\"a\" "
           "fontStyle=\"italic\"/></styling>",                                                                                      "<p style=\"b\" begin=\"0s\" end=\"1s\">a</p>"),
     "0-1000 <b><i>a</i></b>\n" },
    { "what isn't displayed",
     HEAD("<styling><style xml:id=\"h\" display=\"none\"/></styling>",
     "<p begin=\"0s\" end=\"1s\" display=\"none\">a</p><p begin=\"1s\" end=\"2s\">b<span "
           "style=\"h\">c</span></p>"),
     "1000-2000 b\n" },
    { "what is in a region above is at the top",
     HEAD(
          "<layout><region xml:id=\"r\" origin=\"10% 10%\" extent=\"80% 20%\"/><region xml:id=\"s\" "
          "origin=\"0% 0%\" extent=\"100% 95%\" displayAlign=\"after\"/></layout>","<p region=\"r\" begin=\"0s\" end=\"1s\">a</p><p region=\"s\" begin=\"1s\" end=\"2s\">b</p>"),
     "0-1000 ^a\n1000-2000 b\n" },
    { "a span of nothing splits nothing",
     P("<p begin=\"0s\" end=\"3s\">a<span begin=\"1s\" end=\"2s\"> </span></p>"),                                                                          "0-3000 a\n"                                                                                                                                                                       },
    { "metadata is no text",                                                                                  P("<p begin=\"0s\" end=\"1s\"><metadata>x</metadata>a</p>"),
     "0-1000 a\n"                                                                                                                           },
    { "a time that can't be read leaves one out",
     P("<p begin=\"soon\" end=\"1s\">a</p><p begin=\"1s\" end=\"2s\">b</p>"),                                                                                                             "1000-2000 b\n"                                                                                                                                       },
    { "older names are as good",
     "<tt:tt xmlns:tt=\"http://www.w3.org/2006/10/ttaf1\"><tt:body><tt:div><tt:p begin=\"1s\" "
      "end=\"2s\">a<tt:br/>b</tt:p></tt:div></tt:body></tt:tt>",                                                 "1000-2000 a|b\n"},
};

static char *read_by_worker(const char *document)
{
    struct cues l = { 0 };
    uint64_t bad = 0, cut = 0;
    char *got = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&got, &len);

    assert_int_equal(ttml_read(document, strlen(document), &l, &bad, &cut), 0);
    for (size_t i = 0; i < l.n; i++) {
        for (char *s = l.v[i].text; *s; s++)
            *s = *s == '\n' ? '|' : *s;
        fprintf(f, "%lld-%lld %s%s\n", (long long)l.v[i].start,
                l.v[i].end == INT64_MAX ? -1LL : (long long)l.v[i].end, l.v[i].top ? "^" : "",
                l.v[i].text);
    }
    cues_release(&l);
    fclose(f);
    return got;
}

static void documents_become_cues(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *got = read_by_worker(rows[i].document);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: '%s', not '%s'", rows[i].name, got, rows[i].want);
        free(got);
    }
}

/* The times and words of `want`, as the verifier would have them. */
static void verifier_row(const struct row *r)
{
    struct said l = { 0 };
    size_t i = 0;

    assert_int_equal(said_ttml(r->document, strlen(r->document), 0, 0, INT64_MAX, &l), 0);
    for (const char *s = r->want; *s; i++) {
        char words[200];
        long long start, end;
        int n = 0;
        assert_int_equal(sscanf(s, "%lld-%lld %n%199[^\n]", &start, &end, &n, words), 3);
        for (char *w = words; *w; w++)
            *w = *w == '|' || (w == words && *w == '^') ? ' ' : *w;
        vtt_words(words);
        if (i >= l.n || l.v[i].start != start || strcmp(l.v[i].words, words) != 0 ||
            l.v[i].end != (end < 0 ? INT64_MAX : end))
            fail_msg("%s: line %zu is '%s'", r->name, i, i < l.n ? l.v[i].words : "");
        s += strcspn(s, "\n") + 1;
    }
    if (i != l.n)
        fail_msg("%s: %zu lines", r->name, l.n);
    said_release(&l);
}

static void the_verifier_reads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        verifier_row(&rows[i]);
}

static void what_is_no_document_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "<tt><body>",
        "<html><body/></html>",
        "<!DOCTYPE tt [<!ENTITY a \"b\">]><tt><body><div><p begin=\"0s\">&a;</p></div></body></tt>",
        "<!DOCTYPE tt SYSTEM \"file:///etc/passwd\"><tt/>",
        "<tt timeBase=\"clock\"><body/></tt>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct cues l = { 0 };
        struct said s = { 0 };
        uint64_t n = 0, cut = 0;
        assert_int_equal(ttml_read(bad[i], strlen(bad[i]), &l, &n, &cut), -EINVAL);
        assert_int_equal(said_ttml(bad[i], strlen(bad[i]), 0, 0, INT64_MAX, &s), -EINVAL);
        cues_release(&l);
        said_release(&s);
    }
}

static void times_that_cannot_be_read(void **state)
{
    static const char *const bad[] = { "",
                                       "s",
                                       "1",
                                       "-1s",
                                       "1e3s",
                                       "1:2",
                                       "1:2:3:",
                                       "0:61:00",
                                       "00:00:00:31",
                                       "1 s",
                                       "99999999999999999999h" };
    struct ttml_rates r;
    double t;

    (void)state;
    assert_int_equal(ttml_rates_of(NULL, NULL, NULL, NULL, NULL, NULL, &r), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (ttml_time(bad[i], &r, &t) == 0)
            fail_msg("'%s' is %f", bad[i], t);
}

static void elements_beyond_a_limit_are_counted(void **state)
{
    struct cues l = { 0 };
    uint64_t bad = 0, cut = 0;
    char *document = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&document, &len);

    (void)state;
    fputs("<tt><body>", f);
    for (int i = 0; i < 2 * TTML_DEPTH_MAX; i++)
        fputs("<div>", f);
    fputs("<p begin=\"0s\" end=\"1s\">deep</p>", f);
    for (int i = 0; i < 2 * TTML_DEPTH_MAX; i++)
        fputs("</div>", f);
    fputs("<div><p begin=\"0s\" end=\"1s\">flat</p></div></body></tt>", f);
    fclose(f);
    assert_int_equal(ttml_read(document, len, &l, &bad, &cut), 0);
    assert_int_equal(bad, 1);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.v[0].text, "flat");
    cues_release(&l);
    free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_become_cues),
        cmocka_unit_test(the_verifier_reads_the_same),
        cmocka_unit_test(what_is_no_document_is_refused),
        cmocka_unit_test(times_that_cannot_be_read),
        cmocka_unit_test(elements_beyond_a_limit_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
