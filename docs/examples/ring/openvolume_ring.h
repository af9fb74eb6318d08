/* Reads OpenVolume's rings: the newest canvas, plan or report of a run, without a copy and without ever waiting.
 *
 * A ring is a file under /dev/shm/openvolume-<run>/. One process writes it, any number read. Words are 64 bits,
 * little-endian; the file starts with a header of 4096 bytes, then come the slots. Message n lies in slot
 * (n-1) % slots. Its first word is 2n-1 while it is written and 2n once it is whole: a reader takes the newest whole
 * message, uses it where it lies, and looks at that word again. If it has changed, what was read is thrown away.
 *
 * x86-64 keeps loads and stores in order; the fences below keep the compiler from doing otherwise.
 */
#ifndef OPENVOLUME_RING_H
#define OPENVOLUME_RING_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OV_RING_MAGIC 0x0100474E4952564Full /* "OVRING\0\1" */
#define OV_HEADER_BYTES 4096

enum { OV_MAGIC, OV_KIND, OV_SLOTS, OV_STRIDE, OV_DATA, OV_LATEST, OV_HEARTBEAT, OV_PID, OV_EPOCH,
       OV_WIDTH, OV_HEIGHT, OV_ROW_STRIDE, OV_PIXEL_FORMAT };
enum { OV_SEQ, OV_FRAME, OV_T_NS, OV_LENGTH, OV_CONFIG_VERSION, OV_PLAN_HASH };

/* Pixel formats: bytes R G B A; one word with red in its low 10 bits; four words of 16 bits with codes of 12; four
 * floats. */
#define OV_AB24 0x34324241u
#define OV_AB30 0x30334241u
#define OV_AB4C 0x43344241u
#define OV_AB4F 0x46344241u

typedef struct {
    const unsigned char *memory;
    size_t bytes;
    uint64_t slots, stride, data, width, height, row_stride, pixel_format;
} ov_ring;

typedef struct {
    uint64_t n;              /* number of the message: 1, 2, 3 ... */
    uint64_t frame;          /* frame of the show */
    uint64_t t_ns;           /* CLOCK_MONOTONIC: when it is to be shown */
    uint64_t length;         /* bytes at data */
    uint64_t config_version;
    uint64_t plan_hash;
    const unsigned char *data; /* in shared memory: use it, then ask ov_intact */
    const uint64_t *words;
} ov_message;

static inline uint64_t ov_word(const volatile uint64_t *words, int index) {
    uint64_t value = words[index];
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return value;
}

/* Maps a ring; 0, or -1 with the reason in *why. */
static inline int ov_open(ov_ring *ring, const char *path, const char **why) {
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) < 0) {
        *why = "there is no such ring";
        if (file >= 0) close(file);
        return -1;
    }
    ring->bytes = (size_t)about.st_size;
    void *memory = ring->bytes < OV_HEADER_BYTES ? MAP_FAILED
                                                 : mmap(NULL, ring->bytes, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) {
        *why = "it cannot be mapped";
        return -1;
    }
    ring->memory = memory;
    const uint64_t *header = memory;
    ring->slots = header[OV_SLOTS];
    ring->stride = header[OV_STRIDE];
    ring->data = header[OV_DATA];
    ring->width = header[OV_WIDTH];
    ring->height = header[OV_HEIGHT];
    ring->row_stride = header[OV_ROW_STRIDE];
    ring->pixel_format = header[OV_PIXEL_FORMAT];
    if (header[OV_MAGIC] != OV_RING_MAGIC || ring->slots == 0 ||
        OV_HEADER_BYTES + ring->slots * ring->stride > ring->bytes) {
        *why = "it is no ring";
        munmap(memory, ring->bytes);
        return -1;
    }
    return 0;
}

/* The newest whole message: 1, or 0 while there is none (or it is being written: ask again). */
static inline int ov_latest(const ov_ring *ring, ov_message *message) {
    uint64_t n = ov_word((const volatile uint64_t *)ring->memory, OV_LATEST);
    if (n == 0) return 0;
    const unsigned char *slot = ring->memory + OV_HEADER_BYTES + (n - 1) % ring->slots * ring->stride;
    const uint64_t *words = (const uint64_t *)(const void *)slot;
    if (ov_word(words, OV_SEQ) != 2 * n) return 0;
    message->n = n;
    message->frame = words[OV_FRAME];
    message->t_ns = words[OV_T_NS];
    message->length = words[OV_LENGTH];
    message->config_version = words[OV_CONFIG_VERSION];
    message->plan_hash = words[OV_PLAN_HASH];
    message->data = slot + ring->data;
    message->words = words;
    if (message->length > ring->stride - ring->data) return 0;
    return ov_word(words, OV_SEQ) == 2 * n;
}

/* Whether the message still lay whole when all of it had been read. */
static inline int ov_intact(const ov_message *message) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return ov_word(message->words, OV_SEQ) == 2 * message->n;
}

static inline void ov_close(ov_ring *ring) { munmap((void *)(uintptr_t)ring->memory, ring->bytes); }

#endif
