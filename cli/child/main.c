/* gopmill-child: the program that alone links demuxers, decoders and
 * encoders, and runs one job in a jail (common/child/child.h). */
#include "../../common/child/inside.h"
#include "../../dispatcher/plan_job.h"
#include "../../worker/encode.h"
#include "ladder_job.h"

#include <libavutil/log.h>

int main(int argc, char **argv)
{
    static const struct child_job jobs[] = {
        {"probe",   probe_job },
        { "plan",        plan_job },
        { "encode",encode_job },
        { "ladder-check", ladder_job },
        { 0       },
    };

    /* Into the parent's pipe, as last words should it die. */
    av_log_set_level(AV_LOG_ERROR);
    return inside_main(argc, argv, jobs);
}
