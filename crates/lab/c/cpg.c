/* Process groups: libcpg. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

static struct cpg_name name_of(const char *text)
{
	struct cpg_name name = {.length = strlen(text)};
	memcpy(name.value, text, name.length);
	return name;
}

static void addresses(const char *what, const struct cpg_address *list, size_t n)
{
	printf(" %s=[", what);
	for (size_t i = 0; i < n; i++)
		printf("%s%u/%s/%u", i ? " " : "", list[i].nodeid, who(list[i].pid), list[i].reason);
	printf("]");
}

static int events;

static void deliver(cpg_handle_t h, const struct cpg_name *group, uint32_t node, uint32_t pid,
		    void *message, size_t length)
{
	(void)h;
	printf("  > message in %.*s of %u/%s: %zu bytes %08x", (int)group->length, group->value, node,
	       who(pid), length, sum_of(message, length));
	if (length < 40)
		printf(" \"%.*s\"", (int)length, (char *)message);
	printf("\n");
	events++;
}

static void confchg(cpg_handle_t h, const struct cpg_name *group,
		    const struct cpg_address *members, size_t n_members,
		    const struct cpg_address *left, size_t n_left,
		    const struct cpg_address *joined, size_t n_joined)
{
	(void)h;
	printf("  > change of %.*s", (int)group->length, group->value);
	addresses("members", members, n_members);
	addresses("left", left, n_left);
	addresses("joined", joined, n_joined);
	printf("\n");
	events++;
}

static void totem(cpg_handle_t h, struct cpg_ring_id ring, uint32_t n, const uint32_t *members)
{
	(void)h;
	printf("  > ring of %u, seq %s:", ring.nodeid, ring.seq ? "some" : "0");
	for (uint32_t i = 0; i < n; i++)
		printf(" %u", members[i]);
	printf("\n");
	events++;
}

/* Waits for so many callbacks; says when they do not come. */
static void await(cpg_handle_t h, int n)
{
	int fd;
	double end = seconds() + 10;
	cpg_fd_get(h, &fd);
	for (n += events; events < n && seconds() < end;)
		if (ready(fd, 200))
			cpg_dispatch(h, CS_DISPATCH_ALL);
	if (events < n)
		printf("  ! %d callbacks did not come\n", n - events);
	/* And nothing more. */
	if (ready(fd, 50))
		cpg_dispatch(h, CS_DISPATCH_ALL);
}

static cpg_callbacks_t callbacks = {deliver, confchg};

static void send_in_parts(cpg_handle_t h, size_t length)
{
	char *bytes = malloc(length + 1);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	struct iovec parts[3] = {{bytes, length / 3}, {bytes + length / 3, length / 3},
				 {bytes + length / 3 * 2, length - length / 3 * 2}};
	printf("%zu bytes in three parts\n", length);
	CALL(cpg_mcast_joined(h, CPG_TYPE_AGREED, parts, 3));
	free(bytes);
	await(h, 1);
}

static void members(cpg_handle_t h, const char *group)
{
	struct cpg_name name = name_of(group);
	struct cpg_address list[CPG_MEMBERS_MAX];
	int n = CPG_MEMBERS_MAX;
	memset(list, 0, sizeof(list));
	if (CALL(cpg_membership_get(h, &name, list, &n)) == CS_OK) {
		for (int i = 0; i < n; i++)
			list[i].reason = 0; /* undefined here */
		addresses("members", list, n);
		printf("\n");
	}
}

static void iterate(cpg_handle_t h, cpg_iteration_type_t type, const char *group)
{
	cpg_iteration_handle_t it = 0;
	struct cpg_name name = name_of(group ? group : "");
	struct cpg_iteration_description_t d;
	cs_error_t e;
	printf("iteration %d\n", type);
	if (CALL(cpg_iteration_initialize(h, type, group ? &name : NULL, &it)) != CS_OK)
		return;
	for (memset(&d, 0, sizeof(d)); (e = cpg_iteration_next(it, &d)) == CS_OK; memset(&d, 0, sizeof(d)))
		if (type == CPG_ITERATION_NAME_ONLY)
			printf("  %.*s\n", (int)d.group.length, d.group.value);
		else
			printf("  %.*s %u/%s\n", (int)d.group.length, d.group.value, d.nodeid, who(d.pid));
	printf("end: %s\n", cs_strerror(e));
	CALL(cpg_iteration_next(it, &d));
	CALL(cpg_iteration_finalize(it));
	CALL(cpg_iteration_finalize(it));
}

void do_cpg(void)
{
	cpg_handle_t h, h2;
	struct cpg_name g = name_of("first"), other = name_of("second"), empty = name_of("");
	struct cpg_name longest = {.length = 128};
	struct iovec word = {"hello", 5};
	unsigned node = 0;
	uint32_t size = 0;
	int fd = -1;
	void *context = NULL;
	cpg_flow_control_state_t flow;

	memset(longest.value, 'n', 128);
	CALL(cpg_initialize(&h, &callbacks));
	CALL(cpg_local_get(h, &node));
	printf("node %u\n", node);
	CALL(cpg_fd_get(h, &fd));
	printf("descriptor %s\n", fd >= 0 ? "yes" : "no");
	CALL(cpg_context_set(h, &node));
	CALL(cpg_context_get(h, &context));
	printf("context %s\n", context == &node ? "kept" : "lost");
	CALL(cpg_max_atomic_msgsize_get(h, &size));
	printf("atomic %u\n", size);
	CALL(cpg_flow_control_state_get(h, &flow));
	printf("flow control %d\n", flow);
	ONCE(cpg_dispatch(h, CS_DISPATCH_ONE_NONBLOCKING));
	ONCE(cpg_dispatch(h, CS_DISPATCH_ALL));
	members(h, "first");
	CALL(cpg_leave(h, &g));
	ONCE(cpg_mcast_joined(h, CPG_TYPE_AGREED, &word, 1));
	CALL(cpg_join(h, &g));
	await(h, 1);
	CALL(cpg_join(h, &g));
	CALL(cpg_join(h, &other));
	members(h, "first");
	members(h, "nobody");
	for (int guarantee = 0; guarantee < 4; guarantee++) {
		CALL(cpg_mcast_joined(h, guarantee, &word, 1));
		await(h, 1);
	}
	ONCE(cpg_mcast_joined(h, CPG_TYPE_AGREED, &word, 0));
	await(h, 1);
	send_in_parts(h, 1);
	send_in_parts(h, 1000);
	send_in_parts(h, 1400);
	send_in_parts(h, 65536);
	send_in_parts(h, 1047552);
	send_in_parts(h, 1047553);
	send_in_parts(h, 3000000);

	void *buffer = NULL;
	CALL(cpg_zcb_alloc(h, 200000, &buffer));
	memset(buffer, 'z', 200000);
	CALL(cpg_zcb_mcast_joined(h, CPG_TYPE_AGREED, buffer, 200000));
	await(h, 1);
	CALL(cpg_zcb_mcast_joined(h, CPG_TYPE_AGREED, buffer, 10));
	await(h, 1);
	CALL(cpg_zcb_free(h, buffer));

	/* One process, two handles. */
	CALL(cpg_initialize(&h2, &callbacks));
	CALL(cpg_join(h2, &g));
	CALL(cpg_join(h2, &longest));
	await(h2, 1);
	longest.length = 129;
	CALL(cpg_join(h2, &longest));
	iterate(h2, CPG_ITERATION_NAME_ONLY, NULL);
	iterate(h2, CPG_ITERATION_ALL, NULL);
	iterate(h2, CPG_ITERATION_ONE_GROUP, "first");
	iterate(h2, CPG_ITERATION_ONE_GROUP, "nobody");
	iterate(h2, CPG_ITERATION_ONE_GROUP, NULL);
	iterate(h2, 9, NULL);
	CALL(cpg_finalize(h2));
	usleep(300000);
	iterate(h, CPG_ITERATION_NAME_ONLY, NULL);

	CALL(cpg_leave(h, &g));
	await(h, 1);
	CALL(cpg_leave(h, &g));
	ONCE(cpg_mcast_joined(h, CPG_TYPE_AGREED, &word, 1));
	CALL(cpg_join(h, &g));
	CALL(cpg_finalize(h));
	CALL(cpg_finalize(h));
	CALL(cpg_dispatch(h, CS_DISPATCH_ALL));

	CALL(cpg_initialize(&h, &callbacks));
	CALL(cpg_join(h, &empty));
	if (ready((cpg_fd_get(h, &fd), fd), 1000))
		cpg_dispatch(h, CS_DISPATCH_ALL);
	CALL(cpg_finalize(h));
	CALL(cpg_initialize(&h, NULL));
	CALL(cpg_finalize(h));
}

static void child(const char *name, void (*life)(void), cpg_handle_t h, int callbacks_expected)
{
	fflush(stdout);
	int go[2];
	if (pipe(go))
		return;
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		if (read(go[0], &c, 1) == 1)
			life();
		_exit(0);
	}
	know(pid, name);
	if (write(go[1], "g", 1) != 1)
		return;
	await(h, callbacks_expected);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go[0]);
	close(go[1]);
}

static void joins(cpg_handle_t *h)
{
	static struct cpg_name g;
	static cpg_callbacks_t quiet = {NULL, NULL};
	g = name_of("family");
	cpg_initialize(h, &quiet);
	while (cpg_join(*h, &g) == CS_ERR_TRY_AGAIN)
		usleep(1000);
	usleep(200000);
}

static void leaves(void)
{
	cpg_handle_t h;
	struct cpg_name g = name_of("family");
	joins(&h);
	cpg_leave(h, &g);
	pause();
}

static void dies(void)
{
	cpg_handle_t h;
	joins(&h);
}

static void finalizes(void)
{
	cpg_handle_t h;
	joins(&h);
	cpg_finalize(h);
	pause();
}

/* A fragmented message is under way when its sender ends. */
static void sends_large(void)
{
	cpg_handle_t h;
	static char bytes[2500000];
	struct iovec part = {bytes, sizeof(bytes)};
	joins(&h);
	cpg_mcast_joined(h, CPG_TYPE_AGREED, &part, 1);
}

/* Three processes of one group, in the order in which they came. */
static void trio(cpg_handle_t h)
{
	static const char *names[] = {"one", "two", "three"};
	pid_t pids[3];
	for (int i = 0; i < 3; i++) {
		fflush(stdout);
		pids[i] = fork();
		if (pids[i] == 0) {
			cpg_handle_t own;
			struct cpg_name group = name_of(i == 1 ? "duo" : "family");
			cpg_callbacks_t quiet = {NULL, NULL};
			cpg_initialize(&own, &quiet);
			while (cpg_join(own, &group) == CS_ERR_TRY_AGAIN)
				usleep(1000);
			pause();
		}
		know(pids[i], names[i]);
		usleep(400000);
		await(h, i == 1 ? 0 : 1);
	}
	iterate(h, CPG_ITERATION_NAME_ONLY, NULL);
	iterate(h, CPG_ITERATION_ALL, NULL);
	iterate(h, CPG_ITERATION_ONE_GROUP, "family");
	for (int i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		await(h, i == 1 ? 0 : 1);
	}
}

void do_cpg_more(void)
{
	cpg_handle_t h, h2;
	struct cpg_name g = name_of("family"), pings = name_of("echo");
	cpg_model_v1_data_t model = {CPG_MODEL_V1, deliver, confchg, totem,
				     CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF};
	struct iovec word = {"ping", 4};
	struct iovec bye = {"bye", 3};
	char big[70000];

	CALL(cpg_model_initialize(&h, CPG_MODEL_V1, (cpg_model_data_t *)&model, &g));
	CALL(cpg_model_initialize(&h2, 7, (cpg_model_data_t *)&model, &g));
	void *context = NULL;
	CALL(cpg_context_get(h, &context));
	printf("context %s\n", context == &g ? "kept" : "lost");
	CALL(cpg_join(h, &g));
	await(h, 2);
	child("leaver", leaves, h, 2);
	child("mortal", dies, h, 2);
	child("finalizer", finalizes, h, 2);
	child("sender", sends_large, h, 3);
	trio(h);
	CALL(cpg_finalize(h));

	/* The other node answers. */
	model.flags = 0;
	CALL(cpg_model_initialize(&h, CPG_MODEL_V1, (cpg_model_data_t *)&model, NULL));
	CALL(cpg_join(h, &pings));
	await(h, 1);
	CALL(cpg_mcast_joined(h, CPG_TYPE_AGREED, &word, 1));
	await(h, 2);
	memset(big, 'b', sizeof(big));
	word = (struct iovec){big, sizeof(big)};
	CALL(cpg_mcast_joined(h, CPG_TYPE_AGREED, &word, 1));
	await(h, 2);
	iterate(h, CPG_ITERATION_ALL, NULL);
	CALL(cpg_mcast_joined(h, CPG_TYPE_AGREED, &bye, 1));
	await(h, 2);
	CALL(cpg_finalize(h));
}

static cpg_handle_t echo_handle;
static int echo_ends;

static void echo(cpg_handle_t h, const struct cpg_name *group, uint32_t node, uint32_t pid,
		 void *message, size_t length)
{
	static char answer[1100000];
	(void)group, (void)node;
	if (pid == (uint32_t)getpid())
		return;
	if (length == 3 && !memcmp(message, "bye", 3)) {
		echo_ends = 1;
		return;
	}
	memcpy(answer, "re: ", 4);
	memcpy(answer + 4, message, length);
	struct iovec part = {answer, length + 4};
	while (cpg_mcast_joined(h, CPG_TYPE_AGREED, &part, 1) == CS_ERR_TRY_AGAIN)
		usleep(1000);
}

/* Runs on the other node: answers what it hears in its group. */
void do_echo(void)
{
	static cpg_callbacks_t answers = {echo, NULL};
	struct cpg_name g = name_of("echo");
	double end = seconds() + 300;
	int fd;
	cpg_initialize(&echo_handle, &answers);
	cpg_join(echo_handle, &g);
	cpg_fd_get(echo_handle, &fd);
	while (!echo_ends && seconds() < end)
		if (ready(fd, 500))
			cpg_dispatch(echo_handle, CS_DISPATCH_ALL);
	cpg_leave(echo_handle, &g);
	usleep(200000);
	cpg_finalize(echo_handle);
}
