/* An ALSA sequencer with nobody else in it, for a host that doesn't play a note without one, on a kernel that has none (/dev/snd/seq is missing).
   Preloaded before libasound, it takes the place of each call that would ask the kernel; what only fills in structures stays libasound's own. Its queue
   keeps time, for a host holds the clock of its sound against it. No event ever comes, and what is sent goes nowhere. Knows no host. */

#include <alsa/asoundlib.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* The numbers that clients of a real one get begin at 128; 0 is the system's own. */
enum { FIRST_CLIENT = 128, QUEUE = 0 };

/* libasound's own handle is some hundred bytes, and a function of its that isn't replaced here would write where its fields are: there is room for it, and whoever
   wrote there is told of at the end. */
enum { ROOM = 1 << 16, CANARY = 0xa5 };
struct _snd_seq {
    unsigned char room[ROOM];
    int never; /* a descriptor that is never ready */
    int client;
    int ports;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int clients;
/* The one queue, for all: its ticks up to `since`, whether it has been counting on since then, ticks and microseconds of a beat, and how much faster
   than them it goes, in parts of SKEW. */
enum { SKEW = 0x10000 };
static struct {
    double ticks, since;
    int running;
    unsigned int ppq, tempo, skew;
} queue = {.ppq = 96, .tempo = 500000, .skew = SKEW};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The queue's ticks, counted on to this moment. With the lock. */
static double count(void) {
    double t = now();
    if (queue.running)
        queue.ticks += (t - queue.since) * 1e6 / queue.tempo * queue.ppq * queue.skew / SKEW;
    queue.since = t;
    return queue.ticks;
}

int snd_seq_open(snd_seq_t **handle, const char *name, int streams, int mode) {
    snd_seq_t *seq = calloc(1, sizeof *seq);
    if (!seq)
        return -ENOMEM;
    memset(seq->room, CANARY, ROOM);
    seq->never = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (seq->never < 0) {
        free(seq);
        return -errno;
    }
    pthread_mutex_lock(&lock);
    seq->client = FIRST_CLIENT + clients++;
    pthread_mutex_unlock(&lock);
    *handle = seq;
    return 0;
}

int snd_seq_close(snd_seq_t *seq) {
    for (int i = 0; i < ROOM; i++)
        if (seq->room[i] != CANARY) {
            fprintf(stderr, "sequencer: libasound wrote into the handle at byte %d: a function that is not replaced here\n", i);
            abort();
        }
    close(seq->never);
    free(seq);
    return 0;
}

int snd_seq_client_id(snd_seq_t *seq) { return seq->client; }
int snd_seq_set_client_name(snd_seq_t *seq, const char *name) { return 0; }

int snd_seq_poll_descriptors_count(snd_seq_t *seq, short events) { return 1; }
int snd_seq_poll_descriptors(snd_seq_t *seq, struct pollfd *pfds, unsigned int space, short events) {
    if (space < 1)
        return 0;
    *pfds = (struct pollfd){.fd = seq->never, .events = events & POLLIN};
    return 1;
}

/* Ports: as many as are asked for, connected to nothing. */
int snd_seq_create_simple_port(snd_seq_t *seq, const char *name, unsigned int caps, unsigned int type) { return seq->ports++; }
int snd_seq_delete_simple_port(snd_seq_t *seq, int port) { return 0; }
int snd_seq_get_port_info(snd_seq_t *seq, int port, snd_seq_port_info_t *info) { return port < seq->ports ? 0 : -ENOENT; }
int snd_seq_set_port_info(snd_seq_t *seq, int port, snd_seq_port_info_t *info) { return 0; }
int snd_seq_get_any_client_info(snd_seq_t *seq, int client, snd_seq_client_info_t *info) { return -ENOENT; }
int snd_seq_get_any_port_info(snd_seq_t *seq, int client, int port, snd_seq_port_info_t *info) { return -ENOENT; }
int snd_seq_query_next_client(snd_seq_t *seq, snd_seq_client_info_t *info) { return -ENOENT; }
int snd_seq_query_next_port(snd_seq_t *seq, snd_seq_port_info_t *info) { return -ENOENT; }
int snd_seq_query_port_subscribers(snd_seq_t *seq, snd_seq_query_subscribe_t *subs) { return -ENOENT; }
/* The system announces who comes and goes: whoever asks to be told of it may wait. Another there is not. */
int snd_seq_subscribe_port(snd_seq_t *seq, snd_seq_port_subscribe_t *sub) {
    return snd_seq_port_subscribe_get_sender(sub)->client == SND_SEQ_CLIENT_SYSTEM ? 0 : -ENOENT;
}
int snd_seq_unsubscribe_port(snd_seq_t *seq, snd_seq_port_subscribe_t *sub) { return 0; }

int snd_seq_event_input(snd_seq_t *seq, snd_seq_event_t **event) {
    *event = NULL;
    return -EAGAIN;
}
int snd_seq_event_input_pending(snd_seq_t *seq, int fetch) { return 0; }
int snd_seq_event_output(snd_seq_t *seq, snd_seq_event_t *event) { return 0; }
int snd_seq_event_output_direct(snd_seq_t *seq, snd_seq_event_t *event) { return 0; }
int snd_seq_drain_output(snd_seq_t *seq) { return 0; }
int snd_seq_drop_output(snd_seq_t *seq) { return 0; }
int snd_seq_drop_input(snd_seq_t *seq) { return 0; }
int snd_seq_remove_events(snd_seq_t *seq, snd_seq_remove_events_t *which) { return 0; }

int snd_seq_alloc_queue(snd_seq_t *seq) { return QUEUE; }
int snd_seq_free_queue(snd_seq_t *seq, int q) { return 0; }
int snd_seq_set_queue_timer(snd_seq_t *seq, int q, snd_seq_queue_timer_t *timer) { return 0; }

int snd_seq_control_queue(snd_seq_t *seq, int q, int type, int value, snd_seq_event_t *event) {
    pthread_mutex_lock(&lock);
    count();
    if (type == SND_SEQ_EVENT_START)
        queue.ticks = 0;
    if (type == SND_SEQ_EVENT_START || type == SND_SEQ_EVENT_CONTINUE)
        queue.running = 1;
    if (type == SND_SEQ_EVENT_STOP)
        queue.running = 0;
    if (type == SND_SEQ_EVENT_TEMPO && value > 0)
        queue.tempo = value;
    pthread_mutex_unlock(&lock);
    return 0;
}

int snd_seq_get_queue_tempo(snd_seq_t *seq, int q, snd_seq_queue_tempo_t *tempo) {
    pthread_mutex_lock(&lock);
    snd_seq_queue_tempo_set_tempo(tempo, queue.tempo);
    snd_seq_queue_tempo_set_ppq(tempo, queue.ppq);
    snd_seq_queue_tempo_set_skew(tempo, queue.skew);
    snd_seq_queue_tempo_set_skew_base(tempo, SKEW);
    pthread_mutex_unlock(&lock);
    return 0;
}

int snd_seq_set_queue_tempo(snd_seq_t *seq, int q, snd_seq_queue_tempo_t *tempo) {
    pthread_mutex_lock(&lock);
    count();
    if (snd_seq_queue_tempo_get_tempo(tempo) > 0 && snd_seq_queue_tempo_get_ppq(tempo) > 0) {
        queue.tempo = snd_seq_queue_tempo_get_tempo(tempo);
        queue.ppq = snd_seq_queue_tempo_get_ppq(tempo);
    }
    if (snd_seq_queue_tempo_get_skew(tempo) > 0)
        queue.skew = snd_seq_queue_tempo_get_skew(tempo);
    pthread_mutex_unlock(&lock);
    return 0;
}

/* A status has no place that its makers let others fill: its tick is the moment's at which it is read. */
int snd_seq_get_queue_status(snd_seq_t *seq, int q, snd_seq_queue_status_t *status) { return 0; }
snd_seq_tick_time_t snd_seq_queue_status_get_tick_time(const snd_seq_queue_status_t *status) {
    pthread_mutex_lock(&lock);
    double ticks = count();
    pthread_mutex_unlock(&lock);
    return ticks;
}
