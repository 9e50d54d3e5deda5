/* Administration: libcfg. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"
#include <arpa/inet.h>

static int asked;
static corosync_cfg_shutdown_reply_flags_t opinion;
static int stays_silent;

static void asks(corosync_cfg_handle_t h, corosync_cfg_shutdown_flags_t flags)
{
	printf("  > shutdown? flags %d\n", flags);
	asked++;
	if (!stays_silent)
		CALL(corosync_cfg_replyto_shutdown(h, opinion));
}

static corosync_cfg_callbacks_t callbacks = {asks};

static void node_status(corosync_cfg_handle_t h, unsigned node, int version)
{
	struct corosync_cfg_node_status_v1 s;
	memset(&s, 0, sizeof(s));
	printf("node %u: ", node);
	if (CALL(corosync_cfg_node_status_get(h, node, version, &s)) != CS_OK)
		return;
	printf("  version %d node %u reachable %d remote %d external %d onwire %d %d %d\n", s.version,
	       s.nodeid, s.reachable, s.remote, s.external, s.onwire_min, s.onwire_max, s.onwire_ver);
	for (int i = 0; i < CFG_MAX_LINKS; i++)
		if (s.link_status[i].enabled)
			printf("  link %d enabled %d connected %d dyn %d mtu %u %s -> %s\n", i,
			       s.link_status[i].enabled, s.link_status[i].connected,
			       s.link_status[i].dynconnected, s.link_status[i].mtu,
			       s.link_status[i].src_ipaddr, s.link_status[i].dst_ipaddr);
}

static void addresses(corosync_cfg_handle_t h, unsigned node)
{
	corosync_cfg_node_address_t list[8];
	int n = -1;
	memset(list, 0, sizeof(list));
	printf("node %u: ", node);
	if (CALL(corosync_cfg_get_node_addrs(h, node, 8, &n, list)) != CS_OK)
		return;
	printf("  %d:", n);
	for (int i = 0; i < n; i++) {
		char text[INET6_ADDRSTRLEN];
		struct sockaddr *a = (struct sockaddr *)list[i].address;
		void *bytes = a->sa_family == AF_INET6
			? (void *)&((struct sockaddr_in6 *)a)->sin6_addr
			: (void *)&((struct sockaddr_in *)a)->sin_addr;
		printf(" %s (%d)", inet_ntop(a->sa_family, bytes, text, sizeof(text)),
		       list[i].address_length);
	}
	printf("\n");
}

/* Another process asks for the shutdown; this one is asked. */
static void negotiate(corosync_cfg_handle_t h, int flags, corosync_cfg_shutdown_reply_flags_t says)
{
	int fd, status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		corosync_cfg_handle_t own;
		cs_error_t e = corosync_cfg_initialize(&own, NULL);
		if (e == CS_OK)
			e = corosync_cfg_try_shutdown(own, flags);
		_exit(e);
	}
	opinion = says;
	asked = 0;
	corosync_cfg_fd_get(h, &fd);
	for (double end = seconds() + 8; seconds() < end;) {
		if (ready(fd, 100))
			corosync_cfg_dispatch(h, CS_DISPATCH_ALL);
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	if (ready(fd, 300))
		corosync_cfg_dispatch(h, CS_DISPATCH_ALL);
	printf("asked %d times, the answer: %s\n", asked, cs_strerror(WEXITSTATUS(status)));
}

void do_cfg(void)
{
	corosync_cfg_handle_t h;
	char **names = NULL, **states = NULL;
	unsigned n = 0, node = 0;
	int32_t fd = -1;
	CALL(corosync_cfg_initialize(&h, &callbacks));
	CALL(corosync_cfg_fd_get(h, &fd));
	CALL(corosync_cfg_local_get(h, &node));
	printf("node %u\n", node);
	ONCE(corosync_cfg_dispatch(h, CS_DISPATCH_ONE_NONBLOCKING));
	ONCE(corosync_cfg_dispatch(h, CS_DISPATCH_ALL));
	CALL(corosync_cfg_ring_status_get(h, &names, &states, &n));
	for (unsigned i = 0; i < n; i++)
		printf("  %s: %s\n", names[i], states[i]);
	for (unsigned i = 0; i < 4; i++)
		node_status(h, i, CFG_NODE_STATUS_V1);
	node_status(h, 1, 0);
	node_status(h, 1, 2);
	for (unsigned i = 0; i < 4; i++)
		addresses(h, i);
	CALL(corosync_cfg_kill_node(h, 99, "no such node"));
	CALL(corosync_cfg_kill_node(h, 0, "no such node"));
	CALL(corosync_cfg_reopen_log_files(h));
	CALL(corosync_cfg_reload_config(h));
	CALL(corosync_cfg_replyto_shutdown(h, COROSYNC_CFG_SHUTDOWN_FLAG_YES));
	CALL(corosync_cfg_trackstop(h));
	CALL(corosync_cfg_trackstart(h, CS_TRACK_CHANGES));
	CALL(corosync_cfg_trackstart(h, CS_TRACK_CHANGES));
	negotiate(h, COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST, COROSYNC_CFG_SHUTDOWN_FLAG_NO);
	negotiate(h, COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST, COROSYNC_CFG_SHUTDOWN_FLAG_NO);
	/* Who does not answer says no. */
	cmap_handle_t map;
	CALL(cmap_initialize(&map));
	CALL(cmap_set_uint32(map, "cfg.shutdown_timeout", 700));
	stays_silent = 1;
	negotiate(h, COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST, COROSYNC_CFG_SHUTDOWN_FLAG_NO);
	stays_silent = 0;
	CALL(cmap_delete(map, "cfg.shutdown_timeout"));
	CALL(cmap_finalize(map));
	CALL(corosync_cfg_trackstop(h));
	CALL(corosync_cfg_trackstop(h));
	CALL(corosync_cfg_finalize(h));
	CALL(corosync_cfg_finalize(h));
	CALL(corosync_cfg_local_get(h, &node));
}

/* Ends the engine: a tracker agrees. */
void do_shutdown(void)
{
	corosync_cfg_handle_t h;
	CALL(corosync_cfg_initialize(&h, &callbacks));
	CALL(corosync_cfg_trackstart(h, 0));
	negotiate(h, COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST, COROSYNC_CFG_SHUTDOWN_FLAG_YES);
	cs_error_t e = CS_OK;
	for (double end = seconds() + 10; e == CS_OK && seconds() < end; usleep(100000))
		e = corosync_cfg_dispatch(h, CS_DISPATCH_ALL);
	printf("then: %s\n", cs_strerror(e));
}
