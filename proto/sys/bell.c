#include "proto/sys/bell.h"

#include <poll.h>
#include <stdalign.h>
#include <stdio.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>

#include "proto/base/clock.h"
#include "proto/sys/call.h"

#define EVENTS_BYTES 65536 /* that one look takes in */

int bell_make(struct bell *bell, struct err *err)
{
	void *page = mmap(NULL, sizeof *bell->rung, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*bell = (struct bell){ .alarm = eventfd(0, EFD_CLOEXEC),
			       .events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
			       .rung = page == MAP_FAILED ? NULL : page };
	return CHECK(err, bell->rung ? bell->alarm : -1, "make an alarm");
}

void bell_add(struct bell *bell, int folder, const char *name)
{
	char path[64];
	int mark = -1;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
	if (name) {
		mark = inotify_add_watch(bell->events, path,
					 IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM);
		bell->ticks = bell->ticks || mark < 0;
	}
	bell->names[bell->count] = name;
	bell->marks[bell->count++] = mark;
}

static bool find(const struct bell *bell, int mark, const char *name, size_t *out)
{
	for (size_t i = 0; i < bell->count; i++) {
		if (bell->names[i] && bell->marks[i] == mark &&
		    strcasecmp(bell->names[i], name) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* Also a name that was there for a moment. */
static bool read_events(const struct bell *bell, size_t *out)
{
	static alignas(struct inotify_event) char text[EVENTS_BYTES];
	ssize_t got = read(bell->events, text, sizeof text);
	bool found = false;

	for (ssize_t at = 0; !found && at < got;) {
		const struct inotify_event *event = (const void *)(text + at);

		found = find(bell, event->wd, event->len ? event->name : "", out);
		at += (ssize_t)(sizeof *event + event->len);
	}
	return found;
}

bool bell_wait(struct bell *bell, int control, bell_look_fn *look)
{
	struct pollfd fds[] = { { .fd = control, .events = POLLIN }, { .events = POLLIN } };
	int64_t looked_ms = 0;
	bool found = false;

	while (!found) {
		bool rests = looked_ms == clock_ms();
		int most_ms = bell->ticks ? BELL_TICK_MS : -1;

		fds[1].fd = rests ? -1 : bell->events;
		if (poll(fds, ARRAY_LEN(fds), rests ? BELL_REST_MS : most_ms) < 0)
			continue;
		if (!rests && fds[1].revents) {
			looked_ms = clock_ms();
			found = read_events(bell, bell->rung);
		}
		found = found || (!rests && bell->ticks && look(bell->rung));
		if (!found && fds[0].revents)
			return true;
	}
	(void)eventfd_write(bell->alarm, 1);
	return false;
}
