/*
 * kms: shows a picture on the display of any DRM driver, in memory that the
 * driver gives out, until SIGTERM; what of it gets to the other side, the host
 * sees. One pixel is a function of the seed and its place. If asked to, it has
 * drawn other buffers before, which nobody shows: they are still as they were
 * drawn in the end. A driver's dumb buffers may be in system memory as long as
 * nobody shows them; qxl has a call that gives out VRAM.
 */
#define _GNU_SOURCE
#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <drm/qxl_drm.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bus_error.h"
#include "lib/failure.h"
#include "lib/gpu.h"
#include "lib/options.h"
#include "lib/pattern.h"
#include "lib/report.h"
#include "programs/programs.h"

#define MOST_CARDS 8
#define MOST_OBJECTS 8
#define MOST_MODES 64
#define CONNECTED 1
#define BITS_PER_PIXEL 32
/* Of a buffer that nobody shows: 4 MiB. */
#define UNSEEN_WIDTH 1024
#define UNSEEN_BYTES (UNSEEN_WIDTH * UNSEEN_WIDTH * (BITS_PER_PIXEL / 8))

struct display {
	int fd;
	uint32_t connector;
	uint32_t crtc;
	uint32_t framebuffer;
	struct drm_mode_modeinfo mode;
	struct drm_mode_create_dumb dumb;
	uint32_t *pixels;
	char **unseen;		/* mappings of so many buffers */
	uint64_t unseen_count;
	uint64_t vram_count;	/* the last of them, which are in VRAM first */
	uint64_t verified;	/* bytes of them */
};

static void on_sigterm(int signal)
{
	(void)signal;
}

static bool call(const struct display *display, unsigned long request, void *args, const char *what)
{
	if (!ioctl(display->fd, request, args))
		return true;
	return fail("%s: %s", what, strerror(errno));
}

static bool open_driver(struct display *display, const char *name)
{
	for (int card = 0; card < MOST_CARDS; card++) {
		char path[32], found[32] = "";
		struct drm_version version = { .name = found, .name_len = sizeof(found) - 1 };

		snprintf(path, sizeof(path), "/dev/dri/card%d", card);
		display->fd = open(path, O_RDWR | O_CLOEXEC);
		if (display->fd < 0)
			continue;
		if (!ioctl(display->fd, DRM_IOCTL_VERSION, &version) && !strcmp(found, name))
			return true;
		close(display->fd);
	}
	return fail("there is no card with the driver %s", name);
}

static bool find_mode(struct display *display, uint32_t connector)
{
	struct drm_mode_modeinfo modes[MOST_MODES];
	struct drm_mode_get_connector query = { .connector_id = connector };

	/* Asked for no modes, the driver first finds out which there are. */
	if (!call(display, DRM_IOCTL_MODE_GETCONNECTOR, &query, "GETCONNECTOR"))
		return false;
	if (query.connection != CONNECTED || !query.count_modes || query.count_modes > MOST_MODES)
		return fail("connector %u has %u modes", connector, query.count_modes);
	query = (struct drm_mode_get_connector) {
		.connector_id = connector,
		.modes_ptr = (uintptr_t)modes,
		.count_modes = query.count_modes,
	};
	if (!call(display, DRM_IOCTL_MODE_GETCONNECTOR, &query, "GETCONNECTOR"))
		return false;
	display->connector = connector;
	display->mode = modes[0];
	return true;
}

static bool find_output(struct display *display)
{
	uint32_t connectors[MOST_OBJECTS], crtcs[MOST_OBJECTS];
	struct drm_mode_card_res resources = {
		.connector_id_ptr = (uintptr_t)connectors,
		.crtc_id_ptr = (uintptr_t)crtcs,
		.count_connectors = MOST_OBJECTS,
		.count_crtcs = MOST_OBJECTS,
	};

	if (!call(display, DRM_IOCTL_MODE_GETRESOURCES, &resources, "GETRESOURCES"))
		return false;
	if (!resources.count_connectors || !resources.count_crtcs ||
	    resources.count_connectors > MOST_OBJECTS || resources.count_crtcs > MOST_OBJECTS)
		return fail("%u connectors and %u CRTCs", resources.count_connectors,
				resources.count_crtcs);
	display->crtc = crtcs[0];
	return find_mode(display, connectors[0]);
}

static void *map_at(const struct display *display, uint64_t size, uint64_t offset)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, display->fd,
			  (off_t)offset);

	if (data != MAP_FAILED)
		return data;
	fail("mmap of a buffer: %s", strerror(errno));
	return NULL;
}

static void *map_dumb(const struct display *display, struct drm_mode_create_dumb *dumb)
{
	struct drm_mode_map_dumb map = { };

	dumb->bpp = BITS_PER_PIXEL;
	if (!call(display, DRM_IOCTL_MODE_CREATE_DUMB, dumb, "CREATE_DUMB"))
		return NULL;
	map.handle = dumb->handle;
	if (!call(display, DRM_IOCTL_MODE_MAP_DUMB, &map, "MAP_DUMB"))
		return NULL;
	return map_at(display, dumb->size, map.offset);
}

static void *map_unseen(const struct display *display)
{
	struct drm_mode_create_dumb dumb = { .width = UNSEEN_WIDTH, .height = UNSEEN_WIDTH };
	void *data = map_dumb(display, &dumb);

	if (!data || dumb.size >= UNSEEN_BYTES)
		return data;
	fail("a buffer of %u bytes has %llu", UNSEEN_BYTES, dumb.size);
	return NULL;
}

static void *map_vram(const struct display *display)
{
	struct drm_qxl_alloc alloc = { .size = UNSEEN_BYTES };
	struct drm_qxl_map map = { };

	if (!call(display, DRM_IOCTL_QXL_ALLOC, &alloc, "QXL_ALLOC"))
		return NULL;
	map.handle = alloc.handle;
	if (!call(display, DRM_IOCTL_QXL_MAP, &map, "QXL_MAP"))
		return NULL;
	return map_at(display, UNSEEN_BYTES, map.offset);
}

static bool create_buffer(struct display *display)
{
	struct drm_mode_create_dumb dumb = {
		.width = display->mode.hdisplay,
		.height = display->mode.vdisplay,
	};
	struct drm_mode_fb_cmd fb = { };

	display->pixels = map_dumb(display, &dumb);
	if (!display->pixels)
		return false;
	fb.width = dumb.width;
	fb.height = dumb.height;
	fb.pitch = dumb.pitch;
	fb.bpp = BITS_PER_PIXEL;
	fb.depth = 24;
	fb.handle = dumb.handle;
	if (!call(display, DRM_IOCTL_MODE_ADDFB, &fb, "ADDFB"))
		return false;
	display->framebuffer = fb.fb_id;
	display->dumb = dumb;
	return true;
}

static bool draw_unseen(struct display *display, uint64_t seed)
{
	BUS_ERROR_GUARD;

	if (bus_error())
		return fail("drawing of a buffer: SIGBUS");
	display->unseen = calloc(display->unseen_count, sizeof(*display->unseen));
	if (!display->unseen)
		return !display->unseen_count || fail("calloc: %s", strerror(errno));
	for (uint64_t i = 0; i < display->unseen_count; i++) {
		bool in_vram = i + display->vram_count >= display->unseen_count;

		display->unseen[i] = in_vram ? map_vram(display) : map_unseen(display);
		if (!display->unseen[i])
			return false;
		pattern_write(display->unseen[i], UNSEEN_BYTES, pattern_key(seed, i, 0), 0);
	}
	return true;
}

static bool verify_unseen(struct display *display, uint64_t seed)
{
	BUS_ERROR_GUARD;
	size_t offset;

	if (bus_error())
		return fail("read of a buffer: SIGBUS");
	for (uint64_t i = 0; i < display->unseen_count; i++) {
		if (!pattern_matches(display->unseen[i], UNSEEN_BYTES, pattern_key(seed, i, 0),
				     &offset))
			report_mismatch("buffer %" PRIu64 " at %zu: content", i, offset);
		display->verified += UNSEEN_BYTES;
	}
	return true;
}

/* The same in src/testbed/device/display.ts. */
static uint32_t pixel(uint32_t seed, uint32_t x, uint32_t y)
{
	uint32_t value = (seed ^ (y << 16 | x)) * 2654435761u;

	return (value ^ value >> 15) & 0xffffff;
}

static void draw(const struct display *display, uint32_t seed)
{
	for (uint32_t y = 0; y < display->dumb.height; y++) {
		uint32_t *row = display->pixels + (size_t)y * (display->dumb.pitch / 4);

		for (uint32_t x = 0; x < display->dumb.width; x++)
			row[x] = pixel(seed, x, y);
	}
}

static void verify(const struct display *display, uint32_t seed)
{
	for (uint32_t y = 0; y < display->dumb.height; y++) {
		const uint32_t *row = display->pixels + (size_t)y * (display->dumb.pitch / 4);

		for (uint32_t x = 0; x < display->dumb.width; x++)
			if ((row[x] & 0xffffff) != pixel(seed, x, y))
				report_mismatch("pixel %u, %u is %06x", x, y, row[x] & 0xffffff);
	}
}

static bool show(struct display *display)
{
	struct drm_mode_crtc crtc = {
		.crtc_id = display->crtc,
		.fb_id = display->framebuffer,
		.set_connectors_ptr = (uintptr_t)&display->connector,
		.count_connectors = 1,
		.mode = display->mode,
		.mode_valid = 1,
	};

	return call(display, DRM_IOCTL_MODE_SETCRTC, &crtc, "SETCRTC");
}

/* A driver that shows the buffer itself, and no copy of it, does not have this. */
static bool flush(struct display *display)
{
	struct drm_mode_fb_dirty_cmd dirty = { .fb_id = display->framebuffer };

	if (ioctl(display->fd, DRM_IOCTL_MODE_DIRTYFB, &dirty) && errno != ENOSYS)
		return fail("DIRTYFB: %s", strerror(errno));
	return true;
}

/* One picture to switch it on with, and another one that only a flush brings to the display. */
static bool show_pictures(struct display *display, uint32_t seed, bool flushes)
{
	draw(display, seed - 1);
	if (!show(display))
		return false;
	draw(display, seed);
	return !flushes || flush(display);
}

int kms_main(int argc, char **argv)
{
	static const char *const drivers[] = { "bochs-drm", "qxl", "virtio_gpu", "cirrus-qemu", "edgpu",
					    NULL };
	static const char *const words[] = { "no", "yes", NULL };
	struct sigaction action = { .sa_handler = on_sigterm };
	struct display display = { .fd = -1 };
	uint64_t driver = 0, seed = 0, flushes = 1, lose = 0, unseen = 0, vram = 0;
	const struct option_spec specs[] = {
		{ .name = "driver", .value = &driver, .words = drivers },
		{ .name = "seed", .value = &seed },
		{ .name = "flush", .value = &flushes, .words = words, .optional = true },
		{ .name = "lose", .value = &lose, .words = words, .optional = true },
		{ .name = "unseen", .value = &unseen, .optional = true },
		{ .name = "vram", .value = &vram, .optional = true },
	};
	sigset_t blocked, before;

	if (!options_parse("kms", specs, sizeof(specs) / sizeof(*specs), argc, argv))
		return EXIT_USAGE;
	if (vram && strcmp(drivers[driver], "qxl")) {
		options_complain("kms", "--vram is qxl's alone");
		return EXIT_USAGE;
	}
	display.vram_count = vram / UNSEEN_BYTES;
	display.unseen_count = unseen / UNSEEN_BYTES + display.vram_count;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &blocked, &before) || sigaction(SIGTERM, &action, NULL)) {
		fail("signals: %s", strerror(errno));
	} else if (open_driver(&display, drivers[driver]) && find_output(&display) &&
	    draw_unseen(&display, seed) && create_buffer(&display) &&
	    show_pictures(&display, (uint32_t)seed, flushes)) {
		fprintf(stderr, "shown\n");
		sigsuspend(&before);
		/* Control: a pixel changes. */
		display.pixels[0] ^= (uint32_t)lose;
		if (lose && display.unseen_count)
			display.unseen[display.unseen_count / 2][0] ^= 1;
		verify(&display, (uint32_t)seed);
		verify_unseen(&display, seed);
	}
	report_open();
	report_number("width", display.dumb.width);
	report_number("height", display.dumb.height);
	report_number("bytesVerified", display.verified);
	return report_close();
}
