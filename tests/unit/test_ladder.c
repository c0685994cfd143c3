/* Ladders: that the shipped ones load, what is refused and in which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "ladders/ladder.h"

static int parse(const char *text, struct ladder **ret, struct err *err)
{
    return ladder_parse(text, strlen(text), "l.yaml", ret, err);
}

/* ---- shipped ---- */

static const char *const shipped[] = { "preview",  "web-all",       "web-av1",  "web-av1-svt",
                                       "web-h264", "web-h264-copy", "web-hevc", "web-hevc-hdr" };
enum { N_SHIPPED = sizeof(shipped) / sizeof(shipped[0]) };

static void every_shipped_ladder_loads_and_is_named_like_its_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHIPPED; i++) {
        struct ladder *l = NULL;
        struct err err = { 0 };
        if (ladder_load(shipped[i], &l, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(ladder_name(l), shipped[i]);
        assert_true(strlen(ladder_description(l)) > 10);
        assert_int_equal(strlen(ladder_digest(l)), 64);
        assert_true(ladder_segment_seconds(l) == 6);
        assert_true(ladder_gop_seconds(l) == 2);
        ladder_free(l);
    }
}

static int count(void *arg, const char *name, const char *path)
{
    size_t *n = arg;
    assert_true(*n < N_SHIPPED);
    assert_string_equal(name, shipped[*n]);
    assert_non_null(strstr(path, name));
    ++*n;
    return 0;
}

static void the_list_has_each_name_once_and_in_order(void **state)
{
    (void)state;
    size_t n = 0;
    assert_int_equal(ladder_list(count, &n, NULL), 0);
    assert_int_equal(n, N_SHIPPED);
}

static void an_unknown_name_is_answered_with_the_known_ones(void **state)
{
    (void)state;
    struct ladder *l = NULL;
    struct err err;
    assert_int_equal(ladder_load("web-h265", &l, &err), -ENOENT);
    assert_int_equal(err.cls, ERR_USAGE);
    assert_non_null(strstr(err.text, "web-h265"));
    assert_non_null(strstr(err.text, "web-hevc"));
    assert_null(l);
    assert_int_equal(ladder_load("/nonexistent/x.yaml", &l, &err), -ENOENT);
}

static void a_folder_of_ones_own_comes_first(void **state)
{
    (void)state;
    char dir[] = "/tmp/ladder-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/web-h264.yaml", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("description: mine\naudio: [{codec: opus}]\n", f);
    fclose(f);
    assert_int_equal(setenv("GOPMILL_LADDERS", dir, 1), 0);

    struct ladder *l = NULL;
    assert_int_equal(ladder_load("web-h264", &l, NULL), 0);
    assert_string_equal(ladder_description(l), "mine");
    assert_string_equal(ladder_name(l), "web-h264");
    ladder_free(l);
    unsetenv("GOPMILL_LADDERS");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- refused ---- */

#define RUNG "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M}\n"

static const struct row {
    const char *yaml, *text;
} rows[] = {
    {"",                                                                                               "l.yaml:1: empty; a ladder needs at least one rendition under video: or audio:"},
    { "- a\n",                                                                                         "l.yaml:1: not a ladder: expected keys like name: and video:"                  },
    { "name: x\n",                                                                                     "l.yaml:1: no renditions; list at least one under video: or audio:"            },
    { "nmae: x\n",                                                                                     "l.yaml:1: unknown key nmae; did you mean name?"                               },
    { "name: x\nname: y\n",                                                                            "l.yaml:2: key name is there twice"                                            },
    { "name: [\n",                                                                                     "l.yaml:2: not YAML: did not find expected node content"                       },
    { "name: x\n---\nname: y\n",                                                                       "l.yaml:3: a second document; a ladder is one"                                 },
    { "segment_seconds: 60\n",                                                                         "l.yaml:1: segment_seconds 60 is above the 30 s maximum"                       },
    { RUNG "subtitles: some\n",                                                                        "l.yaml:3: subtitles some is not one of all, none"                             },
    { RUNG "poster: 720\n",                                                                            "l.yaml:3: poster is not a mapping of keys like size:"                         },
    { RUNG "poster: {siez: 720}\n",                                                                    "l.yaml:3: poster: unknown key siez; did you mean size?"                       },
    { RUNG "poster: {size: 20}\n",                                                                     "l.yaml:3: poster: size 20 is below the 64 minimum"                            },
    { RUNG "poster: {at: soon}\n",                                                                     "l.yaml:3: poster: at soon is not a number like 6 or 2.5"                      },
    { RUNG "poster: {format: webp}\n",                                                                 "l.yaml:3: poster: format webp is not jpeg"                                    },
    { RUNG "storyboard: {columns: 33}\n",
     "l.yaml:3: storyboard: columns 33 is above the 32 maximum"                                                                                                                       },
    { RUNG "storyboard: {rows: 1.5}\n",                                                                "l.yaml:3: storyboard: rows 1.5 is not a whole number"                         },
    { RUNG "storyboard: {every: 0.1}\n",
     "l.yaml:3: storyboard: every 0.1 is below the 0.5 s minimum"                                                                                                                     },
    { "segment_seconds: six\n",                                                                        "l.yaml:1: segment_seconds six is not a number like 6 or 2.5"                  },
    { "segment_seconds: 1\ngop_seconds: 2\n",
     "l.yaml:2: gop_seconds 2 is more than segment_seconds 1"                                                                                                                         },
    { "video: 3\n",                                                                                    "l.yaml:1: video is not a list of renditions"                                  },
    { "video:\n- 3\n",                                                                                 "l.yaml:2: not a mapping of keys like name: and codec:"                        },
    { "video:\n- name: a\n",                                                                           "l.yaml:2: rendition a: codec is missing; one of h264, hevc, av1"              },
    { "video:\n- size: 3\n",                                                                           "l.yaml:2: rendition #1: codec is missing; one of h264, hevc, av1"             },
    { "audio:\n- {codec: aac, loudness: -40}\n",
     "l.yaml:2: rendition #1: loudness -40 is below the -31 LUFS minimum"                                                                                                             },
    { "audio:\n- {codec: aac, loudness: 16}\n",
     "l.yaml:2: rendition #1: loudness 16 is above the -8 LUFS maximum"                                                                                                               },
    { "audio:\n- {codec: aac, loudness: --16}\n",
     "l.yaml:2: rendition #1: loudness --16 is not a level like -16 or -1.5"                                                                                                          },
    { "audio:\n- {codec: aac, loudness: -16, true_peak: 1}\n",
     "l.yaml:2: rendition #1: true_peak 1 is above the 0 dB maximum"                                                                                                                  },
    { "audio:\n- {codec: aac, true_peak: -1}\n",
     "l.yaml:2: rendition #1: true_peak says nothing without loudness"                                                                                                                },
    { "audio_tracks: two\n",                                                                           "l.yaml:1: audio_tracks two is not one of all, default"                        },
    { "video:\n- {name: a, codec: vp9}\n",
     "l.yaml:2: rendition a: codec vp9 is not one of h264, hevc, av1"                                                                                                                 },
    { "video:\n- name: 1080p\n  codec: h264\n  size: 1080\n  maxrate: 0\n",
     "l.yaml:5: rendition 1080p: maxrate 0 is below the 100 kb/s minimum"                                                                                                             },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 1000M}\n",
     "l.yaml:2: rendition a: maxrate 1000M is above the 400 Mb/s maximum"                                                                                                             },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3Q}\n",
     "l.yaml:2: rendition a: maxrate 3Q is not a rate like 4500k or 6M"                                                                                                               },
    { "video:\n- {name: a, codec: h264, size: 720}\n",
     "l.yaml:2: rendition a: maxrate is missing; the cap in bit/s, like 4500k or 6M"                                                                                                  },
    { "video:\n- {name: a, codec: h264, maxrate: 3M}\n",
     "l.yaml:2: rendition a: size is missing; the short side in pixels"                                                                                                               },
    { "video:\n- {name: a, codec: h264, size: 721, maxrate: 3M}\n",
     "l.yaml:2: rendition a: size 721 is odd; encoders need even sizes"                                                                                                               },
    { "video:\n- {name: a, codec: h264, size: 8, maxrate: 3M}\n",
     "l.yaml:2: rendition a: size 8 is below the 64 pixel minimum"                                                                                                                    },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, crf: 60}\n",
     "l.yaml:2: rendition a: crf 60 is outside 1 to 51 of libx264"                                                                                                                    },
    { "video:\n- {name: a, codec: av1, size: 720, maxrate: 3M, crf: 30.5}\n",
     "l.yaml:2: rendition a: crf 30.5: libaom-av1 takes whole numbers only"                                                                                                           },
    { "video:\n- {name: a, codec: av1, size: 720, maxrate: 3M, preset: 8}\n",
     "l.yaml:2: rendition a: preset 8 is not one of libaom-av1: 0, 1, 2, 3, 4, 5, 6"                                                                                                  },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, encoder: libx265}\n",
     "l.yaml:2: rendition a: encoder libx265 is not one for h264: libx264"                                                                                                            },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, range: hdr}\n",
     "l.yaml:2: rendition a: range hdr needs hevc or av1: players don't expect HDR in h264"                                                                                           },
    { "video:\n- {name: a, codec: hevc, size: 720, maxrate: 3M, range: hdr, bit_depth: 8}\n",
     "l.yaml:2: rendition a: bit_depth 8 can't hold HDR; leave it out or say range: sdr"                                                                                              },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, copy: always}\n",
     "l.yaml:2: rendition a: copy always is not one of never, when-compatible"                                                                                                        },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, profile: main10}\n",
     "l.yaml:2: rendition a: profile main10 is not one of h264 at 8 bit: baseline, main, high"                                                                                        },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, max_fps: fast}\n",
     "l.yaml:2: rendition a: max_fps fast is not a frame rate like 30, 29.97 or 30000/1001"                                                                                           },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, max_fps: 1000}\n",
     "l.yaml:2: rendition a: max_fps 1000 is above the 240 frames/s maximum"                                                                                                          },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, bufsize: 500k}\n",
     "l.yaml:2: rendition a: bufsize holds less than half a second at maxrate"                                                                                                        },
    { "video:\n- {name: A, codec: h264, size: 720, maxrate: 3M}\n",
     "l.yaml:2: rendition A: name A has more than lower-case letters, digits and inner hyphens "
      "(it becomes a folder)"                                                                                                                                                         },
    { RUNG "- {name: a, codec: h264, size: 360, maxrate: 1M}\n",
     "l.yaml:3: rendition a: the name a is taken by the rendition in line 2"                                                                                                          },
    { RUNG "audio:\n- {name: a, codec: aac}\n",
     "l.yaml:4: rendition a: the name a is taken by the rendition in line 2"                                                                                                          },
    { "video:\n- {name: a, codec: h264, size: 720, maxrate: 3M, maxrat: 2}\n",
     "l.yaml:2: rendition a: unknown key maxrat; did you mean maxrate?"                                                                                                               },
    { "video:\n- codec: h264\n  size: 720\n  maxrate: 3M\n  params:\n    aq-mode: 1\n    keyint: 9\n",
     "l.yaml:7: rendition #1: params: keyint is not a ladder's to set (docs/ladders.md says why)"                                                                                     },
    { "video:\n- {codec: h264, size: 720, maxrate: 3M, params: {no_open_gop: 1}}\n",
     "l.yaml:2: rendition #1: params: no_open_gop is not a ladder's to set (docs/ladders.md says "
      "why)"                                                                                                                                                                          },
    { "video:\n- {codec: h264, size: 720, maxrate: 3M, params: {a: 'b:c'}}\n",
     "l.yaml:2: rendition #1: params: a: a value has at most 64 letters, digits and . , + - _"                                                                                        },
    { "defaults: {h264: {size: 3}}\n" RUNG,
     "l.yaml:1: defaults for h264: unknown key size; known here: encoder, max_fps, crf, maxrate, "
      "bufsize, preset, profile, bit_depth, range, copy, params"                                                                                                                      },
    { "audio:\n- {name: a, codec: aac, channels: 3}\n",
     "l.yaml:2: rendition a: channels 3 is not one of 1, 2, 6 (5.1), 8 (7.1)"                                                                                                         },
    { "audio:\n- {name: a, codec: opus, sample_rate: 44100}\n",
     "l.yaml:2: rendition a: opus is always 48000 Hz"                                                                                                                                 },
    { "audio:\n- {name: a, codec: aac, bitrate: 300k, channels: 1}\n",
     "l.yaml:2: rendition a: bitrate 300000 is above 256000 for 1 channel"                                                                                                            },
};

static void what_is_wrong_is_said_with_file_line_and_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ladder *l = NULL;
        struct err err = { 0 };
        if (parse(rows[i].yaml, &l, &err) != -EINVAL)
            fail_msg("accepted: %s", rows[i].yaml);
        assert_string_equal(err.text, rows[i].text);
        assert_int_equal(err.cls, ERR_USAGE);
        assert_null(l);
    }
}

static void more_renditions_than_the_limit_are_refused(void **state)
{
    (void)state;
    char text[8192] = "audio:\n";
    size_t n = strlen(text);
    for (int i = 0; i < 33; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "- {name: a%d, codec: aac}\n", i);
    struct ladder *l = NULL;
    struct err err;
    assert_int_equal(parse(text, &l, &err), -EINVAL);
    assert_string_equal(err.text, "l.yaml:34: more than 32 renditions");
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    (void)state;
    size_t len = 256 * 1024 + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, '#', len);
    struct ladder *l = NULL;
    struct err err;
    assert_int_equal(ladder_parse(text, len, "l.yaml", &l, &err), -EINVAL);
    assert_non_null(strstr(err.text, "more than the 262144"));
    free(text);
}

/* Each within the size limit, each deeper than any ladder. */
static void deep_nesting_is_refused_quickly(void **state)
{
    (void)state;
    static const char *const units[] = { "[", "{", "{a: ", "- ", "? ", "[{" };
    size_t len = 256 * 1024;
    char *text = malloc(len);
    assert_non_null(text);
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        struct ladder *l = NULL;
        for (size_t i = 0; i < len; i++)
            text[i] = units[u][i % strlen(units[u])];
        assert_int_equal(ladder_parse(text, len, "l.yaml", &l, NULL), -EINVAL);
        assert_null(l);
    }
    free(text);
}

static void a_ladder_cut_anywhere_or_damaged_never_crashes(void **state)
{
    (void)state;
    struct ladder *whole = NULL, *l = NULL;
    assert_int_equal(ladder_load("web-all", &whole, NULL), 0);
    char *text = strdup(ladder_text(whole));
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (ladder_parse(text, i, "cut", &l, NULL) == 0)
            ladder_free(l);
        char keep = text[i];
        text[i] = (char)(i % 3 == 0 ? ':' : i % 3 == 1 ? '\0' : '\xff');
        if (ladder_parse(text, len, "damaged", &l, NULL) == 0)
            ladder_free(l);
        text[i] = keep;
    }
    free(text);
    ladder_free(whole);
}

static void an_alias_that_holds_itself_is_refused(void **state)
{
    (void)state;
    struct ladder *l = NULL;
    struct err err;
    assert_int_equal(parse("video: &a [*a]\n", &l, &err), -EINVAL);
    assert_int_equal(parse("defaults: &a {h264: *a}\nvideo: []\n", &l, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_ladder_loads_and_is_named_like_its_file),
        cmocka_unit_test(the_list_has_each_name_once_and_in_order),
        cmocka_unit_test(an_unknown_name_is_answered_with_the_known_ones),
        cmocka_unit_test(a_folder_of_ones_own_comes_first),
        cmocka_unit_test(what_is_wrong_is_said_with_file_line_and_limit),
        cmocka_unit_test(more_renditions_than_the_limit_are_refused),
        cmocka_unit_test(a_file_that_is_too_large_is_refused),
        cmocka_unit_test(deep_nesting_is_refused_quickly),
        cmocka_unit_test(a_ladder_cut_anywhere_or_damaged_never_crashes),
        cmocka_unit_test(an_alias_that_holds_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
