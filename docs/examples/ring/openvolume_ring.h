/* Reads OpenVolume's rings: the newest canvas, plan or report of a run, without a copy and without ever waiting.
 * And writes one, as an engine does that draws canvases or inner pictures (docs/outputs.md, Engines).
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
#define OV_AB4H 0x48344241u /* four half floats: inner pictures */
/* Kinds of rings: canvases, inner pictures, plans. */
#define OV_CANV 0x564E4143u
#define OV_INNR 0x524E4E49u
#define OV_PLAN 0x4E414C50u

typedef struct {
    const unsigned char *memory;
    size_t bytes;
    uint64_t slots, stride, data, width, height, row_stride, pixel_format;
    ino_t inode;
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
    ring->inode = about.st_ino;
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

/* Whether the ring's file was replaced by another one (a canvas of another size, a new run): open it again then. */
static inline int ov_replaced(const ov_ring *ring, const char *path) {
    struct stat about;
    return stat(path, &about) < 0 || about.st_ino != ring->inode;
}

static inline void ov_close(ov_ring *ring) { munmap((void *)(uintptr_t)ring->memory, ring->bytes); }

/* --- writing: one process writes a ring ------------------------------------------------------------------------- */

#define OV_WRITTEN_SLOTS 8

typedef struct {
    unsigned char *memory;
    size_t bytes;
    uint64_t stride, n;
} ov_writer;

/* Makes a ring for pictures of one size, or a new file for one that is there, going on with its numbers; 0, or -1 with
 * the reason in *why. The file is whole before it gets its name. */
static inline int ov_create(ov_writer *ring, const char *path, uint64_t kind, uint64_t pixel_format, uint64_t width,
                            uint64_t height, uint64_t pixel_bytes, const char **why) {
    uint64_t header[13] = {OV_RING_MAGIC, kind, OV_WRITTEN_SLOTS};
    char partial[4200];
    ov_ring before;
    const char *none;
    ring->n = 0;
    header[OV_EPOCH] = 1;
    if (ov_open(&before, path, &none) == 0) {
        ring->n = ((const uint64_t *)(const void *)before.memory)[OV_LATEST];
        header[OV_EPOCH] = ((const uint64_t *)(const void *)before.memory)[OV_EPOCH] + 1;
        ov_close(&before);
    }
    ring->stride = (64 + width * height * pixel_bytes + 4095) / 4096 * 4096;
    ring->bytes = OV_HEADER_BYTES + OV_WRITTEN_SLOTS * ring->stride;
    header[OV_STRIDE] = ring->stride;
    header[OV_DATA] = 64;
    header[OV_PID] = (uint64_t)getpid();
    header[OV_WIDTH] = width;
    header[OV_HEIGHT] = height;
    header[OV_ROW_STRIDE] = width * pixel_bytes;
    header[OV_PIXEL_FORMAT] = pixel_format;
    snprintf(partial, sizeof partial, "%s.%ld", path, (long)getpid());
    int file = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    void *memory = MAP_FAILED;
    /* Reserved, not only sized: a full mount would end this process at some store. */
    if (file >= 0 && write(file, header, sizeof header) == (ssize_t)sizeof header &&
        posix_fallocate(file, 0, (off_t)ring->bytes) == 0)
        memory = mmap(NULL, ring->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (memory == MAP_FAILED || rename(partial, path) < 0) {
        *why = "the ring cannot be made: is there room, and may this user write there?";
        unlink(partial);
        return -1;
    }
    ring->memory = memory;
    return 0;
}

static inline volatile uint64_t *ov_slot(const ov_writer *ring) {
    return (volatile uint64_t *)(void *)(ring->memory + OV_HEADER_BYTES + ring->n % OV_WRITTEN_SLOTS * ring->stride);
}

/* Where the next picture goes: draw into it, then ov_commit. Nobody reads it before. */
static inline unsigned char *ov_begin(ov_writer *ring) {
    ov_slot(ring)[OV_SEQ] = 2 * ring->n + 1;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    return ring->memory + OV_HEADER_BYTES + ring->n % OV_WRITTEN_SLOTS * ring->stride + 64;
}

/* The picture is whole: it was drawn from this plan (a message of plans.ring). */
static inline void ov_commit(ov_writer *ring, uint64_t length, const ov_message *plan) {
    volatile uint64_t *words = ov_slot(ring);
    words[OV_FRAME] = plan->frame;
    words[OV_T_NS] = plan->t_ns;
    words[OV_LENGTH] = length;
    words[OV_CONFIG_VERSION] = plan->config_version;
    words[OV_PLAN_HASH] = plan->plan_hash;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    words[OV_SEQ] = 2 * ++ring->n;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    ((volatile uint64_t *)(void *)ring->memory)[OV_LATEST] = ring->n;
}

#endif
