/* An engine in C, as small as can be: it draws a canvas of 8 or 10 bits for every plan, a bar that moves with the frame.
 *
 *     cc -O2 -o write_canvas write_canvas.c
 *     ./write_canvas /dev/shm/openvolume-<run> left         (engines: {bars: {canvases: [left]}} in the configuration)
 *
 * What a plan says beyond its frame is MessagePack (docs/schema/plan.schema.json); this one needs none of it.
 */
#include "openvolume_ring.h"
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    char path[4096];
    const char *why = "give the folder of a run and the name of a canvas";
    ov_ring canvas, plans;
    ov_writer ring;
    ov_message plan = {0};
    uint64_t seen = 0;
    if (argc < 3) goto failed;
    long left = argc > 3 ? atol(argv[3]) : -1; /* pictures to draw; all there will be */
    snprintf(path, sizeof path, "%s/canvas-%s.ring", argv[1], argv[2]);
    if (ov_open(&canvas, path, &why) < 0) goto failed;
    why = "the canvas is neither of 8 nor of 10 bits";
    if (canvas.pixel_format != OV_AB24 && canvas.pixel_format != OV_AB30) goto failed;
    snprintf(path, sizeof path, "%s/plans.ring", argv[1]);
    if (ov_open(&plans, path, &why) < 0) goto failed;
    snprintf(path, sizeof path, "%s/engine-canvas-%s.ring", argv[1], argv[2]);
    if (ov_create(&ring, path, OV_CANV, canvas.pixel_format, canvas.width, canvas.height, 4, &why) < 0) goto failed;
    uint32_t white = 0xFFFFFFFFu;
    uint32_t black = canvas.pixel_format == OV_AB30 ? 0xC0000000u : 0xFF000000u;
    while (left != 0) {
        if (!ov_latest(&plans, &plan) || plan.n == seen) {
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
            continue;
        }
        seen = plan.n;
        uint32_t *pixels = (uint32_t *)(void *)ov_begin(&ring);
        uint64_t bar = plan.frame * 8 % canvas.width;
        for (uint64_t y = 0; y < canvas.height; y++)
            for (uint64_t x = 0; x < canvas.width; x++)
                pixels[y * canvas.width + x] = (x + canvas.width - bar) % canvas.width < 8 ? white : black;
        ov_commit(&ring, canvas.width * canvas.height * 4, &plan);
        if (left > 0) left--;
    }
    return 0;
failed:
    fprintf(stderr, "write_canvas: %s\n", why);
    return 2;
}
