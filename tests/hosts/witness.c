/* Preloaded into a host that runs by itself, it tells what the plugin tells of its instances (mynah_diagnostics): a line to each reader of the pipe
   that MYNAH_WITNESS names, as soon as the host has loaded the module that MYNAH_MODULE names. With no reader it holds nothing, so the host may then
   unload the module, and what the host starts is left alone.
   Where the process aborts it writes the thread's name, its stack and the memory's map to the error stream first. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char text[1 << 20];

static void aborts(int number) {
    char name[32] = "?", piece[4096];
    void *stack[64];
    pthread_getname_np(pthread_self(), name, sizeof name);
    dprintf(2, "witness: aborted on thread `%s`\n", name);
    backtrace_symbols_fd(stack, backtrace(stack, 64), 2);
    int maps = open("/proc/self/maps", O_RDONLY);
    for (ssize_t n; maps >= 0 && (n = read(maps, piece, sizeof piece)) > 0;)
        if (write(2, piece, n) < 0)
            break;
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}

static void *watch(void *module) {
    sigset_t set; /* of a reader that goes early the host shall not die */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (;;) {
        FILE *reader = fopen(getenv("MYNAH_WITNESS"), "w"); /* waits for a reader */
        if (!reader)
            return NULL;
        void *loaded;
        while (!(loaded = dlopen(module, RTLD_NOW | RTLD_NOLOAD))) /* finds what is loaded, and loads nothing */
            usleep(50000);
        size_t (*tell)(char *, size_t) = (size_t(*)(char *, size_t))dlsym(loaded, "mynah_diagnostics");
        if (tell && tell(text, sizeof text) < sizeof text)
            fprintf(reader, "%s\n", text);
        dlclose(loaded);
        fclose(reader);
    }
}

__attribute__((constructor)) static void begin(void) {
    char *module = getenv("MYNAH_MODULE");
    pthread_t thread;
    void *none[1];
    backtrace(none, 1); /* what it loads the first time must not be loaded by a handler */
    if (module)
        signal(SIGABRT, aborts);
    if (module && getenv("MYNAH_WITNESS") && !pthread_create(&thread, NULL, watch, module))
        pthread_detach(thread);
    unsetenv("LD_PRELOAD");
}
