/* Writes a run's newest canvas to standard output, as it lies in memory, and what it is to standard error.
 *
 *     cc -O2 -o read_canvas read_canvas.c
 *     ./read_canvas /dev/shm/openvolume-<run>/canvas-left.ring > left.raw
 */
#include "openvolume_ring.h"
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    const char *why = "give the path of a ring";
    ov_ring ring;
    if (argc != 2 || ov_open(&ring, argv[1], &why) < 0) {
        fprintf(stderr, "read_canvas: %s\n", why);
        return 2;
    }
    unsigned char *copy = malloc(ring.stride);
    ov_message message;
    for (int tries = 0; copy != NULL && tries < 5000; tries++) {
        if (ov_latest(&ring, &message)) {
            memcpy(copy, message.data, message.length);
            if (ov_intact(&message)) {
                fprintf(stderr, "%llu x %llu, format %.4s, frame %llu\n", (unsigned long long)ring.width,
                        (unsigned long long)ring.height, (const char *)&ring.pixel_format,
                        (unsigned long long)message.frame);
                return fwrite(copy, 1, message.length, stdout) == message.length ? 0 : 1;
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fprintf(stderr, "read_canvas: nothing was written for five seconds\n");
    return 1;
}
