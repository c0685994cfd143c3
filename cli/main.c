/* main.c - gopmill: the farm's tool on a command line.
 *
 * It is built twice. gopmill itself links nothing that speaks to networks,
 * for loading that takes as long as all the rest of its start (5 ms);
 * gopmill-net (GOPMILL_NET) has all commands. The first becomes the second
 * for a farm's commands, and where an argument is a URL over the network.
 */
#include "become.h"
#include "cli.h"
#include "gopmill-config.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#ifdef GOPMILL_NET
enum { HAS_NET = 1 };
#define NET(command) &(command)
#else
enum { HAS_NET = 0 };
#define NET(command) NULL
#endif

struct entry {
    const char *name, *summary;
    const struct cli_command *command; /* NULL: gopmill-net has it */
};

static const struct entry here[] = {
    {"run",       "make a streaming package of a video on this machine", &cmd_run },
    { "probe",   "tell what a video holds", &cmd_probe },
    { "plan",    "show how a video would be cut and encoded; encode nothing", &cmd_plan },
    { "ladder", "list, show or check ladders: which renditions a package has", &cmd_ladder },
    { "verify",     "check a package against the rules, and against its source", &cmd_verify },
    { 0 },
};

static const struct entry farm[] = {
    {"submit",         "have the farm make packages of videos", NET(cmd_submit) },
    { "jobs", "list jobs", NET(cmd_jobs) },
    { "status",          "tell how a job stands", NET(cmd_status) },
    { "watch",   "show how far jobs are, until they end", NET(cmd_watch) },
    { "failed",        "list jobs that failed, and why", NET(cmd_failed) },
    { "requeue", "take up failed jobs again, or make a chunk or a rendition anew",
     NET(cmd_requeue) },
    { "cancel",         "give up jobs", NET(cmd_cancel) },
    { "delete",  "forget jobs that have ended, and what is left of them", NET(cmd_delete) },
    { "workers",        "list workers", NET(cmd_workers) },
    { "drain", "have workers finish what they are at, and end", NET(cmd_drain) },
    { "dead",       "list messages that nobody could use", NET(cmd_dead) },
    { 0},
};

static void help_group(const char *title, const struct entry *e)
{
    printf("%s\n", title);
    for (; e->name; e++)
        printf("  %-8s %s\n", e->name, e->summary);
}

static void help(void)
{
    puts("gopmill makes streaming packages (HLS and DASH over the same segments) of videos.\n"
         "\n"
         "Usage: gopmill COMMAND [ARGUMENT...]\n");
    help_group("On this machine:", here);
    help_group("\nOn a farm (--dispatcher URL or GOPMILL_DISPATCHER; GOPMILL_TOKEN):", farm);
    puts("\n"
         "  gopmill COMMAND --help tells more; gopmill --version tells which one this is.\n"
         "\n"
         "Exit status: 0 done, 1 failed or stopped, 2 wrong usage or ladder,\n"
         "3 the input can't be used.");
}

static const struct entry *find(const struct entry *e, const char *name)
{
    while (e->name && strcmp(e->name, name) != 0)
        e++;
    return e->name ? e : NULL;
}

static int is_network_url(const char *arg)
{
    const char *value = arg[0] == '-' ? strchr(arg, '=') : NULL;

    arg = value ? value + 1 : arg;
    return !strncasecmp(arg, "s3://", 5) || !strncasecmp(arg, "https://", 8) ||
           !strncasecmp(arg, "http://", 7);
}

static int needs_net(const struct entry *e, int argc, char **argv)
{
    if (HAS_NET || e->command == &cmd_verify)
        return 0;
    for (int i = 2; i < argc; i++)
        if (is_network_url(argv[i]))
            return 1;
    return !e->command;
}

static int dispatch(int argc, char **argv)
{
    static const char *const net[] = { "gopmill-net", NULL };

    if (argc < 2)
        return cli_usage(NULL, "no command given");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help();
        return CLI_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("gopmill " GOPMILL_VERSION);
        return CLI_DONE;
    }

    const struct entry *e = find(here, argv[1]);
    if (!e)
        e = find(farm, argv[1]);
    if (!e)
        return cli_usage(NULL, "there is no command '%s'", argv[1]);
    if (needs_net(e, argc, argv))
        return become(net, "gopmill-net", argv);
    return e->command->run(e->command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    /* A reader that goes away early ("gopmill plan … | head") is no reason to
     * leave children behind: writes fail instead. */
    (void)signal(SIGPIPE, SIG_IGN);

    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "gopmill: stdout can't be written: %m\n");
        return status == CLI_DONE ? CLI_FAILED : status;
    }
    return status;
}
