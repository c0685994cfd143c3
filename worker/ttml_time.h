/* ttml_time.h - times of TTML (W3C TTML 2, 12.3.1) and how fast they count. Pure functions.
 */
#ifndef GOPMILL_WORKER_TTML_TIME_H
#define GOPMILL_WORKER_TTML_TIME_H

/* Parameters of a document (TTML 2, 7.2). */
struct ttml_rates {
    double frames;  /* a second: frameRate with its multiplier */
    double nominal; /* frameRate alone: how many frames a second of a clock time has */
    double sub;     /* subFrameRate */
    double ticks;   /* tickRate */
    int smpte;      /* hours, minutes and seconds count frames (timeBase "smpte") */
    int drop;       /* frame numbers that are left out each minute but the tenth: 0, 2 (dropNTSC) */
};

/* What its attributes say, each NULL where it isn't there. 0, or -EINVAL: times of a wall clock
 * (timeBase "clock"), which no presentation has. */
int ttml_rates_of(const char *time_base, const char *frame_rate, const char *multiplier,
                  const char *sub_frame_rate, const char *tick_rate, const char *drop_mode,
                  struct ttml_rates *ret);

/* "00:01:02.5", "00:01:02:12", "62.5s", "1500t" in seconds. 0, or -EINVAL. */
int ttml_time(const char *s, const struct ttml_rates *r, double *ret);

#endif
