/* Messages survive the wire, and what breaks a rule is named and refused. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/wire/plan.h"
#include "common/wire/result.h"
#include "common/wire/task.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX32 "0123456789abcdef0123456789abcdef"

static const char info_text[] =
    "{'container':'mov,mp4','size_bytes':1000,'duration_ms':4000,"
    " 'video':{'stream':0,'codec':'h264','profile':'High','pix_fmt':'yuv420p','width':1920,"
    "  'height':1080,'sar':[1,1],'rotation':90,'hflip':1,'turns':1,'crop':{'left':2,'top':4,'right':6,'bottom':8},'bit_depth':8,'color':{'primaries':1,"
    "  'transfer':1,'matrix':1,'range':1,'chroma_location':1},'interlaced':0,'fields':1,'mixed':1,'primed':1,'reorder':2,'has_hdr_meta':0,"
    "  'tb':[1,1000],'rate':[25,1],'vfr':0,'start':-80,'end':3920,'frames':100,'bit_rate':2000},"
    " 'audio':{'stream':1,'codec':'aac','layout':'5.1','language':'eng','sample_rate':48000,"
    "  'channels':6,'tb':[1,48000],'start':0,'end':192000,'bit_rate':192000},"
    " 'more_audio':[{'stream':3,'codec':'ac3','layout':'stereo','language':'deu','title':'D',"
    "  'roles':['dub','description'],'sample_rate':44100,'channels':2,'tb':[1,1000],'start':-5,"
    "  'end':4000,'bit_rate':0}],"
    " 'warnings':['one \\u00e9','two']}";

static const char video_text[] =
    "{'kind':'video','name':'h264-1080','codec':'h264','encoder':'libx264',"
    " 'params':[{'key':'crf','value':'21'},{'key':'x264-params','value':'a=1:b=2'}],"
    " 'width':1920,'height':1080,'sar':[1,1],'pix_fmt':'yuv420p','color':{'primaries':1,"
    " 'transfer':1,'matrix':1,'range':1,'chroma_location':1},'tonemap':0,'grid_period':[1,30],"
    " 'grid_phase':[-1,60],'rate':[30,1],'maxrate':6000000,'threads':1,'gop_reset':1,'copy':1,"
    " 'not_copied':'the source is VP9','cost':0.5,"
    " 'memory_bytes':300000000}";

static const char audio_text[] =
    "{'kind':'audio','name':'aac-128','codec':'aac','encoder':'aac','params':[],"
    " 'sample_rate':48000,'channels':2,'layout':'stereo','bit_rate':128000,'cost':0.01,"
    " 'memory_bytes':1000000}";

/* Extras: what a package is whole without. */
static const char track_text[] =
    "{'stream':2,'codec':'subrip','language':'eng','title':'English','default':1,'forced':0,"
    " 'hearing_impaired':1}";
/* A page of teletext. */
static const char page_text[] =
    "{'stream':3,'codec':'dvb_teletext','language':'ger','title':'','default':0,'forced':0,"
    " 'hearing_impaired':0,'page':777}";
/* A channel of closed captions. */
static const char captions_text[] =
    "{'stream':0,'codec':'eia_608','language':'','title':'CC3','default':0,'forced':0,"
    " 'hearing_impaired':1,'captions':3}";
static const char poster_text[] =
    "{'kind':'poster','name':'poster','codec':'jpeg','encoder':'mjpeg','params':[],"
    " 'width':1280,'height':720,'pix_fmt':'yuv420p','color':{'primaries':1,"
    " 'transfer':1,'matrix':1,'range':1,'chroma_location':1},'tonemap':0,"
    " 'shots':[[40,[0,null],48],[80,[80,0],-1]],'cost':0.01,'memory_bytes':1000}";
static const char storyboard_text[] =
    "{'kind':'storyboard','name':'storyboard','codec':'jpeg','encoder':'mjpeg','params':[],"
    " 'width':160,'height':90,'pix_fmt':'yuv420p','color':{'primaries':1,"
    " 'transfer':1,'matrix':1,'range':1,'chroma_location':1},'tonemap':1,"
    " 'shots':[[-80,[-80,null],48],[-80,[-80,null],48,-7]],'every_ms':5000,'columns':10,'rows':8,"
    " 'cost':0.01,'memory_bytes':1000}";
static const char more_text[] =
    "{'kind':'audio','name':'aac-128-deu','codec':'aac','encoder':'aac','params':[],'track':1,"
    " 'rung':'aac-128','sample_rate':48000,'channels':2,'layout':'stereo','bit_rate':128000,"
    " 'loudness':-16.0,'true_peak':-1.5,"
    " 'cost':0.01,'memory_bytes':1000000}";

/* Two chunks: -80 -40 0 40 | 80 120 220. */
static const char chunk0_text[] =
    "{'index':0,'start':-80,'end':80,'prev_pts':null,'seek_pts':-80,'seek_dts':null,"
    " 'seek_pos':48,'packets':4,'byte_start':48,'byte_end':400,'pts':{'first':-80,'runs':[40,3]},"
    " 'first_gop':0,'first_segment':0,'gops':[-80,0],'segments':[0],'cost':1.5}";
static const char chunk1_text[] =
    "{'index':1,'start':80,'end':260,'prev_pts':40,'seek_pts':80,'seek_dts':0,"
    " 'seek_pos':-1,'packets':3,'byte_start':400,'byte_end':900,"
    " 'pts':{'first':80,'runs':[40,1,100,1]},"
    " 'first_gop':2,'first_segment':1,'gops':[80,120,220],'segments':[0,2],'cost':2.0}";

static const char result_text[] =
    "{'v':1,'job':'clip','task':'v-0001-0','attempt':2,"
    " 'renditions':[{'name':'h264-1080','timescale':90000,'codecs':'avc1.640028',"
    "  'init':{'key':'video/h264-1080/init.mp4','size_bytes':700,'sha256':'" HEX64 "','md5':'" HEX32
    "'},"
    "  'segments':[{'number':2,'key':'video/h264-1080/seg-00002.m4s','size_bytes':5000,"
    "   'sha256':'" HEX64 "','md5':'" HEX32 "','start':0,'duration':180000,'frames':50,"
    "   'gops':[[0,100,0,90000],[2500,200,90000,90000]]},"
    "   {'number':3,'key':'video/h264-1080/seg-00003.m4s','size_bytes':50,"
    "   'sha256':'" HEX64 "','md5':'" HEX32 "','start':180000,'duration':1,'frames':1,"
    "   'gops':[]}],"
    "  'frames':51,'priming':0,'loudness':{'integrated':-20.5,'true_peak':-3.25,'gain':4.5}}],"
    " 'frames_in':51,'frames_concealed':1,'warnings':['w'],'cpu_s':1.5,'wall_s':2.0,"
    " 'first_frame_s':0.1,'peak_bytes':100,'bytes_read':200,'engine':'x264 1','worker':'w1'}";

static const char text_result_text[] =
    "{'v':1,'job':'clip','task':'t-0','attempt':1,"
    " 'renditions':[{'name':'sub-eng','timescale':90000,'codecs':'wvtt',"
    "  'init':{'key':'text/sub-eng/all.vtt','size_bytes':70,'sha256':'" HEX64 "','md5':'" HEX32
    "'},"
    "  'segments':[{'number':1,'key':'text/sub-eng/seg-00001.vtt','size_bytes':50,"
    "   'sha256':'" HEX64 "','md5':'" HEX32 "','start':0,'duration':180000,'frames':0,"
    "   'gops':[]}],'frames':3,'priming':0}],"
    " 'frames_in':0,'frames_concealed':0,'warnings':['w'],'cpu_s':1.5,'wall_s':2.0,"
    " 'first_frame_s':0.1,'peak_bytes':100,'bytes_read':200,'engine':'x264 1','worker':'w1'}";

/* Single quotes stand for double ones above. */
static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    json_error_t e;
    json_t *j;

    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    j = json_loads(copy, JSON_DECODE_ANY, &e);
    if (!j)
        fail_msg("%s at %d: %s", e.text, e.position, text);
    free(copy);
    return j;
}

static json_t *sample_plan(void)
{
    return json_pack("{s:i,s:o,s:i,s:i,s:i,s:[o,o,o],s:[[i]],s:[o,o],s:[i,i],s:f,s:f}", "v", 1,
                     "info", parse(info_text), "origin", -80, "timescale", 90000, "duration",
                     360000, "renditions", parse(video_text), parse(audio_text), parse(more_text),
                     "groups", 0, "chunks", parse(chunk0_text), parse(chunk1_text), "audio_cuts", 0,
                     14400, "segment_seconds", 6.0, "gop_seconds", 2.0);
}

static json_t *text_rendition(void)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:[],s:o,s:f,s:i}", "kind", "text", "name", "sub-eng",
                     "codec", "webvtt", "encoder", "webvtt", "params", "text", parse(track_text),
                     "cost", 0.001, "memory_bytes", 0);
}

/* With a text track, and all kinds of extras. */
static json_t *sample_extras_plan(void)
{
    json_t *j = sample_plan();

    json_object_set_new(
        json_object_get(j, "info"), "texts",
        json_pack("[o,o,o]", parse(track_text), parse(page_text), parse(captions_text)));
    json_object_set_new(
        j, "extras",
        json_pack("[o,o,o]", text_rendition(), parse(poster_text), parse(storyboard_text)));
    return j;
}

static json_t *sample_task(int audio)
{
    json_t *j = json_pack("{s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:[o],s:o,s:i,s:i,s:f,s:i,s:i,s:i}",
                          "v", 1, "job", "clip", "id", "v-0001-0", "kind",
                          audio ? "audio" : "video", "attempt", 1, "source", "file:///a.mp4",
                          "etag", "\"x\"", "output", "file:///out", "video_codec_hint", "h264",
                          "renditions", parse(audio ? audio_text : video_text), "info",
                          parse(info_text), "origin", -80, "timescale", 90000, "cost", 2.0,
                          "memory_bytes", 1000, "deadline_ms", 60000, "stall_ms", 1000);

    if (audio) {
        json_object_set_new(j, "audio_cuts", json_pack("[i,i]", 0, 540000));
        json_object_set_new(j, "timeline_end", json_integer(700000));
    } else {
        json_object_set_new(j, "group", json_integer(0));
        json_object_set_new(j, "chunk", parse(chunk1_text));
    }
    return j;
}

/* A video task, of an edited source: the first picture is held, the other two are shown in turn. */
static json_t *sample_edited_task(void)
{
    json_t *j = sample_task(0);
    json_t *info = json_object_get(j, "info");

    json_object_set_new(info, "edit_scale", json_integer(600));
    json_object_set_new(info, "arrivals", parse("[0,188,188]"));
    json_object_set_new(info, "joins",
                        parse("[{'stream':0,'id':512,'pos':188},{'stream':-1,'id':513,'pos':0}]"));
    json_object_set_new(info, "edits",
                        parse("[{'stream':0,'start':0,'length':600,'media':-5,'rate':0},"
                              " {'stream':0,'start':600,'length':60,'media':80,'rate':65536}]"));
    json_object_set_new(
        json_object_get(j, "chunk"), "spans",
        parse("[{'seek_pts':-80,'seek_dts':null,'seek_pos':48,'packets':1,"
              "  'media':{'first':-80,'runs':[]},'shown':{'first':80,'runs':[20,1]}},"
              " {'seek_pts':0,'seek_dts':0,'seek_pos':-1,'packets':2,"
              "  'media':{'first':0,'runs':[40,1]},'shown':{'first':120,'runs':[100,1]}}]"));
    return j;
}

/* A video task, of a source that doesn't tell all times. */
static json_t *sample_stamped_task(void)
{
    json_t *j = sample_task(0), *chunk = json_object_get(j, "chunk");

    json_object_set_new(chunk, "stamps_from", json_integer(1));
    json_object_set_new(chunk, "stamps", parse("[40,null,20]"));
    return j;
}

static json_t *sample_extra_task(int text)
{
    json_t *j = sample_task(1);

    json_object_set_new(j, "id", json_string(text ? "t-0" : "p-0"));
    json_object_set_new(j, "kind", json_string(text ? "text" : "pictures"));
    if (!text)
        json_object_del(j, "audio_cuts");
    json_object_set_new(j, "renditions",
                        text ? json_pack("[o]", text_rendition())
                             : json_pack("[o,o]", parse(poster_text), parse(storyboard_text)));
    return j;
}

/* Decode and encode again; NULL with `err` where it is refused. */
static json_t *plan_again(const json_t *j, struct err *err)
{
    struct plan p;

    if (plan_from_json(j, &p, err) < 0)
        return NULL;
    json_t *again = plan_to_json(&p);
    plan_release(&p);
    assert_int_equal(p.n_chunks, 0);
    return again;
}

static json_t *task_again(const json_t *j, struct err *err)
{
    struct task t;

    if (task_from_json(j, &t, err) < 0)
        return NULL;
    json_t *again = task_to_json(&t);
    task_release(&t);
    return again;
}

static json_t *result_again(const json_t *j, struct err *err)
{
    struct task_result t;

    if (task_result_from_json(j, &t, err) < 0)
        return NULL;
    json_t *again = task_result_to_json(&t);
    task_result_release(&t);
    return again;
}

static json_t *make_plan(void)
{
    return sample_plan();
}
static json_t *make_video_task(void)
{
    return sample_task(0);
}
static json_t *make_audio_task(void)
{
    return sample_task(1);
}
static json_t *make_text_task(void)
{
    return sample_extra_task(1);
}
static json_t *make_pictures_task(void)
{
    return sample_extra_task(0);
}
static json_t *make_text_result(void)
{
    return parse(text_result_text);
}
static json_t *make_result(void)
{
    return parse(result_text);
}

struct message {
    json_t *(*make)(void);
    json_t *(*again)(const json_t *j, struct err *err);
};
static const struct message PLAN = { make_plan, plan_again };
static const struct message VTASK = { make_video_task, task_again };
static const struct message ATASK = { make_audio_task, task_again };
static const struct message RESULT = { make_result, result_again };
static const struct message XPLAN = { sample_extras_plan, plan_again };
static const struct message TTASK = { make_text_task, task_again };
static const struct message PTASK = { make_pictures_task, task_again };
static const struct message TRESULT = { make_text_result, result_again };
static const struct message ETASK = { sample_edited_task, task_again };
static const struct message STASK = { sample_stamped_task, task_again };
static const struct message *const messages[] = { &PLAN,  &VTASK, &ATASK,   &RESULT, &XPLAN,
                                                  &TTASK, &PTASK, &TRESULT, &ETASK,  &STASK };
enum { N_MESSAGES = sizeof(messages) / sizeof(*messages) };

static void a_message_survives_the_wire(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MESSAGES; i++) {
        struct err e = { 0 };
        json_t *j = messages[i]->make(), *again = messages[i]->again(j, &e);
        if (!again)
            fail_msg("message %zu: %s", i, e.text);
        if (!json_equal(j, again)) {
            char *a = json_dumps(j, JSON_SORT_KEYS), *b = json_dumps(again, JSON_SORT_KEYS);
            print_message("%s\n%s\n", a, b);
            fail();
        }
        json_decref(j);
        json_decref(again);
    }
}

/* Set what `path` ("a.b[2].c") names in `j` to `value`; NULL: delete it. */
static void mutate(json_t *j, const char *path, json_t *value)
{
    char *copy = strdup(path), *save = NULL, *part = strtok_r(copy, ".[]", &save), *next;

    for (; (next = strtok_r(NULL, ".[]", &save)); part = next) {
        j = json_is_array(j) ? json_array_get(j, strtoul(part, NULL, 10))
                             : json_object_get(j, part);
        assert_non_null(j);
    }
    if (json_is_array(j) && strtoul(part, NULL, 10) == json_array_size(j))
        assert_int_equal(json_array_append_new(j, value), 0);
    else if (json_is_array(j))
        assert_int_equal(json_array_set_new(j, strtoul(part, NULL, 10), value), 0);
    else if (value)
        assert_int_equal(json_object_set_new(j, part, value), 0);
    else
        assert_int_equal(json_object_del(j, part), 0);
    free(copy);
}

static const struct bad_row {
    const struct message *msg;
    const char *path, *value; /* NULL: the field is missing */
    const char *want;         /* in the error */
} bad_rows[] = {
    {&PLAN,     "v",                                 "2",                                     "plan.v: version 2 is newer"                        },
    { &PLAN,    "v",                                 NULL,                                    "plan.v: is missing"                                },
    { &PLAN,    "v",                                 "'1'",                                   "plan.v: must be an integer"                        },
    { &PLAN,    "v",                                 "0",                                     "plan.v: 0 is outside"                              },
    { &PLAN,    "info",                              "[]",                                    "plan.info: must be an object"                      },
    { &PLAN,    "info",                              "null",                                  "plan.info: is missing"                             },
    { &PLAN,    "info.container",                    "'a\\nb'",                               "plan.info.container: must have no control"         },
    { &PLAN,    "info.warnings[1]",                  "3",                                     "plan.info.warnings[1]: must be a string"           },
    { &PLAN,    "info.video.stream",                 "-1",                                    "plan.info.video.stream: -1 is outside"             },
    { &PLAN,    "info.video.width",                  "0",                                     "plan.info.video.width: 0 is outside 1 to 65535"    },
    { &PLAN,    "info.video.sar",                    "[1]",                                   "plan.info.video.sar: must be [num"                 },
    { &PLAN,    "info.video.sar",                    "[1,0]",                                 "plan.info.video.sar[1]: 0 is outside"              },
    { &PLAN,    "info.video.fields",                 "2",                                     "plan.info.video.fields: 2 is outside"              },
    { &PLAN,    "info.video.mixed",                  "-1",                                    "plan.info.video.mixed: -1 is outside"              },
    { &PLAN,    "info.video.primed",                 "2",                                     "plan.info.video.primed: 2 is outside"              },
    { &PLAN,    "info.video.reorder",                "17",                                    "plan.info.video.reorder: 17 is outside 0 to 16"    },
    { &PLAN,    "info.video.tb",                     "[0,1]",                                 "plan.info.video.tb[0]: 0 is outside"               },
    { &PLAN,    "info.video.rotation",               "45",                                    "plan.info.video.rotation: 45 is not"               },
    { &PLAN,    "info.video.turns",                  "2",                                     "plan.info.video.turns: 2 is outside"               },
    { &PLAN,    "info.video.crop",                   "[]",                                    "plan.info.video.crop: must be an object"           },
    { &PLAN,    "info.video.crop.left",              "-1",                                    "plan.info.video.crop.left: -1 is outside"          },
    { &PLAN,    "info.video.crop.bottom",            "65536",                                 "plan.info.video.crop.bottom: 65536 is outside"     },
    { &PLAN,    "info.video.color.range",            "3",                                     "plan.info.video.color.range: 3"                    },
    { &PLAN,    "info.video.color",                  NULL,                                    "plan.info.video.color: is missing"                 },
    { &PLAN,    "info.video.end",                    "-81",                                   "plan.info.video.end: -81 is outside -80"           },
    { &PLAN,    "info.video.start",                  "9223372036854775807",
     "plan.info.video.start: 9223372036854775807"                                                                                                 },
    { &PLAN,    "info.audio.channels",               "65",                                    "plan.info.audio.channels"                          },
    { &PLAN,    "info.more_audio[0].channels",       "0",                                     "plan.info.more_audio[0].channels: 0"               },
    { &PLAN,    "info.more_audio[0].title",          "'a\\nb'",                               "plan.info.more_audio[0].title: must have no"       },
    { &PLAN,    "info.more_audio",                   "[]",                                    "plan.renditions[2].track: the source has no"       },
    { &PLAN,    "renditions[2].track",               "2",                                     "plan.renditions[2].track: 2 does not follow"       },
    { &PLAN,    "renditions[1].track",               "1",                                     "plan.renditions[1].track: 1 does not follow"       },
    { &PLAN,    "renditions[2].track",               "16",                                    "plan.renditions[2].track: 16 is outside 0 to 15"   },
    { &PLAN,    "renditions[2].loudness",            "-71",                                   "plan.renditions[2].loudness: -71 is outside"       },
    { &PLAN,    "renditions[2].true_peak",           "1",                                     "plan.renditions[2].true_peak: 1 is outside"        },
    { &PLAN,    "renditions[2].rung",                "'A'",                                   "plan.renditions[2].rung: must have a-z"            },
    { &PLAN,    "info.video",                        "null",                                  "plan.renditions: has video, the source has none"   },
    { &PLAN,    "info.audio",                        "null",                                  "plan.renditions: has audio, the source has none"   },
    { &PLAN,    "origin",                            "0.5",                                   "plan.origin: must be an integer"                   },
    { &PLAN,    "timescale",                         "0",                                     "plan.timescale: 0"                                 },
    { &PLAN,    "timescale",                         "2147483648",                            "plan.timescale: 2147483648"                        },
    { &PLAN,    "renditions",                        "[]",                                    "plan.renditions: must not be empty"                },
    { &PLAN,    "renditions[0].kind",                "'data'",                                "plan.renditions[0].kind: 'data' is not known"      },
    { &PLAN,    "renditions[0].kind",                "'audio'",                               "plan.renditions[0].sample_rate: is missing"        },
    { &PLAN,    "renditions[0].name",                "'../x'",                                "plan.renditions[0].name: must have a-z"            },
    { &PLAN,    "renditions[0].name",                "''",                                    "plan.renditions[0].name: must not be empty"        },
    { &PLAN,    "renditions[1].name",                "'h264-1080'",                           "plan.renditions[1].name: 'h264-1080' is the"       },
    { &PLAN,    "renditions[0].width",               "1919",                                  "plan.renditions[0].width: must be even"            },
    { &PLAN,    "renditions[0].params[0].key",       "'a b'",                                 "plan.renditions[0].params[0].key"                  },
    { &PLAN,    "renditions[0].params[0]",           "1",                                     "plan.renditions[0].params[0]: must be an object"   },
    { &PLAN,    "renditions[0].cost",                "-0.1",                                  "plan.renditions[0].cost"                           },
    { &PLAN,    "renditions[0].cost",                "'1'",                                   "plan.renditions[0].cost: must be a number"         },
    { &PLAN,    "renditions[0].threads",             "0",                                     "plan.renditions[0].threads"                        },
    { &PLAN,    "groups",                            "[]",                                    "plan.groups: 0 of 1 video renditions"              },
    { &PLAN,    "groups",                            "[[0,0]]",                               "plan.groups[0][1]: rendition 0 is in two places"   },
    { &PLAN,    "groups",                            "[[1]]",                                 "plan.groups[0][0]: 1 is outside 0 to 0"            },
    { &PLAN,    "groups",                            "[[]]",                                  "plan.groups[0]: must be an array of 1 to 64"       },
    { &PLAN,    "chunks",                            "[]",                                    "plan.chunks: 0 chunks for 1 video"                 },
    { &PLAN,    "chunks[1].index",                   "2",                                     "plan.chunks[1].index: 2 does not follow"           },
    { &PLAN,    "chunks[0].end",                     "81",                                    "plan.chunks[1].start: 80 does not follow"          },
    { &PLAN,    "chunks[1].prev_pts",                "0",                                     "plan.chunks[1].prev_pts: 0 does not follow"        },
    { &PLAN,    "chunks[1].first_gop",               "3",                                     "plan.chunks[1].first_gop: 3 does not follow"       },
    { &PLAN,    "chunks[1].first_segment",           "0",                                     "plan.chunks[1].first_segment: 0 does"              },
    { &PLAN,    "audio_cuts",                        "[]",                                    "plan.audio_cuts: 0 cuts for 2 audio"               },
    { &PLAN,    "audio_cuts",                        "[1,2]",                                 "plan.audio_cuts: must begin with 0"                },
    { &PLAN,    "audio_cuts",                        "[0,5,5]",                               "plan.audio_cuts[2]: 5 does not come after 5"       },
    { &PLAN,    "gop_seconds",                       "0",                                     "plan.gop_seconds"                                  },
    { &VTASK,   "v",                                 "7",                                     "task.v: version 7"                                 },
    { &VTASK,   "job",                               NULL,                                    "task.job: is missing"                              },
    { &VTASK,   "id",                                "'V 1'",                                 "task.id: must have a-z"                            },
    { &VTASK,   "attempt",                           "0",                                     "task.attempt: 0"                                   },
    { &VTASK,   "kind",                              "'audio'",                               "task.renditions[0].kind: is not the task's"        },
    { &VTASK,   "renditions",                        "[]",                                    "task.renditions: must not be empty"                },
    { &VTASK,   "avoid",                             "'w1'",                                  "task.avoid"                                        },
    { &VTASK,   "avoid",                             "['a','b','c','d','e']",                 "task.avoid"                                        },
    { &VTASK,   "avoid",                             "[7]",                                   "task.avoid[0]"                                     },
    { &VTASK,   "only",                              "'none'",                                "task.only: is not the name of a rendition"         },
    { &VTASK,   "info.video",                        NULL,                                    "task.info: has no video stream"                    },
    { &VTASK,   "chunk",                             NULL,                                    "task.chunk: is missing"                            },
    { &VTASK,   "chunk.end",                         "80",                                    "task.chunk.end: 80 is outside 81"                  },
    { &VTASK,   "chunk.end",                         "220",                                   "task.chunk.pts: the last frame, 220, is not before"},
    { &VTASK,   "chunk.prev_pts",                    "80",                                    "task.chunk.prev_pts: 80 is not before"             },
    { &VTASK,   "chunk.packets",                     "0",                                     "task.chunk.packets: 0"                             },
    { &VTASK,   "chunk.byte_end",                    "399",                                   "task.chunk.byte_end: 399"                          },
    { &VTASK,   "chunk.seek_pos",                    "-2",                                    "task.chunk.seek_pos: -2"                           },
    { &VTASK,   "chunk.pts.first",                   "81",                                    "task.chunk.pts.first: 81 is not the chunk's start" },
    { &VTASK,   "chunk.pts.runs",                    "[40]",                                  "task.chunk.pts.runs: must have a count"            },
    { &VTASK,   "chunk.pts.runs[0]",                 "0",                                     "task.chunk.pts.runs[0]: 0 is outside 1"            },
    { &VTASK,   "chunk.pts.runs[0]",                 "-40",                                   "task.chunk.pts.runs[0]: -40 is outside 1"          },
    { &VTASK,   "chunk.pts.runs[1]",                 "0",                                     "task.chunk.pts.runs[1]: 0 is outside 1"            },
    { &VTASK,   "chunk.pts.runs[1]",                 "16777216",                              "task.chunk.pts.runs[1]: makes more than"           },
    { &VTASK,   "chunk.pts.runs",                    "[1152921504606846976,9]",               "task.chunk.pts.runs[0]: leads out"                 },
    { &ETASK,   "info.arrivals[1]",                  "-1",                                    "task.info.arrivals[1]: -1 is outside 0"            },
    { &ETASK,   "info.arrivals[2]",                  "187",                                   "task.info.arrivals[2]: 187 is outside 188"         },
    { &ETASK,   "info.joins[0].stream",              "-2",                                    "task.info.joins[0].stream: -2 is outside -1"       },
    { &ETASK,   "info.joins[1].id",                  "-1",                                    "task.info.joins[1].id: -1 is outside 0"            },
    { &ETASK,   "info.joins[0].pos",                 "-1",                                    "task.info.joins[0].pos: -1 is outside 0"           },
    { &ETASK,   "info.edit_scale",                   "0",                                     "task.info.edit_scale: 0 is outside 1"              },
    { &ETASK,   "info.edits[0].length",              "0",                                     "task.info.edits[0].length: 0 is outside 1"         },
    { &ETASK,   "info.edits[0].start",               "-1",                                    "task.info.edits[0].start: -1 is outside 0"         },
    { &ETASK,   "info.edits[0].length",              "1152921504606846977",                   "task.info.edits[0].length:"                        },
    { &ETASK,   "info.edits[0].rate",                "-65536",                                "task.info.edits[0].rate: -65536 is outside 0"      },
    { &ETASK,   "info.edits[1].start",               "599",                                   "task.info.edits[1]: begins before the one"         },
    { &ETASK,   "chunk.spans[0].packets",            "0",                                     "task.chunk.spans[0].packets: 0"                    },
    { &STASK,   "chunk.stamps_from",                 "-1",                                    "task.chunk.stamps_from: -1"                        },
    { &STASK,   "chunk.stamps[0]",                   "'x'",                                   "task.chunk.stamps[0]: "                            },
    { &ETASK,   "chunk.spans[0].seek_pos",           "-2",                                    "task.chunk.spans[0].seek_pos: -2"                  },
    { &ETASK,   "chunk.spans[0].shown.runs",         "[20,2]",                                "task.chunk.spans[1]: begins before the one"        },
    { &ETASK,   "chunk.spans[1].media.runs",         "[40,2]",
     "task.chunk.spans[1].media: has 3 pictures for 2"                                                                                            },
    { &ETASK,   "chunk.spans[1].media.runs[0]",      "0",
     "task.chunk.spans[1].media.runs[0]: 0 is outside 1"                                                                                          },
    { &VTASK,   "chunk.gops",                        "[]",                                    "task.chunk.gops: must not be empty"                },
    { &VTASK,   "chunk.gops[0]",                     "79",                                    "task.chunk.gops: must begin with the chunk's start"},
    { &VTASK,   "chunk.gops[2]",                     "120",                                   "task.chunk.gops[2]: 120 does not come after 120"   },
    { &VTASK,   "chunk.gops[1]",                     "121",                                   "task.chunk.gops[1]: 121 is not the time of a frame"},
    { &VTASK,   "chunk.gops[2]",                     "260",                                   "task.chunk.gops[2]: 260 is not the time of a frame"},
    { &VTASK,   "chunk.segments",                    "[]",                                    "task.chunk.segments: must not be empty"            },
    { &VTASK,   "chunk.segments[0]",                 "1",                                     "task.chunk.segments[0]: must be 0"                 },
    { &VTASK,   "chunk.segments[1]",                 "0",                                     "task.chunk.segments[1]: 0 does not come after 0"   },
    { &VTASK,   "chunk.segments[1]",                 "3",                                     "task.chunk.segments[1]: 3 is beyond the 3 GOPs"    },
    { &ATASK,   "audio_cuts",                        "[]",                                    "task.audio_cuts: must begin with 0"                },
    { &ATASK,   "timeline_end",                      "-1",                                    "task.timeline_end: -1"                             },
    { &ATASK,   "info.audio",                        NULL,                                    "task.info: has no audio stream"                    },
    { &XPLAN,   "info.texts[0].default",             "2",                                     "plan.info.texts[0].default: 2"                     },
    { &XPLAN,   "info.texts[0].stream",              "-1",                                    "plan.info.texts[0].stream: -1"                     },
    { &XPLAN,   "info.texts[1].page",                "99",                                    "plan.info.texts[1].page: 99 is outside"            },
    { &XPLAN,   "info.texts[1].page",                "'888'",                                 "plan.info.texts[1].page: must be an integer"       },
    { &XPLAN,   "info.texts[2].captions",            "5",                                     "plan.info.texts[2].captions: 5 is outside"         },
    { &XPLAN,   "info.texts[2].captions",            "-1",                                    "plan.info.texts[2].captions: -1 is outside"        },
    { &XPLAN,   "extras[0].kind",                    "'picture'",                             "plan.extras[0].kind: 'picture' is not known"       },
    { &XPLAN,   "extras[0].name",                    "'h264-1080'",                           "plan.extras[0]: has the name of a rendition"       },
    { &XPLAN,   "extras[0].name",                    "'poster'",                              "plan.extras[1].name: 'poster' is the name"         },
    { &XPLAN,   "extras[0].text",                    NULL,                                    "plan.extras[0].text: is missing"                   },
    { &XPLAN,   "extras[1].shots",                   "[]",                                    "plan.extras[1].shots: must not be empty"           },
    { &XPLAN,   "extras[1].shots[0]",                "[1,2,3]",                               "plan.extras[1].shots[0]: must be [pts"             },
    { &XPLAN,   "extras[1].shots[1]",                "[39,[0,0],0]",                          "plan.extras[1].shots[1]: is before the one"        },
    { &XPLAN,   "extras[2].columns",                 "33",                                    "plan.extras[2].columns: 33"                        },
    { &XPLAN,   "extras[2].every_ms",                "0",                                     "plan.extras[2].every_ms: 0"                        },
    { &XPLAN,   "extras[2].width",                   "6554",                                  "plan.extras[2].columns: the sheet is larger"       },
    { &XPLAN,   "renditions[1].kind",                "'text'",                                "plan.renditions[1].text: is missing"               },
    { &TTASK,   "kind",                              "'audio'",                               "task.renditions[0].kind: is not the task's"        },
    { &TTASK,   "audio_cuts",                        "[]",                                    "task.audio_cuts: must begin with 0"                },
    { &TTASK,   "info.video",                        NULL,                                    "task.info: has no text stream"                     },
    { &PTASK,   "renditions[0].kind",                "'text'",                                "task.renditions[0].text: is missing"               },
    { &TRESULT, "renditions[0].init.key",            "'text/sub-ger/all.vtt'",
     "result.renditions[0].init.key: 'text/sub-ger"                                                                                               },
    { &TRESULT, "renditions[0].segments[0].key",     "'text/sub-eng/seg-00002.vtt'",
     "result.renditions[0].segments[0].key: 'text"                                                                                                },
    { &TRESULT, "renditions[0].segments",            "[]",
     "result.renditions[0].segments: must not be empty"                                                                                           },
    { &TRESULT, "renditions[0].segments[0].frames",  "-1",
     "result.renditions[0].segments[0].frames: -1"                                                                                                },
    { &RESULT,  "v",                                 "2",                                     "result.v: version 2"                               },
    { &RESULT,  "task",                              "'v_1'",                                 "result.task: must have a-z"                        },
    { &RESULT,  "error",                             "'x'",                                   "result.error: must be an object"                   },
    { &RESULT,  "renditions",                        "[]",                                    "result.renditions: must not be empty"              },
    { &RESULT,  "renditions[0].codecs",              "'a\\\"b'",                              "result.renditions[0].codecs: must have"            },
    { &RESULT,  "renditions[0].init.key",            "'video/x/init.mp4'",
     "result.renditions[0].init.key: 'video/x/init.mp4' is not a key"                                                                             },
    { &RESULT,  "renditions[0].segments[0].key",     "'video/h264-1080/../../seg-00002.m4s'",
     "result.renditions[0].segments[0].key: "                                                                                                     },
    { &RESULT,  "renditions[0].segments[0].sha256",  "'" HEX32 "'",
     "result.renditions[0].segments[0].sha256: must be 64 hex"                                                                                    },
    { &RESULT,  "renditions[0].segments[0].md5",     "'" HEX64 "'",
     "result.renditions[0].segments[0].md5: is 64 bytes long"                                                                                     },
    { &RESULT,  "renditions[0].segments[0].md5",     "'0123456789ABCDEF0123456789ABCDEF'",
     "result.renditions[0].segments[0].md5: must have 0-9"                                                                                        },
    { &RESULT,  "renditions[0].segments[1].start",   "180001",
     "result.renditions[0].segments[1].start: 180001 is not where"                                                                                },
    { &RESULT,  "renditions[0].segments[0].gops[0]", "[1,2,3]",
     "result.renditions[0].segments[0].gops[0]: must be ["                                                                                        },
    { &RESULT,  "renditions[0].segments[0].gops[1]", "[2500,2501,90000,90000]",
     "result.renditions[0].segments[0].gops[1][1]: 2501"                                                                                          },
    { &RESULT,  "renditions[0].segments[0].gops[1]", "[2500,1,90000,90001]",
     "result.renditions[0].segments[0].gops[1][3]: 90001"                                                                                         },
    { &RESULT,  "renditions[0].segments[0].gops[1]", "[2500,1,89999,1]",
     "result.renditions[0].segments[0].gops[1]: overlaps"                                                                                         },
    { &RESULT,  "renditions[0].loudness.gain",       "'x'",
     "result.renditions[0].loudness.gain: must be a"                                                                                              },
    { &RESULT,  "renditions[0].loudness.integrated", "-71",
     "result.renditions[0].loudness.integrated: -71"                                                                                              },
    { &RESULT,  "frames_in",                         "1.0",                                   "result.frames_in: must be an integer"              },
    { &RESULT,  "cpu_s",                             "-1",                                    "result.cpu_s: -1 is outside"                       },
};

static void what_breaks_a_rule_is_named_and_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_rows) / sizeof(*bad_rows); i++) {
        const struct bad_row *row = &bad_rows[i];
        struct err e = { 0 };
        json_t *j = row->msg->make(), *again;
        mutate(j, row->path, row->value ? parse(row->value) : NULL);
        again = row->msg->again(j, &e);
        if (again)
            fail_msg("%s = %s was taken", row->path, row->value);
        if (strncmp(e.text, row->want, strlen(row->want)) != 0)
            fail_msg("%s = %s: \"%s\", not \"%s\"", row->path, row->value, e.text, row->want);
        assert_int_equal(e.cls, ERR_INTERNAL);
        json_decref(j);
    }
}

static void every_field_may_be_missing_without_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MESSAGES; i++) {
        json_t *j = messages[i]->make(), *value;
        const char *key;
        json_object_foreach (j, key, value) {
            json_t *copy = json_deep_copy(j);
            struct err e = { 0 };
            json_object_del(copy, key);
            json_t *again = messages[i]->again(copy, &e);
            if (!again && !strstr(e.text, key))
                fail_msg("without %s: %s", key, e.text);
            json_decref(again);
            json_decref(copy);
        }
        json_decref(j);
    }
}

static json_t *repeated(const char *item, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, parse(item));
    return a;
}

static void arrays_have_limits(void **state)
{
    static const struct {
        const struct message *msg;
        const char *path, *item;
        size_t n;
    } rows[] = {
        {&PLAN,    "renditions",             "{}",  65     },
        { &PLAN,   "renditions[0].params",   "{}",  129    },
        { &PLAN,   "groups",                 "[0]", 65     },
        { &PLAN,   "chunks",                 "{}",  100001 },
        { &PLAN,   "audio_cuts",             "0",   1000001},
        { &PLAN,   "info.warnings",          "''",  257    },
        { &XPLAN,  "info.texts",             "{}",  33     },
        { &XPLAN,  "extras",                 "{}",  65     },
        { &PTASK,  "renditions[0].shots",    "0",   20001  },
        { &PLAN,   "info.more_audio",        "{}",  16     },
        { &VTASK,  "chunk.gops",             "0",   1000001},
        { &ETASK,  "info.arrivals",          "0",   129    },
        { &ETASK,  "info.joins",             "0",   129    },
        { &ETASK,  "info.edits",             "0",   4097   },
        { &ETASK,  "chunk.spans",            "0",   8193   },
        { &STASK,  "chunk.stamps",           "0",   1048577},
        { &VTASK,  "chunk.segments",         "0",   1000001},
        { &VTASK,  "chunk.pts.runs",         "1",   2000001},
        { &RESULT, "renditions",             "{}",  65     },
        { &RESULT, "renditions[0].segments", "{}",  1000001},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err e = { 0 };
        char want[128];
        json_t *j = rows[i].msg->make();
        mutate(j, rows[i].path, repeated(rows[i].item, rows[i].n));
        snprintf(want, sizeof(want), "%s: has %zu entries, at most", rows[i].path, rows[i].n);
        assert_null(rows[i].msg->again(j, &e));
        if (!strstr(e.text, want))
            fail_msg("\"%s\", not \"%s\"", e.text, want);
        json_decref(j);
    }
}

static void texts_have_limits(void **state)
{
    char text[16386];
    struct err e = { 0 };
    json_t *j = sample_task(0);

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 0;
    mutate(j, "source", json_string(text));
    assert_null(task_again(j, &e));
    assert_non_null(strstr(e.text, "task.source: is"));
    json_decref(j);
}

static void text_that_is_not_a_message_is_refused(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "null", "{} x", "{\"v\":1,\"v\":1}", "{\"v\":\"\\u0000\"}"
    };
    struct task t;
    struct task_result res;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        e = (struct err){ 0 };
        assert_int_equal(task_from_text(texts[i], strlen(texts[i]), &t, &e), -EINVAL);
        assert_memory_equal(e.text, "task: ", 6);
        e = (struct err){ 0 };
        assert_int_equal(task_result_from_text(texts[i], strlen(texts[i]), &res, &e), -EINVAL);
        assert_memory_equal(e.text, "result: ", 8);
    }
    char *big = calloc(1, (8 << 20) + 1);
    assert_int_equal(task_from_text(big, (8 << 20) + 1, &t, &e), -EINVAL);
    assert_non_null(strstr(e.text, "at most 8388608"));
    free(big);
}

static void a_new_field_is_ignored(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MESSAGES; i++) {
        json_t *j = messages[i]->make();
        json_object_set_new(j, "later", json_true());
        json_t *again = messages[i]->again(j, NULL);
        assert_non_null(again);
        json_decref(again);
        json_decref(j);
    }
}

/* What was written before there were tracks has one. */
static void a_plan_without_tracks_has_one(void **state)
{
    struct plan p;
    json_t *j = sample_plan();

    (void)state;
    json_object_del(json_object_get(j, "info"), "more_audio");
    json_array_remove(json_object_get(j, "renditions"), 2);
    assert_int_equal(plan_from_json(j, &p, NULL), 0);
    assert_int_equal(plan_tracks(&p), 1);
    assert_int_equal(p.renditions[1].track, 0);
    assert_string_equal(rendition_rung(&p.renditions[1]), "aac-128");
    assert_ptr_equal(media_audio(&p.info, 0), &p.info.audio);
    assert_null(media_audio(&p.info, 1));
    plan_release(&p);
    json_decref(j);
}

static void roles_that_nobody_knows_are_left_out(void **state)
{
    struct plan p;
    json_t *j = sample_plan();

    (void)state;
    mutate(j, "info.more_audio[0].roles", parse("['karaoke','commentary']"));
    assert_int_equal(plan_from_json(j, &p, NULL), 0);
    assert_int_equal(media_audio(&p.info, 1)->roles, AUDIO_COMMENTARY);
    assert_string_equal(rendition_rung(&p.renditions[2]), "aac-128");
    plan_release(&p);
    json_decref(j);
}

static void an_error_is_never_taken_for_success(void **state)
{
    static const char *const classes[] = { "none", "nobody-knows", "internal" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct task_result r;
        json_t *j = parse(result_text);
        json_object_set_new(j, "error", json_pack("{s:s,s:s}", "class", classes[i], "text", "why"));
        json_object_set_new(j, "renditions", json_array());
        assert_int_equal(task_result_from_json(j, &r, NULL), 0);
        assert_int_equal(r.error.cls, ERR_INTERNAL);
        assert_string_equal(r.error.text, "why");
        json_t *again = task_result_to_json(&r);
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(again, "error"), "class")),
            "internal");
        json_decref(again);
        json_decref(j);
        task_result_release(&r);
    }
}

static void a_task_of_extras_may_have_made_none(void **state)
{
    struct task_result r;
    struct err e = { 0 };
    json_t *j = parse(text_result_text);

    (void)state;
    json_object_set_new(j, "renditions", json_array());
    assert_int_equal(task_result_from_json(j, &r, &e), 0);
    assert_int_equal(r.n_renditions, 0);
    task_result_release(&r);
    json_object_set_new(j, "task", json_string("a-0"));
    assert_int_equal(task_result_from_json(j, &r, &e), -EINVAL);
    json_decref(j);
}

static void the_kind_of_a_task_is_in_its_id(void **state)
{
    (void)state;
    assert_int_equal(task_kind_by_id("v-0003-1"), TASK_VIDEO);
    assert_int_equal(task_kind_by_id("a-0"), TASK_AUDIO);
    assert_int_equal(task_kind_by_id("t-0"), TASK_TEXT);
    assert_int_equal(task_kind_by_id("p-0"), TASK_PICTURES);
    assert_false(task_kind_is_extra(TASK_AUDIO));
    assert_true(task_kind_is_extra(TASK_TEXT) && task_kind_is_extra(TASK_PICTURES));
}

static void what_a_source_calls_itself_is_made_harmless(void **state)
{
    struct media_info i = { .video = { .stream = -1 }, .audio = { .stream = -1 } }, back;
    char *warning = strdup("a\xff"
                           "b\nc");

    (void)state;
    snprintf(i.container, sizeof(i.container), "x\x01\xc3\xa9");
    i.warnings = &warning;
    i.n_warnings = 1;
    json_t *j = media_info_to_json(&i);
    assert_int_equal(media_info_from_json(j, &back, NULL), 0);
    assert_string_equal(back.container, "x \xc3\xa9");
    assert_string_equal(back.warnings[0], "a?b c");
    assert_int_equal(back.video.stream, -1);
    assert_int_equal(back.audio.stream, -1);
    json_decref(j);
    media_info_release(&back);
    free(warning);
}

static void what_a_display_is_comes_through_or_is_refused(void **state)
{
    static const char *const bad[] = {
        "[[1,2],[3,4],[5,6]]",
        "[[1,2],[3,4],[5,6],[7]]",
        "[[1,2],[3,4],[5,6],[7,65536]]",
        "7",
    };
    struct rendition r, back;
    json_t *j = parse(video_text);

    (void)state;
    assert_int_equal(rendition_from_json(j, &r, NULL), 0);
    assert_int_equal(r.hdr.has_mastering, 0);
    json_decref(j);
    r.hdr = (struct hdr_info){
        1, {1,  2    },
         { 3, 4    },
         { 5, 6    },
         { 7, 65535},
         9, 8, 1000, 400
    };
    j = rendition_to_json(&r);
    assert_int_equal(rendition_from_json(j, &back, NULL), 0);
    assert_memory_equal(&back.hdr, &r.hdr, sizeof(r.hdr));
    rendition_release(&back);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = { 0 };
        json_object_set_new(json_object_get(j, "hdr"), "points",
                            json_loads(bad[i], JSON_DECODE_ANY, NULL));
        assert_true(rendition_from_json(j, &back, &err) < 0);
        assert_non_null(strstr(err.text, "hdr.points"));
    }
    json_decref(j);
    rendition_release(&r);
}

static void a_copied_rendition_is_the_same_and_its_own(void **state)
{
    json_t *all[] = { parse(video_text), parse(audio_text), text_rendition(),
                      parse(storyboard_text) };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct rendition r, copy;
        assert_int_equal(rendition_from_json(all[i], &r, NULL), 0);
        assert_int_equal(rendition_copy(&r, &copy), 0);
        rendition_release(&r);
        json_t *again = rendition_to_json(&copy);
        assert_true(json_equal(all[i], again));
        json_decref(all[i]);
        json_decref(again);
        rendition_release(&copy);
    }
}

static size_t allocs_left;

static void *failing_malloc(size_t n)
{
    return allocs_left && allocs_left-- ? malloc(n) : NULL;
}

static void out_of_memory_gives_no_half_message(void **state)
{
    json_t *jp = sample_extras_plan(), *jr = parse(result_text), *made;
    struct plan p;
    struct task_result r;

    (void)state;
    assert_int_equal(plan_from_json(jp, &p, NULL), 0);
    assert_int_equal(task_result_from_json(jr, &r, NULL), 0);
    for (int which = 0; which < 2; which++) {
        int failures = 0;
        for (size_t n = 0;; n++, failures++) {
            json_set_alloc_funcs(failing_malloc, free);
            allocs_left = n;
            made = which ? task_result_to_json(&r) : plan_to_json(&p);
            json_set_alloc_funcs(malloc, free);
            if (made)
                break;
        }
        assert_true(failures > 100);
        assert_true(json_equal(made, which ? jr : jp));
        json_decref(made);
    }
    plan_release(&p);
    task_result_release(&r);
    json_decref(jp);
    json_decref(jr);
}

static void segment_keys_are_the_packages_layout(void **state)
{
    static const struct {
        enum media_kind kind;
        unsigned number;
        const char *want;
    } rows[] = {
        {MEDIA_VIDEO,       0,      "video/x/init.mp4"          },
        { MEDIA_AUDIO,      1,      "audio/x/seg-00001.m4s"     },
        { MEDIA_VIDEO,      123456, "video/x/seg-123456.m4s"    },
        { MEDIA_TEXT,       0,      "text/x/all.vtt"            },
        { MEDIA_TEXT,       12,     "text/x/seg-00012.vtt"      },
        { MEDIA_POSTER,     0,      "poster.jpg"                },
        { MEDIA_STORYBOARD, 0,      "storyboard/index.vtt"      },
        { MEDIA_STORYBOARD, 2,      "storyboard/sheet-00002.jpg"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *key = segment_key(rows[i].kind, "x", rows[i].number);
        assert_string_equal(key, rows[i].want);
        free(key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_the_wire),
        cmocka_unit_test(what_breaks_a_rule_is_named_and_refused),
        cmocka_unit_test(every_field_may_be_missing_without_harm),
        cmocka_unit_test(arrays_have_limits),
        cmocka_unit_test(texts_have_limits),
        cmocka_unit_test(text_that_is_not_a_message_is_refused),
        cmocka_unit_test(a_new_field_is_ignored),
        cmocka_unit_test(a_plan_without_tracks_has_one),
        cmocka_unit_test(roles_that_nobody_knows_are_left_out),
        cmocka_unit_test(an_error_is_never_taken_for_success),
        cmocka_unit_test(a_task_of_extras_may_have_made_none),
        cmocka_unit_test(the_kind_of_a_task_is_in_its_id),
        cmocka_unit_test(what_a_source_calls_itself_is_made_harmless),
        cmocka_unit_test(what_a_display_is_comes_through_or_is_refused),
        cmocka_unit_test(a_copied_rendition_is_the_same_and_its_own),
        cmocka_unit_test(out_of_memory_gives_no_half_message),
        cmocka_unit_test(segment_keys_are_the_packages_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
