/* Load: order, and clients that stop reading. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

static uint32_t expected[64];
static unsigned received, disordered;

static void counts(cpg_handle_t h, const struct cpg_name *group, uint32_t node, uint32_t pid,
		   void *message, size_t length)
{
	(void)h, (void)group, (void)pid;
	uint32_t number;
	if (length < 4 || node >= 64)
		return;
	memcpy(&number, message, 4);
	if (number != expected[node]++)
		disordered++;
	received++;
}

static cpg_callbacks_t counting = {counts, NULL};

/* Sends numbered messages and checks that they come back in order, none missing. */
void do_flood(void)
{
	enum { COUNT = 5000 };
	cpg_handle_t h;
	struct cpg_name g = {5, "flood"};
	static char bytes[20000];
	int fd;
	uint32_t sent = 0;
	CALL(cpg_initialize(&h, &counting));
	CALL(cpg_join(h, &g));
	cpg_fd_get(h, &fd);
	for (double end = seconds() + 60; received < COUNT && seconds() < end;) {
		for (int i = 0; i < 50 && sent < COUNT; i++) {
			memcpy(bytes, &sent, 4);
			struct iovec part = {bytes, 16 + sent * 7 % (sizeof(bytes) - 16)};
			if (cpg_mcast_joined(h, CPG_TYPE_AGREED, &part, 1) != CS_OK)
				break;
			sent++;
		}
		if (ready(fd, sent < COUNT ? 0 : 100))
			cpg_dispatch(h, CS_DISPATCH_ALL);
	}
	printf("sent %u, received %u, out of order %u\n", sent, received, disordered);
	CALL(cpg_finalize(h));
}

/*
 * Joins and never reads, then looks what became of it. The engine must neither stop for it nor
 * grow without bound. How much waits, in time, is the engine's business: nothing is compared.
 */
void do_stalled(void)
{
	cpg_handle_t h;
	struct cpg_name g = {5, "flood"};
	const char *text = getenv("WATCH_SECONDS");
	cpg_initialize(&h, &counting);
	cpg_join(h, &g);
	sleep(atoi(text ? text : "5"));
	cs_error_t e;
	while ((e = cpg_dispatch(h, CS_DISPATCH_ONE_NONBLOCKING)) == CS_OK)
		;
	printf("read %u, out of order %u, then %s\n", received, disordered, cs_strerror(e));
}

/* Sends a lot before it reads: it may be told to try again, but nothing is lost. */
void do_selfish(void)
{
	enum { COUNT = 8000 };
	cpg_handle_t h;
	struct cpg_name g = {7, "selfish"};
	static char bytes[16384];
	uint32_t sent = 0;
	int fd;
	memset(expected, 0, sizeof(expected));
	received = disordered = 0;
	CALL(cpg_initialize(&h, &counting));
	CALL(cpg_join(h, &g));
	cpg_fd_get(h, &fd);
	for (double last = seconds(); sent < COUNT && seconds() - last < 1;) {
		memcpy(bytes, &sent, 4);
		struct iovec part = {bytes, sizeof(bytes)};
		cs_error_t e = cpg_mcast_joined(h, CPG_TYPE_AGREED, &part, 1);
		if (e == CS_OK) {
			sent++;
			last = seconds();
		} else if (e != CS_ERR_TRY_AGAIN) {
			printf("sending: %s\n", cs_strerror(e));
			break;
		} else {
			usleep(1000);
		}
	}
	while (received < sent && ready(fd, 5000) && cpg_dispatch(h, CS_DISPATCH_ALL) == CS_OK)
		;
	printf("much was sent: %s; it came back: %s, out of order %u\n", sent > 500 ? "yes" : "no",
	       received == sent ? "all" : "not all", disordered);
	/* And it may go on. */
	struct iovec part = {bytes, 100};
	CALL(cpg_mcast_joined(h, CPG_TYPE_AGREED, &part, 1));
	printf("told: %s\n", ready(fd, 5000) ? "yes" : "no");
	CALL(cpg_finalize(h));
}
