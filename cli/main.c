/* main.c - gopmill: the farm's tool on a command line. */
#include "cli.h"
#include "gopmill-config.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct cli_command *const commands[] = {
    &cmd_run, &cmd_probe, &cmd_plan, &cmd_ladder, &cmd_verify,
};

static void help(void)
{
    puts("gopmill makes streaming packages (HLS and DASH over the same segments) of videos.\n"
         "\n"
         "Usage: gopmill COMMAND [ARGUMENT...]\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
    puts("\n"
         "  gopmill COMMAND --help tells more; gopmill --version tells which one this is.\n"
         "\n"
         "Exit status: 0 done, 1 failed or stopped, 2 wrong usage or ladder,\n"
         "3 the input can't be used.");
}

static int dispatch(int argc, char **argv)
{
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
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(argv[1], commands[i]->name))
            return commands[i]->run(commands[i], argc - 1, argv + 1);
    return cli_usage(NULL, "there is no command '%s'", argv[1]);
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
