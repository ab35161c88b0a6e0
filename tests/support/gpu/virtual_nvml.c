/* A stand-in for libnvidia-ml.so.1, NVIDIA's management library: a graphics card that is as a file says.
 *
 *   gcc -shared -fPIC -O2 -Wall -Wextra -Werror -o DIRECTORY/libnvidia-ml.so.1 tests/support/gpu/virtual_nvml.c
 *   LD_LIBRARY_PATH=DIRECTORY VIRTUAL_NVML=STATE program
 *
 * It has what a watch of a card's health asks for, under NVML's names, so a program that loads the real library loads this
 * one unchanged. STATE is a file of lines `KEY VALUE`, read anew at each call; write it beside and rename it into place.
 * A missing file or key means a healthy card. Numbers may be decimal or 0x....
 *
 *   init CODE           what nvmlInit answers: 0, 9 (driver not loaded), 18 (library and kernel module differ)
 *   cards N             how many there are (1)
 *   trouble CODE        what each question to the card answers: 15 (lost), 16 (must be reset), 999 (unknown)
 *   hang MS             each call takes so much longer, or until the key is gone
 *   total BYTES         the card's memory (8 GiB); `used BYTES` of it (512 MiB, and what processes hold)
 *   process PID BYTES   a process that holds some of it; may come several times
 *   temperature C       (45); `slowdown C`: from here on it slows itself down (90)
 *   reasons BITS        why its clocks are held down: 0x20 driver for heat, 0x40 hardware for heat, ... (0)
 *   uncorrected N       memory errors that could not be corrected (0)
 *   lacks NAME          this function answers "not found", as an older driver's library; may come several times
 *   unsupported NAME    this function answers "not supported", as a cheaper card; may come several times
 *   xid SERIAL NUMBER   the driver reports this Xid, once for each SERIAL that is higher than those before
 *
 * Sizes and layouts are those of NVML's public header, as far as they are used here.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
       TIMEOUT = 10, FUNCTION_NOT_FOUND = 13, GPU_IS_LOST = 15 };
enum { MAX_CARDS = 4, XID_EVENT = 8, STATE_BYTES = 8192 };

struct card { unsigned index; };
struct memory { unsigned long long total, free, used; };
struct process { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; };
struct event { struct card *card; unsigned long long type, data; unsigned gpu_instance, compute_instance; };
struct event_set { unsigned long long wanted, told; };

static struct card cards[MAX_CARDS] = {{0}, {1}, {2}, {3}};
static int opened;

/* The state as it is now; an empty string where there is no file. */
static const char *state(char *text) {
    const char *path = getenv("VIRTUAL_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = file ? fread(text, 1, STATE_BYTES - 1, file) : 0;
    if (file) fclose(file);
    text[length] = '\0';
    return text;
}

/* The values of the first line with this key after `from`, or NULL. */
static const char *after(const char *from, const char *key) {
    size_t length = strlen(key);
    for (const char *line = from; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (!strncmp(line, key, length) && line[length] == ' ') return line + length + 1;
    return NULL;
}

static unsigned long long number(const char *text, const char *key, unsigned long long otherwise) {
    const char *value = after(text, key);
    return value ? strtoull(value, NULL, 0) : otherwise;
}

static int names(const char *text, const char *key, const char *name) {
    size_t length = strlen(name);
    for (const char *value = after(text, key); value; value = after(strchr(value, '\n'), key)) {
        if (!strncmp(value, name, length) && (value[length] == '\n' || value[length] == '\0')) return 1;
        if (!strchr(value, '\n')) break;
    }
    return 0;
}

/* What a call of this name answers before it looks at anything: SUCCESS where all is well. */
static int before(char *text, const char *name, int asks_card) {
    struct timespec slice = {0, 10 * 1000 * 1000};
    for (unsigned long long waited = 0; number(state(text), "hang", 0) > waited; waited += 10) nanosleep(&slice, NULL);
    if (!opened) return UNINITIALIZED;
    if (names(text, "lacks", name)) return FUNCTION_NOT_FOUND;
    if (names(text, "unsupported", name)) return NOT_SUPPORTED;
    return asks_card ? (int)number(text, "trouble", SUCCESS) : SUCCESS;
}

#define EXPORTED __attribute__((visibility("default")))
#define BEGIN(asks_card)                                 \
    char text[STATE_BYTES];                              \
    int wrong = before(text, __func__, asks_card);       \
    if (wrong) return wrong

EXPORTED int nvmlInitWithFlags(unsigned flags) {
    char text[STATE_BYTES];
    (void)flags;
    opened = 1;
    int wrong = before(text, __func__, 0);
    if (!wrong) wrong = (int)number(text, "init", SUCCESS);
    if (wrong) opened = 0;
    return wrong;
}

EXPORTED int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

EXPORTED int nvmlShutdown(void) {
    BEGIN(0);
    opened = 0;
    return SUCCESS;
}

EXPORTED const char *nvmlErrorString(int code) { return code == SUCCESS ? "Success" : "an error of the stand-in"; }

EXPORTED int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    BEGIN(0);
    snprintf(version, length, "999.0.stand-in");
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetCount_v2(unsigned *count) {
    BEGIN(0);
    *count = (unsigned)number(text, "cards", 1);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct card **card) {
    BEGIN(1);
    if (index >= number(text, "cards", 1) || index >= MAX_CARDS) return INVALID_ARGUMENT;
    *card = &cards[index];
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetHandleByUUID(const char *uuid, struct card **card) {
    BEGIN(1);
    unsigned index;
    if (sscanf(uuid, "GPU-stand-in-%u", &index) != 1 || index >= number(text, "cards", 1)) return NOT_FOUND;
    *card = &cards[index];
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetName(struct card *card, char *name, unsigned length) {
    BEGIN(1);
    snprintf(name, length, "Stand-in %u", card->index);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetMemoryInfo(struct card *card, struct memory *memory) {
    BEGIN(1);
    (void)card;
    memory->total = number(text, "total", 8ULL << 30);
    memory->used = number(text, "used", 512ULL << 20);
    for (const char *value = after(text, "process"); value; value = after(strchr(value, '\n'), "process")) {
        char *rest;
        strtoul(value, &rest, 0);
        memory->used += strtoull(rest, NULL, 0);
        if (!strchr(value, '\n')) break;
    }
    if (memory->used > memory->total) memory->used = memory->total;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

static int processes(const char *text, struct card *card, unsigned *count, struct process *found) {
    unsigned room = *count;
    *count = 0;
    for (const char *value = after(text, "process"); value; value = after(strchr(value, '\n'), "process")) {
        char *rest;
        unsigned pid = (unsigned)strtoul(value, &rest, 0);
        if (card->index == 0) { /* they are all on the first card */
            if (found && *count < room)
                found[*count] = (struct process){pid, strtoull(rest, NULL, 0), ~0u, ~0u};
            ++*count;
        }
        if (!strchr(value, '\n')) break;
    }
    return *count > (found ? room : 0) ? INSUFFICIENT_SIZE : SUCCESS;
}

EXPORTED int nvmlDeviceGetComputeRunningProcesses_v3(struct card *card, unsigned *count, struct process *found) {
    BEGIN(1);
    return processes(text, card, count, found);
}

EXPORTED int nvmlDeviceGetTemperature(struct card *card, int sensor, unsigned *celsius) {
    BEGIN(1);
    (void)card, (void)sensor;
    *celsius = (unsigned)number(text, "temperature", 45);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetTemperatureThreshold(struct card *card, int threshold, unsigned *celsius) {
    BEGIN(1);
    (void)card, (void)threshold;
    *celsius = (unsigned)number(text, "slowdown", 90);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetCurrentClocksEventReasons(struct card *card, unsigned long long *reasons) {
    BEGIN(1);
    (void)card;
    *reasons = number(text, "reasons", 0);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetCurrentClocksThrottleReasons(struct card *card, unsigned long long *reasons) {
    BEGIN(1);
    (void)card;
    *reasons = number(text, "reasons", 0);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetTotalEccErrors(struct card *card, int type, int counter, unsigned long long *count) {
    BEGIN(1);
    (void)card, (void)type, (void)counter;
    *count = number(text, "uncorrected", 0);
    return SUCCESS;
}

/* ------------------------------------------------------------------------------------------------------------ events */

static unsigned long long newest_serial(const char *text) {
    unsigned long long newest = 0;
    for (const char *value = after(text, "xid"); value; value = after(strchr(value, '\n'), "xid")) {
        unsigned long long serial = strtoull(value, NULL, 0);
        if (serial > newest) newest = serial;
        if (!strchr(value, '\n')) break;
    }
    return newest;
}

EXPORTED int nvmlEventSetCreate(struct event_set **set) {
    BEGIN(0);
    *set = calloc(1, sizeof **set);
    (*set)->told = newest_serial(text); /* as with the driver, what happened before is not told */
    return SUCCESS;
}

EXPORTED int nvmlEventSetFree(struct event_set *set) {
    free(set);
    return SUCCESS;
}

EXPORTED int nvmlDeviceGetSupportedEventTypes(struct card *card, unsigned long long *types) {
    BEGIN(1);
    (void)card;
    *types = XID_EVENT;
    return SUCCESS;
}

EXPORTED int nvmlDeviceRegisterEvents(struct card *card, unsigned long long types, struct event_set *set) {
    BEGIN(1);
    (void)card;
    set->wanted |= types;
    return SUCCESS;
}

/* The oldest event that was not told yet. */
static int next_event(const char *text, struct event_set *set, struct event *event) {
    unsigned long long serial, found = 0, xid = 0;
    for (const char *value = after(text, "xid"); value; value = after(strchr(value, '\n'), "xid")) {
        char *rest;
        serial = strtoull(value, &rest, 0);
        if (serial > set->told && (!found || serial < found)) found = serial, xid = strtoull(rest, NULL, 0);
        if (!strchr(value, '\n')) break;
    }
    if (!found || !(set->wanted & XID_EVENT)) return 0;
    set->told = found;
    *event = (struct event){&cards[0], XID_EVENT, xid, ~0u, ~0u};
    return 1;
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

EXPORTED int nvmlEventSetWait_v2(struct event_set *set, struct event *event, unsigned timeout_ms) {
    BEGIN(0);
    const char *path = getenv("VIRTUAL_NVML");
    char directory[4096] = ".";
    if (path) snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash) *slash = '\0';
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), answer = TIMEOUT;
    inotify_add_watch(watch, slash ? directory : ".", IN_MOVED_TO | IN_CLOSE_WRITE);
    long long until_ms = now_ms() + timeout_ms;
    for (;;) {
        state(text);
        if (names(text, "lacks", __func__)) { answer = FUNCTION_NOT_FOUND; break; }
        if (next_event(text, set, event)) { answer = SUCCESS; break; }
        if (number(text, "trouble", SUCCESS)) { answer = (int)number(text, "trouble", GPU_IS_LOST); break; }
        long long left_ms = until_ms - now_ms();
        struct pollfd changed = {watch, POLLIN, 0};
        char drained[4096];
        if (left_ms <= 0) break;
        poll(&changed, 1, (int)left_ms);
        while (read(watch, drained, sizeof drained) > 0) {}
    }
    close(watch);
    return answer;
}
