/* What subtitle decoders give, as WebVTT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "cli/verify/vtt.h"
#include "common/base/err.h"
#include "worker/cue_boxes.h"

#define D "0,0,Default,,0,0,0,,"

static void lines_of_ass_become_text(void **state)
{
    static const struct {
        const char *name, *from, *want;
        int plain, top;
    } rows[] = {
        {"words stay as they are",                     D "Guten Tag, Welt",                         "Guten Tag, Welt",                  0, 0},
        { "commas are text behind the eighth",         "0,0,D,,0,0,0,fx,a,b",                       "a,b",                              0, 0},
        { "too few commas are no dialogue",            "a,b",                                       "",                                 0, 0},
        { "bold, italic and underlined stay",          D "{\\b1}a{\\b0}{\\i1}b{\\i0}{\\u1}c{\\u0}",
         "<b>a</b><i>b</i><u>c</u>",                                                                                                    0, 0},
        { "what overlaps is nested",                   D "{\\b1}a{\\i1}b{\\b0}c",                   "<b>a</b><b><i>b</i></b><i>c</i>",
         0,                                                                                                                                0},
        { "breaks and blanks are in no tag that ends", D "{\\b1}a{\\b0}\\N{\\i1}b \\Nc {\\i0}d",
         "<b>a</b>\n<i>b\nc</i> d",                                                                                                     0, 0},
        { "a weight of 700 is bold",                   D "{\\b700}a{\\b400}b",                      "<b>a</b>b",                        0, 0},
        { "a reset ends all",                          D "{\\b1\\i1}a{\\r}b",                       "<b><i>a</i></b>b",                 0, 0},
        { "other overrides go",                        D "{\\c&H0000FF&\\fs20\\pos(3,4)}a",         "a",                                0, 0},
        { "\\blur and \\bord are not bold",            D "{\\blur1\\bord2}a",                       "a",                                0, 0},
        { "comments go",                               D "{a comment}b",                            "b",                                0, 0},
        { "drawings go",                               D "{\\p1}m 0 0 l 10 10{\\p0}a",              "a",                                0, 0},
        { "\\pos is not \\p",                          D "{\\pos(1,2)}a",                           "a",                                0, 0},
        { "line breaks stay",                          D "a\\Nb\\nc",                               "a\nb\nc",                          0, 0},
        { "no line is empty",                          D "\\N\\Na\\N \\N\\Nb\\N",                   "a\nb",                             0, 0},
        { "blanks at line ends go",                    D "  a  b \\N  c ",                          "a b\nc",                           0, 0},
        { "hard blanks stay",                          D "a\\hb",
         "a\xc2\xa0"
          "b",                                                                                                                          0, 0},
        { "markup is escaped",                         D "a < b & c > d --> e",                     "a &lt; b &amp; c &gt; d --&gt; e", 0, 0},
        { "a brace that never closes is text",         D "a { b",                                   "a { b",                            0, 0},
        { "escaped braces are text",                   D "a \\{b\\} \\\\N",                         "a {b} \\N",                        0, 0},
        { "a lone backslash is text",                  D "C:\\dir",                                 "C:\\dir",                          0, 0},
        { "the top of the picture is told",            D "{\\an8}a",                                "a",                                0, 1},
        { "the middle is not the top",                 D "{\\an5}a",                                "a",                                0, 0},
        { "plain text has no overrides",               "a {\\b1} \\N b",                            "a {\\b1} \\N b",                   1, 0},
        { "plain text has its line ends",              "a\r\n\r\nb",                                "a\nb",                             1, 0},
        { "control characters go",
         D "a\x01\x1b"
            "b\x7f",                                                                                "ab",                               0, 0},
        { "what isn't UTF-8 becomes '?'",              D "gr\xfc\xdf",                              "gr??",                             0, 0},
        { "tags without text are not written",         D "{\\i1}{\\i0}",                            "",                                 0, 0},
        { "nothing but blanks is nothing",             D " \\N \\h{\\i1}\\N",                       "",                                 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = NULL;
        int top = -1, cut = -1;

        assert_int_equal(webvtt_text(rows[i].from, rows[i].plain, &text, &top, &cut), 0);
        if (strcmp(text, rows[i].want) != 0 || top != rows[i].top || cut)
            fail_msg("%s: got '%s', top %d, cut %d", rows[i].name, text, top, cut);
        free(text);
    }
}

static void a_long_cue_is_cut_between_characters_with_its_tags_closed(void **state)
{
    size_t n = 3 * CUE_TEXT_MAX;
    char *from = malloc(n + 64), *text = NULL;
    int top, cut;

    (void)state;
    assert_non_null(from);
    strcpy(from, D "{\\b1\\i1\\u1}");
    for (size_t at = strlen(from); at + 3 < n; at += 2)
        strcpy(from + at, "\xc3\xa9");
    assert_int_equal(webvtt_text(from, 0, &text, &top, &cut), 0);
    assert_int_equal(cut, 1);
    assert_true(strlen(text) <= CUE_TEXT_MAX && strlen(text) > CUE_TEXT_MAX - 64);
    assert_string_equal(text + strlen(text) - 14, "\xc3\xa9</u></i></b>");
    free(text);
    free(from);
}

static void braces_that_never_close_cost_no_more_than_their_text(void **state)
{
    size_t n = 1 << 16;
    char *from = malloc(n + 64), *text = NULL;
    int top, cut;

    (void)state;
    assert_non_null(from);
    strcpy(from, D "{\\p1}");
    size_t at = strlen(from);
    memset(from + at, '{', n);
    from[at + n] = '\0';
    assert_int_equal(webvtt_text(from, 0, &text, &top, &cut), 0);
    assert_string_equal(text, "");
    free(text);
    free(from);
}

static void add(struct cues *l, int64_t start, int64_t end, const char *text)
{
    assert_int_equal(cues_add(l, (struct cue){ .start = start, .end = end, .text = strdup(text) }),
                     0);
}

static void cues_are_sorted_by_their_start_and_stay_in_order(void **state)
{
    struct cues l = { 0 };
    char name[16];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        add(&l, (i * 7919) % 50, 1000, name);
    }
    cues_sort(&l);
    for (size_t i = 1; i < l.n; i++) {
        assert_true(l.v[i - 1].start <= l.v[i].start);
        if (l.v[i - 1].start == l.v[i].start)
            assert_true(atoi(l.v[i - 1].text) < atoi(l.v[i].text));
    }
    cues_release(&l);
}

static char *file_of(const struct cues *l, int64_t from, int64_t to, int map, size_t *ret_n)
{
    char *text = NULL;
    size_t len = 0;

    assert_int_equal(webvtt_file(l, from, to, map, &text, &len, ret_n), 0);
    assert_int_equal(len, strlen(text));
    return text;
}

static void a_segment_has_the_cues_of_its_time_with_all_of_theirs(void **state)
{
    struct cues l = { 0 };
    size_t n = 0;

    (void)state;
    add(&l, 0, 2000, "one");
    add(&l, 1500, 7000, "two\nlines");
    add(&l, 6000, 3723004, "three");
    l.v[2].top = 1;
    char *text = file_of(&l, 2000, 6000, 1, &n);
    assert_int_equal(n, 1);
    assert_string_equal(text, "WEBVTT\n"
                              "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"
                              "\n00:00:01.500 --> 00:00:07.000\ntwo\nlines\n\n");
    free(text);
    text = file_of(&l, 7000, INT64_MAX, 0, &n);
    assert_string_equal(text, "WEBVTT\n"
                              "\n00:00:06.000 --> 01:02:03.004 line:0\nthree\n\n");
    free(text);
    text = file_of(&l, 4000000, 5000000, 1, &n);
    assert_int_equal(n, 0);
    assert_string_equal(text, "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n");
    free(text);
    cues_release(&l);
}

/* ---- the verifier's reader ---- */

/* Sizes are in octal, so that no letter follows as a digit. */
static void cues_come_out_of_their_boxes(void **state)
{
#define PAYL "\0\0\0\013paylabc"
    static const struct {
        const char *name, *sample;
        size_t size;
        int cues, last; /* how many, and what comes then */
        const char *settings;
    } rows[] = {
        {"nothing",                  "",                                                         0,  0, 0,       ""},
        { "an empty cue",            "\0\0\0\010vtte",                                           8,  0, 0,       ""},
        { "a cue",                   "\0\0\0\023vttc" PAYL,                                      19, 1, 0,       ""},
        { "with settings behind it", "\0\0\0\041vttc" PAYL "\0\0\0\016sttgline:1",               33, 1, 0,
         "line:1"                                                                                                  },
        { "two, and a comment",      "\0\0\0\023vttc" PAYL "\0\0\0\011vttax\0\0\0\023vttc" PAYL, 47, 2,
         0,                                                                                                      ""},
        { "a cue without payload",   "\0\0\0\020vttc\0\0\0\010iden",                             16, 0, 0,       ""},
        { "a box that is cut off",   "\0\0\0\024vttc" PAYL,                                      19, 0, -EINVAL, ""},
        { "a payload that is",       "\0\0\0\023vttc\0\0\0\014paylabc",                          19, 0, -EINVAL, ""},
        { "a box of no size",        "\0\0\0\0vttc",                                             8,  0, -EINVAL, ""},
        { "less than a box",         "\0\0",                                                     2,  0, -EINVAL, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const uint8_t *at = (const uint8_t *)rows[i].sample, *end = at + rows[i].size;
        struct cue_box b = { 0 };
        int n = 0, r;
        for (; (r = cue_box_next(&at, end, &b)) > 0; n++)
            assert_memory_equal(b.payload, "abc", 3);
        if (n != rows[i].cues || r != rows[i].last || strcmp(b.settings, rows[i].settings) != 0)
            fail_msg("%s: %d cues, then %d, '%s'", rows[i].name, n, r, b.settings);
    }
}

static void settings_of_cues_are_passed_on_where_they_are_known(void **state)
{
    static const struct {
        const char *name, *from, *want;
    } rows[] = {
        {"all that there are",       "vertical:rl line:10%,end position:50%,center size:35% align:start",
         "vertical:rl line:10%,end position:50%,center size:35% align:start"                                                 },
        { "lines from below",        "line:-1",                                                           "line:-1"          },
        { "any blanks",              "\tline:0 \n align:left\r\n",                                        "line:0 align:left"},
        { "a region isn't kept",     "region:fred line:1",                                                "line:1"           },
        { "what nobody knows",       "top:3 line:2 colour:red",                                           "line:2"           },
        { "what isn't well written", "line:a size:-3% align: position:5%%",                               ""                 },
        { "numbers are numbers",     "line:- position:.5% size:1e3%",                                     ""                 },
        { "no second of a kind",     "line:1 line:2",                                                     "line:1"           },
        { "an arrow is none",        "line:0 --> align:end",                                              "line:0 align:end" },
        { "nothing",                 "",                                                                  ""                 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char got[CUE_SETTINGS_MAX];
        webvtt_settings(rows[i].from, strlen(rows[i].from), got);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: '%s'", rows[i].name, got);
    }
}

static void what_is_written_is_read_by_the_verifier(void **state)
{
    struct cues l = { 0 };
    struct vtt *v = NULL;
    struct err err = { 0 };
    size_t n = 0;

    (void)state;
    add(&l, 10, 2000, "a &lt;b&gt;");
    add(&l, 36000000, 36000001, "<i>x</i>\ny");
    char *text = file_of(&l, 0, INT64_MAX, 1, &n);
    assert_int_equal(vtt_parse(text, strlen(text), &v, &err), 0);
    assert_int_equal(v->n, 2);
    assert_true(v->has_map && v->mpegts == 0 && v->local == 0);
    assert_int_equal(v->cues[0].start, 10);
    assert_int_equal(v->cues[1].end, 36000001);
    assert_string_equal(v->cues[1].text, "<i>x</i>\ny");
    vtt_words(v->cues[0].text);
    assert_string_equal(v->cues[0].text, "a<b>");
    vtt_words(v->cues[1].text);
    assert_string_equal(v->cues[1].text, "xy");
    vtt_free(v);
    free(text);
    cues_release(&l);
}

static void the_verifier_refuses_what_players_would_misread(void **state)
{
    static const char *const bad[] = {
        "",
        "WEBVT\n",
        "WEBVTTX\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:01.000\na\n",
        "WEBVTT\n\n00:00:01.000-->00:00:02.000\na\n",
        "WEBVTT\n\n00:00:01,000 --> 00:00:02.000\na\n",
        "WEBVTT\n\n00:61:01.000 --> 00:62:02.000\na\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n\nstray\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\na\n00:00:02.000 --> 00:00:03.000\nb\n",
        "WEBVTT\n\n00:00:05.000 --> 00:00:06.000\na\n\n00:00:02.000 --> 00:00:03.000\nb\n",
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0\n",
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:x,LOCAL:00:00:00.000\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n\xff\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vtt *v = NULL;
        struct err err = { 0 };
        if (vtt_parse(bad[i], strlen(bad[i]), &v, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_null(v);
        assert_true(err.text[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_ass_become_text),
        cmocka_unit_test(a_long_cue_is_cut_between_characters_with_its_tags_closed),
        cmocka_unit_test(braces_that_never_close_cost_no_more_than_their_text),
        cmocka_unit_test(cues_are_sorted_by_their_start_and_stay_in_order),
        cmocka_unit_test(a_segment_has_the_cues_of_its_time_with_all_of_theirs),
        cmocka_unit_test(cues_come_out_of_their_boxes),
        cmocka_unit_test(settings_of_cues_are_passed_on_where_they_are_known),
        cmocka_unit_test(what_is_written_is_read_by_the_verifier),
        cmocka_unit_test(the_verifier_refuses_what_players_would_misread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
