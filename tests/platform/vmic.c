/* A sound card that exists only in a test: an ALSA "ioplug" plug-in, paced in real time.
 *
 *   pcm.vmic { type vmic  file "in.raw"  out "played.raw"  state "state"  rate 16000  channels 1
 *              format "S16_LE"  lock "lock"  clock "starts.txt"  ppm 0  live false
 *              swallow 0 }
 *
 * Capture hears the samples of `file`, then the noise of a converter. Playback appends to `out`. Formats: S16_LE,
 * S24_3LE, S32_LE, FLOAT_LE. With `lock`, one process at a time may capture; others get EBUSY. It
 * then holds when the last capture began, in seconds of CLOCK_BOOTTIME. `clock` gets a line whenever
 * playback starts: nanoseconds of CLOCK_MONOTONIC, and the byte of `out` that is heard then.
 * `ppm` is how much faster than the rate the card's own clock is. With `live`, `file` grows while it
 * is heard: its samples follow each other by the clock from the first capture on, whose time `lock`
 * keeps, and sound like noise where they are not written yet.
 * After each opening, the first `swallow` ms of what is played do not reach `out`, as at an output
 * that sleeps.
 * The file `state` works the card; it is read again at every step:
 *   missing or "run"  works         "gone"  unplugged: nothing opens, open streams fail (ENODEV)
 *   "busy"            used by somebody else: nothing opens (EBUSY), open streams go on
 *   "stall"           gives and takes no more samples, without an error
 *   "xrun"            loses what is buffered once (EPIPE), and deletes the file
 *   "mute"            gives zeros only, as a mute switch does; `file` waits
 *
 * gcc -shared -fPIC -DPIC -O2 -o libasound_module_pcm_vmic.so vmic.c -lasound
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum state { RUN, GONE, STALL, XRUN, BUSY, MUTE };

struct card {
    snd_pcm_ioplug_t io;
    int timer;                   /* readable when the other side should look again */
    int in, out;                 /* the files behind capture and playback, or -1 */
    int clock;                   /* the file with the starts of playback, or -1 */
    size_t sent;                 /* bytes played or heard since it was prepared */
    long ppm;                    /* how much faster its clock is */
    size_t swallow;              /* bytes that it still will not play */
    int live;                    /* whether `in` grows, and is read by the clock */
    size_t live_base;            /* byte of `in` at which this capture began */
    int lock;                    /* the file whose lock means that we capture, or -1 */
    char *state_path;
    unsigned noise;              /* the state of a generator of random numbers */
    int running;
    struct timespec since;       /* when the hardware began at `base` */
    snd_pcm_uframes_t base, hardware; /* position of the hardware, in samples */
};

static enum state state(const struct card *card)
{
    char word[16] = "";
    int file = card->state_path ? open(card->state_path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return RUN;
    ssize_t got = read(file, word, sizeof word - 1);
    close(file);
    if (got <= 0)
        return RUN;
    switch (word[0]) {
    case 'g': return GONE;
    case 's': return STALL;
    case 'x': return XRUN;
    case 'b': return BUSY;
    case 'm': return MUTE;
    default: return RUN;
    }
}

static void restart_clock(struct card *card)
{
    card->base = card->hardware;
    clock_gettime(CLOCK_MONOTONIC, &card->since);
}

static long long elapsed_us(const struct card *card)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - card->since.tv_sec) * 1000000LL +
           (now.tv_nsec - card->since.tv_nsec) / 1000;
}

/* Write when this capture began; or, if `in` is live, note how long after the first one. */
static void note_capture(struct card *card)
{
    char first[64] = "";
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    if (card->live && pread(card->lock, first, sizeof first - 1, 0) > 0) {
        double since = now.tv_sec + now.tv_nsec / 1e9 - atof(first);
        card->live_base = 2 * (size_t)(since * card->io.rate * (1 + card->ppm * 1e-6));
        card->sent = 0;
    } else if (ftruncate(card->lock, 0) == 0) {
        lseek(card->lock, 0, SEEK_SET);
        dprintf(card->lock, "%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
    }
}

static int on_start(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    long long ns = 1000000000LL * io->period_size / io->rate;
    if (ns > 20000000)
        ns /= 4; /* long periods: look up more often, as interrupts would */
    struct timespec step = { ns / 1000000000, ns % 1000000000 };
    struct itimerspec every = { step, step };
    restart_clock(card);
    card->running = 1;
    if (io->stream == SND_PCM_STREAM_PLAYBACK && card->clock >= 0 && card->out >= 0)
        dprintf(card->clock, "%lld %lld\n",
                card->since.tv_sec * 1000000000LL + card->since.tv_nsec,
                (long long)(lseek(card->out, 0, SEEK_END) - card->sent));
    if (card->lock >= 0)
        note_capture(card);
    return timerfd_settime(card->timer, 0, &every, NULL) ? -errno : 0;
}

static int on_stop(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    struct itimerspec never = { { 0, 0 }, { 0, 0 } };
    card->running = 0;
    timerfd_settime(card->timer, 0, &never, NULL);
    return 0;
}

static int on_prepare(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    card->hardware = card->base = 0;
    card->sent = 0;
    return state(card) == GONE ? -ENODEV : 0;
}

static int overrun(const snd_pcm_ioplug_t *io, const struct card *card)
{
    snd_pcm_uframes_t waiting = card->hardware - io->appl_ptr;
    int ahead = waiting > (1UL << 40); /* the reader is ahead: it wrapped around */
    return io->stream == SND_PCM_STREAM_CAPTURE && !ahead && waiting > io->buffer_size;
}

static int underrun(const snd_pcm_ioplug_t *io, const struct card *card)
{
    size_t frame = io->channels * snd_pcm_format_physical_width(io->format) / 8;
    return io->stream == SND_PCM_STREAM_PLAYBACK && card->hardware > card->sent / frame;
}

static snd_pcm_sframes_t on_pointer(snd_pcm_ioplug_t *io)
{
    struct card *card = io->private_data;
    enum state now = state(card);
    if (now == GONE)
        return -ENODEV;
    if (now == XRUN) {
        unlink(card->state_path);
        return -EPIPE;
    }
    if (card->running && now == STALL)
        restart_clock(card);
    else if (card->running)
        card->hardware = card->base + (snd_pcm_uframes_t)(elapsed_us(card) * (double)io->rate *
                                                          (1 + card->ppm * 1e-6) / 1e6);
    if (card->running && (overrun(io, card) || underrun(io, card)))
        return -EPIPE;
    return card->hardware % io->buffer_size;
}

/* What no converter is without: up to 3 steps of 16 bits either way. */
static void hiss(struct card *card, char *sound, size_t bytes)
{
    size_t width = snd_pcm_format_physical_width(card->io.format) / 8;
    for (size_t at = 0; at + width <= bytes; at += width) {
        card->noise = card->noise * 1664525u + 1013904223u;
        int step = (int)(card->noise >> 24) % 7 - 3;
        float scaled = step / 32768.0f;
        int shifted = step * 65536;
        if (card->io.format == SND_PCM_FORMAT_FLOAT_LE)
            memcpy(sound + at, &scaled, width);
        else
            memcpy(sound + at, (char *)&shifted + (4 - width), width);
    }
}

static snd_pcm_sframes_t on_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                     snd_pcm_uframes_t offset, snd_pcm_uframes_t count)
{
    struct card *card = io->private_data;
    size_t wanted = count * areas->step / 8, got = 0;
    char *sound = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
    if (io->stream == SND_PCM_STREAM_PLAYBACK) {
        size_t lost = card->swallow < wanted ? card->swallow : wanted;
        card->swallow -= lost;
        card->sent += wanted;
        if (lost < wanted && card->out >= 0 && write(card->out, sound + lost, wanted - lost) < 0)
            return -errno;
        return count;
    }
    int muted = state(card) == MUTE;
    while (!muted && card->in >= 0 && got < wanted) {
        ssize_t more = card->live ? pread(card->in, sound + got, wanted - got,
                                          card->live_base + card->sent + got)
                                  : read(card->in, sound + got, wanted - got);
        if (more <= 0)
            break;
        got += more;
    }
    card->sent += wanted;
    if (muted)
        memset(sound, 0, wanted);
    else
        hiss(card, sound + got, wanted - got);
    return count;
}

static int on_revents(snd_pcm_ioplug_t *io, struct pollfd *polled, unsigned count,
                      unsigned short *revents)
{
    struct card *card = io->private_data;
    enum state now = state(card);
    uint64_t ticks;
    (void)count;
    *revents = 0;
    if (now == GONE) {
        *revents = POLLERR | POLLNVAL;
        return -ENODEV;
    }
    if (!(polled[0].revents & POLLIN))
        return 0;
    if (read(card->timer, &ticks, sizeof ticks) > 0 && now != STALL)
        *revents = io->stream == SND_PCM_STREAM_CAPTURE ? POLLIN : POLLOUT;
    return 0;
}

static void release(struct card *card)
{
    if (card->timer >= 0)
        close(card->timer);
    if (card->in >= 0)
        close(card->in);
    if (card->out >= 0)
        close(card->out);
    if (card->clock >= 0)
        close(card->clock);
    if (card->lock >= 0)
        close(card->lock);
    free(card->state_path);
    free(card);
}

static int on_close(snd_pcm_ioplug_t *io)
{
    release(io->private_data);
    return 0;
}

static const snd_pcm_ioplug_callback_t CALLBACKS = {
    .start = on_start,
    .stop = on_stop,
    .pointer = on_pointer,
    .transfer = on_transfer,
    .prepare = on_prepare,
    .close = on_close,
    .poll_revents = on_revents,
};

static int constrain(snd_pcm_ioplug_t *io, unsigned rate, unsigned channels, unsigned format)
{
    static const unsigned access[] = { SND_PCM_ACCESS_RW_INTERLEAVED,
                                       SND_PCM_ACCESS_MMAP_INTERLEAVED };
    const struct { int what; unsigned count; const unsigned *list; } lists[] = {
        { SND_PCM_IOPLUG_HW_ACCESS, 2, access },
        { SND_PCM_IOPLUG_HW_FORMAT, 1, &format },
        { SND_PCM_IOPLUG_HW_RATE, 1, &rate },
        { SND_PCM_IOPLUG_HW_CHANNELS, 1, &channels },
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        int error = snd_pcm_ioplug_set_param_list(io, lists[i].what, lists[i].count, lists[i].list);
        if (error < 0)
            return error;
    }
    int error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 65536);
    return error < 0 ? error
                     : snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
}

SND_PCM_PLUGIN_DEFINE_FUNC(vmic)
{
    const char *file = NULL, *out = NULL, *state_path = NULL, *lock = NULL, *clock = NULL;
    const char *format = "S16_LE";
    long rate = 16000, channels = 1, ppm = 0, swallow = 0;
    int live = 0;
    snd_config_iterator_t at, next;
    (void)root;
    snd_config_for_each(at, next, conf)
    {
        snd_config_t *entry = snd_config_iterator_entry(at);
        const char *id;
        if (snd_config_get_id(entry, &id) < 0 || !strcmp(id, "type") || !strcmp(id, "comment") ||
            !strcmp(id, "hint"))
            continue;
        if (!strcmp(id, "file"))
            snd_config_get_string(entry, &file);
        else if (!strcmp(id, "out"))
            snd_config_get_string(entry, &out);
        else if (!strcmp(id, "state"))
            snd_config_get_string(entry, &state_path);
        else if (!strcmp(id, "lock"))
            snd_config_get_string(entry, &lock);
        else if (!strcmp(id, "clock"))
            snd_config_get_string(entry, &clock);
        else if (!strcmp(id, "format"))
            snd_config_get_string(entry, &format);
        else if (!strcmp(id, "rate"))
            snd_config_get_integer(entry, &rate);
        else if (!strcmp(id, "channels"))
            snd_config_get_integer(entry, &channels);
        else if (!strcmp(id, "ppm"))
            snd_config_get_integer(entry, &ppm);
        else if (!strcmp(id, "swallow"))
            snd_config_get_integer(entry, &swallow);
        else if (!strcmp(id, "live"))
            live = snd_config_get_bool(entry) > 0;
        else {
            SNDERR("vmic: unknown field %s", id);
            return -EINVAL;
        }
    }

    struct card *card = calloc(1, sizeof *card);
    if (!card)
        return -ENOMEM;
    card->timer = card->in = card->out = card->clock = card->lock = -1;
    card->ppm = ppm;
    card->live = live;
    card->swallow = swallow * rate / 1000 * channels *
                    (snd_pcm_format_physical_width(snd_pcm_format_value(format)) / 8);
    card->state_path = state_path ? strdup(state_path) : NULL;
    enum state now = state(card);
    if (now == GONE || now == BUSY) {
        release(card);
        return now == GONE ? -ENODEV : -EBUSY;
    }
    if (stream == SND_PCM_STREAM_CAPTURE && lock) {
        card->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (card->lock < 0 || flock(card->lock, LOCK_EX | LOCK_NB) < 0) {
            release(card);
            return -EBUSY;
        }
    }
    if (stream == SND_PCM_STREAM_CAPTURE && file)
        card->in = open(file, O_RDONLY | O_CLOEXEC);
    if (stream == SND_PCM_STREAM_PLAYBACK && out)
        card->out = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (stream == SND_PCM_STREAM_PLAYBACK && clock)
        card->clock = open(clock, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    card->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    card->io.version = SND_PCM_IOPLUG_VERSION;
    card->io.name = "vmic";
    card->io.callback = &CALLBACKS;
    card->io.private_data = card;
    card->io.poll_fd = card->timer;
    card->io.poll_events = POLLIN;

    int error = snd_pcm_ioplug_create(&card->io, name, stream, mode);
    if (error < 0) {
        release(card);
        return error;
    }
    error = constrain(&card->io, rate, channels, snd_pcm_format_value(format));
    if (error < 0) {
        snd_pcm_ioplug_delete(&card->io); /* this calls on_close */
        return error;
    }
    *pcmp = card->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(vmic);
