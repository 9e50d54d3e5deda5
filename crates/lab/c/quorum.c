/* Quorum and votes: libquorum, libvotequorum. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

static void ids(const char *what, uint32_t n, const uint32_t *list)
{
	printf(" %s=[", what);
	for (uint32_t i = 0; i < n; i++)
		printf("%s%u", i ? " " : "", list[i]);
	printf("]");
}

static void v0(quorum_handle_t h, uint32_t quorate, uint64_t seq, uint32_t n, uint32_t *list)
{
	(void)h;
	printf("  > quorum v0: quorate %u seq %s", quorate, seq ? "some" : "0");
	ids("members", n, list);
	printf("\n");
}

static void v1_quorum(quorum_handle_t h, uint32_t quorate, struct quorum_ring_id ring, uint32_t n,
		      const uint32_t *list)
{
	(void)h;
	printf("  > quorum v1: quorate %u ring of %u seq %s", quorate, ring.nodeid, ring.seq ? "some" : "0");
	ids("members", n, list);
	printf("\n");
}

static void v1_nodes(quorum_handle_t h, struct quorum_ring_id ring, uint32_t nm, const uint32_t *m,
		     uint32_t nj, const uint32_t *j, uint32_t nl, const uint32_t *l)
{
	(void)h;
	printf("  > nodes v1: ring of %u seq %s", ring.nodeid, ring.seq ? "some" : "0");
	ids("members", nm, m);
	ids("joined", nj, j);
	ids("left", nl, l);
	printf("\n");
}

static void drain(quorum_handle_t h)
{
	int fd;
	quorum_fd_get(h, &fd);
	while (ready(fd, 100))
		quorum_dispatch(h, CS_DISPATCH_ALL);
}

static void tracks(quorum_handle_t h)
{
	for (unsigned flags = 0; flags < 9; flags++) {
		printf("flags %u: ", flags);
		CALL(quorum_trackstart(h, flags));
		drain(h);
		CALL(quorum_trackstart(h, flags));
		drain(h);
		CALL(quorum_trackstop(h));
		CALL(quorum_trackstop(h));
	}
}

void do_quorum(void)
{
	quorum_handle_t h;
	quorum_callbacks_t callbacks = {v0};
	quorum_model_v0_data_t model0 = {QUORUM_MODEL_V0, v0};
	quorum_model_v1_data_t model1 = {QUORUM_MODEL_V1, v1_quorum, v1_nodes};
	uint32_t type = 9;
	int quorate = 9, fd = -1;
	const void *context = NULL;
	CALL(quorum_initialize(&h, &callbacks, &type));
	printf("type %u\n", type);
	CALL(quorum_fd_get(h, &fd));
	CALL(quorum_context_set(h, &h));
	CALL(quorum_context_get(h, &context));
	printf("context %s\n", context == &h ? "kept" : "lost");
	CALL(quorum_getquorate(h, &quorate));
	printf("quorate %d\n", quorate);
	ONCE(quorum_dispatch(h, CS_DISPATCH_ONE_NONBLOCKING));
	ONCE(quorum_dispatch(h, CS_DISPATCH_ALL));
	tracks(h);
	CALL(quorum_finalize(h));
	CALL(quorum_finalize(h));
	CALL(quorum_model_initialize(&h, QUORUM_MODEL_V0, (quorum_model_data_t *)&model0, &type, NULL));
	tracks(h);
	CALL(quorum_finalize(h));
	CALL(quorum_model_initialize(&h, QUORUM_MODEL_V1, (quorum_model_data_t *)&model1, &type, &h));
	printf("type %u\n", type);
	tracks(h);
	CALL(quorum_finalize(h));
	CALL(quorum_model_initialize(&h, 5, (quorum_model_data_t *)&model1, &type, NULL));
}

static void votes_quorum(votequorum_handle_t h, uint64_t context, uint32_t quorate, uint32_t n,
			 votequorum_node_t list[])
{
	(void)h;
	printf("  > votes: context %" PRIu64 " quorate %u", context, quorate);
	for (uint32_t i = 0; i < n; i++)
		printf(" %u/%u", list[i].nodeid, list[i].state);
	printf("\n");
}

static void votes_expected(votequorum_handle_t h, uint64_t context, uint32_t expected)
{
	(void)h;
	printf("  > expected: context %" PRIu64 " votes %u\n", context, expected);
}

static votequorum_ring_id_t last_ring;

static void votes_nodes(votequorum_handle_t h, uint64_t context, votequorum_ring_id_t ring,
			uint32_t n, uint32_t list[])
{
	(void)h;
	last_ring = ring;
	printf("  > voters: context %" PRIu64 " ring of %u seq %s", context, ring.nodeid, ring.seq ? "some" : "0");
	ids("members", n, list);
	printf("\n");
}

static votequorum_callbacks_t votes = {votes_quorum, votes_expected, votes_nodes};

static void votes_drain(votequorum_handle_t h)
{
	int fd;
	votequorum_fd_get(h, &fd);
	while (ready(fd, 150))
		votequorum_dispatch(h, CS_DISPATCH_ALL);
}

static void info(votequorum_handle_t h, unsigned node)
{
	struct votequorum_info i;
	memset(&i, 0, sizeof(i));
	printf("node %u: ", node);
	if (CALL(votequorum_getinfo(h, node, &i)) == CS_OK)
		printf("  node %u state %u votes %u expected %u highest %u total %u quorum %u flags %u device %u %s\n",
		       i.node_id, i.node_state, i.node_votes, i.node_expected_votes, i.highest_expected,
		       i.total_votes, i.quorum, i.flags, i.qdevice_votes, i.qdevice_name);
}

void do_votequorum(void)
{
	votequorum_handle_t h;
	void *context = NULL;
	int fd = -1;
	votequorum_ring_id_t ring = {1, 4};
	CALL(votequorum_initialize(&h, &votes));
	CALL(votequorum_fd_get(h, &fd));
	CALL(votequorum_context_set(h, &h));
	CALL(votequorum_context_get(h, &context));
	printf("context %s\n", context == &h ? "kept" : "lost");
	ONCE(votequorum_dispatch(h, CS_DISPATCH_ONE_NONBLOCKING));
	ONCE(votequorum_dispatch(h, CS_DISPATCH_ALL));
	for (unsigned node = 0; node < 4; node++)
		info(h, node);
	for (unsigned flags = 0; flags < 9; flags++) {
		printf("flags %u: ", flags);
		CALL(votequorum_trackstart(h, 100 + flags, flags));
		votes_drain(h);
		CALL(votequorum_trackstart(h, 200 + flags, flags));
		votes_drain(h);
		CALL(votequorum_trackstop(h));
		CALL(votequorum_trackstop(h));
	}
	CALL(votequorum_trackstart(h, 1, CS_TRACK_CHANGES));
	votes_drain(h);
	static const unsigned expected[] = {0, 1, 2, 3, 5, 100, 2};
	for (unsigned i = 0; i < 7; i++) {
		printf("%u: ", expected[i]);
		CALL(votequorum_setexpected(h, expected[i]));
		votes_drain(h);
		info(h, 1);
	}
	static const unsigned pairs[][2] = {{1, 2}, {2, 2}, {1, 1}, {2, 1}, {1, 0}, {1, 9}, {99, 1}, {0, 1}, {2, 3}, {2, 1}, {1, 1}};
	for (unsigned i = 0; i < 11; i++) {
		printf("node %u votes %u: ", pairs[i][0], pairs[i][1]);
		CALL(votequorum_setvotes(h, pairs[i][0], pairs[i][1]));
		votes_drain(h);
		info(h, 1);
	}
	CALL(votequorum_setexpected(h, 2));
	votes_drain(h);
	info(h, 2);
	CALL(votequorum_qdevice_register(h, "device"));
	CALL(votequorum_qdevice_poll(h, "device", 1, ring));
	CALL(votequorum_qdevice_master_wins(h, "device", 1));
	CALL(votequorum_qdevice_update(h, "device", "other"));
	/* The answer comes when the change is sent; it is true once it came round the ring. */
	votes_drain(h);
	CALL(votequorum_qdevice_unregister(h, "device"));
	votes_drain(h);
	CALL(votequorum_trackstop(h));
	CALL(votequorum_finalize(h));
	CALL(votequorum_finalize(h));
}

/* The configuration of the votes changes at run time, by the map alone. */
void do_live(void)
{
	static const struct { const char *key; int width; unsigned value; } steps[] = {
		{"quorum.expected_votes", 4, 3}, {"quorum.expected_votes", 4, 2},
		{"quorum.expected_votes", 4, 5}, {"quorum.expected_votes", 0, 0},
		{"quorum.two_node", 1, 1}, {"quorum.two_node", 1, 0}, {"quorum.two_node", 1, 1},
		{"quorum.two_node", 0, 0}, {"quorum.two_node", 1, 0}, {"quorum.two_node", 0, 0},
		{"quorum.votes", 4, 3}, {"quorum.votes", 0, 0},
		{"quorum.cancel_wait_for_all", 1, 1}, {"quorum.cancel_wait_for_all", 0, 0},
	};
	votequorum_handle_t h;
	cmap_handle_t map;
	CALL(cmap_initialize(&map));
	CALL(votequorum_initialize(&h, &votes));
	CALL(votequorum_trackstart(h, 9, CS_TRACK_CHANGES));
	votes_drain(h);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		uint8_t two = 9, wait = 9;
		printf("%s := %u (%d): ", steps[i].key, steps[i].value, steps[i].width);
		if (steps[i].width == 4)
			ONCE(cmap_set_uint32(map, steps[i].key, steps[i].value));
		else if (steps[i].width == 1)
			ONCE(cmap_set_uint8(map, steps[i].key, steps[i].value));
		else
			ONCE(cmap_delete(map, steps[i].key));
		votes_drain(h);
		info(h, 1);
		info(h, 2);
		printf("two_node %s", cs_strerror(cmap_get_uint8(map, "runtime.votequorum.two_node", &two)));
		printf(" %u, wait %s", two, cs_strerror(cmap_get_uint8(map, "runtime.votequorum.wait_for_all_status", &wait)));
		printf(" %u\n", wait);
	}
	CALL(votequorum_finalize(h));
	CALL(cmap_finalize(map));
}

/* With `device { model: net }` in the configuration. */
void do_qdevice(void)
{
	votequorum_handle_t h;
	votequorum_ring_id_t wrong = {77, 77};
	char longest[400];
	CALL(votequorum_initialize(&h, &votes));
	CALL(votequorum_trackstart(h, 5, CS_TRACK_CHANGES));
	votes_drain(h);
	info(h, 1);
	CALL(votequorum_qdevice_poll(h, "device", 1, last_ring));
	CALL(votequorum_qdevice_update(h, "device", "other"));
	CALL(votequorum_qdevice_unregister(h, "device"));
	CALL(votequorum_qdevice_master_wins(h, "device", 1));
	memset(longest, 'l', sizeof(longest));
	longest[399] = 0;
	CALL(votequorum_qdevice_register(h, longest));
	CALL(votequorum_qdevice_register(h, ""));
	CALL(votequorum_qdevice_register(h, "device"));
	votes_drain(h);
	CALL(votequorum_qdevice_register(h, "device"));
	CALL(votequorum_qdevice_register(h, "another"));
	info(h, 1);
	CALL(votequorum_qdevice_poll(h, "device", 1, wrong));
	CALL(votequorum_qdevice_poll(h, "another", 1, last_ring));
	CALL(votequorum_qdevice_poll(h, "device", 1, last_ring));
	votes_drain(h);
	info(h, 1);
	info(h, 0);
	CALL(votequorum_qdevice_master_wins(h, "another", 1));
	CALL(votequorum_qdevice_master_wins(h, "device", 1));
	votes_drain(h);
	info(h, 1);
	CALL(votequorum_qdevice_master_wins(h, "device", 0));
	votes_drain(h);
	CALL(votequorum_qdevice_update(h, "another", "newname"));
	CALL(votequorum_qdevice_update(h, "device", "newname"));
	votes_drain(h);
	info(h, 1);
	CALL(votequorum_qdevice_poll(h, "newname", 0, last_ring));
	votes_drain(h);
	info(h, 1);
	CALL(votequorum_qdevice_poll(h, "newname", 1, last_ring));
	votes_drain(h);
	/* It is not heard of again: its vote goes. */
	sleep(4);
	votes_drain(h);
	info(h, 1);
	CALL(votequorum_qdevice_poll(h, "newname", 1, last_ring));
	votes_drain(h);
	info(h, 1);
	CALL(votequorum_qdevice_unregister(h, "another"));
	CALL(votequorum_qdevice_unregister(h, "newname"));
	votes_drain(h);
	CALL(votequorum_qdevice_unregister(h, "newname"));
	info(h, 1);
	CALL(votequorum_finalize(h));
}

/* What the services tell until the time is up, each for itself. */
void do_watch(void)
{
	quorum_handle_t q;
	votequorum_handle_t v;
	quorum_model_v1_data_t model1 = {QUORUM_MODEL_V1, v1_quorum, v1_nodes};
	const char *text = getenv("WATCH_SECONDS");
	uint32_t type;
	int quorum_fd, votes_fd;
	FILE *out = stdout;
	char *said[2];
	size_t length[2];
	FILE *pages[2] = {open_memstream(&said[0], &length[0]), open_memstream(&said[1], &length[1])};
	CALL(quorum_model_initialize(&q, QUORUM_MODEL_V1, (quorum_model_data_t *)&model1, &type, NULL));
	CALL(votequorum_initialize(&v, &votes));
	CALL(quorum_trackstart(q, CS_TRACK_CHANGES));
	CALL(votequorum_trackstart(v, 1, CS_TRACK_CHANGES));
	quorum_fd_get(q, &quorum_fd);
	votequorum_fd_get(v, &votes_fd);
	printf("watching\n");
	for (double end = seconds() + atoi(text ? text : "5"); seconds() < end;) {
		struct pollfd fds[2] = {{quorum_fd, POLLIN, 0}, {votes_fd, POLLIN, 0}};
		poll(fds, 2, 100);
		stdout = pages[0];
		if (fds[0].revents)
			quorum_dispatch(q, CS_DISPATCH_ALL);
		stdout = pages[1];
		if (fds[1].revents)
			votequorum_dispatch(v, CS_DISPATCH_ALL);
		stdout = out;
	}
	fclose(pages[0]);
	fclose(pages[1]);
	printf("quorum:\n%svotes:\n%s", said[0], said[1]);
	info(v, 1);
	info(v, 2);
}
